"""The retry scheduler: one heap for everything that must happen later.

Delayed envelopes enter their lanes when they are due; guilds are woken for retries, deadlines and rates. What it holds
is a copy: delayed envelopes live in the store, reminders in the guilds, so a crash loses nothing.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection
from typing import Any

from actors.codec import decode
from actors.errors import EngineError
from actors.messages import Delayed, DelayedArrivals, Disown, Due, Forget, Remind, Reread, StoreCall, Wake
from actors.ports import Backend, Record
from actors.runtime.actor import Actor
from actors.runtime.clock import Timer
from actors.runtime.ref import Ref
from actors.tables.backlog import Backlog
from actors.tables.guilds import Guilds
from actors.tables.holdings import Holdings

HELD = 10_000
"""Delayed envelopes held in memory; those due later stay in the store until there is room."""

GLANCE = 32
"""Delayed envelopes of a partition looked at to see whether others accepted some."""

RELOAD = 1.0
"""Seconds until a store that could not be read is asked again."""


class RetryScheduler(Actor):
    """Due times, soonest first."""

    mailbox_capacity = 1_000_000
    slice_size = 2_000
    redeliver = 3

    def __init__(
        self,
        *,
        guilds: Guilds,
        journal: Callable[[], Ref],
        passivate_after: int,
        sweep_every: int,
        queue_kept: int,
        queues: Collection[str],
        backlog: Backlog | None = None,
        holdings: Holdings | None = None,
    ) -> None:
        super().__init__()
        self._guilds = guilds
        self._journal = journal
        self._passivate_after = passivate_after
        self._sweep_every = sweep_every
        self._queue_kept = queue_kept
        self._queues = queues
        self._backlog = backlog
        self._holdings = holdings
        self._delayed: dict[str, tuple[str, Record]] = {}  # by id: guild and record
        self._heap: list[tuple[int, str, str]] = []  # (at, guild to wake or "", id of a delayed or "")
        self._more_from: tuple[int, str] | None = None  # the store has delayed ones after this (due, id)
        self._loading = False
        self._stale = False  # to be read from the beginning once more
        self._timer: Timer | None = None
        self._timer_at = 0

    def on_start(self) -> None:
        self._load((0, ""))
        self.send_after(self._sweep_every / 1000, _Sweep())

    def on_receive(self, message: object) -> None:
        match message:
            case Remind(at, guild):
                heapq.heappush(self._heap, (at, guild, ""))
            case Delayed(records):
                self._hold(records)
            case DelayedArrivals(partitions):
                self._look(partitions)
            case Reread():
                self._stale = True
            case Disown(partition):
                self._disown(partition)
            case _Arrived(records, count):
                self._arrived(records, count)
            case _Ring():
                self._timer = None
            case Forget(ids):
                for id_ in ids:
                    self._delayed.pop(id_, None)
            case _Reload(after):
                self._loading = False
                self._load(after)
            case _Loaded(after, records):
                self._loaded(after, records)
            case _Sweep():
                self._sweep()

    def on_flush(self) -> None:
        now = self.clock.now()
        heap = self._heap
        due: list[tuple[str, str, Record]] = []
        woken: dict[str, None] = {}
        while heap and heap[0][0] <= now:
            _, guild, id_ = heapq.heappop(heap)
            if guild:
                woken[guild] = None
            elif id_ in self._delayed:
                due.append((id_, *self._delayed.pop(id_)))
        if due:
            self._journal().tell(Due(due))
        for guild in woken:
            self._guilds.wake(guild, Wake())
        if self._stale and not self._loading:
            self._stale = False
            self._load((0, ""))
        elif self._more_from is not None and len(self._delayed) < HELD // 2:
            self._load(self._more_from)
        self._set_timer(now)

    def _set_timer(self, now: int) -> None:
        if not self._heap:
            return
        at = self._heap[0][0]
        if self._timer is not None:
            if self._timer_at <= at:
                return
            self._timer.cancel()
        self._timer_at = at
        self._timer = self.send_after(max(0, at - now) / 1000, _Ring())

    def _hold(self, records: list[Record]) -> None:
        for record in records:
            envelope = decode(record.frame, trusted=True)
            key = (envelope.due_at, envelope.id)
            if envelope.id in self._delayed or not self._is_mine(envelope.guild):
                continue
            if self._backlog is not None:
                self._backlog.enter(envelope, envelope.due_at)
            if len(self._delayed) >= HELD or (self._more_from is not None and key > self._more_from):
                # It comes back from the store when there is room; the mark must not move past it.
                if self._more_from is None:
                    self._more_from = max((r.until, i) for i, (_, r) in self._delayed.items())
                if key > self._more_from:
                    continue
            self._delayed[envelope.id] = (envelope.guild, record)
            heapq.heappush(self._heap, (envelope.due_at, "", envelope.id))

    def _load(self, after: tuple[int, str]) -> None:
        if self._loading:
            return
        self._loading = True
        me = self.me
        self._journal().tell(
            StoreCall(lambda store, _: store.delayed(after, HELD // 2), lambda found: me.tell(_Loaded(after, found)))
        )

    def _loaded(self, after: tuple[int, str], records: list[Record] | EngineError) -> None:
        if isinstance(records, EngineError):
            self.send_after(RELOAD, _Reload(after))  # still loading
            return
        self._loading = False
        self._more_from = None
        self._hold(records)
        if len(records) == HELD // 2 and self._more_from is None:  # else not even these found room
            last = decode(records[-1].frame, trusted=True)
            self._more_from = (last.due_at, last.id)

    # ------------------------------------------------------------ partitions that come and go

    def _is_mine(self, guild: str) -> bool:
        return self._holdings is None or self._holdings.of(guild) is not None

    def _look(self, partitions: tuple[int, ...]) -> None:
        """The first of each: what is due next is among them, whoever accepted it."""
        me, holdings = self.me, self._holdings

        def read(store: Any, _: int) -> list[Record]:
            held = {each: (0, "") for each in partitions if holdings is not None and holdings.taken(each) is not None}
            return store.arrived_delayed(held, GLANCE) if held else []

        self._journal().tell(StoreCall(read, lambda found: me.tell(_Arrived(found, len(partitions)))))

    def _arrived(self, records: list[Record] | EngineError, partitions: int) -> None:
        if isinstance(records, EngineError):
            return  # the next look finds them
        before = len(self._delayed)
        self._hold(records)
        if len(self._delayed) - before >= GLANCE * min(partitions, 2):
            self._stale = True  # so many are new that there may be more behind them

    def _disown(self, partition: int) -> None:
        if self._holdings is not None:
            gone = [id_ for id_, (guild, _) in self._delayed.items() if self._holdings.partition(guild) == partition]
            for id_ in gone:
                del self._delayed[id_]

    def _sweep(self) -> None:
        now = self.clock.now()
        self._guilds.passivate(now - self._passivate_after)
        self._journal().tell(StoreCall(self._forget, _ignore))
        self.send_after(self._sweep_every / 1000, _Sweep())

    def _forget(self, store: Backend, now: int) -> None:
        store.sweep(now, 5_000)
        store.forget_queues(now - self._queue_kept, now, self._queues)


class _Ring:
    """To itself: the time of the heap's head has come."""


class _Reload:
    """To itself: read the store again."""

    __match_args__ = ("after",)

    def __init__(self, after: tuple[int, str]) -> None:
        self.after = after


class _Arrived:
    """The journal's answer: the first delayed ones of some partitions."""

    __match_args__ = ("records", "count")

    def __init__(self, records: list[Record] | EngineError, count: int) -> None:
        self.records = records
        self.count = count


class _Sweep:
    """To itself: forget idle guilds and old records."""


class _Loaded:
    """The journal's answer: delayed envelopes from the store."""

    __match_args__ = ("after", "records")

    def __init__(self, after: tuple[int, str], records: list[Record] | EngineError) -> None:
        self.after = after
        self.records = records


def _ignore(result: object) -> None:
    """A sweep that failed is tried again at the next."""
