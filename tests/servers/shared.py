"""One server for all tests of a session, and a prefix of its own for each of them."""

from __future__ import annotations

import atexit
import os
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from router.stores.redis.options import RedisOptions
from router.stores.redis.store import RedisStore
from router.stores.retention import Retention
from tests.servers.redis import MISSING, RedisServer, find_server

FOR_LONG = 10**9  # ms; nothing here waits for a lease to lapse

_numbers = count(1)
_servers: dict[str, RedisServer] = {}


def server() -> RedisServer:
    """The one of this session."""
    if find_server() is None:
        # Where everything must be tried, its absence is a failure.
        (pytest.fail if os.environ.get("CI") else pytest.skip)(MISSING)
    if "one" not in _servers:
        _servers["one"] = RedisServer().start()
        atexit.register(_servers["one"].close)
    return _servers["one"]


def options(**values: Any) -> RedisOptions:
    """With a prefix nobody had before, and patience: that a busy machine answers late is no fault to be found here."""
    patient = {"connect_timeout": 10_000, "timeout": 10_000, "lease_timeout": 10_000}
    return replace(RedisOptions(prefix=f"test{next(_numbers)}", partitions=1, **patient), **values)


class OwnedStore(RedisStore):
    """A handle that owns every partition while it is open, for whatever asks of a store no more than ``Backend``."""

    def __init__(self, url: str, *arguments: Any, **options: Any) -> None:
        super().__init__(url, *arguments, **options)
        self.url = url

    def open(self, now: int) -> None:
        super().open(now)
        keeper = self.leases()
        keeper.open()
        for lease in keeper.acquire(self.router, range(self.partitions), FOR_LONG):
            self.hold(lease.partition, lease.token)
        keeper.close()


def owned_store(retention: Retention | None = None, **values: Any) -> OwnedStore:
    """New and empty, on the server of this session."""
    return OwnedStore(server().url, options(**values), retention)


class Alone:
    """A handle that owns everything, shown as the store of one router: leases and news are not its engine's affair."""

    partitions = 0

    def __init__(self, store: OwnedStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def successor(self) -> Alone:
        """The handle of whoever comes after its router was killed."""
        store = self._store
        return Alone(OwnedStore(store.url, store.options, store.retention, router=store.router))


def store_of_one(**values: Any) -> Alone:
    """New and empty, on the server of this session."""
    return Alone(owned_store(**values))
