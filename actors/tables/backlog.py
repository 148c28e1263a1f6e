"""How much the router holds that has not ended; written by intake alone, read by anybody."""

from __future__ import annotations

from collections.abc import Iterable


class Backlog:
    """Unsettled envelopes, in total and per guild, and how fast they leave."""

    def __init__(self) -> None:
        self.total = 0
        self._guilds: dict[str, int] = {}
        self._left = 0
        self._since = 0
        self._rate = 0.0  # per second, over the last full second

    def enter(self, guild: str, count: int = 1) -> None:
        """More of this guild."""
        self.total += count
        self._guilds[guild] = self._guilds.get(guild, 0) + count

    def leave(self, guilds: Iterable[str]) -> None:
        """One less for each name in ``guilds``."""
        held = self._guilds
        for guild in guilds:
            count = held.get(guild, 0)
            if count == 0:
                continue
            self.total -= 1
            self._left += 1
            if count == 1:
                del held[guild]
            else:
                held[guild] = count - 1

    def of(self, guild: str) -> int:
        """Unsettled envelopes of one guild."""
        return self._guilds.get(guild, 0)

    def clear(self) -> None:
        """Counted anew, by recovery."""
        self.total = 0
        self._guilds.clear()

    def advice(self, now: int) -> int:
        """When to come back (ms): about the time a tenth of the backlog takes to leave; 100 ms to 30 s."""
        if now - self._since >= 1_000:
            self._rate = self._left * 1_000 / max(1, now - self._since)
            self._left, self._since = 0, now
        if self._rate <= 0:
            return 1_000
        return int(min(30_000, max(100, self.total / 10 / self._rate * 1_000)))
