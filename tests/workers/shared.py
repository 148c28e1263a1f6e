"""A store that several "processes" of one test share: each has a handle of its own, and one at a time gets in."""

from __future__ import annotations

from contextlib import contextmanager
from threading import RLock
from typing import Any

from actors.errors import StoreUnavailable
from router.stores.memory import MemoryStore


class Shared:
    """The data; ``handle()`` is what one process opens."""

    def __init__(self, now: int) -> None:
        self.store = MemoryStore()
        self.store.open(now)
        self.lock = RLock()

    def handle(self) -> Handle:
        return Handle(self)


class Handle:
    """As a process sees the store: open, closed, or cut off from it."""

    durability = "process"

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self.opened = False
        self.cut = False
        self.dies_at = ""  # cut off for good when this is called
        self.lost_reply = ""  # done when this is called next, and nobody hears of it

    def open(self, now: int) -> None:
        if self.cut:
            raise StoreUnavailable("cut off")
        self.opened = True

    def close(self) -> None:
        self.opened = False

    @contextmanager
    def together(self) -> Any:
        with self._shared.lock:
            if self.cut or not self.opened:
                raise StoreUnavailable("cut off")
            yield

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._shared.store, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            with self._shared.lock:
                self.cut = self.cut or name == self.dies_at
                if self.cut or not self.opened:
                    raise StoreUnavailable("cut off")
                result = method(*args, **kwargs)
                if name == self.lost_reply:
                    self.lost_reply = ""
                    raise StoreUnavailable("the reply was lost", doubt=True)
                return result

        return call
