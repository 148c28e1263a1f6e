"""The memory store's ``Store`` port: reads, counts, forgetting."""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from heapq import heappop, heappush, merge
from itertools import chain, islice

from actors.errors import StoreUnavailable
from actors.ports import (
    AuditFilter,
    AuditLine,
    DeadFilter,
    DeadLetter,
    Note,
    Record,
    Result,
    Stats,
    Store,
    Stored,
    Write,
)
from router.stores.memory_shelf import MemoryShelf, ended_line
from router.stores.retention import Retention
from router.stores.row import Row

logger = logging.getLogger("guild_router.store")


class MemoryMessages(MemoryShelf, Store):
    """Every accepted envelope, for as long as the process lives."""

    durability = "process"

    def __init__(self, retention: Retention, remembered: int) -> None:
        super().__init__()
        self._retention = retention
        self._remembered = remembered
        self._pages: list[tuple[int, Row]] = []
        self._pinned: list[tuple[int, int, Row, int]] = []
        self._opened = False
        self._warned = False

    def open(self, now: int) -> None:  # noqa: ARG002 - nothing here is older than this process
        self._opened = True

    def close(self) -> None:
        self._opened = False

    def _check(self) -> None:
        if not self._opened:
            raise StoreUnavailable("the store is not open")

    @contextmanager
    def together(self) -> Iterator[None]:
        self._check()
        yield

    def write(self, batch: Sequence[Write], now: int) -> list[Result]:
        self._check()
        return self.apply(batch, now)

    # ------------------------------------------------------------ reads

    def pending(self, guild: str = "", after: int = 0, limit: int = 1_000) -> list[Record]:
        self._check()
        if not guild:
            return [record_of(row) for row in islice(self._placed(after), limit)]
        rows = self._guilds.get(guild)
        return [] if rows is None else [record_of(row) for row in islice(rows.after(after), limit)]

    def _placed(self, after: int) -> Iterator[Row]:
        """Rows of all guilds in the order of position. Read at start only, so no write keeps that order: a list is
        made for the first page, and made again when a reader gets to its end."""
        if not after or not self._pages:
            self._pages = self._all_placed(after)
        while self._pages:
            pages = self._pages
            for at in range(bisect_right(pages, after, key=_first), len(pages)):
                after, row = pages[at]
                if row.position == after and not row.status:
                    yield row
            self._pages = self._all_placed(after)

    def _all_placed(self, after: int) -> list[tuple[int, Row]]:
        rows = (row for guild in self._guilds.values() for row in guild.values())
        return sorted(((row.position, row) for row in rows if row.position > after), key=_first)

    def delayed(self, after: tuple[int, str] = (0, ""), limit: int = 1_000) -> list[Record]:
        self._check()
        return [record_of(row) for row in islice(self._delayed.after(after), limit)]

    def get(self, id: str) -> Stored | None:
        self._check()
        row = self._rows.get(id)
        return None if row is None else stored(row)

    def dead_letters(self, which: DeadFilter, after: int = 0, limit: int = 100) -> list[DeadLetter]:
        self._check()
        rows = (row for row in self._dead.after(after) if _matches(row, which))
        return [_letter(row) for row in islice(rows, limit)]

    def purge_dead(self, which: DeadFilter, limit: int) -> int:
        self._check()
        rows = list(islice((row for row in self._dead.after() if _matches(row, which)), limit))
        for row in rows:
            self._forget_letter(row)
        return len(rows)

    def audit(self, which: AuditFilter, limit: int = 100) -> list[AuditLine]:
        self._check()
        lines = merge(self._ended_lines(), self._noted_lines(), key=lambda each: each[0], reverse=True)
        return list(islice((line for _, line in lines if asked(line, which)), limit))

    def _ended_lines(self) -> Iterator[tuple[tuple[int, int], AuditLine]]:
        pinned = sorted((ending, row, at) for _, ending, row, at in self._pinned)
        endings = ((ending, row, at) for row, ending, at in reversed(self._endings))
        for ending, row, at in chain(endings, reversed(pinned)):
            line = ended_line(row) if row.ending == ending else self._former[ending]
            yield (at, ending), line

    def _noted_lines(self) -> Iterator[tuple[tuple[int, int], AuditLine]]:
        for note in self._noted.backward():
            place = (note.at, self._notes[note])
            yield place, AuditLine(note.at, note.kind, note.id, note.guild, note.user, "", note.detail)

    def stats(self) -> Mapping[str, Stats]:
        self._check()
        return {
            queue: Stats(each.pending, each.processing, each.completed, each.failed, each.dead, each.oldest)
            for queue, each in self._tally.items()
        }

    # ------------------------------------------------------------ forgetting

    def sweep(self, now: int, limit: int) -> int:
        self._check()
        left = limit
        for step in (self._sweep_pinned, self._sweep_endings, self._sweep_notes, self._sweep_dead):
            left -= step(now, left)
        return limit - left

    def _sweep_endings(self, now: int, limit: int) -> int:
        edge = self._retention.audit_edge(now)
        swept = 0
        while swept < limit and self._endings:
            row, ending, at = self._endings[0]
            if len(self._endings) <= self._retention.audit_rows and at > edge:
                break
            self._endings.popleft()
            if at + row.window > now:
                heappush(self._pinned, (at + row.window, ending, row, at))
            else:
                self._forget_ending(row, ending)
                swept += 1
        return swept

    def _sweep_pinned(self, now: int, limit: int) -> int:
        swept = 0
        while swept < limit and self._pinned:
            if self._pinned[0][0] > now:
                if len(self._pinned) <= self._remembered:
                    break
                self._warn()
            _, ending, row, _ = heappop(self._pinned)
            self._forget_ending(row, ending)
            swept += 1
        return swept

    def _warn(self) -> None:
        if not self._warned:
            self._warned = True
            logger.warning(
                "more than %s envelopes settled within their windows: the oldest are forgotten early, "
                "and a repetition of one of these ids would be new",
                self._remembered,
            )

    def _forget_ending(self, row: Row, ending: int) -> None:
        self._former.pop(ending, None)
        if row.ending == ending:
            row.archived = True
            if not row.dead:
                self._forget(row)

    def _forget(self, row: Row) -> None:
        del self._rows[row.id]
        self._release(row)

    def _sweep_notes(self, now: int, limit: int) -> int:
        edge = self._retention.audit_edge(now)
        over = len(self._notes) - self._retention.audit_rows
        gone: list[Note] = []
        for note in islice(self._noted.after(), limit):
            if len(gone) >= over and note.at > edge:
                break
            gone.append(note)
        for note in gone:
            self._noted.discard((note.at, self._notes.pop(note)))
        return len(gone)

    def _sweep_dead(self, now: int, limit: int) -> int:
        edge = self._retention.dead_edge(now)
        swept = 0
        while swept < limit and self._deaths:
            row, position = self._deaths[0]
            here = row.dead and row.position == position
            if here and len(self._dead) <= self._retention.dead_rows and row.settled_at > edge:
                break
            self._deaths.popleft()
            if here:
                self._forget_letter(row)
                swept += 1
        return swept

    def _forget_letter(self, row: Row) -> None:
        self._dead.discard(row.position)
        row.dead = False
        self._tally[row.queue].dead -= 1
        if row.archived:
            self._forget(row)


