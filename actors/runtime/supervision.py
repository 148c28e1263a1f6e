"""What all supervisors share: their messages, their face to operators, and how they treat foreign code."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from actors.runtime import fence
from actors.runtime.errors import ActorStopped, NoSuchChild
from actors.runtime.exit import IDLE
from actors.runtime.promise import Promise
from actors.runtime.ref import Ref

if TYPE_CHECKING:
    from actors.runtime.cell import Cell
    from actors.runtime.dynamic import DynamicSupervisor
    from actors.runtime.incarnation import Incarnation
    from actors.runtime.spec import ChildSpec, SupervisorSpec
    from actors.runtime.supervisor import Supervisor

logger = logging.getLogger("actors.runtime")


class Call(NamedTuple):
    """System message: an operator's wish; ``verb`` names the supervisor's method."""

    verb: str
    argument: Any
    promise: Promise[Any]


class StopTimeout(NamedTuple):
    """System message: the child had its time to stop. Of one incarnation, or of all children with that limit."""

    incarnation: Incarnation | None
    seconds: float


class Retry(NamedTuple):
    """System message: a restart that was put off is due."""

    cell: Cell
    previous: Incarnation | None


class ChildInfo(NamedTuple):
    """One child, as it is now."""

    id: str
    state: str  #: ``running``, ``restarting``, ``stopped``
    type: str  #: ``worker``, ``supervisor``
    restarts: int
    ref: Ref


class ChildCounts(NamedTuple):
    """OTP's four counts."""

    specs: int
    active: int
    supervisors: int
    workers: int


class SupervisorRef(Ref):
    """A supervisor's ref. From any thread; nothing here waits for another child's start or stop."""

    __slots__ = ()

    def start_child(
        self, spec: ChildSpec | SupervisorSpec, *, wait: bool | None = None, timeout: float | None = None
    ) -> Ref:
        """Add and start a child.

        A dynamic supervisor answers at once, unless ``wait``: ``on_start`` runs in the child's first slice, messages
        told before wait for it, and its failure counts as a crash. With ``wait``, and always for a static
        supervisor, it answers when the child runs; a failure is raised as ``StartError`` and nothing stays. Raises
        ``BadSpec``, ``NameTaken``, ``AlreadyStarted`` (with its ref), ``AlreadyPresent``, ``ActorStopped``.
        """
        fence.check(self.name)
        if self._cell.spec.dynamic:  # type: ignore[union-attr] # the cell of a supervisor
            return self._dynamic().start_child(spec, wait=bool(wait), timeout=timeout)
        return cast("Ref", self._call("start", spec).get(timeout))

    def terminate_child(self, child: str, *, timeout: float | None = None) -> None:
        """Stop it and keep its spec (a dynamic or temporary one is gone); again: no harm. Raises ``NoSuchChild``."""
        self._call("terminate", child).get(timeout)

    def restart_child(self, child: str, *, timeout: float | None = None) -> Ref:
        """Start one that is stopped. Raises ``NoSuchChild``, ``ChildRunning``, ``ChildRestarting``, ``StartError``."""
        return cast("Ref", self._call("restart", child).get(timeout))

    def delete_child(self, child: str, *, timeout: float | None = None) -> None:
        """Forget the spec of one that is stopped. Raises ``NoSuchChild``, ``ChildRunning``, ``ChildRestarting``."""
        self._call("delete", child).get(timeout)

    def bounce_child(self, child: str, *, timeout: float | None = None) -> None:
        """Stop it in good order and start it again; messages wait, the restart limit is not touched."""
        self._call("bounce", child).get(timeout)

    def stop_child_if_idle(self, ref: Ref) -> bool:
        """Put it to sleep if nothing waits for it and it is not running; then its name is free for a new one.

        Atomic: a message told before is handled; one told after gets its sender ``ActorStopped``. ``on_stop`` of a
        pooled one runs here, before this returns.
        """
        cell = ref._cell
        if cell.parent is not self._cell:
            raise NoSuchChild(ref.name)
        mailbox = cell.mailbox
        with mailbox.lock:
            one = cell.incarnation
            busy = mailbox.scheduled or mailbox.closed or mailbox.items or mailbox.urgent or cell.retry
            if one is None or busy or one.over or not one.running:
                return False
            mailbox.closed = True
            mailbox.scheduled = True  # as if a reader had been woken: this thread, or the actor's own
        if cell.dispatcher.movable:
            one.finish(IDLE)
        else:
            one.stop(IDLE)
            cell.ready()
        return True

    def children(self) -> list[ChildInfo]:
        """All children in start order, as they are now; never waits."""
        kids = self._cell.kids or {}
        return [ChildInfo(kid.name, kid.state, kid.spec.type, kid.restarts, kid.ref) for kid in tuple(kids.values())]

    def count_children(self) -> ChildCounts:
        """Counts, never waits; ``active`` are those running; ``specs`` of a dynamic supervisor is 1, as OTP's."""
        infos = self.children()
        dynamic = self._cell.spec.dynamic  # type: ignore[union-attr] # the cell of a supervisor
        supervisors = sum(info.type == "supervisor" for info in infos)
        return ChildCounts(
            1 if dynamic else len(infos),
            sum(info.state == "running" for info in infos),
            supervisors,
            len(infos) - supervisors,
        )

    def _dynamic(self) -> DynamicSupervisor:
        incarnation = self._cell.incarnation
        if incarnation is None or incarnation.actor is None or self._cell.mailbox.closed:
            raise ActorStopped(self.name)
        return cast("DynamicSupervisor", incarnation.actor)

    def _call(self, verb: str, argument: Any) -> Promise[Any]:
        fence.check(self.name)
        promise: Promise[Any] = Promise()
        cell = self._cell
        cell.mailbox.put_urgent(Call(verb, argument, promise))
        incarnation = cell.incarnation
        if cell.mailbox.closed and (incarnation is None or incarnation.over):
            cell.close()  # it came after the end: answered as what was there before it
        return promise


def answer(supervisor: Supervisor | DynamicSupervisor, call: Call) -> None:
    """Do an operator's wish; a wish that cannot be is the operator's fault, not the supervisor's."""
    try:
        getattr(supervisor, f"do_{call.verb}")(call.argument, call.promise)
    except Exception as error:  # noqa: BLE001 - goes to the one who asked
        call.promise.offer_failure(error)


def tell_hook(hook: Callable[..., object] | None, *arguments: Any) -> None:
    """Call the domain's hook; a fault in it may not take the tree down."""
    if hook is None:
        return
    try:
        hook(*arguments)
    except BaseException:
        logger.exception("a supervisor's hook raised: %r", hook)


def backoff_seconds(backoff: Callable[[int], float] | None, failures: int) -> float:
    """How long to wait before the restart; an unusable answer is no wait, for the restart limit still protects."""
    if backoff is None:
        return 0.0
    try:
        seconds = float(backoff(failures))
    except Exception:
        logger.exception("a supervisor's backoff raised: %r", backoff)
        return 0.0
    return seconds if math.isfinite(seconds) and seconds > 0 else 0.0
