"""The vital signs of a service: how many of its latest calls went wrong, and how long they took.

Counted over a sliding window in slices, and times in buckets, so it costs the same however busy the service is. A
percentile is the upper edge of the bucket it falls into: never better than the truth, and at most a quarter worse.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from typing import NamedTuple

WINDOW = 60_000
SLICES = 6

# ms; each at most a quarter above the one before, from 4 on
EDGES = (
    *(1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 18, 22, 27, 33, 40, 50, 60, 75, 90, 110, 135, 165, 200, 250, 310, 385, 480),
    *(600, 750, 930, 1_160, 1_450, 1_800, 2_250, 2_800, 3_500, 4_350, 5_400, 6_750, 8_400, 10_500, 13_000, 16_000),
    *(20_000, 25_000, 31_000, 38_000, 47_000, 58_000, 72_000, 90_000, 110_000, 135_000, 165_000, 200_000, 250_000),
    *(300_000, 370_000, 460_000, 570_000, 700_000, 870_000, 1_080_000, 1_350_000, 1_680_000, 2_100_000, 2_600_000),
    3_250_000,
)


class Reading(NamedTuple):
    """What a window says."""

    calls: int
    failed: int
    p50: int = 0  #: ms; 0: no call was timed
    p95: int = 0
    p99: int = 0

    @property
    def error_rate(self) -> float:
        """Share of the calls that failed; 0 without calls."""
        return self.failed / self.calls if self.calls else 0.0


class _Slice:
    __slots__ = ("buckets", "calls", "failed", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self.calls = 0
        self.failed = 0
        self.buckets: dict[int, int] = {}


class Window:
    """Calls of the last ``width`` ms. Not thread-safe: it has one owner."""

    def __init__(self, width: int = WINDOW) -> None:
        self._each = -(-width // SLICES)
        self._slices: deque[_Slice] = deque()

    def add(self, now: int, ms: float, *, well: bool) -> None:
        """One call has ended after ``ms``. What failed is not timed: it says nothing of how quick the service is."""
        number = now // self._each
        slices = self._slices
        if not slices or slices[-1].number < number:
            slices.append(_Slice(number))
            self._forget(number)
        newest = slices[-1]
        newest.calls += 1
        if well:
            bucket = bisect_left(EDGES, ms)
            newest.buckets[bucket] = newest.buckets.get(bucket, 0) + 1
        else:
            newest.failed += 1

    def read(self, now: int) -> Reading:
        """Of the calls that are still in the window."""
        self._forget(now // self._each)
        calls = failed = 0
        buckets: dict[int, int] = {}
        for each in self._slices:
            calls += each.calls
            failed += each.failed
            for bucket, count in each.buckets.items():
                buckets[bucket] = buckets.get(bucket, 0) + count
        timed = calls - failed
        return Reading(calls, failed, *(_percentile(buckets, timed, share) for share in (0.50, 0.95, 0.99)))

    def _forget(self, number: int) -> None:
        while self._slices and self._slices[0].number <= number - SLICES:
            self._slices.popleft()


def _percentile(buckets: dict[int, int], total: int, share: float) -> int:
    rank = share * total
    seen = 0
    for bucket in sorted(buckets):
        seen += buckets[bucket]
        if seen >= rank:
            return EDGES[min(bucket, len(EDGES) - 1)]
    return 0
