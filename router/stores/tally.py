"""Counts per queue, kept as things change, so that nobody ever counts rows."""

from __future__ import annotations

from heapq import heapify, heappop, heappush


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
        heap, since = self._heap, self._since
        while heap and heap[0] not in since:
            heappop(heap)
        return heap[0] if heap else 0

    @property
    def holds(self) -> int:
        """What is there and not over, or kept because it failed."""
        return self.pending + self.delayed + self.processing + self.dead

    def arrive(self, since: int, amount: int = 1) -> None:
        """So many more are pending, dating from ``since``."""
        self.pending += amount
        if since in self._since:
            self._since[since] += amount
        else:
            self._since[since] = amount
            heappush(self._heap, since)

    def leave(self, since: int, amount: int = 1) -> None:
        """So many fewer are pending."""
        self.pending -= amount
        left = self._since[since] - amount
        if left:
            self._since[since] = left
            return
        del self._since[since]
        # Left to itself the heap would keep a time per batch for as long as an old one is pending.
        if len(self._heap) > 64 and len(self._heap) > 2 * len(self._since):
            self._heap = list(self._since)
            heapify(self._heap)

    def end(self, well: bool, dead: bool) -> None:
        """One more has ended."""
        if well:
            self.completed += 1
        else:
            self.failed += 1
        if dead:
            self.dead += 1


class Tally(dict[str, Counts]):
    """Counts of all queues; a queue that is asked for is there."""

    __slots__ = ()

    def __missing__(self, queue: str) -> Counts:
        counts = self[queue] = Counts()
        return counts
