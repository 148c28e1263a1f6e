"""The bell of a ``MemoryHub``, rung on whatever thread brings something."""

from __future__ import annotations

from collections.abc import Callable, Collection

from router.stores.memory_hub import MemoryHub, Ringer


class MemoryBell:
    """``Bell``."""

    def __init__(self, hub: MemoryHub, router: str) -> None:
        self._hub = hub
        self._router = router
        self._ringer: Ringer | None = None

    def open(self, queues: Collection[str], asker: str, rung: Callable[[str], None]) -> None:
        self.close()
        self._ringer = Ringer(self._router, frozenset(queues), asker, rung)
        self._hub.ringers.append(self._ringer)

    def close(self) -> None:
        ringer, self._ringer = self._ringer, None
        if ringer is not None:
            self._hub.ringers.remove(ringer)
