"""Actors as data: what a supervisor starts, in which order, and what it does when one ends."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from actors.runtime.errors import BadSpec
from actors.runtime.exit import Restart

if TYPE_CHECKING:
    from actors.runtime.actor import Actor
    from actors.runtime.ref import Ref

Strategy: TypeAlias = Literal["one_for_one", "one_for_all", "rest_for_one"]
Shutdown: TypeAlias = float | Literal["infinity", "brutal"]
AutoShutdown: TypeAlias = Literal["never", "any_significant", "all_significant"]

RESTARTS = ("permanent", "transient", "temporary")
STRATEGIES = ("one_for_one", "one_for_all", "rest_for_one")
AUTO_SHUTDOWNS = ("never", "any_significant", "all_significant")
TYPES = ("worker", "supervisor")


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """One child. Defaults are OTP's.

    ``start`` makes the actor, on the actor's own thread, anew for each start; returning None means "not wanted here",
    which is no failure. ``shutdown``: seconds it gets to stop, then it is fenced; ``"infinity"``; ``"brutal"``: fenced
    at once, without ``on_stop``. ``dispatcher``: ``"thread"``, ``"pool"``, or a name given to the runtime.
    ``mailbox_capacity`` None: the actor class's. ``significant``: its end may end its supervisor (``auto_shutdown``).
    """

    id: str
    start: Callable[[], Actor | None]
    restart: Restart = "permanent"
    shutdown: Shutdown = 5.0
    type: Literal["worker", "supervisor"] = "worker"
    significant: bool = False
    dispatcher: str = "thread"
    mailbox_capacity: int | None = None


@dataclass(frozen=True, slots=True)
class SupervisorSpec:
    """A supervisor and its children, in start order; itself a child of the one above.

    More than ``intensity`` restarts within ``period`` seconds: it stops its children and ends with reason ``shutdown``.
    ``backoff(n)``: seconds to wait before the n-th restart of a child in a row (None: at once).
    ``dynamic``: children come by ``start_child`` only, any number, and stop all at once. With ``per_child`` the limit
    counts for each child alone: one over it is given up, ``on_give_up(ref, exception)`` is told, the others live on.
    ``on_crash(ref, message, exception)`` is told before a restart that follows a failure; both on the supervisor's
    thread, so they must be quick.
    """

    id: str
    children: Sequence[ChildSpec | SupervisorSpec] = ()
    strategy: Strategy = "one_for_one"
    intensity: int = 3
    period: float = 5.0
    auto_shutdown: AutoShutdown = "never"
    restart: Restart = "permanent"
    shutdown: Shutdown = "infinity"
    significant: bool = False
    dynamic: bool = False
    backoff: Callable[[int], float] | None = None
    per_child: bool = False
    on_crash: Callable[[Ref, Any, BaseException | None], object] | None = None
    on_give_up: Callable[[Ref, BaseException | None], object] | None = None

    type: ClassVar[str] = "supervisor"
    mailbox_capacity: ClassVar[None] = None


Spec: TypeAlias = ChildSpec | SupervisorSpec


def check_tree(spec: SupervisorSpec, dispatchers: Collection[str]) -> None:
    """Raises ``BadSpec`` for the first rule that is broken anywhere in the tree; nothing was started then."""
    seen: set[str] = set()
    for one, auto_shutdown in _walk(spec, "never"):
        check_child(one, dispatchers, auto_shutdown)
        if one.id in seen:
            raise BadSpec(repr(one.id), "id", one.id, "names are unique in a runtime")
        seen.add(one.id)


def check_child(spec: Spec, dispatchers: Collection[str], auto_shutdown: str = "never") -> None:
    """One spec, without its children; ``auto_shutdown`` is its supervisor's."""
    if not isinstance(spec, ChildSpec | SupervisorSpec):
        raise BadSpec("spec", "spec", spec, "a ChildSpec or a SupervisorSpec")
    owner = repr(spec.id)[:100]
    if not isinstance(spec.id, str) or not spec.id:
        raise BadSpec(owner, "id", spec.id, "a name, not empty")
    if spec.restart not in RESTARTS or spec.type not in TYPES:
        _among(owner, "restart", spec.restart, RESTARTS)
        _among(owner, "type", spec.type, TYPES)
    _check_shutdown(owner, spec.shutdown)
    if not isinstance(spec.significant, bool):
        raise BadSpec(owner, "significant", spec.significant, "a bool")
    if spec.significant and spec.restart == "permanent":
        raise BadSpec(owner, "significant", True, "a permanent child is always restarted, so its end decides nothing")
    if spec.significant and auto_shutdown == "never":
        raise BadSpec(owner, "significant", True, "its supervisor has auto_shutdown='never'")
    if isinstance(spec, SupervisorSpec):
        _check_supervisor(owner, spec)
    else:
        _check_worker(owner, spec, dispatchers)


