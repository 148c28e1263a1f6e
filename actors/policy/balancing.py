"""Balancing: which of several executors gets the next command.

``round_robin``: whoever waits longest for a turn. ``least_connections``: whoever runs the least for its weight.
``weighted``: turns in proportion to the weights, spread evenly. Whoever is full is passed over; when all are full
nobody is chosen.

All three are one rule, "the smallest pace first": a turn moves a candidate's pace on by one, or by one part of its
weight. Nobody's pace is behind that of the last turn, so a newcomer, or one that was full for long, does not catch up.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple


class Balance(StrEnum):
    """How the next one is chosen."""

    ROUND_ROBIN = "round_robin"
    LEAST_CONNECTIONS = "least_connections"
    WEIGHTED = "weighted"


class Candidate(NamedTuple):
    """One executor as it is now."""

    name: str
    running: int = 0
    capacity: int = 0  #: runs so many at once; 0: as many as come
    weight: float = 1.0  #: above 0; one of weight 2 can do twice as much as one of weight 1

    @property
    def full(self) -> bool:
        """Whether it takes no more now."""
        return 0 < self.capacity <= self.running


class Balancer:
    """Remembers whose turn it was. Deterministic; not thread-safe."""

    def __init__(self, how: Balance = Balance.ROUND_ROBIN) -> None:
        self.how = how
        self._paces: dict[str, float] = {}
        self._now = 0.0  # the pace of whoever had the last turn, when he got it

    def pick(self, candidates: Sequence[Candidate]) -> Candidate | None:
        """The next of these, each named once; ``None``: all are full, or there is none. It counts as its turn."""
        open_ones = [one for one in candidates if not one.full]
        if not open_ones:
            return None
        paces, now = self._paces, self._now
        if self.how is Balance.LEAST_CONNECTIONS:
            chosen = min(open_ones, key=lambda one: (one.running / one.weight, paces.get(one.name, now)))
        else:
            chosen = min(open_ones, key=lambda one: max(paces.get(one.name, now), now))
        self._now = max(paces.get(chosen.name, now), now)
        paces[chosen.name] = self._now + (1 / chosen.weight if self.how is Balance.WEIGHTED else 1.0)
        return chosen

    def forget(self, name: str) -> None:
        """It is gone; should it come again, it is a newcomer."""
        self._paces.pop(name, None)


def shard_of(guild: str, shards: int) -> int | None:
    """The shard of a Discord bot that has this guild; ``None``: not a snowflake, so any has it.

    ``(guild_id >> 22) % shards`` is Discord's own rule (documentation of the gateway, "Sharding").
    """
    if shards < 1 or not guild.isascii() or not guild.isdigit() or len(guild) > 20:
        return None
    return (int(guild) >> 22) % shards
