"""What a command can be sent to: a bot's endpoint, or Discord."""

from __future__ import annotations

from typing import Protocol

from actors.envelope import Envelope
from actors.outcome import Outcome
from actors.ports import Ticket


class Target(Protocol):
    """One executor on the network. Its coroutines run on the loop of the network, and are used there only."""

    name: str  #: of its breaker too: ``rest:NAME``
    rank: int  #: those of rank 0 are tried first; the next rank only when none of them can be reached or has room
    weight: float
    capacity: int  #: requests at once

    def serves(self, envelope: Envelope) -> bool:
        """Whether it executes this type for this guild."""

    def idempotent(self, envelope: Envelope) -> bool:
        """Whether sending it twice does no harm, beyond the catalog's facts."""

    def knows(self, envelope: Envelope) -> bool:
        """Whether it can be asked if something happened."""

    async def execute(self, ticket: Ticket, deadline: int) -> Outcome:
        """Send it, once. ``deadline``, ms since the epoch: nobody waits longer, which is no reason to cancel it."""

    async def verify(self, envelope: Envelope, age: int) -> bool | None:
        """Whether it happened; ``None``: cannot tell. ``age``: it was sent at most so many ms ago."""

    async def close(self) -> None:
        """Let go of everything; it opens itself again when it is used."""
