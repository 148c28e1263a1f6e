"""What each write does to the rows: the one text every backend of ours runs.

A backend supplies the shelf: finding rows and operations, numbers, and the effects. The rules are those of the
docstrings in ``actors.ports``; the ruling on a newcomer is ``actors.policy.operations.decide``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from actors.policy.operations import Ruling, decide, lives
from actors.ports import (
    Accept,
    Accepted,
    Begin,
    Bury,
    Defer,
    Duplicate,
    Enter,
    KeyReused,
    Note,
    Replay,
    Result,
    Settle,
    Write,
)
from router.stores.row import Held, Row, operation_of, row_of


class Transitions(ABC):
    """The writes, over an abstract shelf."""

    def __init__(self) -> None:
        self._kinds: dict[type, Callable[[Any, int], Result]] = {
            Accept: self._accept,
            Enter: self._enter,
            Begin: self._begin,
            Defer: self._defer,
            Settle: self._settle,
            Bury: self._bury,
            Replay: self._replay,
            Note: self._note,
        }

    def apply(self, batch: Sequence[Write], now: int) -> list[Result]:
        """Do all of the batch, in its order; each sees what those before it did."""
        kinds = self._kinds
        return [kinds[type(write)](write, now) for write in batch]

    # ------------------------------------------------------------ the writes

    def _accept(self, write: Accept, now: int) -> Result:
        envelope = write.envelope
        row = self.find(envelope.id)
        if row is not None:
            return Accepted(row.id, row.sequence, row.first, row.ahead)
        opposes = write.opposes
        if opposes:
            self.learn(envelope.type, opposes)
        key = envelope.key
        if key:
            known = self.operation(key)
            if known is not None:
                ruling = decide(envelope, known.view(self._opposed(known, write, now)), now)
                if ruling is Ruling.DUPLICATE:
                    return Duplicate(envelope.id, known.id, known.sequence, self.answer(known))
                if ruling is Ruling.KEY_REUSED:
                    return KeyReused(envelope.id, known.id)
        guild = envelope.guild
        row = row_of(
            write, ordinal=self.next_number(), sequence=self.next_sequence(guild), ahead=self.ahead(guild), now=now
        )
        self.insert(row)
        if key:
            self.hold(operation_of(row))
        return Accepted(row.id, row.sequence, row.position, row.ahead)

    def _opposed(self, known: Held, write: Accept, now: int) -> bool:
        if known.opposed or known.idempotency or not write.opposes:
            return False
        if not lives(known.settled_at, known.window, now):
            return False
        envelope = write.envelope
        return self.opposed_in_flight(envelope.guild, envelope.subject, write.opposes, known.ordinal)

    def _enter(self, write: Enter, now: int) -> int:  # noqa: ARG002 - every write takes it
        row = self.find(write.id)
        if row is None or row.status:
            return 0
        if not row.position:
            self.place(row, self.next_number())
        return row.position

    def _begin(self, write: Begin, now: int) -> bool:  # noqa: ARG002 - every write takes it
        row = self.find(write.id)
        if row is None or row.status:
            return False
        self.change(row, attempts=write.attempt, protocol=write.protocol, until=0, trail=row.trail)
        return True

    def _defer(self, write: Defer, now: int) -> bool:  # noqa: ARG002 - every write takes it
        row = self.find(write.id)
        if row is None or row.status:
            return False
        self.change(row, attempts=write.attempts, protocol="", until=write.until, trail=write.trail)
        return True

    def _settle(self, write: Settle, now: int) -> bool:
        row = self.find(write.id)
        if row is None:
            return False
        if row.status:
            return (row.status, row.answer, row.trail) == (write.status, write.answer, write.trail) and not row.dead
        self.end(row, status=write.status, answer=write.answer, trail=write.trail, now=now)
        self._finish(row, write.applied, now)
        if write.applied:
            ended = self.opposers(row.type).union(write.opposes)
            if ended:
                self._end_windows(row, ended)
        return True

    def _bury(self, write: Bury, now: int) -> bool:
        row = self.find(write.id)
        if row is None:
            return False
        if row.status:
            known = (row.dead, row.reason, row.answer, row.trail)
            return known == (True, write.reason, write.answer, write.trail)
        if not row.position:
            # Dead letters are read in the order of position, so each needs one.
            self.place(row, self.next_number())
        row.attempts = write.attempts
        row.reason = write.reason
        row.dead = True
        self.end(row, status="dead", answer=write.answer, trail=write.trail, now=now)
        self._finish(row, False, now)
        return True

    def _replay(self, write: Replay, now: int) -> int | bool:
        row = self.find(write.id)
        if row is None or not row.dead or row.replays >= write.max_replays:
            return False
        number = self.next_number()
        row.expires_at = write.expires_at
        row.ordinal = number
        self.revive(row, number)
        if row.key:
            known = self.operation(row.key)
            mine = known is not None and known.id == row.id
            if known is None or mine or not lives(known.settled_at, known.window, now):
                self.hold(operation_of(row))
        return number

    def _note(self, write: Note, now: int) -> bool:  # noqa: ARG002 - every write takes it
        self.note(write)
        return True

    # ------------------------------------------------------------ operations

    def _finish(self, row: Row, applied: bool, now: int) -> None:
        if not row.key:
            return
        operation = self.operation(row.key)
        if operation is not None and operation.id == row.id:
            operation.settled_at = now
            operation.answer = row.answer
            if applied:
                operation.opposed = False
            self.held(operation)

    def _end_windows(self, row: Row, types: Collection[str]) -> None:
        for operation in self.lane_operations(row, types):
            if operation.settled_at:
                self.release(operation)
            elif not operation.opposed:
                operation.opposed = True
                self.held(operation)

    # ------------------------------------------------------------ the shelf: finding

    @abstractmethod
    def find(self, id: str) -> Row | None:  # noqa: A002 - the port's word
        """The row of an id: live, dead, or settled and not forgotten."""

    @abstractmethod
    def operation(self, key: bytes) -> Held | None:
        """The operation that holds ``key``; its window may be over."""

    @abstractmethod
    def answer(self, operation: Held) -> bytes:
        """The stored answer; empty while in flight."""

    @abstractmethod
    def opposed_in_flight(self, guild: str, subject: str, types: Collection[str], since: int) -> bool:
        """Whether a live row of one of ``types``, accepted after ordinal ``since``, is in this lane."""

    @abstractmethod
    def lane_operations(self, row: Row, types: Collection[str]) -> Iterable[Held]:
        """Operations in the lane of ``row``, of ``types``, not made by idempotency keys and not ``row``'s own: all that
        are finished, and those in flight that were accepted before ``row``."""

    @abstractmethod
    def learn(self, type: str, opposes: Collection[str]) -> None:  # noqa: A002 - the catalog's word
        """Remember, for good, that ``type`` opposes these."""

    @abstractmethod
    def opposers(self, type: str) -> frozenset[str]:  # noqa: A002 - the catalog's word
        """The types that were learnt to oppose ``type``: once it is applied, their windows are over too."""

    # ------------------------------------------------------------ the shelf: numbers

    @abstractmethod
    def next_number(self) -> int:
        """Ordinals and positions are drawn from one rising counter."""

    @abstractmethod
    def next_sequence(self, guild: str) -> int:
        """The next number of this guild."""

    @abstractmethod
    def ahead(self, guild: str) -> int:
        """Live rows of the guild that hold a position."""

    # ------------------------------------------------------------ the shelf: effects

    @abstractmethod
    def insert(self, row: Row) -> None:
        """A new live row."""

    @abstractmethod
    def place(self, row: Row, position: int) -> None:
        """A delayed row enters its lane: it gets ``position`` and no ``until``."""

    @abstractmethod
    def change(self, row: Row, *, attempts: int, protocol: str, until: int, trail: bytes) -> None:
        """A live row changes."""

    @abstractmethod
    def end(self, row: Row, *, status: str, answer: bytes, trail: bytes, now: int) -> None:
        """A live row ends; with ``row.dead`` set, in the dead letters."""

    @abstractmethod
    def revive(self, row: Row, position: int) -> None:
        """A dead row lives again at ``position``, without attempts."""

    @abstractmethod
    def hold(self, operation: Held) -> None:
        """This operation takes its key from whoever had it."""

    @abstractmethod
    def held(self, operation: Held) -> None:
        """An operation changed."""

    @abstractmethod
    def release(self, operation: Held) -> None:
        """An operation's window is over."""

    @abstractmethod
    def note(self, note: Note) -> None:
        """Write down a line, unless the very same one stands there."""
