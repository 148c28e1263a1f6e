"""Every backend, asked the same questions."""

from __future__ import annotations

import pytest

from router.stores.contract import BackendContract
from router.stores.memory import MemoryStore
from router.stores.sqlite import SqliteStore


class TestMemory(BackendContract):
    durable = False
    transactional = False

    def make(self):
        return MemoryStore()


class TestSqlite(BackendContract):
    young = 50_000

    @pytest.fixture(autouse=True)
    def directory(self, tmp_path):
        self.path = tmp_path / "router.db"
        self.stores = []
        yield
        for store in self.stores:
            store.close()

    def make(self):
        store = SqliteStore(str(self.path), young=self.young)
        self.stores.append(store)
        return store


class TestSqliteWithNothingSettledInMemory(TestSqlite):
    """Every settled envelope leaves memory at once, so every duplicate is found on disk."""

    young = 0
