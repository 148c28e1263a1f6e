"""What a town's routers share: a store, and a hand that can do to each of them what networks and time do."""

from __future__ import annotations

from typing import Any, Protocol

from actors.sharing import SharedStore
from router.stores.memory_hub import Faults, MemoryHub
from router.stores.memory_shared import MemorySharedStore


class Ground(Protocol):
    """Of one town; its clock is the town's."""

    def store(self, router: str) -> SharedStore:
        """A handle for one router."""

    def faults_of(self, router: str) -> Faults:
        """To be changed by tests."""

    def take_away(self, partition: int) -> None:
        """Somebody else had it and has released it, whatever its owner believes."""

    def deliver(self) -> bool:
        """Everybody hears what was said so far; whether anybody heard anything."""

    def bury(self, router: str) -> None:
        """Its process is gone: so are its connections."""

    def clear(self) -> None:
        """Nobody is left."""


class MemoryGround:
    """The hub in memory; news are heard where and when they are said."""

    def __init__(self, clock: Any, partitions: int) -> None:
        self.hub = MemoryHub(clock.now, partitions=partitions)

    def store(self, router: str) -> SharedStore:
        return MemorySharedStore(self.hub, router)

    def faults_of(self, router: str) -> Faults:
        return self.hub.faults_of(router)

    def take_away(self, partition: int) -> None:
        self.hub.take_away(partition)

    def deliver(self) -> bool:
        return False

    def bury(self, router: str) -> None:
        faults = self.hub.faults_of(router)
        faults.down = faults.deaf = True

    def clear(self) -> None:
        """Goes with the town."""
