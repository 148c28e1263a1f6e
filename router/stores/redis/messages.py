"""The Redis store's writes, and its reads of what is unsettled."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any
from uuid import uuid4

from actors.ports import Accept, Enter, Lost, Note, Record, Replay, Result, Stored, Write
from router.stores.redis.base import RedisBase
from router.stores.redis.link import Call, run_script
from router.stores.redis.packing import pack, unpack
from router.stores.redis.pages import Source, merged, share
from router.stores.redis.rows import Packed, found, record, stored
from router.stores.redis.scripts import DELAYED, FIND, PLACED, WRITE
from router.stores.redis.writing import ENCODE, OPPOSING, result_of

REMEMBERED = 50_000  # hints where an id is


class _Part:
    """What of a batch goes to one partition."""

    __slots__ = ("learn", "lists", "numbers", "replays", "writes")

    def __init__(self) -> None:
        self.lists: dict[tuple[str, ...], int] = {}  # of opposed types, and their numbers
        self.numbers: list[int] = []
        self.writes: list[tuple[Any, ...]] = []
        self.learn: dict[tuple[str, str], None] = {}
        self.replays = False

    def add(self, number: int, write: Any) -> None:
        """One of the batch."""
        kind = type(write)
        self.numbers.append(number)
        if kind in OPPOSING:
            self.writes.append(ENCODE[kind](write, self._list_number(write.opposes)))
        else:
            self.writes.append(ENCODE[kind](write))
            self.replays = self.replays or kind is Replay

    def _list_number(self, opposes: Collection[str]) -> int:
        """From 1; 0: nothing."""
        return self.lists.setdefault(tuple(opposes), len(self.lists) + 1) if opposes else 0


class RedisMessages(RedisBase):
    """``Store.write``, ``pending``, ``delayed``, ``get``, and their like in ``SharedStore``."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._taught: set[tuple[int, str, str]] = set()
        self._opposes: dict[str, Collection[str]] = {}

    # ------------------------------------------------------------ writes

    def write(self, batch: Sequence[Write], now: int) -> list[Result]:
        self._check()
        results: list[Any] = [None] * len(batch)
        parts = self._sort(batch, results)
        calls = [self._write_call(number, part, now) for number, part in parts.items()]
        for (partition, part), answer in zip(parts.items(), self._run(calls, writes=True), strict=True):
            for number, each in zip(part.numbers, unpack(answer), strict=True):
                results[number] = result_of(batch[number], each, partition)
            self._taught.update((partition, *pair) for pair in part.learn)
        while len(self._where) > REMEMBERED:
            self._where.popitem(last=False)
        return results

    def _sort(self, batch: Sequence[Write], results: list[Any]) -> dict[int, _Part]:
        """By partition; what need not be sent has its result at once."""
        parts: dict[int, _Part] = {}
        for number, write in enumerate(batch):
            kind = type(write)
            if isinstance(write, Accept):
                partition = self._part(write.envelope.guild)
                if self.partitions > 1:
                    self._where[write.envelope.id] = partition
            else:
                partition = self._partition_of(write)
                if partition < 0:
                    results[number] = 0 if kind is Enter else False
                    continue
                if kind is not Note and partition not in self._tokens:
                    results[number] = Lost(partition)
                    continue
            part = parts.get(partition)
            if part is None:
                part = parts[partition] = _Part()
            part.add(number, write)
            if isinstance(write, Accept) and write.opposes:
                self._learn(part, partition, write)
        return parts

    def _write_call(self, partition: int, part: _Part, now: int) -> Call:
        order = (
            now,
            self.router,
            self._epochs[partition],
            self._tokens.get(partition, 0),
            self.names.channel,
            self.partitions,
            partition,
            uuid4().bytes if part.replays else b"",
            0 if self._seal is None else 1,
            list(part.learn),
            part.writes,
            list(part.lists),
        )
        return run_script(WRITE, [self.names.partitions[partition]], pack(order))

    def _learn(self, part: _Part, partition: int, write: Accept) -> None:
        kind = write.envelope.type
        for other in write.opposes:
            if (partition, kind, other) not in self._taught:
                part.learn[kind, other] = None

    def _partition_of(self, write: Any) -> int:
        """That of its guild; without one, where its id is; -1: nowhere."""
        if self.partitions == 1 or write.guild or isinstance(write, Note):
            return self._part(write.guild)
        where = self._where.get(write.id)
        if where is None:
            where = self._locate([write.id]).get(write.id, (-1,))[0]
        return where

    def _emptied(self) -> None:
        super()._emptied()
        self._taught.clear()

    # ------------------------------------------------------------ reads

    def pending(self, guild: str = "", after: int = 0, limit: int = 1_000) -> list[Record]:
        self._check()
        if guild:
            (answer,) = self._run([self._placed(self._part(guild), after, limit, guild)])
            return [record(row, frame) for _, row, frame in found(answer)]
        held = self._held()
        size = share(limit, len(held))
        sources = [Source(after, self._placed_from(partition), _by_position, size) for partition in held]
        return list(islice(merged(self._run, sources), limit))

    def delayed(self, after: tuple[int, str] = (0, ""), limit: int = 1_000) -> list[Record]:
        self._check()
        held = self._held()
        size = share(limit, len(held))
        sources = [Source(after, self._delayed_from(partition), _by_due_time, size) for partition in held]
        return list(islice(merged(self._run, sources), limit))

    def arrived(self, after: Mapping[int, int], limit: int = 1_000) -> list[Record]:
        self._check()
        answers = self._run([self._placed(partition, top, limit) for partition, top in after.items()])
        return [record(row, frame) for answer in answers for _, row, frame in found(answer)]

    def arrived_delayed(self, after: Mapping[int, tuple[int, str]], limit: int = 1_000) -> list[Record]:
        self._check()
        answers = self._run([self._delayed_from(partition)(top, limit) for partition, top in after.items()])
        return [record(row, frame) for answer in answers for _, row, frame in found(answer)]

    def get(self, id: str) -> Stored | None:
        return self.find([id])[0]

    def find(self, ids: Sequence[str]) -> list[Stored | None]:
        self._check()
        known = self._locate(ids)
        return [stored(*known[id_][1:]) if id_ in known else None for id_ in ids]

    def _locate(self, ids: Sequence[str]) -> dict[str, tuple[int, Packed, bytes]]:
        """(partition, row, frame) of each that is known: where it was seen last, then everywhere."""
        hinted: dict[int, list[str]] = {}
        for id_ in dict.fromkeys(ids):
            if (where := self._where.get(id_)) is not None:
                hinted.setdefault(where, []).append(id_)
        known = dict(self._found_in(hinted))
        left = [id_ for id_ in dict.fromkeys(ids) if id_ not in known]
        if left:
            known.update(self._found_in(dict.fromkeys(range(self.partitions), left)))
        return known

    def _found_in(self, asked: Mapping[int, list[str]]) -> Iterator[tuple[str, tuple[int, Packed, bytes]]]:
        answers = self._run([self._reading(FIND, partition, *ids) for partition, ids in asked.items()])
        for partition, answer in zip(asked, answers, strict=True):
            for id_, row, frame in found(answer):
                yield id_, (partition, row, frame)

    def _placed(self, partition: int, after: int, limit: int, guild: str = "") -> Call:
        return self._reading(PLACED, partition, after, limit, guild)

    def _placed_from(self, partition: int) -> Any:
        return lambda after, size: self._placed(partition, after, size)

    def _delayed_from(self, partition: int) -> Any:
        return lambda after, size: self._reading(DELAYED, partition, *after, size)

    def _reading(self, script: Any, partition: int, *arguments: Any) -> Call:
        return run_script(script, [self.names.partitions[partition]], *arguments, self._epochs[partition])


def _by_position(answer: Any, after: int) -> tuple[list[tuple[int, Record]], int]:
    page = [(row.position, record(row, frame)) for _, row, frame in found(answer)]
    return page, page[-1][0] if page else after


def _by_due_time(answer: Any, after: tuple[int, str]) -> tuple[list[tuple[tuple[int, str], Record]], tuple[int, str]]:
    page = [((row.until, id_), record(row, frame)) for id_, row, frame in found(answer)]
    return page, page[-1][0] if page else after
