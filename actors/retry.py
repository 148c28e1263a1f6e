"""The retry scheduler: one heap for everything that must happen later.

Delayed envelopes enter their lanes when they are due; guilds are woken for retries, deadlines and rates. What it holds
is a copy: delayed envelopes live in the store, reminders in the guilds, so a crash loses nothing.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

from actors.codec import decode
from actors.errors import EngineError
from actors.messages import Delayed, Due, Forget, Remind, StoreCall, Wake
from actors.ports import Record
from actors.runtime.actor import Actor
from actors.runtime.clock import Timer
from actors.runtime.ref import Ref
from actors.tables.guilds import Guilds

HELD = 10_000
"""Delayed envelopes held in memory; those due later stay in the store until there is room."""

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
    ) -> None:
        super().__init__()
        self._guilds = guilds
        self._journal = journal
        self._passivate_after = passivate_after
        self._sweep_every = sweep_every
        self._delayed: dict[str, Record] = {}
        self._heap: list[tuple[int, str, str]] = []  # (at, guild to wake or "", id of a delayed or "")
        self._more_from: tuple[int, str] | None = None  # the store has delayed ones after this (due, id)
        self._loading = False
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
        due: list[tuple[str, Record]] = []
        woken: dict[str, None] = {}
        while heap and heap[0][0] <= now:
            _, guild, id_ = heapq.heappop(heap)
            if guild:
                woken[guild] = None
            elif id_ in self._delayed:
                due.append((id_, self._delayed.pop(id_)))
        if due:
            self._journal().tell(Due(due))
        for guild in woken:
            self._guilds.wake(guild, Wake())
        if self._more_from is not None and len(self._delayed) < HELD // 2:
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
            if len(self._delayed) >= HELD or (self._more_from is not None and key > self._more_from):
                # It comes back from the store when there is room; the mark must not move past it.
                if self._more_from is None:
                    self._more_from = max((r.until, i) for i, r in self._delayed.items())
                if key > self._more_from:
                    continue
            self._delayed[envelope.id] = record
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

    def _sweep(self) -> None:
        now = self.clock.now()
        self._guilds.passivate(now - self._passivate_after)
        self._journal().tell(StoreCall(lambda store, now: store.sweep(now, 5_000), _ignore))
        self.send_after(self._sweep_every / 1000, _Sweep())


class _Ring:
    """To itself: the time of the heap's head has come."""


class _Reload:
    """To itself: read the store again."""

    __match_args__ = ("after",)

    def __init__(self, after: tuple[int, str]) -> None:
        self.after = after


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
