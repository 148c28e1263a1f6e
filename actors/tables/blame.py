"""Which envelope was in an actor's hands when it crashed, so that a poison one is buried and its guild goes on."""

from __future__ import annotations


class Blame:
    """Crashes per envelope id; bounded: the oldest are forgotten beyond ``limit`` ids."""

    def __init__(self, limit: int = 10_000) -> None:
        self._crashes: dict[str, int] = {}
        self._limit = limit

    def add(self, id: str) -> int:
        """One more crash with this envelope in hand; how many now."""
        count = self._crashes.pop(id, 0) + 1
        self._crashes[id] = count
        while len(self._crashes) > self._limit:
            self._crashes.pop(next(iter(self._crashes)), None)
        return count

    def count(self, id: str) -> int:
        """Crashes so far."""
        return self._crashes.get(id, 0)

    def forget(self, id: str) -> None:
        """Its way has ended."""
        self._crashes.pop(id, None)
