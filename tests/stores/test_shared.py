"""A store that several routers share, asked the same questions as every other of its kind; here in memory."""

from __future__ import annotations

from router.stores.contract import BackendContract
from router.stores.contract_rates import RatesContract
from router.stores.contract_shared import SharedContract
from router.stores.contract_slots import SlotsContract
from router.stores.memory_hub import MemoryHub
from router.stores.memory_shared import MemorySharedStore


class Clock:
    """Turned by hand."""

    now = 1_000_000

    def __call__(self) -> int:
        return self.now


class TestAlone(BackendContract):
    """A router that has all of it to itself."""

    durable = False
    transactional = False

    def make(self):
        store = MemorySharedStore(MemoryHub(Clock(), partitions=1), "a")
        leases = store.leases()
        leases.open()
        (lease,) = leases.acquire("a", [0], 1_000)
        store.hold(0, lease.token)
        return store


class TestTogether(SharedContract, RatesContract, SlotsContract):
    """Several routers."""

    def routers(self, *names, partitions=4):
        self.clock = Clock()
        hub = MemoryHub(self.clock, partitions=partitions)
        return [MemorySharedStore(hub, name) for name in names]

    def pass_time(self, ms):
        self.clock.now += ms
