"""How much the router holds that has not ended. Thread-safe; who is counted twice or leaves twice changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import Lock


class Backlog:
    """Unsettled envelopes, in total and per guild, and how fast they leave.

    Kept by id, because after a crash the same news may come again: a count that only rises and falls would drift, and
    one that drifts up refuses everybody in the end.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._held: dict[str, str] = {}  # id -> guild
        self._guilds: dict[str, int] = {}
        self._left = 0
        self._since = 0
        self._rate = 0.0  # per second, over the last full second

    @property
    def total(self) -> int:
        """Unsettled envelopes of this router."""
        return len(self._held)

    def enter(self, id: str, guild: str) -> None:  # noqa: A002 - the word of the port
        """One more of this guild."""
        with self._lock:
            if id not in self._held:
                self._held[id] = guild
                self._guilds[guild] = self._guilds.get(guild, 0) + 1

    def leave(self, ids: Iterable[str]) -> None:
        """These have ended, or were not taken after all."""
        with self._lock:
            for id_ in ids:
                guild = self._held.pop(id_, None)
                if guild is None:
                    continue
                self._left += 1
                count = self._guilds[guild]
                if count == 1:
                    del self._guilds[guild]
                else:
                    self._guilds[guild] = count - 1

    def leave_guilds(self, which: Callable[[str], bool]) -> None:
        """Those of these guilds are not this router's any more."""
        with self._lock:
            guilds = {guild for guild in self._guilds if which(guild)}
            if guilds:
                self._held = {id_: guild for id_, guild in self._held.items() if guild not in guilds}
                for guild in guilds:
                    del self._guilds[guild]

    def of(self, guild: str) -> int:
        """Unsettled envelopes of one guild."""
        return self._guilds.get(guild, 0)

    def advice(self, now: int) -> int:
        """When to come back (ms): about the time a tenth of the backlog takes to leave; 100 ms to 30 s."""
        with self._lock:
            if now - self._since >= 1_000:
                self._rate = self._left * 1_000 / max(1, now - self._since)
                self._left, self._since = 0, now
        if self._rate <= 0:
            return 1_000
        return int(min(30_000, max(100, self.total / 10 / self._rate * 1_000)))
