# ruff: noqa: S101 - a suite that needs no test framework is made of plain asserts
"""What the texts about shared stores are made of: several handles of one store, and whoever listens at one of them."""

from __future__ import annotations

from threading import Condition
from typing import Any

from actors.ports import Bury, Settle
from actors.sharing import News, partition_of
from router.stores.contract_base import NOW

TTL = 400
"""Milliseconds a lease lasts that is to lapse; short, because that is waited for."""

LONG = 600_000
"""Milliseconds of one that is not, however slow the machine."""

PATIENCE = 30.0
"""Seconds that news may take."""

GLANCE = 0.02
"""Seconds between tries to be heard."""


class Sharing:
    """Several handles of one store, each that of a router."""

    partitions = 4

    def routers(self, *names: str, partitions: int = 4) -> list[Any]:
        """Handles of one new, empty store, not opened."""
        raise NotImplementedError

    def pass_time(self, ms: int) -> None:
        """Let so much of the store's own time pass."""
        raise NotImplementedError

    def opened(self, *names: str) -> list[Any]:
        """Handles, opened."""
        *stores, self._other = self.routers(*names, "other", partitions=self.partitions)
        for store in (*stores, self._other):
            store.open(NOW)
        return stores

    def own(self, store: Any, partition: int, ttl: int = LONG) -> int:
        """The handle's router acquires a partition and holds it; the token."""
        with Keeper(store) as keeper:
            token = own(keeper, store.router, partition, ttl)
        store.hold(partition, token)
        return token

    def ear(self, store: Any) -> Ear:
        """What its router hears."""
        return Ear(store, self._other)

    def guilds(self, *partitions: int) -> list[str]:
        """A guild of each of these partitions."""
        names = [f"{number}" for number in range(1, 1_000)]
        return [next(name for name in names if partition_of(name, self.partitions) == each) for each in partitions]


class Keeper:
    """``with``: a handle's leases, open."""

    def __init__(self, store: Any) -> None:
        self._leases = store.leases()

    def __enter__(self) -> Any:
        self._leases.open()
        return self._leases

    def __exit__(self, *_: object) -> None:
        self._leases.close()


class Ear:
    """``with``: what a handle's router hears."""

    def __init__(self, store: Any, other: Any) -> None:
        self._other = other
        self._ears = store.ears()
        self._changed = Condition()
        self._heard: list[News] = []

    def __enter__(self) -> Ear:
        self._ears.open(self._hear)
        # It need not be connected when ``open`` returns, and nothing is kept for those who come later: it is told until
        # it hears.
        for _ in range(int(PATIENCE / GLANCE)):
            self._other.announce("mark", b"")
            with self._changed:
                if self._changed.wait_for(lambda: bool(self._heard), GLANCE):
                    return self
        raise AssertionError("it hears nothing")

    def __exit__(self, *_: object) -> None:
        self._ears.close()

    def _hear(self, news: News) -> None:
        with self._changed:
            self._heard.append(news)
            self._changed.notify_all()

    def wait(self, news: News) -> None:
        """These come; they are heard no more by the next wait."""
        with self._changed:
            assert self._changed.wait_for(lambda: news in self._heard, PATIENCE), f"no {news} in {self._heard}"
            self._heard.remove(news)

    def has(self, news: News) -> bool:
        """Whether these came and were not waited for."""
        with self._changed:
            return news in self._heard


def own(keeper: Any, router: str, partition: int, ttl: int = LONG) -> int:
    """The token of a partition that is free for it."""
    (lease,) = keeper.acquire(router, [partition], ttl)
    assert (lease.partition, lease.router) == (partition, router)
    return int(lease.token)


def settle(id: str, guild: str) -> Settle:
    """The write that ends a way well."""
    return Settle(id, "ok", b"answer of " + id.encode(), b"trail", True, (), guild)


def bury(id: str, guild: str) -> Bury:
    """The write that ends a way in the dead letters."""
    return Bury(id, "tried", b"answer of " + id.encode(), b"trail", 3, guild)
