"""Deduplication: is a newcomer a new operation, a known one, or another payload under a used key?"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from actors.envelope import Envelope

NOTHING_CAME_OF_IT = frozenset({"rejected", "failed", "expired", "superseded", "annihilated", "cancelled"})
"""Final statuses without an effect: the next one like it is a new wish, unless an idempotency key ties them."""


class Ruling(StrEnum):
    """What the store does with a newcomer."""

    NEW = "new"
    DUPLICATE = "duplicate"
    KEY_REUSED = "key_reused"


class Operation(NamedTuple):
    """What must be known of the operation that holds a key."""

    fingerprint: bytes  #: of the envelope that made it
    idempotency: bool  #: made by a sender's idempotency key
    window: int  #: ms a finished operation answers its duplicates; as given when it was accepted
    settled_at: int  #: ms since the epoch; 0: in flight
    opposed: bool  #: an envelope of an opposed type, accepted later, is in flight in its lane, or was applied since


def lives(settled_at: int, window: int, now: int) -> bool:
    """Whether an operation still answers: in flight, or finished less than ``window`` ms ago."""
    return settled_at == 0 or now - settled_at < window


def decide(envelope: Envelope, known: Operation | None, now: int) -> Ruling:
    """The ruling on ``envelope``, whose id is new; ``known`` is the operation that holds its key, if any.

    The rules and their order are those of ``actors.ports.Accept``, 2 to 6.
    """
    if not envelope.key or known is None or not lives(known.settled_at, known.window, now):
        return Ruling.NEW
    if envelope.idempotency_key and envelope.fingerprint != known.fingerprint:
        return Ruling.KEY_REUSED
    if known.opposed and not known.idempotency:
        return Ruling.NEW
    return Ruling.DUPLICATE
