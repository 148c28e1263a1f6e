"""What the parts of the Redis store share: the link, who holds what, and what happens when Redis was emptied."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import getpid
from typing import Any

from actors.errors import StoreError, StoreUnavailable
from actors.sharing import partition_of
from router.stores.redis.address import Address
from router.stores.redis.errors import code_of
from router.stores.redis.founding import found, inspect
from router.stores.redis.link import Call, Link, Seal
from router.stores.redis.names import Names
from router.stores.redis.options import RedisOptions
from router.stores.retention import Retention

logger = logging.getLogger("guild_router.store")


class RedisBase:
    """One router's handle."""

    def __init__(self, address: Address, options: RedisOptions, retention: Retention, router: str) -> None:
        if not router or router.split() != [router]:
            raise ValueError("a router's id is text without spaces")
        self.address = address
        self.options = options
        self.retention = retention
        self.router = router
        self._process = getpid()
        self.partitions = options.partitions
        self.durability = "process"  #: known when it is open
        self.unfit: tuple[str, ...] = ()  #: what of the server's settings may lose commands; likewise
        self.emptied_at: float | None = None  #: monotonic: when it was found that Redis had lost everything
        self.names = Names(options.prefix, address.db, options.partitions)
        waits = options.wait_disk or options.wait_replicas > 0
        self._seal = Seal(options.wait_disk, options.wait_replicas, options.wait_timeout) if waits else None
        self._link = Link(address, connect_timeout=options.connect_timeout, timeout=options.timeout, seal=self._seal)
        self._opened = False
        self._epochs: list[str] = []
        self._tokens: dict[int, int] = {}
        # Ordered: to find the first of a plain dict, all places are passed that were freed before it.
        self._where: OrderedDict[str, int] = OrderedDict()  # partitions of ids seen last, a hint

    def open(self, now: int) -> None:  # noqa: ARG002 - what is past its time is forgotten by sweeping
        if getpid() != self._process:
            # Its parent and its brothers have the same name, and the leases of one would be those of all.
            raise StoreError("this router was made before its process forked; make it in the process that runs it")
        self.durability, self.unfit = inspect(self._link, self.options)
        self._epochs = found(self._link, self.names, self.options)
        self._opened = True

    def close(self) -> None:
        self._opened = False
        self._link.close()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Of single steps, each atomic; one that was done stays done."""
        self._check()
        yield

    def hold(self, partition: int, token: int) -> None:
        self._tokens[partition] = token

    def drop(self, partition: int) -> None:
        self._tokens.pop(partition, None)

    def _check(self) -> None:
        if not self._opened:
            raise StoreUnavailable("the store is not open")
        if not self._epochs:
            self._epochs = found(self._link, self.names, self.options)

    def _part(self, guild: str) -> int:
        return partition_of(guild, self.partitions)

    def _held(self) -> list[int]:
        return sorted(self._tokens)

    def _run(self, calls: Sequence[Call], *, writes: bool = False) -> list[Any]:
        if not calls:
            return []
        try:
            return self._link.run(calls, writes=writes)
        except StoreUnavailable as error:
            if isinstance(error.__cause__, Exception) and code_of(error.__cause__) == "EMPTIED":
                self._emptied()
            raise

    def _emptied(self) -> None:
        """Nobody may take what is missing for done, and no token from before may count."""
        logger.critical(
            "Redis at %s was emptied or replaced: every command it held under %s is gone. "
            "What this router held of it is dropped; a new store is made with the next step",
            self.address.named,
            self.options.prefix,
        )
        self.emptied_at = time.monotonic()
        self._epochs = []
        self._tokens.clear()
        self._where.clear()
