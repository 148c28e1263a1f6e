"""Rows as the scripts keep them, and what the port's reads make of them. The order of fields is that of ``row.lua``."""

from __future__ import annotations

from typing import Any, NamedTuple

from actors.ports import AuditLine, DeadLetter, Record, Stored
from router.stores.redis.packing import unpack


class Packed(NamedTuple):
    """The fields of a row."""

    guild: bytes
    subject: bytes
    user: bytes
    type: bytes
    queue: bytes
    key: bytes
    fingerprint: bytes
    idempotency: int
    window: int
    ordinal: int
    sequence: int
    first: int
    ahead: int
    accepted_at: int
    expires_at: int
    position: int
    until: int
    attempts: int
    protocol: bytes
    trail: bytes
    replays: int
    status: bytes
    answer: bytes
    settled_at: int
    reason: bytes
    dead: int
    ending: int
    opposed: int
    archived: int
    watchers: bytes

    @classmethod
    def read(cls, raw: bytes) -> Packed:
        """From a row's bytes."""
        return cls._make(unpack(raw))

    @property
    def state(self) -> str:
        """The word of ``actors.ports.Stored``."""
        if self.status:
            return "dead" if self.dead else "settled"
        if self.protocol:
            return "started"
        if not self.position:
            return "delayed"
        return "waiting" if self.until else "queued"


Found = list[tuple[str, Packed, bytes]]


def found(answer: list[Any]) -> Found:
    """(id, row, frame) from the flat list of a script."""
    return [(answer[at].decode(), Packed.read(answer[at + 1]), answer[at + 2]) for at in range(0, len(answer), 3)]


def record(row: Packed, frame: bytes) -> Record:
    """Of an unsettled one."""
    return Record(
        frame,
        row.sequence,
        row.position,
        row.accepted_at,
        row.attempts,
        row.protocol.decode(),
        row.until,
        row.expires_at,
        row.trail,
    )


def stored(row: Packed, frame: bytes) -> Stored:
    """Of any."""
    return Stored(
        frame,
        row.sequence,
        row.position,
        row.accepted_at,
        row.state,
        row.status.decode(),
        row.attempts,
        row.protocol.decode(),
        row.until,
        row.settled_at,
        row.answer,
        row.trail,
        row.replays,
    )


def letter(id_: str, row: Packed, frame: bytes) -> DeadLetter:
    """Of a dead one."""
    return DeadLetter(
        frame,
        id_,
        row.type.decode(),
        row.guild.decode(),
        row.queue.decode(),
        row.sequence,
        row.position,
        row.reason.decode(),
        row.attempts,
        row.replays,
        row.settled_at,
        row.answer,
        row.trail,
    )


def end_line(at: int, id_: str, row: Packed, frame: bytes, former: bytes) -> AuditLine:
    """The line of an end; ``former``: what was kept of it when a replay followed."""
    answer, trail = unpack(former)[:2] if former else (row.answer, row.trail)
    guild, user, kind = row.guild.decode(), row.user.decode(), row.type.decode()
    return AuditLine(at, "settled", id_, guild, user, kind, b"", frame, answer, trail)


def note_line(text: bytes) -> AuditLine:
    """The line of a note."""
    at, kind, id_, guild, user, detail = unpack(text)
    return AuditLine(at, kind.decode(), id_.decode(), guild.decode(), user.decode(), "", detail)
