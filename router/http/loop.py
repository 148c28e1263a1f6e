"""How late the event loop is: a loop that is late answers late, whatever the router behind it does."""

from __future__ import annotations

import asyncio
import time

EVERY = 0.5  # seconds between two looks
SUSTAINED = 3  # looks that must be late for the lag to count


class LoopMeter:
    """A ``LoadMeter`` of the loop it runs on; ``run`` it as a task there."""

    name = "event loop"

    def __init__(self, limit_ms: int) -> None:
        self._limit = limit_ms / 1000
        self._lags = [0.0] * SUSTAINED
        self._due = 0.0

    async def run(self) -> None:
        """Look, until cancelled."""
        while True:
            self._due = time.monotonic() + EVERY
            await asyncio.sleep(EVERY)
            self._note(time.monotonic() - self._due)

    @property
    def lag(self) -> float:
        """Seconds it was late at the latest look, or is late now."""
        return max(self._lags[-1], time.monotonic() - self._due if self._due else 0.0, 0.0)

    def read(self) -> float:
        """The least of the latest lags, as a share of the limit: one slow turn is no overload. From any thread."""
        late = time.monotonic() - self._due if self._due else 0.0  # grows as long as the loop stands still
        return max(min(self._lags), late / SUSTAINED) / self._limit

    def _note(self, lag: float) -> None:
        self._lags = [*self._lags[1:], max(0.0, lag)]
