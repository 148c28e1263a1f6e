"""What is over: dead letters, the trail, counts, forgetting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any
from uuid import uuid4

from actors.ports import AuditFilter, AuditLine, DeadFilter, DeadLetter, Stats
from router.stores.memory_messages import asked
from router.stores.redis.link import Call, run_script
from router.stores.redis.messages import RedisMessages
from router.stores.redis.packing import pack, unpack
from router.stores.redis.pages import Source, merged, share
from router.stores.redis.rows import Packed, end_line, found, letter, note_line
from router.stores.redis.scripts import COUNTS, DEAD, FIND, NOTES, PURGE, SIZES, SWEEP, TRAIL

SCANNED = 50_000  # lines of the trail that one search looks at: beyond it lies what it does not find

Line = tuple[tuple[int, int], AuditLine]


class RedisArchive(RedisMessages):
    """``Store.dead_letters``, ``purge_dead``, ``audit``, ``stats``, ``sweep``."""

    def dead_letters(self, which: DeadFilter, after: int = 0, limit: int = 100) -> list[DeadLetter]:
        self._check()
        return list(islice(self._letters(which, after, limit), limit))

    def _letters(self, which: DeadFilter, after: int, limit: int) -> Iterator[DeadLetter]:
        if which.id:
            row_of = self._locate([which.id])
            letters = [letter(id_, row, frame) for id_, (_, row, frame) in row_of.items() if row.dead]
            yield from (each for each in letters if each.position > after and _matches(each, which))
            return
        partitions = [self._part(which.guild)] if which.guild else range(self.partitions)
        size = share(limit, len(partitions))
        sources = [Source(after, self._dead_from(partition), _letters_of, size) for partition in partitions]
        yield from (each for each in merged(self._run, sources) if _matches(each, which))

    def purge_dead(self, which: DeadFilter, limit: int) -> int:
        self._check()
        purged: dict[int, list[Any]] = {}
        for each in islice(self._letters(which, 0, limit), limit):
            purged.setdefault(self._part(each.guild), []).extend((each.id, each.position))
        calls = [
            self._script(PURGE, partition, pack((self._epochs[partition], self.router, uuid4().bytes, letters)))
            for partition, letters in purged.items()
        ]
        return sum(self._run(calls, writes=True))

    # ------------------------------------------------------------ the trail

    def audit(self, which: AuditFilter, limit: int = 100) -> list[AuditLine]:
        self._check()
        partitions = [self._part(which.guild)] if which.guild else list(range(self.partitions))
        lines = self._lines_of(which.id, partitions) if which.id else self._lines(which, partitions, limit)
        return list(islice((line for line in islice(lines, SCANNED) if asked(line, which)), limit))

    def _lines(self, which: AuditFilter, partitions: list[int], limit: int) -> Iterator[AuditLine]:
        earliest = str(which.since) if which.since else "-inf"
        latest = f"({which.until}" if which.until else "+inf"
        size = share(limit, 3 * len(partitions))

        def source(partition: int, kind: str) -> Source[AuditLine]:
            def call(offset: int, size: int) -> Call:
                return self._reading(TRAIL, partition, kind, latest, earliest, offset, size)

            return Source(0, call, _notes_of if kind == "notes" else _ends_of, size)

        yield from merged(
            self._run, [source(partition, kind) for partition in partitions for kind in ("ended", "past", "notes")]
        )

    def _lines_of(self, id_: str, partitions: list[int]) -> Iterator[AuditLine]:
        ends = self._run([self._reading(FIND, partition, id_) for partition in partitions])
        others = self._run([self._reading(NOTES, partition, id_, 1_000) for partition in partitions])
        lines: list[Line] = []
        for end, other in zip(ends, others, strict=True):
            known = found(end)
            for _, row, frame in known:
                if row.status and not row.archived:
                    lines.append(((row.settled_at, row.ending), end_line(row.settled_at, id_, row, frame, b"")))
            for at in range(0, len(other), 3):
                number, text, former = int(other[at], 16), other[at + 1], other[at + 2]
                if text:
                    line = note_line(text)
                    lines.append(((line.at, number), line))
                elif former and known:
                    (_, row, frame), died_at = known[0], unpack(former)[2]
                    lines.append(((died_at, number), end_line(died_at, id_, row, frame, former)))
        lines.sort(key=lambda each: each[0], reverse=True)
        yield from (line for _, line in lines)

    # ------------------------------------------------------------ counts and forgetting

    def stats(self) -> Mapping[str, Stats]:
        self._check()
        totals: dict[str, list[int]] = {}
        for answer in self._run([self._reading(COUNTS, partition) for partition in range(self.partitions)]):
            for at in range(0, len(answer), 3):
                total = totals.setdefault(answer[at].decode(), [0] * 6)
                for number, count in enumerate(unpack(answer[at + 1])):
                    total[number] += count
                if answer[at + 2]:
                    oldest = int(answer[at + 2], 16)
                    total[5] = min(total[5] or oldest, oldest)
        return {queue: Stats._make(total) for queue, total in totals.items()}

    def sweep(self, now: int, limit: int) -> int:
        self._check()
        held = self._held()
        if not held:
            return 0
        sizes = self._run([self._reading(SIZES, partition) for partition in range(self.partitions)])
        keep = self.retention
        ends, notes, dead = (
            _shares(column, rows)
            for column, rows in zip(
                zip(*sizes, strict=True), (keep.audit_rows, keep.audit_rows, keep.dead_rows), strict=True
            )
        )
        swept = 0
        while held and swept < limit:
            some, held = held[: limit - swept], held[limit - swept :]
            each = (limit - swept) // len(some)
            calls = []
            for number in some:
                order = (now, self.router, self._epochs[number], self._tokens.get(number, 0), each, ends[number])
                edges = (keep.audit_edge(now), dead[number], keep.dead_edge(now), notes[number])
                calls.append(self._script(SWEEP, number, pack(order + edges)))
            swept += sum(max(0, count) for count in self._run(calls, writes=True))
        return swept

    def _script(self, script: Any, partition: int, *arguments: Any) -> Call:
        return run_script(script, [self.names.partitions[partition]], *arguments)

    def _dead_from(self, partition: int) -> Any:
        return lambda after, size: self._reading(DEAD, partition, after, size)


def _shares(sizes: tuple[int, ...], rows: int) -> list[int]:
    """How many may stay in each partition, when ``rows`` may in all: by what each has."""
    total = sum(sizes)
    return [size if total <= rows else rows * size // total for size in sizes]


def _matches(each: DeadLetter, which: DeadFilter) -> bool:
    return (
        (not which.id or each.id == which.id)
        and (not which.guild or each.guild == which.guild)
        and (not which.queue or each.queue == which.queue)
        and (not which.type or each.type == which.type)
        and (not which.before or each.died_at < which.before)
    )


def _letters_of(answer: Any, after: int) -> tuple[list[tuple[int, DeadLetter]], int]:
    page = [(row.position, letter(id_, row, frame)) for id_, row, frame in found(answer)]
    return page, page[-1][0] if page else after


def _ends_of(answer: Any, offset: int) -> tuple[list[tuple[tuple[int, int], AuditLine]], int]:
    page = []
    for at in range(0, len(answer), 6):
        time, number, id_, raw, frame, former = answer[at : at + 6]
        ended_at, line = int(time), int(number, 16)
        if raw:
            shown = end_line(ended_at, id_.decode(), Packed.read(raw), frame, former)
        else:  # it was forgotten while this was read
            shown = AuditLine(ended_at, "settled", id_.decode(), "", "", "", b"")
        page.append(((-ended_at, -line), shown))
    return page, offset + len(page)


def _notes_of(answer: Any, offset: int) -> tuple[list[tuple[tuple[int, int], AuditLine]], int]:
    page = [
        ((-int(answer[at]), -int(answer[at + 1], 16)), note_line(answer[at + 2])) for at in range(0, len(answer), 3)
    ]
    return page, offset + len(page)
