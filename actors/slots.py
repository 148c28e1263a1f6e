"""Slots that are counted over all routers of one store: how many of a limited thing each may use at once.

Every router holds some of a level's slots, by a lease: who gives no sign of life for ``ttl`` ms holds none any more, so
that those of a router that died come back by themselves. What all hold together is never above the limit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol


class Claim(NamedTuple):
    """What one router says of one level."""

    level: str
    limit: int  #: of all routers together
    keep: int  #: it uses no more than this until it is answered; what it held beyond is free
    wanted: int  #: what it could use now
    target: int  #: what it may hold as far as there are free ones; at most ``keep`` asks for none


class Standing(NamedTuple):
    """How one level stands after that."""

    held: int  #: by whoever asked
    others: Mapping[str, int]  #: what every other router wants, by router; only those that hold or want some


class Slots(Protocol):
    """A connection of its own. Not thread-safe; raises ``StoreUnavailable`` as the store does.

    When the answer is lost, the next claim puts right what the store believes, so every call may be repeated. One that
    reaches the store after a later one is not done, and whoever waits for it gets ``StoreUnavailable``.
    """

    def open(self) -> None:
        """Connect, or when it is first asked."""

    def close(self) -> None:
        """Let go of the connection, not of the slots; idempotent."""

    def claim(self, claims: Sequence[Claim], ttl: int) -> tuple[int, list[Standing]]:
        """Give up what is not kept, take what is free, hold it for ``ttl`` ms; one atomic step for all levels.

        The store's time (ms), and how each level stands.

        ``Told`` news of the topic ``SLOTS`` for all other routers when somebody else waits for what was given up, and
        when this one begins to want more than it got.
        """


SLOTS = "slots"
"""The topic: look at your claims."""
