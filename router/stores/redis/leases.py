"""The lease keeper's own connection."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from actors.errors import StoreUnavailable
from actors.sharing import Beat, Lease, Member
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
        (answer,) = self._run([self._join(router, name, about, ttl)])
        return _members(answer)

    def leave(self, router: str) -> None:
        self._run([run_script(LEAVE, [self._names.members], router, self._names.everybody)])

    def look(self) -> list[Lease]:
        return _leases(self._run(self._calls(LOOK, self._all)))

    def acquire(self, router: str, partitions: Sequence[int], ttl: int) -> list[Lease]:
        tokens = _flat(self._run(self._calls(ACQUIRE, partitions, (router, ttl))))
        return [Lease(number, router, token, ttl) for number, token in zip(partitions, tokens, strict=True) if token]

    def renew(self, router: str, tokens: Mapping[int, int], ttl: int) -> frozenset[int]:
        return _kept(tokens, self._run(self._calls(RENEW, tokens, (router, ttl), tokens)))

    def beat(self, router: str, name: str, about: bytes, tokens: Mapping[int, int], ttl: int) -> Beat:
        renewing = self._calls(RENEW, tokens, (router, ttl), tokens)
        looking = self._calls(LOOK, self._all)
        answers = self._run([self._join(router, name, about, ttl), *renewing, *looking])
        looked_at = 1 + len(renewing)
        return Beat(_kept(tokens, answers[1:looked_at]), _members(answers[0]), _leases(answers[looked_at:]))

    def release(self, router: str, tokens: Mapping[int, int]) -> None:
        self._run(self._calls(RELEASE, tokens, (router, self._names.everybody), tokens))

    @property
    def _all(self) -> range:
        return range(len(self._names.partitions))

    def _join(self, router: str, name: str, about: bytes, ttl: int) -> Call:
        return run_script(JOIN, [self._names.members], router, name, about, ttl, self._names.everybody)

    def _calls(
        self,
        script: Script,
        partitions: Collection[int],
        head: tuple[Any, ...] = (),
        tokens: Mapping[int, int] = MappingProxyType({}),
    ) -> list[Call]:
        """A script over the metas of partitions; each with its token, if it has one."""
        names = self._names.partitions
        if self._link.clustered:  # a script may touch one slot
            groups: list[list[int]] = [[number] for number in partitions]
        else:
            groups = [list(partitions)] if partitions else []
        return [
            run_script(
                script,
                [names[number] for number in group],
                *head,
                *(tokens[number] for number in group if number in tokens),
            )
            for group in groups
        ]

    def _run(self, calls: list[Call]) -> list[Any]:
        if not self._opened:
            raise StoreUnavailable("the leases are not open")
        return self._link.run(calls, writes=True) if calls else []


def _flat(answers: Sequence[list[Any]]) -> list[Any]:
    return [value for answer in answers for value in answer]


def _kept(tokens: Mapping[int, int], answers: Sequence[list[Any]]) -> frozenset[int]:
    return frozenset(number for number, held in zip(tokens, _flat(answers), strict=True) if held)


def _members(answer: list[Any]) -> list[Member]:
    return sorted(
        Member(answer[at].decode(), answer[at + 1].decode(), answer[at + 2], answer[at + 3])
        for at in range(0, len(answer), 4)
    )


def _leases(answers: Sequence[list[Any]]) -> list[Lease]:
    flat = _flat(answers)
    return [Lease(at // 3, flat[at].decode(), flat[at + 1], flat[at + 2]) for at in range(0, len(flat), 3)]
