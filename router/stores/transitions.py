"""What each write does to the rows: the one text every backend of ours runs.

A backend supplies the shelf: finding rows, and the effects. The rules are those of the docstrings in ``actors.ports``;
the ruling on a newcomer is ``actors.policy.operations.decide``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from actors.policy.operations import NOTHING_CAME_OF_IT, Ruling, decide, lives
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
from router.stores.row import Row

Finder = Callable[[Any], Row | None]


class Transitions(ABC):
    """The writes, over an abstract shelf.

    ``find`` gives the row of an id: live, dead, or settled and not forgotten; ``holder`` the row whose operation holds
    a key, its window over or not.
    """

    def __init__(self, find: Finder, holder: Finder) -> None:
        self._find = find
        self._holder = holder
        self._opposers: dict[str, frozenset[str]] = {}
        self._learnt: dict[str, Collection[str]] = {}  # the very object last seen, to pass over it quickly
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
        row = self._find(envelope.id)
        if row is not None:
            if (row.guild, row.type, row.fingerprint) != (envelope.guild, envelope.type, envelope.fingerprint):
                return KeyReused(envelope.id, row.id)
            return Accepted(row.id, row.sequence, row.first, row.ahead)
        if write.opposes:
            self.learn(envelope.type, write.opposes)
        if envelope.key:
            known = self._holder(envelope.key)
            if known is not None:
                ruling = decide(envelope, known.operation(self._opposed(known, write, now)), now)
                if ruling is Ruling.DUPLICATE:
                    return Duplicate(envelope.id, known.id, known.sequence, known.answer)
                if ruling is Ruling.KEY_REUSED:
                    return KeyReused(envelope.id, known.id)
        row = self.admit(write, now)
        return Accepted(row.id, row.sequence, row.position, row.ahead)

    def _opposed(self, known: Row, write: Accept, now: int) -> bool:
        if known.opposed or known.idempotency or not write.opposes:
            return False
        if not lives(known.settled_at, known.window, now):
            return False
        envelope = write.envelope
        return self.opposed_in_flight(envelope.guild, envelope.subject, write.opposes, known.ordinal)

    def _enter(self, write: Enter, now: int) -> int:  # noqa: ARG002 - every write takes it
        row = self._find(write.id)
        if row is None or row.status:
            return 0
        if not row.position:
            self.place(row)
        return row.position

    def _begin(self, write: Begin, now: int) -> bool:  # noqa: ARG002 - every write takes it
        row = self._find(write.id)
        if row is None or row.status:
            return False
        self.change(row, write.attempt, write.protocol, 0 if row.position else row.until, row.trail)
        return True

    def _defer(self, write: Defer, now: int) -> bool:  # noqa: ARG002 - every write takes it
        row = self._find(write.id)
        if row is None or row.status:
            return False
        self.change(row, write.attempts, "", write.until if row.position else row.until, write.trail)
        return True

    def _settle(self, write: Settle, now: int) -> bool:
        row = self._find(write.id)
        if row is None:
            return False
        if row.status:
            return (row.status, row.answer, row.trail) == (write.status, write.answer, write.trail) and not row.dead
        row.trail = write.trail
        if write.applied:
            row.opposed = False
        self.end(row, write.status, write.answer, now)
        if write.status in NOTHING_CAME_OF_IT and row.key and not row.idempotency and not row.opposed:
            row.opposed = True
            self.over(row)
        if write.applied:
            ended = write.opposes
            opposers = self._opposers.get(row.type)
            if opposers is not None:
                ended = opposers.union(ended)
            if ended:
                self._end_windows(row, ended)
        return True

    def _bury(self, write: Bury, now: int) -> bool:
        row = self._find(write.id)
        if row is None:
            return False
        if row.status:
            known = (row.dead, row.reason, row.answer, row.trail)
            return known == (True, write.reason, write.answer, write.trail)
        if not row.position:
            # Dead letters are read in the order of position, so each needs one.
            self.place(row)
        row.attempts = write.attempts
        row.trail = write.trail
        row.reason = write.reason
        row.dead = True
        self.end(row, "dead", write.answer, now)
        return True

    def _replay(self, write: Replay, now: int) -> int | bool:
        row = self._find(write.id)
        if row is None or not row.dead or row.replays >= write.max_replays:
            return False
        holds = False
        if row.key:
            known = self._holder(row.key)
            holds = known is None or known is row or known.opposed or not lives(known.settled_at, known.window, now)
        self.revive(row, write.expires_at, holds)
        return row.position

    def _note(self, write: Note, now: int) -> bool:  # noqa: ARG002 - every write takes it
        self.note(write)
        return True

    # ------------------------------------------------------------ opposition

    def learn(self, kind: str, opposes: Collection[str]) -> None:
        """Remember what type ``kind`` opposes."""
        if self._learnt.get(kind) is opposes:
            return
        if isinstance(opposes, frozenset | tuple):
            self._learnt[kind] = opposes
        for other in opposes:
            known = self._opposers.get(other)
            if known is None or kind not in known:
                self._opposers[other] = frozenset((kind,)).union(known or ())
                self.learnt(kind, other)

    def _end_windows(self, row: Row, types: Collection[str]) -> None:
        for other in self.lane_operations(row, types):
            if not other.opposed:
                other.opposed = True
                self.over(other)

    # ------------------------------------------------------------ the shelf

    @abstractmethod
    def opposed_in_flight(self, guild: str, subject: str, types: Collection[str], since: int) -> bool:
        """Whether a live row of one of ``types``, accepted after ordinal ``since``, is in this lane."""

    @abstractmethod
    def lane_operations(self, row: Row, types: Collection[str]) -> Iterable[Row]:
        """Rows in the lane of ``row`` that hold their keys, of ``types``, not by idempotency keys, ``row`` not among
        them: all that are settled, and those in flight that were accepted before ``row``."""

    @abstractmethod
    def learnt(self, kind: str, other: str) -> None:
        """Type ``kind`` opposes type ``other``: news, to be remembered for good.

        Once an envelope of type ``other`` is applied, windows of ``kind`` are over in its lane.
        """

    @abstractmethod
    def admit(self, write: Accept, now: int) -> Row:
        """A new live row with the next ordinal and sequence, which takes its key from whoever holds it."""

    @abstractmethod
    def place(self, row: Row) -> None:
        """A delayed row takes the next position, and has no ``until`` any more."""

    @abstractmethod
    def change(self, row: Row, attempts: int, protocol: str, until: int, trail: bytes) -> None:
        """A live row changes."""

    @abstractmethod
    def end(self, row: Row, status: str, answer: bytes, now: int) -> None:
        """A live row ends; with ``row.dead`` set, in the dead letters."""

    @abstractmethod
    def revive(self, row: Row, expires_at: int, holds: bool) -> None:
        """A dead row lives again at the next position, without attempts; with ``holds``, it has its key."""

    @abstractmethod
    def over(self, row: Row) -> None:
        """A row's operation was marked ``opposed``."""

    @abstractmethod
    def note(self, note: Note) -> None:
        """Write down a line, unless the very same one stands there."""
