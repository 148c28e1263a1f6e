"""What a command can be sent to: a bot's endpoint, or Discord."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from actors.envelope import Envelope
from actors.outcome import Outcome
from actors.ports import Sign, Ticket


class Found(NamedTuple):
    """What asking whether something happened came to."""

    happened: bool | None  #: ``None``: cannot tell
    data: bytes = b""  #: of what happened, msgpack, where it is known


NOBODY_KNOWS = Found(None)


class Sent(NamedTuple):
    """When something was sent, ms since the epoch: not before ``earliest`` and not after ``latest``."""

    earliest: int
    latest: int


class Target(Protocol):
    """One executor on the network. Its coroutines run on the loop of the network, and are used there only."""

    name: str  #: of its breaker too: ``rest:NAME``
    rank: int  #: those of rank 0 are tried first; the next rank only when none of them can be reached or has room
    weight: float
    capacity: int  #: requests at once
    unwell: frozenset[str]  #: codes of answers that count against it although nothing happened

    def serves(self, envelope: Envelope) -> bool:
        """Whether it executes this type for this guild."""

    def idempotent(self, envelope: Envelope) -> bool:
        """Whether sending it twice does no harm, beyond the catalog's facts."""

    def knows(self, envelope: Envelope) -> bool:
        """Whether it can be asked if something happened."""

    async def execute(self, ticket: Ticket, deadline: int) -> Outcome:
        """Send it, once. ``deadline``, ms since the epoch: nobody waits longer, which is no reason to cancel it."""

    async def verify(self, envelope: Envelope, sent: Sent) -> Found:
        """Whether it happened."""

    async def look(self) -> Sign:
        """How it is, for the health monitor."""

    def resume(self) -> None:
        """An operator says that it is well again: what was held back until then may go."""

    async def close(self) -> None:
        """Let go of everything; it opens itself again when it is used."""
