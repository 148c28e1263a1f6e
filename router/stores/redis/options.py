"""How the Redis store is set up, beyond where its server is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields

_FLAGS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
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
    audit_rows: int = 100_000  #: settled envelopes kept at most, whatever the retention wants: 1.5 KiB of memory each

    def __post_init__(self) -> None:
        if not _PREFIX.fullmatch(self.prefix):
            raise ValueError("prefix must be 1 to 64 of letters, digits and _ . : -")
        if "q" in self.prefix.split(":")[1:]:
            # PREFIX:q:NAME is how keys of named queues begin: of "bots:q" and a queue of "bots" some would be the same
            raise ValueError("prefix must have no part after a colon that is q")
        if not 1 <= self.partitions <= 1_024:
            raise ValueError(f"partitions must be 1 to 1024, not {self.partitions}")
        if self.wait_timeout >= self.timeout:
            raise ValueError("wait_timeout must be below timeout")
        for name in ("connect_timeout", "timeout", "lease_timeout", "wait_timeout"):
            if not 10 <= getattr(self, name) <= 60_000:
                raise ValueError(f"{name} must be 10 to 60000 ms, not {getattr(self, name)}")
        if not 0 <= self.wait_replicas <= 100:
            raise ValueError(f"wait_replicas must be 0 to 100, not {self.wait_replicas}")
        if self.audit_rows < 0:
            raise ValueError(f"audit_rows must be at least 0, not {self.audit_rows}")

    @classmethod
    def read(cls, texts: Mapping[str, str]) -> RedisOptions:
        """From the options of a store URL; ``ValueError`` says what is wrong with them."""
        kinds = {each.name: type(each.default) for each in fields(cls)}
        values: dict[str, object] = {}
        for name, text in texts.items():
            if name not in kinds:
                raise ValueError(f"unknown option {name[:20]!r} of redis; there are {', '.join(sorted(kinds))}")
            if kinds[name] is str:
                values[name] = text
            elif kinds[name] is bool and text.lower() in _FLAGS:
                values[name] = _FLAGS[text.lower()]
            elif kinds[name] is int and re.fullmatch(r"\d{1,9}", text, re.ASCII):
                values[name] = int(text)
            else:
                raise ValueError(f"{name} must be {'true or false' if kinds[name] is bool else 'a number'}")
        return cls(**values)  # type: ignore[arg-type]  # each is of its field's type
