"""Counts per queue, kept as things change, so that nobody ever counts rows."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import NamedTuple


class Shift(NamedTuple):
    """A change of one queue's counts."""

    queue: str
    pending: int = 0
    processing: int = 0
    completed: int = 0
    failed: int = 0
    dead: int = 0
    delayed: int = 0
    since: int = 0  #: with ``pending``: the time the pending one dates from


class Counts:
    """The counts of one queue."""

    __slots__ = ("_heap", "_since", "completed", "dead", "delayed", "failed", "pending", "processing")

    def __init__(self) -> None:
        self.pending = self.processing = self.completed = self.failed = self.dead = self.delayed = 0
        # Times are shared by whole batches, so this holds one entry a batch, not one a command.
        self._since: dict[int, int] = {}
        self._heap: list[int] = []

    @property
    def oldest(self) -> int:
        """The time the oldest pending one dates from; 0: none."""
        heap = self._heap
        while heap and heap[0] not in self._since:
            heappop(heap)
        return heap[0] if heap else 0

    def date(self, since: int, amount: int) -> None:
        """So many more (or fewer) pending ones date from ``since``."""
        known = self._since.get(since, 0)
        if known + amount:
            self._since[since] = known + amount
            if not known:
                heappush(self._heap, since)
        else:
            self._since.pop(since, None)
            # Left to itself the heap would keep a time per batch for as long as an old one is pending.
            if len(self._heap) > 64 and len(self._heap) > 2 * len(self._since):
                self._heap = sorted(self._since)


class Tally:
    """Counts of all queues; a transaction that fails takes back its shifts."""

    def __init__(self) -> None:
        self.queues: dict[str, Counts] = {}
        self._undo: list[Shift] | None = None

    def of(self, queue: str) -> Counts:
        """The counts of one queue."""
        counts = self.queues.get(queue)
        if counts is None:
            counts = self.queues[queue] = Counts()
        return counts

    def shift(  # noqa: PLR0917 - the fields of a Shift
        self,
        queue: str,
        pending: int = 0,
        processing: int = 0,
        completed: int = 0,
        failed: int = 0,
        dead: int = 0,
        delayed: int = 0,
        since: int = 0,
    ) -> None:
        """Change the counts of one queue."""
        counts = self.queues.get(queue) or self.of(queue)
        if pending:
            counts.pending += pending
            counts.date(since, pending)
        counts.processing += processing
        counts.completed += completed
        counts.failed += failed
        counts.dead += dead
        counts.delayed += delayed
        if self._undo is not None:
            self._undo.append(Shift(queue, -pending, -processing, -completed, -failed, -dead, -delayed, since))

    def begin(self) -> None:
        """From here on, remember how to take back."""
        self._undo = []

    def commit(self) -> None:
        """What was done stays done."""
        self._undo = None

    def rollback(self) -> None:
        """Take back everything since ``begin``."""
        undo, self._undo = self._undo or [], None
        for shift in reversed(undo):
            self.shift(*shift)
