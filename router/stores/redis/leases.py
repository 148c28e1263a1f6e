"""The lease keeper's own connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from actors.errors import StoreUnavailable
from actors.sharing import Lease, Member
from router.stores.redis.address import Address
from router.stores.redis.link import Call, Link, plain, run_script
from router.stores.redis.names import Names
from router.stores.redis.options import RedisOptions
from router.stores.redis.scripts import ACQUIRE, JOIN, LEAVE, LOOK, RELEASE, RENEW, Script


class RedisLeases:
    """``Leases``. Answers must come within ``lease_timeout``, so that a keeper hears in time that it hears nothing."""

    def __init__(self, address: Address, options: RedisOptions, names: Names) -> None:
        self._names = names
        self._link = Link(address, connect_timeout=options.lease_timeout, timeout=options.lease_timeout)
        self._opened = False

    def open(self) -> None:
        self._opened = True
        self.time()

    def close(self) -> None:
        self._opened = False
        self._link.close()

    def time(self) -> int:
        (answer,) = self._run([plain(self._names.members, "TIME")])
        return int(answer[0]) * 1000 + int(answer[1]) // 1000

    def join(self, router: str, name: str, about: bytes, ttl: int) -> list[Member]:
        call = run_script(JOIN, [self._names.members], router, name, about, ttl, self._names.everybody)
        (answer,) = self._run([call])
        members = [
            Member(answer[at].decode(), answer[at + 1].decode(), answer[at + 2], answer[at + 3])
            for at in range(0, len(answer), 4)
        ]
        return sorted(members)

    def leave(self, router: str) -> None:
        self._run([run_script(LEAVE, [self._names.members], router, self._names.everybody)])

    def look(self) -> list[Lease]:
        found = self._each(LOOK, range(len(self._names.partitions)), (), None, 3)
        return [Lease(partition, router.decode(), token, left) for partition, (router, token, left) in enumerate(found)]

    def acquire(self, router: str, partitions: Sequence[int], ttl: int) -> list[Lease]:
        tokens = self._each(ACQUIRE, partitions, (router, ttl), None, 1)
        return [Lease(number, router, token, ttl) for number, (token,) in zip(partitions, tokens, strict=True) if token]

    def renew(self, router: str, tokens: Mapping[int, int], ttl: int) -> frozenset[int]:
        kept = self._each(RENEW, list(tokens), (router, ttl), list(tokens.values()), 1)
        return frozenset(number for number, (held,) in zip(tokens, kept, strict=True) if held)

    def release(self, router: str, tokens: Mapping[int, int]) -> None:
        keys = [self._names.partitions[number] for number in tokens]
        head = (router, self._names.everybody)
        self._run(self._calls(RELEASE, keys, head, list(tokens.values())))

    def _each(
        self,
        script: Script,
        partitions: Sequence[int],
        head: tuple[Any, ...],
        tokens: list[int] | None,
        width: int,
    ) -> list[list[Any]]:
        """A script's answers, ``width`` values for each partition."""
        if not partitions:
            return []
        keys = [self._names.partitions[number] for number in partitions]
        flat = [value for answer in self._run(self._calls(script, keys, head, tokens)) for value in answer]
        return [flat[at : at + width] for at in range(0, len(flat), width)]

    def _calls(self, script: Script, keys: list[str], head: tuple[Any, ...], tokens: list[int] | None) -> list[Call]:
        if not keys:
            return []
        if self._link.clustered:  # a script may touch one slot
            return [
                run_script(script, [key], *head, *([] if tokens is None else [tokens[number]]))
                for number, key in enumerate(keys)
            ]
        return [run_script(script, keys, *head, *(tokens or []))]

    def _run(self, calls: list[Call]) -> list[Any]:
        if not self._opened:
            raise StoreUnavailable("the leases are not open")
        return self._link.run(calls, writes=True) if calls else []
