"""The conformance suites on a real Redis."""

from __future__ import annotations

import time

import pytest

from router.stores.contract import BackendContract
from router.stores.contract_rates import RatesContract
from router.stores.contract_shared import SharedContract
from router.stores.contract_slots import SlotsContract
from router.stores.redis.store import RedisStore
from tests.servers.shared import options, owned_store, server


class TestRedis(BackendContract):
    transactional = False
    partitions = 1

    @pytest.fixture(autouse=True)
    def handles(self):
        self.stores = []
        yield
        for store in self.stores:
            store.close()

    def make(self):
        self.stores.append(owned_store(partitions=self.partitions))
        return self.stores[-1]


class TestRedisInSlices(TestRedis):
    one_order = False
    partitions = 4


class TestRedisShared(SharedContract, RatesContract, SlotsContract):
    """Several handles on one store."""

    @pytest.fixture(autouse=True)
    def handles(self):
        self.stores = []
        yield
        for store in self.stores:
            store.close()

    def routers(self, *names, partitions=4):
        chosen = options(partitions=partitions)
        self.stores = [RedisStore(server().url, chosen, router=name) for name in names]
        return self.stores

    def pass_time(self, ms):
        time.sleep(ms / 1000)  # real time: Redis measures leases by its own clock
