"""The Redis store: what many routers share."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import count
from uuid import uuid4

from actors.sharing import SharedStore
from router.stores.redis.address import Address
from router.stores.redis.bell import RedisBell
from router.stores.redis.ears import RedisEars
from router.stores.redis.founding import examine
from router.stores.redis.leases import RedisLeases
from router.stores.redis.link import Link, plain
from router.stores.redis.options import RedisOptions
from router.stores.redis.packing import pack
from router.stores.redis.rates import RedisRates
from router.stores.redis.schedules import RedisSchedules
from router.stores.redis.slots import RedisSlots
from router.stores.retention import Retention


class RedisStore(RedisSchedules, SharedStore):
    """``SharedStore`` on Redis 6.2 or newer: one server, a master behind sentinels, or a cluster.

    ``url``: see ``address.py``; ``options`` stand instead of those in it. ``router`` is this handle's name among
    routers, made at random unless given; no two may have the same.
    """

    def __init__(
        self,
        url: str,
        options: RedisOptions | None = None,
        retention: Retention | None = None,
        *,
        router: str = "",
    ) -> None:
        address, texts = Address.parse(url)
        if options is None:
            options = RedisOptions.read(texts)
        elif texts:
            raise ValueError("options are given: those in the URL would be a second opinion")
        kept = retention or Retention()
        kept = replace(kept, audit_rows=min(kept.audit_rows, options.audit_rows))
        super().__init__(address, options, kept, router or uuid4().hex)
        self._claims = count(time.time_ns() // 1_000)  # above those of an earlier handle of the same name

    def examine(self) -> tuple[str, tuple[str, ...]]:
        """As ``founding.examine``, over a connection of its own; nothing is written, and it need not be open."""
        link = self._another_link()
        try:
            return examine(link, self.options)
        finally:
            link.close()

    def announce(self, topic: str, detail: bytes) -> None:
        self._check()
        self._run([plain("", "PUBLISH", self.names.everybody, pack((self.router, (4, topic, detail))))])

    def leases(self) -> RedisLeases:
        return RedisLeases(self.address, self.options, self.names)

    def rates(self) -> RedisRates:
        return RedisRates(self._another_link(), self.names, self.router)

    def slots(self) -> RedisSlots:
        patience = self.options.lease_timeout
        link = Link(self.address, connect_timeout=patience, timeout=patience)
        return RedisSlots(link, self.names, self.router, self._claims)

    def ears(self) -> RedisEars:
        return RedisEars(self._another_link, self.names, self.router)

    def bell(self) -> RedisBell:
        return RedisBell(self._another_link, self.names)

    def _another_link(self) -> Link:
        return Link(self.address, connect_timeout=self.options.connect_timeout, timeout=self.options.timeout)
