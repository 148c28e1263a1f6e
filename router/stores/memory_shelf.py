"""The rows of the memory store, in dictionaries."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable

from actors.ports import Accept, AuditLine, Note
from router.stores.lanes import Lanes
from router.stores.ordered import Ordered
from router.stores.row import WELL, Row
from router.stores.tally import Tally
from router.stores.transitions import Transitions


class MemoryShelf(Transitions):
    """Finding rows and the effects of writes, each in constant time."""

    _origin = 0  #: positions rise from here
    _stride = 1  #: by this

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}
        self._holders: dict[bytes, Row] = {}
        super().__init__(self._rows.get, self._holders.get)
        self._clear()

    def _clear(self) -> None:
        self._rows.clear()
        self._holders.clear()
        self._opposers.clear()
        self._learnt.clear()
        self._number = self._origin
        self._line = 0
        self._sequences: dict[str, int] = {}
        self._guilds: dict[str, Ordered[int, Row]] = {}
        self._delayed: Ordered[tuple[int, str], Row] = Ordered()
        self._dead: Ordered[int, Row] = Ordered()
        self._deaths: deque[tuple[Row, int]] = deque()
        # Rows of types that something opposes: those in flight, and the finished ones that hold their keys.
        self._opposed_types: set[str] = set()
        self._lanes = Lanes()
        self._endings: deque[tuple[Row, int, int]] = deque()
        self._former: dict[int, AuditLine] = {}
        self._notes: dict[Note, int] = {}
        self._noted: Ordered[tuple[int, int], Note] = Ordered()
        self._tally = Tally()

    # ------------------------------------------------------------ opposition

    def opposed_in_flight(self, guild: str, subject: str, types: Collection[str], since: int) -> bool:
        self._file_types(types)
        for kind in types:
            last = self._lanes.last(guild, subject, kind)
            if last is not None and last.ordinal > since:
                return True
        return False

    def lane_operations(self, row: Row, types: Collection[str]) -> Iterable[Row]:
        self._file_types(types)
        found: list[Row] = []
        if not self._lanes.has_others(row):
            return found  # nearly always
        for kind in types:
            found.extend(other for other in self._lanes.finished(row.guild, row.subject, kind) if other is not row)
            for other in self._lanes.in_flight(row.guild, row.subject, kind):
                if other.ordinal >= row.ordinal:
                    break
                if self._holds(other):
                    found.append(other)
        return found

    def learnt(self, kind: str, other: str) -> None:
        self._file_types((kind, other))

    def over(self, row: Row) -> None:
        if row.settled_at:
            self._release(row)

    def _holds(self, row: Row) -> bool:
        return bool(row.key) and not row.idempotency and self._holders.get(row.key) is row

    def _release(self, row: Row) -> None:
        if self._holders.get(row.key) is row:
            del self._holders[row.key]
        if row.status and row.type in self._opposed_types:
            self._lanes.drop(row)

    def _file_types(self, types: Collection[str]) -> None:
        new = set(types) - self._opposed_types
        if new:
            self._opposed_types |= new
            for row in self._rows.values():
                if row.type in new and (not row.status or self._holds(row)):
                    self._lanes.file(row)

    # ------------------------------------------------------------ effects

    def admit(self, write: Accept, now: int) -> Row:
        envelope = write.envelope
        guild = envelope.guild
        self._number += self._stride
        number = self._number
        sequence = self._sequences[guild] = self._sequences.get(guild, 0) + 1
        delayed = envelope.due_at > now
        position = 0 if delayed else number
        placed = self._guilds.get(guild)
        row = Row(
            envelope.id,
            guild,
            envelope.subject,
            envelope.user,
            envelope.type,
            envelope.queue,
            envelope.key,
            envelope.fingerprint,
            envelope.idempotency_key != "",
            write.window,
            number,
            sequence,
            position,
            0 if placed is None else len(placed),
            now,
            envelope.expires_at,
            position,
            envelope.due_at if delayed else 0,
            write.frame,
        )
        if row.key:
            former = self._holders.get(row.key)
            if former is not None:
                self._release(former)
            self._holders[row.key] = row
        self._rows[row.id] = row
        self._arrive(row)
        return row

    def place(self, row: Row) -> None:
        self._delayed.discard((row.until, row.id))
        self._number += self._stride
        row.position = self._number
        row.until = 0
        self._put(row)

    def change(self, row: Row, attempts: int, protocol: str, until: int, trail: bytes) -> None:
        if protocol:
            if not row.protocol:
                counts = self._tally[row.queue]
                counts.processing += 1
                counts.leave(row.accepted_at)
        elif row.protocol:
            counts = self._tally[row.queue]
            counts.processing -= 1
            counts.arrive(row.accepted_at)
        row.attempts = attempts
        row.protocol = protocol
        row.until = until
        row.trail = trail

    def end(self, row: Row, status: str, answer: bytes, now: int) -> None:
        if row.position:
            guild = self._guilds[row.guild]
            guild.discard(row.position)
            if not guild:
                del self._guilds[row.guild]
        else:
            self._delayed.discard((row.until, row.id))
        counts = self._tally[row.queue]
        if row.protocol:
            counts.processing -= 1
        else:
            counts.leave(row.accepted_at)
        counts.end(status in WELL, row.dead)
        row.status = status
        row.answer = answer
        row.settled_at = now
        row.until = 0
        self._line += 1
        row.ending = self._line
        self._endings.append((row, row.ending, now))
        if row.dead:
            self._dead.add(row.position, row)
            self._deaths.append((row, row.position))
        if row.type in self._opposed_types:
            if self._holds(row):
                self._lanes.finish(row)
            else:
                self._lanes.drop(row)
        if row.opposed:
            self._release(row)

    def revive(self, row: Row, expires_at: int, holds: bool) -> None:
        self._dead.discard(row.position)
        if not row.archived:
            self._keep_former(row)
        self._tally[row.queue].dead -= 1
        if row.type in self._opposed_types:
            self._lanes.drop(row)
        self._number += self._stride
        row.position = row.ordinal = self._number
        row.expires_at = expires_at
        row.replays += 1
        row.dead = row.opposed = row.archived = False
        row.status = row.reason = row.protocol = ""
        row.answer = b""
        row.settled_at = row.attempts = row.until = row.ending = 0
        if holds:
            former = self._holders.get(row.key)
            if former is not None and former is not row:
                self._release(former)
            self._holders[row.key] = row
        self._arrive(row)

    def _keep_former(self, row: Row) -> None:
        self._former[row.ending] = ended_line(row)

    def _arrive(self, row: Row) -> None:
        if row.position:
            self._put(row)
        else:
            self._delayed.add((row.until, row.id), row)
        if row.type in self._opposed_types:
            self._lanes.file(row)
        self._tally[row.queue].arrive(row.accepted_at)

    def _put(self, row: Row) -> None:
        position = row.position
        guild = self._guilds.get(row.guild)
        if guild is None:
            guild = self._guilds[row.guild] = Ordered()
        guild.add(position, row)

    def note(self, note: Note) -> None:
        if note not in self._notes:
            self._line += 1
            self._notes[note] = self._line
            self._noted.add((note.at, self._line), note)


def ended_line(row: Row) -> AuditLine:
    """The audit line of the end of a row's way."""
    return AuditLine(
        row.settled_at, "settled", row.id, row.guild, row.user, row.type, b"", row.frame, row.answer, row.trail
    )
