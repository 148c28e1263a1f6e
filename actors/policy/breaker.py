"""The circuit breaker: stop asking who does not answer, and try again carefully.

Closed, it counts. It opens at ``failure_threshold`` failures in a row, however far apart, or when in the sliding
``window`` at least ``min_calls`` were made and ``error_rate`` of them failed; a success that took ``slow_call_ms``
or longer counts as a failure. Open, it refuses for ``recovery_timeout``. Then it is half open: ``probes`` calls may
try. All of them well: closed, and everything forgotten. One fails: open again, ``reset_factor`` times as long, up to
``reset_cap``. A probe that is not heard of for one break makes room for a new one, so it never stays half open.

A permit belongs to the state it was given in and counts once: what ends later, or twice, changes nothing. What is
neither success nor failure (a rate limit, a refusal of bad input, a cancelled call) is ``release``: it counts as
nothing, and a probe's place is free again.

One breaker is for one target; others are not affected by it. There is no cap on how many targets may be open at once:
work for a target that rests is parked and spends no attempt, so refusing everything is safe where shedding part of
it would not be.

Times are milliseconds on a steady clock. Safe from several threads.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from threading import Lock
from typing import NamedTuple, TypeAlias

from actors.policy.breaker_states import BreakerSettings, Broken, Closed, Condition, Forced, Open, Permit, State

__all__ = [
    "Breaker",
    "BreakerSettings",
    "Condition",
    "Listener",
    "Observer",
    "Open",
    "Permit",
    "Snapshot",
    "Transition",
]

logger = logging.getLogger("guild_router.breaker")

UNTOLD = 1_000  # transitions that wait for a listener that does not return; the oldest are forgotten


class Transition(NamedTuple):
    """A breaker changed its condition."""

    name: str
    before: Condition
    after: Condition
    at: int
    #: ``failures``, ``error_rate``, ``timeout``, ``probe_failed``, ``probes_succeeded``, ``forced`` or ``reset``
    reason: str


class Snapshot(NamedTuple):
    """What is worth keeping and showing of a breaker."""

    name: str
    condition: Condition
    until: int = 0  #: open: when it may be tried again
    timeout: int = 0  #: open, half open: the length of this break
    failures: int = 0  #: in a row
    permitted: int = 0  #: since it was made, like the following
    rejected: int = 0
    succeeded: int = 0
    failed: int = 0
    opened: int = 0


Listener: TypeAlias = Callable[[Transition], None]

Observer: TypeAlias = Callable[[str, int, int, bool], None]
"""Called for each call that came to an end, however late, with name, now, ms and whether it went well; quick."""


class Breaker:
    """One target's breaker. ``listener`` hears of each transition once, in order, outside the lock."""

    def __init__(
        self,
        name: str,
        settings: BreakerSettings | None = None,
        *,
        listener: Listener | None = None,
        observer: Observer | None = None,
    ) -> None:
        self.name = name
        self.settings = settings or BreakerSettings()
        self._listener = listener
        self._observer = observer
        self._lock = Lock()
        self._state: State = Closed(self.settings)
        self._generation = 0
        self._untold: deque[Transition] = deque(maxlen=UNTOLD)
        self._telling = Lock()
        self._permitted = self._rejected = self._succeeded = self._failed = self._opened = 0

    @property
    def condition(self) -> Condition:
        """What it is; an open one whose time is over is open until somebody asks."""
        return self._state.condition

    def rest(self, now: int) -> int:
        """In how many ms a call may be asked for; 0: now. Asks for none, counts nothing, and never waits for a lock."""
        return self._state.rest(now)

    def permit(self, now: int) -> Permit | Open:
        """Ask for one call."""
        with self._lock:
            answer = self._state.permit(self, now)
            if type(answer) is Permit:
                self._permitted += 1
            else:
                self._rejected += 1
        self._tell()
        return answer

    def succeed(self, permit: Permit, now: int, ms: int = 0) -> None:
        """The call came to a good end after ``ms``."""
        slow = self.settings.slow_call_ms
        if slow and ms >= slow:
            self.fail(permit, now)
            return
        if self._observer is not None and not permit.spent:
            self._observer(self.name, now, ms, True)
        with self._lock:
            if self._current(permit):
                self._succeeded += 1
                self._state.succeeded(self, now)
        self._tell()

    def fail(self, permit: Permit, now: int) -> None:
        """The call failed, or is overdue."""
        if self._observer is not None and not permit.spent:
            self._observer(self.name, now, 0, False)
        with self._lock:
            if self._current(permit):
                self._failed += 1
                self._state.failed(self, now)
        self._tell()

    def release(self, permit: Permit, now: int) -> None:  # noqa: ARG002 - as its siblings
        """The call came to neither."""
        with self._lock:
            if self._current(permit):
                self._state.released()

    def force_open(self, now: int) -> None:
        """An operator's order: no call until ``reset``."""
        with self._lock:
            if self._state.condition is not Condition.FORCED_OPEN:
                self.transition(Forced(self.settings.recovery_timeout), now, "forced")
        self._tell()

    def reset(self, now: int) -> None:
        """An operator's order: closed at once, nothing counted."""
        with self._lock:
            fresh = Closed(self.settings)
            if self._state.condition is Condition.CLOSED:
                self._enter(fresh)
            else:
                self.transition(fresh, now, "reset")
        self._tell()

    def snapshot(self) -> Snapshot:
        """For ``restore`` after a restart, and to be shown."""
        with self._lock:
            state = self._state
            return Snapshot(
                self.name,
                state.condition,
                state.until,
                state.timeout,
                state.failures,
                self._permitted,
                self._rejected,
                self._succeeded,
                self._failed,
                self._opened,
            )

    def restore(self, snapshot: Snapshot, now: int) -> None:
        """Go on where another process stopped; not a transition.

        Open stays open for the rest of its break (never longer than the break, whatever the clocks say) and forced
        stays forced. Half open, or open with its time over, is open with its time over: the first calls are probes.
        Closed begins anew.
        """
        settings = self.settings
        condition = Condition(snapshot.condition)  # plain text after a way through a store
        state: State
        match condition:
            case Condition.FORCED_OPEN:
                state = Forced(settings.recovery_timeout)
            case Condition.OPEN | Condition.HALF_OPEN:
                timeout = min(settings.reset_cap, max(settings.recovery_timeout, snapshot.timeout))
                until = min(snapshot.until, now + timeout) if condition is Condition.OPEN else now
                state = Broken(until, timeout)
            case _:
                state = Closed(settings)
        with self._lock:
            self._enter(state)

    # ------------------------------------------------------------ for the states, with the lock held

    def transition(self, after: State, now: int, reason: str) -> None:
        """The one door between states: permits given before it are void."""
        before = self._state.condition
        self._enter(after)
        if after.condition is Condition.OPEN:
            self._opened += 1
        if self._listener is not None:
            self._untold.append(Transition(self.name, before, after.condition, now, reason))

    def grant(self) -> Permit:
        """A permit of the current state."""
        return Permit(self._generation)

    def renew(self) -> None:
        """Make all permits void that are out."""
        self._generation += 1

    # ------------------------------------------------------------ inside

    def _enter(self, state: State) -> None:
        self._generation += 1
        self._state = state

    def _current(self, permit: Permit) -> bool:
        first = not permit.spent
        permit.spent = True
        return first and permit.generation == self._generation

    def _tell(self) -> None:
        # One thread tells at a time, which keeps the order; who finds it busy leaves its transition to that one. Look
        # again after letting go: another may have come, and left, in between.
        while self._untold and self._listener is not None and self._telling.acquire(blocking=False):
            try:
                while self._untold:
                    self._listener(self._untold.popleft())
            except Exception:  # a listener's fault is not the caller's
                logger.exception("the listener of breaker %s failed", self.name)
            finally:
                self._telling.release()
