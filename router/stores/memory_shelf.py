"""The rows and operations of the memory store, in dictionaries."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator
from heapq import heappush

from actors.ports import AuditLine, Note
from router.stores.ordered import Ordered
from router.stores.row import WELL, Held, Row
from router.stores.tally import Tally
from router.stores.transitions import Transitions

Lane = tuple[str, str, str]
"""Guild, subject and type."""


class MemoryShelf(Transitions):
    """Finding rows, numbers and effects, each in constant time."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: dict[str, Row] = {}
        self._placed: Ordered[int, Row] = Ordered()
        self._guilds: dict[str, Ordered[int, Row]] = {}
        self._delayed: Ordered[tuple[int, str], Row] = Ordered()
        self._dead: Ordered[int, Row] = Ordered()
        self._deaths: deque[tuple[Row, int]] = deque()
        self._in_flight: dict[Lane, dict[str, int]] = {}
        self._operations: dict[bytes, Held] = {}
        self._waiting_operations: dict[Lane, dict[bytes, Held]] = {}
        self._finished_operations: dict[Lane, dict[bytes, Held]] = {}
        self._windows: list[tuple[int, bytes, str]] = []
        self._opposers: dict[str, frozenset[str]] = {}
        self._sequences: dict[str, int] = {}
        self._number = 0
        self._line = 0
        self._lines: Ordered[tuple[int, int], AuditLine] = Ordered()
        self._endings: deque[tuple[Row, int, tuple[int, int]]] = deque()
        self._notes: dict[Note, tuple[int, int]] = {}
        self._tally = Tally()

    # ------------------------------------------------------------ finding

    def find(self, id: str) -> Row | None:  # noqa: A002 - the port's word
        return self._rows.get(id)

    def operation(self, key: bytes) -> Held | None:
        return self._operations.get(key)

    def answer(self, operation: Held) -> bytes:
        return operation.answer

    def opposed_in_flight(self, guild: str, subject: str, types: Collection[str], since: int) -> bool:
        for kind in types:
            ordinals = self._in_flight.get((guild, subject, kind))
            if ordinals and next(reversed(ordinals.values())) > since:
                return True
        return False

    def lane_operations(self, row: Row, types: Collection[str]) -> Iterable[Held]:
        found: list[Held] = []
        for kind in types:
            lane = (row.guild, row.subject, kind)
            finished = self._finished_operations.get(lane)
            if finished:
                found.extend(held for held in finished.values() if held.id != row.id)
            waiting = self._waiting_operations.get(lane)
            if waiting:
                found.extend(_before(waiting, row))
        return found

    def learn(self, type: str, opposes: Collection[str]) -> None:  # noqa: A002 - the catalog's word
        for other in opposes:
            known = self._opposers.get(other, frozenset())
            if type not in known:
                self._opposers[other] = known | {type}

    def opposers(self, type: str) -> frozenset[str]:  # noqa: A002 - the catalog's word
        return self._opposers.get(type, frozenset())

    # ------------------------------------------------------------ numbers

    def next_number(self) -> int:
        self._number += 1
        return self._number

    def next_sequence(self, guild: str) -> int:
        number = self._sequences[guild] = self._sequences.get(guild, 0) + 1
        return number

    def ahead(self, guild: str) -> int:
        placed = self._guilds.get(guild)
        return len(placed) if placed is not None else 0

    # ------------------------------------------------------------ effects on rows

    def insert(self, row: Row) -> None:
        self._rows[row.id] = row
        self._arrive(row, row.ordinal)
        self._tally.shift(row.queue, pending=1, since=row.accepted_at)

    def place(self, row: Row, position: int) -> None:
        self._delayed.discard((row.until, row.id))
        row.position = position
        row.until = 0
        self._put(row)

    def change(self, row: Row, *, attempts: int, protocol: str, until: int, trail: bytes) -> None:
        self._count_running(row, bool(protocol))
        if not row.position and until != row.until:
            self._delayed.discard((row.until, row.id))
            self._delayed.add((until, row.id), row)
        row.attempts = attempts
        row.protocol = protocol
        row.until = until
        row.trail = trail

    def end(self, row: Row, *, status: str, answer: bytes, trail: bytes, now: int) -> None:
        self._leave(row)
        well = status in WELL
        self._tally.shift(
            row.queue,
            pending=0 if row.protocol else -1,
            processing=-1 if row.protocol else 0,
            completed=1 if well else 0,
            failed=0 if well else 1,
            dead=1 if row.dead else 0,
            since=row.accepted_at,
        )
        row.status = status
        row.answer = answer
        row.trail = trail
        row.settled_at = now
        row.until = 0
        self._line += 1
        row.ending = self._line
        place = (now, self._line)
        self._lines.add(
            place,
            AuditLine(now, "settled", row.id, row.guild, row.user, row.type, b"", row.frame, answer, trail),
        )
        self._endings.append((row, row.ending, place))
        if row.dead:
            self._dead.add(row.position, row)
            self._deaths.append((row, row.ending))

    def revive(self, row: Row, position: int) -> None:
        self._dead.discard(row.position)
        self._tally.shift(row.queue, pending=1, dead=-1, since=row.accepted_at)
        row.dead = False
        row.status = ""
        row.answer = b""
        row.reason = ""
        row.protocol = ""
        row.settled_at = row.attempts = row.until = row.ending = 0
        row.replays += 1
        row.position = position
        self._arrive(row, position)

    def _arrive(self, row: Row, ordinal: int) -> None:
        if row.position:
            self._put(row)
        else:
            self._delayed.add((row.until, row.id), row)
        self._in_flight.setdefault((row.guild, row.subject, row.type), {})[row.id] = ordinal

    def _put(self, row: Row) -> None:
        self._placed.add(row.position, row)
        guild = self._guilds.get(row.guild)
        if guild is None:
            guild = self._guilds[row.guild] = Ordered()
        guild.add(row.position, row)

    def _leave(self, row: Row) -> None:
        if row.position:
            self._placed.discard(row.position)
            guild = self._guilds[row.guild]
            guild.discard(row.position)
            if not guild:
                del self._guilds[row.guild]
        else:
            self._delayed.discard((row.until, row.id))
        lane = (row.guild, row.subject, row.type)
        ordinals = self._in_flight[lane]
        del ordinals[row.id]
        if not ordinals:
            del self._in_flight[lane]

    def _count_running(self, row: Row, runs: bool) -> None:
        if runs and not row.protocol:
            self._tally.shift(row.queue, pending=-1, processing=1, since=row.accepted_at)
        elif row.protocol and not runs:
            self._tally.shift(row.queue, pending=1, processing=-1, since=row.accepted_at)

    # ------------------------------------------------------------ effects on operations

    def hold(self, operation: Held) -> None:
        known = self._operations.get(operation.key)
        if known is not None:
            self.release(known)
        self._operations[operation.key] = operation
        self._file(operation)

    def held(self, operation: Held) -> None:
        if operation.settled_at:
            self._unfile(operation, self._waiting_operations)
            heappush(self._windows, (operation.settled_at + operation.window, operation.key, operation.id))
            if operation.opposed:
                # Over before it finished: nothing can ask for it again.
                self.release(operation)
                return
        elif operation.opposed:
            # Marked once is enough: later ends in this lane need not look at it again.
            self._unfile(operation, self._waiting_operations)
            return
        self._file(operation)

    def release(self, operation: Held) -> None:
        if self._operations.get(operation.key) is operation:
            del self._operations[operation.key]
        self._unfile(operation, self._waiting_operations)
        self._unfile(operation, self._finished_operations)

    def _file(self, operation: Held) -> None:
        if operation.idempotency:
            return
        drawer = self._finished_operations if operation.settled_at else self._waiting_operations
        lane = (operation.guild, operation.subject, operation.type)
        drawer.setdefault(lane, {})[operation.key] = operation

    def _unfile(self, operation: Held, drawer: dict[Lane, dict[bytes, Held]]) -> None:
        if operation.idempotency:
            return
        lane = (operation.guild, operation.subject, operation.type)
        filed = drawer.get(lane)
        if filed is not None and filed.get(operation.key) is operation:
            del filed[operation.key]
            if not filed:
                del drawer[lane]

    # ------------------------------------------------------------ notes

    def note(self, note: Note) -> None:
        if note in self._notes:
            return
        self._line += 1
        place = (note.at, self._line)
        self._notes[note] = place
        self._lines.add(place, AuditLine(note.at, note.kind, note.id, note.guild, note.user, "", note.detail))


def _before(waiting: dict[bytes, Held], row: Row) -> Iterator[Held]:
    """Operations in flight of one lane and type come in the order of their ordinals."""
    for held in waiting.values():
        if held.ordinal >= row.ordinal:
            return
        if held.id != row.id:
            yield held
