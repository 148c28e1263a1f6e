"""One timer over many deadlines: it looks at all of them when the earliest is due, a little late rather than often."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

from actors.runtime.clock import Clock, Timer
from actors.runtime.errors import NotRunning

NEVER = 1 << 62  # ms
COARSE = 50  # ms; how much later than promised a deadline may be noticed, when many are near each other


class CoarseTimer:
    """``look(now)`` deals with what is overdue and returns the earliest deadline left (``NEVER``: none). Thread-safe.

    Deadlines that are given up are not taken back: they cost one look too many. Times in ms since the epoch.
    """

    def __init__(self, clock: Clock, look: Callable[[int], int]) -> None:
        self._clock = clock
        self._look = look
        self._lock = Lock()
        self._timer: Timer | None = None
        self._at = NEVER

    def want(self, deadline: int, now: int) -> None:
        """Look not later than about then."""
        if deadline >= self._at:
            return
        with self._lock:
            if deadline < self._at:
                self._arm(deadline, now)

    def stop(self) -> None:
        """Forget all; ``want`` starts it again."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            self._timer, self._at = None, NEVER

    def _arm(self, at: int, now: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._at = at
        try:
            self._timer = self._clock.call_later(max(0, at - now) / 1000, self._tick)
        except NotRunning:  # time itself has ended, and the router with it
            self._timer = None

    def _tick(self) -> None:
        with self._lock:
            self._timer, self._at = None, NEVER
        now = self._clock.now()
        following = self._look(now)
        if following < NEVER:
            self.want(max(following, now + COARSE), now)
