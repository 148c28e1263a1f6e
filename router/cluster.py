"""The routers that share a store: who lives, who owns what, and how busy each says it is."""

from __future__ import annotations

from typing import Any

from actors.codec import unpack
from actors.engine import Engine
from actors.errors import EnvelopeError
from actors.sharing import Lease, Member
from actors.tables.holdings import Holdings, Stage

KNOWN = ("backlog", "running", "load", "lagMs", "version", "bots")
"""What a router says of itself; one of another version may say more or less."""


class Cluster:
    """As this router saw it last: some milliseconds ago, or longer while the store does not answer.

    A lease that is over since then is nobody's. A router that has its store to itself is its own cluster.
    """

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._name = name

    def view(self) -> dict[str, Any]:
        """``{shared, router, name, seenAt, ageMs, members, partitions}``; camelCase, times in ms since the epoch."""
        holdings = self._engine.tables.holdings
        if holdings is None:
            return self._alone()
        age = max(0, self._engine.clock.now() - holdings.seen_at) if holdings.seen_at else None
        leases = [lease._replace(left=max(0, lease.left - (age or 0))) for lease in holdings.leases]
        return {
            "shared": True,
            "router": holdings.router,
            "name": self._name,
            "seenAt": holdings.seen_at or None,
            "ageMs": age,
            "members": [_member(member, leases, holdings) for member in holdings.members],
            "partitions": [_partition(lease, holdings) for lease in leases],
        }

    def _alone(self) -> dict[str, Any]:
        about = dict(self._engine.about())
        now = self._engine.clock.now()
        me = {"router": "", "name": self._name, "me": True, "seenAt": now, "partitions": 0, **_said(about)}
        return {
            "shared": False,
            "router": "",
            "name": self._name,
            "seenAt": now,
            "ageMs": 0,
            "members": [me],
            "partitions": [],
        }


def _member(member: Member, leases: list[Lease], holdings: Holdings) -> dict[str, Any]:
    try:
        about = unpack(member.about)
    except EnvelopeError:
        about = {}
    return {
        "router": member.router,
        "name": member.name,
        "me": member.router == holdings.router,
        "seenAt": member.seen,
        "partitions": sum(lease.router == member.router and lease.left > 0 for lease in leases),
        **_said(about if isinstance(about, dict) else {}),
    }


def _said(about: dict[str, Any]) -> dict[str, Any]:
    return {name: about.get(name) for name in KNOWN}


def _partition(lease: Lease, holdings: Holdings) -> dict[str, Any]:
    holding = holdings.get(lease.partition)
    return {
        "partition": lease.partition,
        "router": lease.router if lease.left else None,
        "token": lease.token,
        "leftMs": lease.left,
        "stage": None if holding is None else Stage(holding.stage).name.lower(),
    }
