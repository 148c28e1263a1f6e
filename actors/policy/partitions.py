"""Who should own which partition: fair shares over the routers that live, with the fewest moves.

Every router decides for itself from the same facts and comes to the same answer, so nobody leads. Shares differ by one
at most; whoever has more already keeps more, so that nothing moves but what a coming or a going forces to. Where two
routers see different facts for a moment, the store's leases decide, and the next look mends it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from heapq import heapify, heapreplace
from typing import NamedTuple


class Moves(NamedTuple):
    """What one router should do."""

    acquire: tuple[int, ...]  #: free ones that are its own to take
    release: frozenset[int]  #: of its own, those that others should have; also those on their way already


def targets(members: Collection[str], owners: Sequence[str]) -> dict[str, int]:
    """How many partitions each member should have in the end."""
    counts = _counts(members, owners)
    share, extra = divmod(len(owners), len(counts))
    order = sorted(counts, key=lambda router: (-counts[router], router))
    return {router: share + (at < extra) for at, router in enumerate(order)}


def decide(
    me: str,
    members: Collection[str],
    owners: Sequence[str],
    *,
    running: Mapping[int, int] | None = None,
    leaving: Collection[int] = (),
    stuck: Collection[int] = (),
) -> Moves:
    """What ``me`` should take and give away.

    ``owners`` by partition, ``""``: free. ``members`` are those that want a share; who is not among them gives all
    away. Given away first: what is ``leaving`` already, then what runs least (``running``: attempts under way in a
    partition), and last what would not come to rest when it was tried (``stuck``).
    """
    mine = [partition for partition, owner in enumerate(owners) if owner == me]
    if me not in members:
        return Moves((), frozenset(mine))
    wanted = targets(members, owners)
    runs = running or {}
    order = sorted(mine, key=lambda each: (each in stuck, each not in leaving, runs.get(each, 0), -each))
    release = frozenset(order[: max(0, len(mine) - wanted[me])])
    return Moves(_take(me, members, owners, wanted), release)


def _take(me: str, members: Collection[str], owners: Sequence[str], wanted: Mapping[str, int]) -> tuple[int, ...]:
    """Of the free ones: each goes to whoever has least of those that have less than their share."""
    counts = _counts(members, owners)
    hungry = [(count, router) for router, count in counts.items() if count < wanted[router]]
    heapify(hungry)
    taken = []
    for partition, owner in enumerate(owners):
        if owner or not hungry:
            continue
        count, router = hungry[0]
        if router == me:
            taken.append(partition)
        heapreplace(hungry, (count + 1 if count + 1 < wanted[router] else len(owners) + 1, router))
        if hungry[0][0] > len(owners):
            break
    return tuple(taken)


def _counts(members: Collection[str], owners: Sequence[str]) -> dict[str, int]:
    counts = dict.fromkeys(sorted(members), 0)
    for owner in owners:
        if owner in counts:
            counts[owner] += 1
    return counts
