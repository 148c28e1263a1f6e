"""A stable name for whoever lives under it now."""

from __future__ import annotations

from collections.abc import Sequence
from threading import get_ident
from typing import TYPE_CHECKING, Any, Literal, Protocol, overload

import pykka

from actors.runtime import fence
from actors.runtime.errors import ActorStopped
from actors.runtime.promise import Promise
from actors.runtime.signals import Ask

if TYPE_CHECKING:
    from actors.runtime.cell import Cell

#: how long ``proxy()`` waits for an actor that is (re)starting (seconds)
PROXY_PATIENCE = 5.0


class Target(Protocol):
    """Whoever can be told something: a ``Ref``, a ``Probe``."""

    def tell(self, message: Any) -> None:
        """Send without waiting for an answer."""


class Ref:
    """Outlives the actors behind it. Cheap, to be passed around; compared by identity."""

    __slots__ = ("__weakref__", "_cell", "_mailbox", "name")

    def __init__(self, cell: Cell) -> None:
        self.name: str = cell.name
        self._cell = cell
        self._mailbox = cell.mailbox

    def __repr__(self) -> str:
        return f"<Ref {self.name}>"

    def tell(self, message: Any) -> None:
        """Send. Raises ``MailboxFull``, ``ActorStopped`` (for good), ``ActorFenced`` (the sender was given up).

        While the actor restarts, messages wait for its successor.
        """
        if fence.fenced and get_ident() in fence.fenced:
            fence.check(self.name)
        self._mailbox.put(message)

    def tell_many(self, messages: Sequence[Any]) -> None:
        """Send all, in order and together, or none. Raises as ``tell``."""
        fence.check(self.name)
        self._mailbox.put_many(messages)

    @overload
    def ask(self, message: Any, timeout: float | None = None, *, block: Literal[False]) -> Promise[Any]: ...

    @overload
    def ask(self, message: Any, timeout: float | None = None, *, block: Literal[True] = True) -> Any: ...

    def ask(self, message: Any, timeout: float | None = None, *, block: bool = True) -> Any:
        """Send and get the answer, or with ``block=False`` a ``Promise`` of it.

        Raises as ``tell``, also without blocking; ``pykka.Timeout`` after ``timeout`` seconds; what the handler raised
        (then the actor crashed, as on a tell); ``ActorCrashed``; ``AskDeadlock`` inside an actor. A handler that
        returns a ``Promise`` answers when that is settled, and its actor is free meanwhile.
        """
        if fence.fenced and get_ident() in fence.fenced:
            fence.check(self.name)
        promise: Promise[Any] = Promise()
        promise.asked = self._cell
        self._mailbox.put(Ask(message, promise))
        return promise.get(timeout) if block else promise

    def proxy(self) -> pykka.ActorProxy[Any]:
        """A pykka proxy whose calls go through this ref, so it survives restarts.

        Waits up to 5 s for an actor that is just starting. Raises ``ActorStopped``.
        """
        incarnation = self._cell.incarnation
        if not self.alive():
            raise ActorStopped(self.name)
        if incarnation is None or incarnation.actor is None:
            self.ask(pykka.messages.ProxyGetAttr(attr_path=("me",)), PROXY_PATIENCE)
        return pykka.ActorProxy(actor_ref=self)  # type: ignore[arg-type] # it quacks: is_alive, _actor_weakref, ask, tell

    def alive(self) -> bool:
        """Whether it takes messages: it runs, or is being restarted."""
        return not self._cell.mailbox.closed

    is_alive = alive  # pykka's name

    def depth(self) -> int:
        """How many messages wait."""
        return self._mailbox.depth()

    def stop(self) -> None:
        """Ask the actor to end now, before any further message; whether it restarts is its spec's restart type."""
        fence.check(self.name)
        self._cell.stop()

    def kill(self) -> bool:
        """Give the actor up without asking it; a thread that hangs in it is fenced. False: nobody lived there."""
        fence.check(self.name)
        incarnation = self._cell.incarnation
        return incarnation is not None and incarnation.fence()

    def _actor_weakref(self) -> Any:
        """For ``pykka.ActorProxy``, which looks at the actor's attributes."""
        incarnation = self._cell.incarnation
        return None if incarnation is None else incarnation.actor