def _first(pair: tuple[int, Row]) -> int:
    return pair[0]


def _matches(row: Row, which: DeadFilter) -> bool:
    return (
        (not which.id or row.id == which.id)
        and (not which.guild or row.guild == which.guild)
        and (not which.queue or row.queue == which.queue)
        and (not which.type or row.type == which.type)
        and (not which.before or row.settled_at < which.before)
    )


def asked(line: AuditLine, which: AuditFilter) -> bool:
    """Whether a line passes a filter."""
    return (
        (not which.id or line.id == which.id)
        and (not which.guild or line.guild == which.guild)
        and (not which.user or line.user == which.user)
        and (not which.type or line.type == which.type)
        and line.at >= which.since
        and (not which.until or line.at < which.until)
    )


def record_of(row: Row) -> Record:
    """What a row says of an unsettled envelope."""
    return Record(
        row.frame,
        row.sequence,
        row.position,
        row.accepted_at,
        row.attempts,
        row.protocol,
        row.until,
        row.expires_at,
        row.trail,
    )


def stored(row: Row) -> Stored:
    """What a row says of its envelope."""
    return Stored(
        row.frame,
        row.sequence,
        row.position,
        row.accepted_at,
        row.state,
        row.status,
        row.attempts,
        row.protocol,
        row.until,
        row.settled_at,
        row.answer,
        row.trail,
        row.replays,
    )


def _letter(row: Row) -> DeadLetter:
    return DeadLetter(
        row.frame,
        row.id,
        row.type,
        row.guild,
        row.queue,
        row.sequence,
        row.position,
        row.reason,
        row.attempts,
        row.replays,
        row.settled_at,
        row.answer,
        row.trail,
    )
