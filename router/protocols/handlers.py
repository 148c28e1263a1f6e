"""Who executes which command: the registry behind ``router.handler``, ``@handles`` and ``router.bind``."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Collection, Mapping
from threading import Lock
from typing import Any, TypeAlias, TypeVar

from actors.policy.facts import Facts
from router.errors import BadHandler
from router.messages.base import Message
from router.messages.registry import Catalog
from router.messages.registry import catalog as default_catalog
from router.protocols.binding import Binding
from router.protocols.calling import cannot_take, is_async
from router.protocols.context import Context
from router.protocols.marks import Mark, marks_of

logger = logging.getLogger("router.protocols.handlers")

#: ``fn(command, ctx)``, sync or async; returns data or raises (see ``router.protocols.signals``)
Function: TypeAlias = Callable[[Any, Context], Any]
#: ``fn(command, ctx) -> bool | None``, sync or async: whether it happened; ``None``: cannot be told
Verify: TypeAlias = Callable[[Any, Context], "bool | Awaitable[bool | None] | None"]
F = TypeVar("F", bound=Callable[..., Any])

PROTOCOLS = frozenset({"direct", "queue", "rest"})  # those that execute handlers of this process


class Handler:
    """One function for one type, with what was declared of it."""

    __slots__ = (
        "_function",
        "_plain",
        "binding",
        "idempotent",
        "is_async",
        "name",
        "protocols",
        "safe",
        "timeout",
        "type",
        "verify",
    )

    def __init__(
        self,
        type_: str,
        function: Function | str,
        facts: Facts,
        mark: Mark,
        binding: Binding | None = None,
    ) -> None:
        self._function = function
        self._plain = function if binding is None and not isinstance(function, str) else None
        self.binding = binding
        target = self.target()
        self.type = type_
        self.name = f"{getattr(target, '__module__', '?')}.{getattr(target, '__qualname__', repr(target))}"
        self.timeout = _milliseconds(self, mark.timeout)  #: ms; 0: the protocol's own
        self.protocols = _protocols(self, mark.protocols)  #: empty: all
        self.idempotent = mark.idempotent is True  #: declared here, beyond the catalog's facts
        self.safe = facts.idempotent if mark.idempotent is None else mark.idempotent  #: executing twice does no harm
        self.verify: Verify | str | None = mark.verify
        _takes_two(self, target)
        if mark.verify is not None:
            _takes_two(self, self.hook())
        self.is_async = is_async(target)

    def target(self) -> Function:
        """The function to call. Raises ``LookupError`` when the object it is a method of is gone."""
        return self._resolved(self._function) if self._plain is None else self._plain

    def hook(self) -> Verify:
        """The verify hook to call; as ``target``. Raises ``LookupError`` also when there is none."""
        if self.verify is None:
            raise LookupError(f"{self.name} has no verify hook")
        return self._resolved(self.verify)

    def serves(self, protocol: str) -> bool:
        """Whether it executes what comes over this protocol."""
        return not self.protocols or protocol in self.protocols

    def meets(self, other: Handler) -> bool:
        """Whether both serve some protocol."""
        return not (self.protocols and other.protocols and self.protocols.isdisjoint(other.protocols))

    def _resolved(self, function: Callable[..., Any] | str) -> Callable[..., Any]:
        if self.binding is None:
            if isinstance(function, str):
                raise BadHandler(f"verify={function!r} names a method, but the handler is a function")
            return function
        owner = self.binding.owner()
        if owner is None:
            raise LookupError("the object whose method handles it is gone")
        if isinstance(function, str):
            return _method(owner, function)
        if getattr(type(owner), getattr(function, "__name__", ""), None) is function:
            return _method(owner, function.__name__)
        return function


class Handlers:
    """Thread-safe; a look-up takes no lock.

    A type has one handler per protocol. ``on_change`` callbacks are called after handlers came or went.
    """

    def __init__(self, catalog: Catalog = default_catalog) -> None:
        self._catalog = catalog
        self._by_type: Mapping[str, tuple[Handler, ...]] = {}
        self._bindings: list[Binding] = []
        self._lock = Lock()
        self._listeners: list[Callable[[], None]] = []

    def handler(
        self,
        message: type[Message] | str,
        *,
        timeout: float | None = None,
        protocols: Collection[str] = (),
        idempotent: bool | None = None,
        verify: Verify | None = None,
    ) -> Callable[[F], F]:
        """Decorate the function that executes a type: ``fn(command, ctx)``, sync or async.

        ``timeout`` in seconds; ``protocols``: only over these (``direct``, ``queue``, ``rest``); ``idempotent``:
        executing twice does no harm (``None``: as the catalog says); ``verify``: asked whether it happened when nobody
        knows.
        Raises ``BadHandler`` and ``UnknownType``.
        """
        mark = Mark(message, timeout, protocols, idempotent, verify)

        def decorate(function: F) -> F:
            self._add([self._made(mark, function, None)])
            return function

        return decorate

    def bind(self, owner: object) -> object:
        """Register every method of ``owner`` that ``@handles`` marks; returns ``owner``.

        The object is referred to weakly: it lives as long as you keep it (as a bot keeps its cogs). Raises
        ``BadHandler`` when it has no marked method, is bound already, or one of its types has a handler.
        """
        binding = Binding(owner, self._gone)
        found = [(name, mark) for name, method in _methods(owner) for mark in marks_of(method)]
        if not found:
            raise BadHandler(f"{type(owner).__qualname__} has no method marked with @handles")
        if any(known.owner() is owner for known in self._bindings):
            raise BadHandler(f"this {type(owner).__qualname__} is bound already")
        self._add([self._made(mark, name, binding) for name, mark in found], binding)
        return owner

    def unbind(self, owner: object, drain: float = 5.0) -> bool:
        """Take the handlers of ``owner`` back, and give its running calls ``drain`` seconds; ``False``: some run on."""
        return self._unbound(owner).wait(drain)

    async def aunbind(self, owner: object, drain: float = 5.0) -> bool:
        """``unbind`` that never blocks the event loop."""
        return await self._unbound(owner).await_idle(drain)

    def find(self, type_: str, protocol: str = "") -> Handler | None:
        """The handler of a type over a protocol ("": over any)."""
        for handler in self._by_type.get(type_, ()):
            if not protocol or handler.serves(protocol):
                return handler
        return None

    def types(self, protocol: str = "") -> list[str]:
        """The types that have a handler, sorted."""
        return sorted(name for name in self._by_type if self.find(name, protocol))

    def queues(self) -> list[str]:
        """The named queues of the types that are executed over ``queue``, sorted."""
        return sorted({self._catalog.find(name).facts().queue for name in self.types("queue")})

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call back after handlers came or went, on the thread that did it."""
        self._listeners.append(callback)

    def _made(self, mark: Mark, function: Function | str, binding: Binding | None) -> Handler:
        cls = self._catalog.find(mark.message if isinstance(mark.message, str) else mark.message.type)
        return Handler(cls.type, function, cls.facts(), mark, binding)

    def _add(self, handlers: list[Handler], binding: Binding | None = None) -> None:
        with self._lock:
            by_type = dict(self._by_type)
            for handler in handlers:
                known = by_type.get(handler.type, ())
                for other in known:
                    if handler.meets(other):
                        raise BadHandler(f"{handler.type} is handled by {other.name} already, not by {handler.name}")
                by_type[handler.type] = (*known, handler)
            self._by_type = by_type
            if binding is not None:
                self._bindings.append(binding)
        self._changed()

    def _unbound(self, owner: object) -> Binding:
        binding = next((known for known in self._bindings if known.owner() is owner), None)
        if binding is None:
            raise BadHandler(f"this {type(owner).__qualname__} is not bound")
        self._remove(binding)
        return binding

    def _gone(self, binding: Binding) -> None:
        if binding in self._bindings:
            logger.warning("%s was bound and is gone: its handlers go with it; keep a reference", binding.name)
            self._remove(binding)

    def _remove(self, binding: Binding) -> None:
        binding.close()
        with self._lock:
            if binding not in self._bindings:
                return
            self._bindings.remove(binding)
            left = {
                name: tuple(handler for handler in handlers if handler.binding is not binding)
                for name, handlers in self._by_type.items()
            }
            self._by_type = {name: handlers for name, handlers in left.items() if handlers}
        self._changed()

    def _changed(self) -> None:
        for callback in list(self._listeners):
            callback()


