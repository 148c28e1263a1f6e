"""The states of a circuit breaker: what each makes of a call that is asked for, ends, or is not heard of again."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

SLICES = 10  # of the sliding window; a call counts for more than 9/10 of the window and less than all of it
CAREFUL = 1_000  # ms; how soon a caller may ask again while a probe runs


class Condition(StrEnum):
    """What a breaker does with calls."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    FORCED_OPEN = "forced_open"  #: by an operator, until ``reset``


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """When to open and how to recover; times in ms."""

    failure_threshold: int = 5  #: failures in a row; 0: this rule is off
    recovery_timeout: int = 30_000
    window: int = 10_000
    reset_factor: float = 2.0
    reset_cap: int = 300_000
    probes: int = 1
    error_rate: float = 0.5  #: share of the window's calls; 0: this rule is off
    min_calls: int = 20
    slow_call_ms: int = 0  #: 0: no call is slow

    def __post_init__(self) -> None:
        bounds = (
            ("failure_threshold", 0, 1 << 31),
            ("recovery_timeout", 1, 1 << 53),
            ("window", SLICES, 1 << 53),
            ("reset_factor", 1, 1 << 31),
            ("reset_cap", self.recovery_timeout, 1 << 53),
            ("probes", 1, 1 << 31),
            ("error_rate", 0, 1),
            ("min_calls", 1, 1 << 31),
            ("slow_call_ms", 0, 1 << 53),
        )
        for field, least, most in bounds:
            value = getattr(self, field)
            if not least <= value <= most:
                raise ValueError(f"{field} of a breaker is {value}, not {least} to {most}")


class Permit:
    """One call may be made; hand it back with ``succeed``, ``fail`` or ``release``."""

    __slots__ = ("generation", "spent")

    def __init__(self, generation: int) -> None:
        self.generation = generation
        self.spent = False


class Open(NamedTuple):
    """No call may be made; ask again in ``remaining`` ms (at least 1)."""

    remaining: int


class Circuit(Protocol):
    """The breaker, as its states see it; its lock is held."""

    settings: BreakerSettings

    def transition(self, after: State, now: int, reason: str) -> None:
        """The one door between states: permits given before it are void."""

    def grant(self) -> Permit:
        """A permit of the current state."""

    def renew(self) -> None:
        """Make all permits void that are out."""


class State:
    """By default no call goes through and nothing is counted. Outcomes come only for permits of this very state."""

    condition: Condition
    until = 0
    timeout = 0
    failures = 0

    def permit(self, breaker: Circuit, now: int) -> Permit | Open:  # noqa: ARG002 - others look at both
        """One call is asked for."""
        return Open(CAREFUL)

    def rest(self, now: int) -> int:  # noqa: ARG002 - others look at it
        """In how many ms a call may be asked for; 0: now. Looks, and changes nothing."""
        return 0

    def succeeded(self, breaker: Circuit, now: int) -> None:
        """One came to a good end."""

    def failed(self, breaker: Circuit, now: int) -> None:
        """One failed."""

    def released(self) -> None:
        """One came to neither."""


class Closed(State):
    """Calls go through and are counted."""

    condition = Condition.CLOSED

    def __init__(self, settings: BreakerSettings) -> None:
        self.failures = 0
        self._width = -(-settings.window // SLICES)
        self._slices: deque[list[int]] = deque()  # [number of the slice, calls, failed calls]
        self._calls = 0
        self._bad = 0

    def permit(self, breaker: Circuit, now: int) -> Permit | Open:  # noqa: ARG002 - as the other states
        return breaker.grant()

    def succeeded(self, breaker: Circuit, now: int) -> None:
        self.failures = 0
        self._judge(breaker, now, 0)

    def failed(self, breaker: Circuit, now: int) -> None:
        self.failures += 1
        self._judge(breaker, now, 1)

    def _judge(self, breaker: Circuit, now: int, bad: int) -> None:
        settings = breaker.settings
        self._count(now, bad)
        timeout = settings.recovery_timeout
        if settings.failure_threshold and self.failures >= settings.failure_threshold:
            breaker.transition(Broken(now + timeout, timeout), now, "failures")
        elif (
            settings.error_rate and self._calls >= settings.min_calls and self._bad >= settings.error_rate * self._calls
        ):
            breaker.transition(Broken(now + timeout, timeout), now, "error_rate")

    def _count(self, now: int, bad: int) -> None:
        number = now // self._width
        slices = self._slices
        while slices and slices[0][0] <= number - SLICES:
            _, calls, failed = slices.popleft()
            self._calls -= calls
            self._bad -= failed
        if not slices or slices[-1][0] < number:
            slices.append([number, 0, 0])
        slices[-1][1] += 1
        slices[-1][2] += bad
        self._calls += 1
        self._bad += bad


class Broken(State):
    """Open: no call goes through before ``until``."""

    condition = Condition.OPEN

    def __init__(self, until: int, timeout: int) -> None:
        self.until = until
        self.timeout = timeout

    def permit(self, breaker: Circuit, now: int) -> Permit | Open:
        if now < self.until:
            return Open(min(self.timeout, self.until - now))
        probing = HalfOpen(now, self.timeout, breaker.settings.probes)
        breaker.transition(probing, now, "timeout")
        return probing.permit(breaker, now)

    def rest(self, now: int) -> int:
        return max(0, min(self.timeout, self.until - now))


class HalfOpen(State):
    """A few calls go through, and their ends decide."""

    condition = Condition.HALF_OPEN

    def __init__(self, now: int, timeout: int, probes: int) -> None:
        self.timeout = timeout
        self._lapse = now + timeout
        self._probes = probes
        self._free = probes
        self._well = 0

    def permit(self, breaker: Circuit, now: int) -> Permit | Open:
        if not self._free:
            if now < self._lapse:
                return Open(min(CAREFUL, self.timeout, self._lapse - now))
            breaker.renew()
            self._free, self._well = self._probes, 0
        self._free -= 1
        self._lapse = now + self.timeout
        return breaker.grant()

    def rest(self, now: int) -> int:
        return 0 if self._free else max(0, self._lapse - now)

    def succeeded(self, breaker: Circuit, now: int) -> None:
        self._well += 1
        if self._well >= self._probes:
            breaker.transition(Closed(breaker.settings), now, "probes_succeeded")

    def failed(self, breaker: Circuit, now: int) -> None:
        settings = breaker.settings
        timeout = min(settings.reset_cap, round(self.timeout * settings.reset_factor))
        breaker.transition(Broken(now + timeout, timeout), now, "probe_failed")

    def released(self) -> None:
        self._free += 1


class Forced(State):
    """Open by an operator's order, without end."""

    condition = Condition.FORCED_OPEN

    def __init__(self, advice: int) -> None:
        self._advice = advice

    def permit(self, breaker: Circuit, now: int) -> Permit | Open:  # noqa: ARG002 - as the other states
        return Open(self._advice)

    def rest(self, now: int) -> int:  # noqa: ARG002 - as the other states
        return self._advice
