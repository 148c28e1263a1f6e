"""Rates that hold over all handles of a ``MemoryHub``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from actors.rates import Rated, Spent
from router.stores.memory_hub import MemoryHub


class MemoryRates:
    """``Rates``."""

    def __init__(self, hub: MemoryHub, router: str) -> None:
        self._hub = hub
        self._router = router

    def open(self) -> None:
        """There is nothing to connect to."""

    def close(self) -> None:
        """Nor to let go of."""

    def take(self, asked: Sequence[Sequence[Rated]]) -> list[Spent | None]:
        self._hub.reach(self._router)
        with self._hub.lock:
            return [self._spend(levels) for levels in asked]

    def give_back(self, unused: Mapping[Rated, int]) -> None:
        self._hub.reach(self._router)
        with self._hub.lock:
            for level, tokens in unused.items():
                now = self._hub.clock()
                units = min(level.rate * level.per, self._units(level, now) + tokens * level.per)
                self._hub.buckets[level.kind, level.name] = (units, now, level.per)

    def _spend(self, levels: Sequence[Rated]) -> Spent | None:
        now = self._hub.clock()
        held = [self._units(level, now) for level in levels]
        missing = [(-(-(level.per - units) // level.rate), level) for level, units in zip(levels, held, strict=True)]
        wait, slowest = max(missing, key=lambda each: each[0], default=(0, None))
        if slowest is not None and wait > 0:
            return Spent(slowest.kind, slowest.name, wait)
        for level, units in zip(levels, held, strict=True):
            self._hub.buckets[level.kind, level.name] = (units - level.per, now, level.per)
        return None

    def _units(self, level: Rated, now: int) -> int:
        """A token is ``per`` units, and ``rate`` units flow in each ms."""
        full = level.rate * level.per
        units, at, per = self._hub.buckets.get((level.kind, level.name), (full, now, level.per))
        return min(full, units * level.per // per + max(0, now - at) * level.rate)