def _walk(spec: Spec, auto_shutdown: str) -> Iterator[tuple[Spec, str]]:
    # the root's own significance has nobody above to matter to; a child's is checked against its supervisor
    yield spec, auto_shutdown
    if isinstance(spec, SupervisorSpec) and isinstance(spec.children, list | tuple):
        for child in spec.children:
            yield from _walk(child, spec.auto_shutdown)


def _check_supervisor(owner: str, spec: SupervisorSpec) -> None:
    _among(owner, "strategy", spec.strategy, STRATEGIES)
    _among(owner, "auto_shutdown", spec.auto_shutdown, AUTO_SHUTDOWNS)
    if not isinstance(spec.intensity, int) or isinstance(spec.intensity, bool) or spec.intensity < 0:
        raise BadSpec(owner, "intensity", spec.intensity, "a whole number of restarts, 0 or more")
    if not _is_seconds(spec.period) or spec.period <= 0:
        raise BadSpec(owner, "period", spec.period, "a finite number of seconds above 0")
    if not isinstance(spec.children, list | tuple):
        raise BadSpec(owner, "children", spec.children, "a list or tuple of specs")
    for hook in ("backoff", "on_crash", "on_give_up"):
        _check_callable(owner, hook, getattr(spec, hook), optional=True)
    if spec.per_child and not spec.dynamic:
        raise BadSpec(owner, "per_child", True, "only a dynamic supervisor counts restarts per child")
    if spec.dynamic:
        if spec.children:
            raise BadSpec(owner, "children", spec.children, "a dynamic supervisor's children come by start_child")
        if spec.strategy != "one_for_one":
            raise BadSpec(owner, "strategy", spec.strategy, "a dynamic supervisor's children are independent")
        if spec.auto_shutdown != "never":
            raise BadSpec(owner, "auto_shutdown", spec.auto_shutdown, "a dynamic supervisor waits for more children")


def _check_worker(owner: str, spec: ChildSpec, dispatchers: Collection[str]) -> None:
    _check_callable(owner, "start", spec.start, optional=False)
    if spec.dispatcher not in dispatchers:
        raise BadSpec(owner, "dispatcher", spec.dispatcher, f"one of {', '.join(sorted(dispatchers))}")
    capacity = spec.mailbox_capacity
    if capacity is not None and (not isinstance(capacity, int) or isinstance(capacity, bool) or capacity < 1):
        raise BadSpec(owner, "mailbox_capacity", capacity, "a whole number of messages, 1 or more")


def _among(owner: str, field: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise BadSpec(owner, field, value, f"one of {', '.join(allowed)}")


def _check_callable(owner: str, field: str, value: object, *, optional: bool) -> None:
    if not (callable(value) or (optional and value is None)):
        raise BadSpec(owner, field, value, "something to call")


def _check_shutdown(owner: str, value: object) -> None:
    if value in ("infinity", "brutal"):
        return
    if not _is_seconds(value) or value < 0:  # type: ignore[operator] # _is_seconds made sure of a number
        raise BadSpec(owner, "shutdown", value, "seconds, 'infinity' or 'brutal'")


def _is_seconds(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
