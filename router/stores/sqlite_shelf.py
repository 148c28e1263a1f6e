"""The memory shelf, watched: what changes is written down as a record of the log when the step ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from actors.ports import Accept, Note
from actors.schedules import Schedule
from actors.workers import Answered, Execution
from router.stores.memory_messages import MemoryMessages
from router.stores.memory_queues import CLAIMED, DELAYED, DONE, FAILED, WAITING, Item
from router.stores.memory_schedules import MemorySchedules
from router.stores.memory_workers import MemoryWorkers, last_word
from router.stores.retention import Retention
from router.stores.row import Row
from router.stores.sqlite_log import Log
from router.stores.sqlite_records import (
    ENDED,
    FACT,
    ITEM,
    ITEM_GONE,
    ITEM_STATE,
    ROW,
    ROW_GONE,
    STATE,
    Counters,
    Full,
    Images,
    item_image,
    item_state,
    row_ended,
    row_image,
    row_state,
)

SEQUENCE, DONE_COUNTS, QUEUE_COUNTS, PAUSED, OPPOSES = "sequence", "settled", "queue", "paused", "opposes"
"""Facts, each by a name: the last number of a guild; totals of a queue; whether a named queue is paused; what a type
opposes."""

EXECUTION, ANSWER, SCHEDULE = "execution", "answer", "schedule"
"""More facts: an execution, by queue and envelope; an outcome, by asker, queue and entry; a schedule, by its id.
``nil``: there is none."""

ROW_COST = 500
"""Bytes a row takes in a record, without its frame, answer and trail; roughly."""


class Watched(MemoryMessages, MemoryWorkers, MemorySchedules):
    """Rows, items and facts in memory, with what changed since the last record."""

    def __init__(self, retention: Retention) -> None:
        MemoryMessages.__init__(self, retention, remembered=0)
        self._clear_all()

    def _check(self) -> None:
        MemoryMessages._check(self)

    def _clear_all(self) -> None:
        self._clear()
        self._clear_queues()
        self._clear_schedules()
        self._pages.clear()
        self._pinned.clear()
        self._homes: dict[tuple[str, str], int] = {}
        self._sizes: dict[tuple[str, str], int] = {}  # bytes of executions and outcomes in a record, roughly
        self._live_bytes = 0
        self._now = 0
        self._forget_changes()

    def _forget_changes(self) -> None:
        self._new_rows: dict[str, Row] = {}
        self._changed_rows: dict[str, Row] = {}
        self._gone_rows: dict[str, None] = {}
        self._new_items: dict[str, Item] = {}
        self._changed_items: dict[str, Item] = {}
        self._gone_items: dict[str, None] = {}
        self._facts: dict[tuple[str, str], None] = {}
        self._counted_guilds: set[str] = set()
        self._counted_queues: set[str] = set()
        self._new_notes: dict[Note, int] = {}
        self._noted_some = False
        self._weight = 0  # bytes of the next record, roughly
        self._former_rows: list[Row] = []
        self._leaving_holders: list[Row] = []

    @property
    def _dirty(self) -> bool:
        return bool(
            self._new_rows
            or self._changed_rows
            or self._gone_rows
            or self._new_items
            or self._changed_items
            or self._gone_items
            or self._facts
            or self._new_notes
            or self._noted_some
        )

    # ------------------------------------------------------------ watching rows

    def admit(self, write: Accept, now: int) -> Row:
        if write.envelope.queue not in self._tally:
            self._counted_queues.add(write.envelope.queue)
        row = super().admit(write, now)
        self._new_rows[row.id] = row
        self._counted_guilds.add(row.guild)
        size = cost(row)
        self._live_bytes += size
        self._weight += size
        return row

    def place(self, row: Row) -> None:
        super().place(row)
        self._changed_rows[row.id] = row

    def change(self, row: Row, attempts: int, protocol: str, until: int, trail: bytes) -> None:
        super().change(row, attempts, protocol, until, trail)
        self._changed_rows[row.id] = row

    def end(self, row: Row, status: str, answer: bytes, now: int) -> None:
        super().end(row, status, answer, now)
        self._changed_rows[row.id] = row
        self._weight += len(answer)
        self._counted_queues.add(row.queue)

    def revive(self, row: Row, expires_at: int, holds: bool) -> None:
        super().revive(row, expires_at, holds)
        self._new_rows[row.id] = row

    def _keep_former(self, row: Row) -> None:
        # Its row will say something else from now on, so this end leaves for the archive at once.
        self._former_rows.append(Row(*row_image(row)))

    def over(self, row: Row) -> None:
        super().over(row)
        self._changed_rows[row.id] = row

    def _forget(self, row: Row) -> None:
        if self._holders.get(row.key) is row:
            self._leaving_holders.append(row)
        super()._forget(row)
        self._row_gone(row)

    def _forget_letter(self, row: Row) -> None:
        super()._forget_letter(row)
        if row.id in self._rows:
            self._changed_rows[row.id] = row

    def _row_gone(self, row: Row) -> None:
        self._gone_rows[row.id] = None
        self._new_rows.pop(row.id, None)
        self._changed_rows.pop(row.id, None)
        self._live_bytes -= cost(row)

    def learnt(self, kind: str, other: str) -> None:
        super().learnt(kind, other)
        self._facts[OPPOSES, f"{kind}\0{other}"] = None

    def note(self, note: Note) -> None:
        if note not in self._new_notes:
            self._line += 1
            self._new_notes[note] = self._line

    # ------------------------------------------------------------ watching items

    def _arrived(self, item: Item) -> None:
        self._new_items[item.id] = item
        if item.queue not in self._queue_tally:
            self._facts[QUEUE_COUNTS, item.queue] = None
        size = len(item.frame) + ROW_COST
        self._live_bytes += size
        self._weight += size

    def _changed(self, item: Item) -> None:
        self._changed_items[item.id] = item
        if item.state >= DONE:
            self._facts[QUEUE_COUNTS, item.queue] = None

    def _gone(self, item: Item) -> None:
        self._gone_items[item.id] = None
        self._new_items.pop(item.id, None)
        self._changed_items.pop(item.id, None)
        self._live_bytes -= len(item.frame) + ROW_COST

    def _queue_gone(self, queue: str) -> None:
        self._facts[QUEUE_COUNTS, queue] = None

    def pause(self, queue: str, paused: bool) -> None:
        super().pause(queue, paused)
        self._facts[PAUSED, queue] = None

    def _execution_changed(self, queue: str, id_: str) -> None:
        self._remember(EXECUTION, f"{queue}\0{id_}", self._executions.get((queue, id_)))

    def _answer_changed(self, asker: str, queue: str, entry: str) -> None:
        name = f"{asker}\0{queue}\0{entry}"
        self._remember(ANSWER, name, self._answers.get((asker, queue), {}).get(entry))

    def _remember(self, kind: str, name: str, value: Execution | Answered | None) -> None:
        self._facts[kind, name] = None
        size = ROW_COST + (len(value.outcome) if value is not None else 0)
        self._live_bytes += size - self._sizes.pop((kind, name), 0)
        if value is None:
            self._live_bytes -= size
        else:
            self._sizes[kind, name] = size
            self._weight += size

    def _schedule_changed(self, id_: str) -> None:
        self._facts[SCHEDULE, id_] = None

    # ------------------------------------------------------------ writing down

    @property
    def _counters(self) -> Counters:
        return Counters(self._number, self._line, self._item_number, self._token)

    def _effects(self, log: Log) -> Iterable[tuple[Any, ...]]:
        """Images of all that changed, each to go into the log's next record."""
        for id_ in self._gone_rows:
            yield (ROW_GONE, id_)
        holder = self._holders.get
        for row in self._new_rows.values():
            row.home = log.next
            yield (ROW, *row_image(row), holder(row.key) is row)
        for id_, row in self._changed_rows.items():
            if id_ not in self._new_rows:
                yield (ENDED, *row_ended(row)) if row.status else (STATE, *row_state(row))
        for id_ in self._gone_items:
            yield (ITEM_GONE, id_)
        for item in self._new_items.values():
            item.home = log.next
            yield (ITEM, *item_image(item))
        for id_, item in self._changed_items.items():
            if id_ not in self._new_items:
                yield (ITEM_STATE, *item_state(item))
        for guild in self._counted_guilds:
            self._facts[SEQUENCE, guild] = None
        for queue in self._counted_queues:
            self._facts[DONE_COUNTS, queue] = None
        for fact in self._facts:
            self._homes[fact] = log.next
            yield (FACT, *fact, self._fact(*fact))

    def _fact(self, kind: str, name: str) -> Any:
        if kind == SEQUENCE:
            return self._sequences[name]
        if kind == PAUSED:
            return name in self._paused
        if kind == OPPOSES:
            return True
        if kind == EXECUTION:
            queue, id_ = name.split("\0", 1)
            return self._executions.get((queue, id_))
        if kind == ANSWER:
            asker, queue, entry = name.split("\0", 2)
            return self._answers.get((asker, queue), {}).get(entry)
        if kind == SCHEDULE:
            return self._schedules.get(name)
        if kind == DONE_COUNTS:
            return (self._tally[name].completed, self._tally[name].failed)
        if name not in self._queue_tally:
            return None  # it was forgotten
        return (self._queue_tally[name].completed, self._queue_tally[name].failed, self._used.get(name, 0))

    def _revisit(self, number: int, full: Full) -> None:
        """Write again what only record ``number`` holds in full; the record may then go."""
        for id_ in full.rows:
            row = self._rows.get(id_)
            if row is not None and row.home == number:
                self._new_rows[id_] = row
                self._weight += cost(row)
        for id_ in full.items:
            item = self._items.get(id_)
            if item is not None and item.home == number:
                self._new_items[id_] = item
                self._weight += len(item.frame) + ROW_COST
        for fact in full.facts:
            if self._homes.get(fact) == number:
                value = self._fact(*fact)
                if value is None or value is False:
                    del self._homes[fact]
                else:
                    self._facts[fact] = None

    # ------------------------------------------------------------ reading back

    def _restore(self, images: Images) -> None:
        """Fill the empty shelf with what all records say."""
        self._number, self._line, self._item_number, self._token = images.counters
        for (kind, name), (value, number) in images.facts.items():
            self._homes[kind, name] = number
            self._restore_fact(kind, name, value)
        # Facts come in no order, and executions are kept by their last word.
        self._executions = dict(sorted(self._executions.items(), key=lambda each: last_word(each[1])))
        for asker, waiting in self._answers.items():
            self._answers[asker] = dict(sorted(waiting.items(), key=lambda each: each[1].at))
        for row in sorted(images.rows.values(), key=lambda each: each.ordinal):
            self._rows[row.id] = row
            self._live_bytes += cost(row)
            holder = images.holders.get(row.key) if row.key else None
            if holder is not None and holder[1] == row.id and not (row.status and row.opposed):
                self._holders[row.key] = row
            if not row.status:
                self._restore_live(row)
        for row in sorted((each for each in images.rows.values() if each.status), key=_by_end):
            self._restore_ended(row)
        for item in sorted(images.items.values(), key=lambda each: each.number):
            self._items[item.id] = item
            self._live_bytes += len(item.frame) + ROW_COST
            self._restore_item(item)
        for item in sorted((each for each in images.items.values() if each.state >= DONE), key=lambda each: each.ended):
            drawers = self._drawer(item.queue)
            (drawers.done if item.state == DONE else drawers.failed)[item.id] = item

    def _restore_fact(self, kind: str, name: str, value: Any) -> None:
        if kind == SEQUENCE:
            self._sequences[name] = value
        elif kind == PAUSED:
            if value:
                self._paused.add(name)
        elif kind == OPPOSES:
            who, whom = name.split("\0", 1)
            self.learn(who, (whom,))
        elif kind == EXECUTION:
            if value is not None:
                queue, id_ = name.split("\0", 1)
                execution = self._executions[queue, id_] = Execution(*value)
                self._restore_size(kind, name, execution.outcome)
        elif kind == ANSWER:
            if value is not None:
                asker, queue, entry = name.split("\0", 2)
                self._restore_size(kind, name, value[-2])
                self._answers.setdefault((asker, queue), {})[entry] = Answered._make(value)
        elif kind == SCHEDULE:
            if value is not None:
                self._schedules[name] = Schedule._make((*value[:-1], tuple(value[-1])))
        elif value is not None:
            self._restore_counts(kind, name, value)

    def _restore_counts(self, kind: str, name: str, value: Sequence[int]) -> None:
        counts = (self._tally if kind == DONE_COUNTS else self._queue_tally)[name]
        counts.completed, counts.failed = value[:2]
        if len(value) > 2:
            self._used[name] = value[2]

    def _restore_size(self, kind: str, name: str, outcome: bytes) -> None:
        size = self._sizes[kind, name] = ROW_COST + len(outcome)
        self._live_bytes += size

    def _restore_live(self, row: Row) -> None:
        self._arrive(row)
        if row.protocol:
            counts = self._tally[row.queue]
            counts.leave(row.accepted_at)
            counts.processing += 1

    def _restore_ended(self, row: Row) -> None:
        if not row.archived:
            self._endings.append((row, row.ending, row.settled_at))
        if row.type in self._opposed_types and self._holds(row):
            self._lanes.file(row)
        if row.dead:
            self._dead.add(row.position, row)
            self._deaths.append((row, row.position))
            self._tally[row.queue].dead += 1

    def _restore_item(self, item: Item) -> None:
        counts = self._queue_tally[item.queue]
        drawers = self._drawer(item.queue)
        if item.state == WAITING:
            drawers.put_ready(item)
            counts.arrive(item.appended_at)
        elif item.state == DELAYED:
            drawers.put_delayed(item)
            counts.delayed += 1
        elif item.state == CLAIMED:
            drawers.put_claimed(item)
            counts.processing += 1
        elif item.state == FAILED:
            counts.dead += 1
        if item.expires_at and item.state in (WAITING, DELAYED, CLAIMED):
            drawers.put_expiring(item)


def cost(row: Row) -> int:
    """About the bytes a row takes in a record."""
    # Of what never changes, so that the sum comes out even.
    return len(row.frame) + ROW_COST


def _by_end(row: Row) -> tuple[int, int]:
    return (row.ending, row.settled_at)
