"""Opposed commands on one subject: what happens when one arrives while the other still waits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from actors.policy.facts import ConflictPolicy, Facts
from actors.policy.lanes import Place


class Resolution(NamedTuple):
    """Who goes and who stays; everybody named here is told."""

    policy: ConflictPolicy
    superseded: tuple[Place, ...] = ()  #: older ones that leave with ``superseded``
    annihilated: Place | None = None  #: the older one that leaves together with the newcomer
    rejected: bool = False  #: the newcomer leaves with ``rejected``


def resolve(facts: Facts, opposed: Sequence[Place]) -> Resolution | None:
    """Decide by the newcomer's policy; ``opposed`` are the older opposed places of its lane that are not running.

    Only one that never started counts. After an attempt nobody can promise that it had no effect, so such a one cannot
    be taken back; and the answer must not change when the same places are read from the store again after a crash,
    where an older one that ran when the newcomer came waits for its next attempt.
    """
    if not opposed:
        return None
    fresh = [place for place in opposed if place.attempts == 0 and not place.history]
    match facts.conflict:
        case ConflictPolicy.REJECT if fresh:
            return Resolution(ConflictPolicy.REJECT, rejected=True)
        case ConflictPolicy.SUPERSEDE if fresh:
            return Resolution(ConflictPolicy.SUPERSEDE, superseded=tuple(fresh))
        case ConflictPolicy.ANNIHILATE if fresh:
            return Resolution(ConflictPolicy.ANNIHILATE, annihilated=fresh[-1])
        case _:
            return Resolution(ConflictPolicy.QUEUE)
