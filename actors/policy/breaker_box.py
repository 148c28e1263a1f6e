"""A breaker for each target, though targets may have names that users choose: their number is bounded."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from actors.policy.breaker import Breaker, BreakerSettings, Condition, Listener, Observer, Snapshot

MAX_NAMES = 1_000
OTHERS = "*"
"""The name of the one breaker that targets share for which there is no room. No target can be called so."""


class BreakerBox:
    """Breakers by name, at most ``max_names`` and the shared one. Safe from several threads.

    When it is full, the closed breaker that was asked for longest ago makes room: of what it forgets, at most the
    failures in its window matter. Breakers that are not closed are never forgotten; while all are so, new names share
    the breaker ``OTHERS``.
    """

    def __init__(
        self,
        settings: BreakerSettings | None = None,
        *,
        max_names: int = MAX_NAMES,
        listener: Listener | None = None,
        observer: Observer | None = None,
    ) -> None:
        if max_names < 1:
            raise ValueError(f"max_names is {max_names}, at least 1")
        self._settings = settings or BreakerSettings()
        self._max_names = max_names
        self._listener = listener
        self._observer = observer
        self._lock = Lock()
        self._breakers: OrderedDict[str, Breaker] = OrderedDict()
        self._others = Breaker(OTHERS, self._settings, listener=listener, observer=observer)

    def get(self, name: str) -> Breaker:
        """The breaker of this target."""
        with self._lock:
            breaker = self._breakers.get(name)
            if breaker is not None:
                self._breakers.move_to_end(name)
                return breaker
            if name == OTHERS or (len(self._breakers) >= self._max_names and not self._make_room()):
                return self._others
            breaker = Breaker(name, self._settings, listener=self._listener, observer=self._observer)
            self._breakers[name] = breaker
            return breaker

    def find(self, name: str) -> Breaker | None:
        """The breaker of this name if there is one; for operators, who must not make any."""
        with self._lock:
            return self._others if name == OTHERS else self._breakers.get(name)

    def snapshots(self) -> list[Snapshot]:
        """All breakers; the shared one only if it was ever asked."""
        with self._lock:
            breakers = [*self._breakers.values(), self._others]
        found = [breaker.snapshot() for breaker in breakers]
        return [each for each in found if each.name != OTHERS or each.permitted or each.rejected]

    def restore(self, snapshots: list[Snapshot], now: int) -> None:
        """Go on where another process stopped (see ``Breaker.restore``)."""
        for snapshot in snapshots:
            self.get(snapshot.name).restore(snapshot, now)

    def _make_room(self) -> bool:
        for name, breaker in self._breakers.items():
            if breaker.condition is Condition.CLOSED:
                del self._breakers[name]
                return True
        return False
