"""How the Redis store is set up, beyond where its server is."""

from __future__ import annotations

import re
from dataclasses import dataclass

_PREFIX = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


@dataclass(frozen=True, slots=True)
class RedisOptions:
    """Choices of an installation; times in ms."""

    prefix: str = "guild-router"  #: before every key: deployments of different prefixes do not see one another
    partitions: int = 16  #: slices of guilds, fixed when the store is made
    connect_timeout: int = 1_000
    timeout: int = 2_000  #: of one answer; beyond it the store is unavailable
    lease_timeout: int = 200  #: the same for leases, which must answer well within the time a lease lasts
    wait_replicas: int = 0  #: so many replicas must have a write before it is answered
    wait_disk: bool = False  #: and the server's disk (``WAITAOF``, Redis 7.2)
    wait_timeout: int = 500
    strict: bool = False  #: do not start on a server that may forget or evict

    def __post_init__(self) -> None:
        if not _PREFIX.fullmatch(self.prefix):
            raise ValueError("prefix must be 1 to 64 of letters, digits and _ . : -")
        if not 1 <= self.partitions <= 1_024:
            raise ValueError(f"partitions must be 1 to 1024, not {self.partitions}")
        if self.wait_timeout >= self.timeout:
            raise ValueError("wait_timeout must be below timeout")
