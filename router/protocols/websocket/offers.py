"""What the bots of one router are good for, small enough to be told to every other router several times a second.

Equal offers are one: three hundred bots with a shard each are one line of types and a range. What is too long in the
end is told coarsely, as reaching more than it does, and whoever believes it is told "no bot" and looks elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from actors.codec import pack, unpack
from actors.envelope import Envelope
from actors.errors import EnvelopeError
from actors.policy.balancing import shard_of
from router.protocols.websocket.bots import Offer

MOST = 16_384  # bytes of a report; it goes along with every renewal of a lease, six times a second
OWNER, ANYBODY = 0, 1  # ranks: a bot that has the guild's shard, and one that is not sharded


class Group(NamedTuple):
    """Bots that are told as one."""

    types: frozenset[str]
    idempotent: frozenset[str]
    shard_count: int = 0  #: 0: they are not sharded
    shards: frozenset[int] = frozenset()
    guilds: frozenset[str] | None = None  #: only these; ``None``: any

    def rank(self, envelope: Envelope) -> int | None:
        """How well one of them fits; ``None``: not at all."""
        if envelope.type not in self.types or (self.guilds is not None and envelope.guild not in self.guilds):
            return None
        if not self.shard_count:
            return ANYBODY
        shard = shard_of(envelope.guild, self.shard_count)
        return OWNER if shard is None or shard in self.shards else None


class Reach:
    """The bots of one router, as it tells of them."""

    def __init__(self, groups: Iterable[Group] = ()) -> None:
        self._by_type: dict[str, list[Group]] = {}
        for group in groups:
            for name in group.types:
                self._by_type.setdefault(name, []).append(group)

    def rank(self, envelope: Envelope) -> int | None:
        """The best of them."""
        ranks = [rank for group in self._by_type.get(envelope.type, ()) if (rank := group.rank(envelope)) is not None]
        return min(ranks, default=None)

    def safe(self, envelope: Envelope) -> bool:
        """Whether all that could get it declared that executing it twice does no harm."""
        best = self.rank(envelope)
        fitting = [group for group in self._by_type.get(envelope.type, ()) if group.rank(envelope) == best]
        return best is not None and all(envelope.type in group.idempotent for group in fitting)


def report(bots: Iterable[tuple[Offer, Collection[str]]]) -> bytes:
    """Of bots, each with the guilds its token is limited to (none: all)."""
    groups = merged(_group(offer, allowed) for offer, allowed in bots)
    told = encode(groups)
    if len(told) > MOST:  # guilds are what is long
        groups = merged(group._replace(guilds=None) for group in groups)
        told = encode(groups)
    if len(told) > MOST:
        types = frozenset().union(*(group.types for group in groups))
        told = encode([Group(types, frozenset())])
    return told


def merged(groups: Iterable[Group]) -> list[Group]:
    """Those that differ in their shards alone, or, without shards, in their guilds alone, are one."""
    shards: dict[tuple[Any, ...], frozenset[int]] = {}
    guilds: dict[tuple[Any, ...], frozenset[str] | None] = {}
    for types, idempotent, count, its, where in groups:
        if count:
            key = (types, idempotent, count, where)
            shards[key] = shards.get(key, frozenset()) | its
        else:
            known = guilds.get((types, idempotent), frozenset())
            guilds[types, idempotent] = None if known is None or where is None else known | where
    found = [Group(types, safe, count, its, where) for (types, safe, count, where), its in shards.items()]
    return found + [Group(types, safe, guilds=where) for (types, safe), where in guilds.items()]


def encode(groups: Iterable[Group]) -> bytes:
    """``[[types, idempotent, shard count, [[first, last], ...], guilds or nil], ...]``; guilds as numbers if so."""
    return pack(
        [
            [
                sorted(group.types),
                sorted(group.idempotent),
                group.shard_count,
                _ranges(sorted(group.shards)),
                None if group.guilds is None else [_short(guild) for guild in sorted(group.guilds)],
            ]
            for group in groups
        ]
    )


def decode(told: bytes) -> list[Group]:
    """What was encoded; raises ``EnvelopeError`` for anything else."""
    groups = []
    try:
        lines: Any = unpack(told)
        for types, idempotent, count, ranges, guilds in lines:
            shards = frozenset(shard for first, last in ranges for shard in range(first, last + 1))
            where = None if guilds is None else frozenset(str(guild) for guild in guilds)
            groups.append(Group(frozenset(types), frozenset(idempotent), count, shards, where))
    except (TypeError, ValueError) as error:
        raise EnvelopeError("not a report of bots", field="bots") from error
    return groups


def _group(offer: Offer, allowed: Collection[str]) -> Group:
    where = offer.guilds
    if allowed:
        where = frozenset(allowed) if where is None else where & frozenset(allowed)
    idempotent = offer.idempotent & offer.handles
    if offer.shards is None:
        return Group(offer.handles, idempotent, guilds=where)
    return Group(offer.handles, idempotent, offer.shard_count, offer.shards, where)


def _ranges(numbers: Sequence[int]) -> list[list[int]]:
    found = []
    for _, run in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        members = [number for _, number in run]
        found.append([members[0], members[-1]])
    return found


def _short(guild: str) -> str | int:
    number = int(guild) if guild.isascii() and guild.isdigit() and len(guild) < 20 else -1
    return number if str(number) == guild else guild
