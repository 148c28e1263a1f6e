"""Writes as ``write.lua`` takes them, and its answers as the port gives them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from actors.ports import (
    Accept,
    Accepted,
    Begin,
    Bury,
    Defer,
    Duplicate,
    Enter,
    KeyReused,
    Lost,
    Note,
    Replay,
    Result,
    Settle,
    Write,
)

LOST = b"lost"

OPPOSING = frozenset({Accept, Settle})
"""Those whose encoding takes the number of their list of opposed types."""


def _accept(write: Accept, list_number: int) -> tuple[Any, ...]:
    it = write.envelope
    return (
        1,
        it.id,
        it.guild,
        it.subject,
        it.user,
        it.type,
        it.queue,
        it.key,
        it.fingerprint,
        1 if it.idempotency_key else 0,
        it.due_at,
        it.expires_at,
        write.window,
        list_number,
        write.frame,
    )


def _settle(write: Settle, list_number: int) -> tuple[Any, ...]:
    return (5, write.id, write.status, write.answer, write.trail, int(write.applied), list_number)


ENCODE: dict[type, Callable[..., tuple[Any, ...]]] = {
    Accept: _accept,
    Enter: lambda write: (2, write.id),
    Begin: lambda write: (3, write.id, write.attempt, write.protocol),
    Defer: lambda write: (4, write.id, write.until, write.attempts, write.trail),
    Settle: _settle,
    Bury: lambda write: (6, write.id, write.reason, write.answer, write.trail, write.attempts),
    Replay: lambda write: (7, write.id, write.max_replays, write.expires_at),
    Note: lambda write: (8, write.at, write.kind, write.id, write.guild, write.user, write.detail),
}


def result_of(write: Write, answer: Any, partition: int) -> Result:
    """The port's result."""
    if type(write) is not Accept:
        return Lost(partition) if answer == LOST else answer
    id_ = write.envelope.id
    match answer:
        case [1, sequence, position, ahead]:
            return Accepted(id_, sequence, position, ahead)
        case [2, original, sequence, known]:
            return Duplicate(id_, original.decode(), sequence, known)
        case _:
            return KeyReused(id_, answer[1].decode())