def _methods(owner: object) -> list[tuple[str, Any]]:
    cls = type(owner)
    return [(name, getattr(cls, name)) for name in dir(cls) if not name.startswith("__") and hasattr(cls, name)]


def _method(owner: object, name: str) -> Callable[..., Any]:
    method = getattr(owner, name, None)
    if not callable(method):
        raise BadHandler(f"{type(owner).__qualname__} has no method {name!r}")
    return method  # type: ignore[no-any-return]  # callable() is all that can be known


def _takes_two(handler: Handler, function: object) -> None:
    problem = cannot_take(function, 2)
    if problem:
        raise BadHandler(f"{handler.name} must take (command, ctx): {problem}")


def _milliseconds(handler: Handler, timeout: float | None) -> int:
    if timeout is None:
        return 0
    if not isinstance(timeout, int | float) or not math.isfinite(timeout) or timeout <= 0:
        raise BadHandler(f"timeout of {handler.name} must be seconds above 0, not {timeout!r}")
    return max(1, round(timeout * 1000))


def _protocols(handler: Handler, names: Collection[str]) -> frozenset[str]:
    if isinstance(names, str):
        raise BadHandler(f"protocols of {handler.name} must be a list of names, not a text")
    unknown = sorted(set(names) - PROTOCOLS)
    if unknown:
        raise BadHandler(f"protocols of {handler.name} must be of {sorted(PROTOCOLS)}, not {unknown}")
    return frozenset(names)
