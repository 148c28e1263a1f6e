"""The Redis store: what many routers share."""

from __future__ import annotations

from uuid import uuid4

from actors.sharing import SharedStore
from router.stores.redis.address import Address
from router.stores.redis.ears import RedisEars
from router.stores.redis.leases import RedisLeases
from router.stores.redis.link import Link, plain
from router.stores.redis.options import RedisOptions
from router.stores.redis.packing import pack
from router.stores.redis.workers import RedisWorkers
from router.stores.retention import Retention

REDIS_RETENTION = Retention(audit_rows=100_000)
"""A settled envelope takes about 1.5 KiB of Redis's memory."""


class RedisStore(RedisWorkers, SharedStore):
    """``SharedStore`` on Redis 6.2 or newer: one server, a master behind sentinels, or a cluster.

    ``router`` is this handle's name among routers, made at random unless given; no two may have the same.
    """

    def __init__(
        self,
        address: Address | str,
        options: RedisOptions | None = None,
        retention: Retention = REDIS_RETENTION,
        *,
        router: str = "",
    ) -> None:
        where = Address.parse(address) if isinstance(address, str) else address
        super().__init__(where, options or RedisOptions(), retention, router or uuid4().hex)

    def announce(self, topic: str, detail: bytes) -> None:
        self._check()
        self._run([plain("", "PUBLISH", self.names.everybody, pack((self.router, (4, topic, detail))))])

    def leases(self) -> RedisLeases:
        return RedisLeases(self.address, self.options, self.names)

    def ears(self) -> RedisEars:
        link = Link(self.address, connect_timeout=self.options.connect_timeout, timeout=self.options.timeout)
        return RedisEars(link, self.names, self.router)
