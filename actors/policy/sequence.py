"""Senders that number their messages 1, 2, 3 ...: back into order what overtook on the way, once each.

A number that comes too early is held until the missing ones came, or until it has waited ``gap_timeout``; then it goes
on without them, and the gap is noted. A missing number that comes after that is late, not lost: it is released, out of
order, because only its sender can know what it is worth now.

A sender that is not known (this is a new process, or it was forgotten) may be beginning or may be far on. Within the
number of messages that could be held, it is taken to be beginning; beyond, its first number is where it stands, and
lower ones are late. A sender that begins again at 1 must take another name, or everything it sends is
a repeat. Not thread-safe: it has one owner.
"""

from __future__ import annotations

from bisect import insort
from collections import OrderedDict, deque
from enum import StrEnum
from heapq import heapify, heappop, heappush
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")

MAX_HELD = 100
MAX_SENDERS = 10_000
GAPS_KEPT = 1_000  # noted and not taken yet; the oldest are forgotten
RANGES_KEPT = 32  # ranges of missing numbers of one sender; a number of a forgotten range counts as a repeat


class Order(StrEnum):
    """What a number is to its sender's order."""

    NEXT = "next"  #: released, with those that waited for it
    LATE = "late"  #: released although later ones went before
    HELD = "held"  #: waits for earlier ones
    DUPLICATE = "duplicate"  #: was released before
    WAITING = "waiting"  #: is held already; this second one is not kept: come back when the first was released
    REFUSED = "refused"  #: too much is held already


class Offered(NamedTuple, Generic[T]):
    """The answer to one offer."""

    released: tuple[T, ...]  #: in order
    verdict: Order

    @property
    def repeat(self) -> bool:
        """The number was released before."""
        return self.verdict is Order.DUPLICATE

    @property
    def refused(self) -> bool:
        """Neither released nor held; the sender must offer it again."""
        return self.verdict in (Order.REFUSED, Order.WAITING)


class Gap(NamedTuple):
    """Numbers that did not come in time."""

    sender: str
    first: int
    last: int
    at: int


class _Sender(Generic[T]):
    __slots__ = ("deadline", "expected", "held", "missing")

    def __init__(self, expected: int) -> None:
        self.expected = expected
        self.held: dict[int, tuple[T, int]] = {}  # number -> item, since when
        self.missing: list[tuple[int, int]] = []  # ranges below ``expected`` that were never seen, ascending
        self.deadline = 0  # of the held one that has waited longest; 0: none is held
        self.skip_to(expected, since=1)

    def run(self) -> list[T]:
        """What is next in order, taken out."""
        released = []
        while self.expected in self.held:
            released.append(self.held.pop(self.expected)[0])
            self.expected += 1
        return released

    def skip_to(self, number: int, since: int) -> None:
        """Go on from ``number``; what lies before it, from ``since``, is missing."""
        self.expected = number
        if since < number:
            self.missing.append((since, number - 1))
            del self.missing[:-RANGES_KEPT]

    def was_missing(self, number: int) -> bool:
        """Whether it was; it is not any more."""
        for at, (first, last) in enumerate(self.missing):
            if first <= number <= last:
                around = ((first, number - 1), (number + 1, last))
                self.missing[at : at + 1] = [rest for rest in around if rest[0] <= rest[1]]
                del self.missing[:-RANGES_KEPT]
                return True
        return False


class Sequences(Generic[T]):
    """The numbers of all senders; of those with nothing held, the longest silent is forgotten first."""

    def __init__(self, *, gap_timeout: int = 5_000, max_held: int = MAX_HELD, max_senders: int = MAX_SENDERS) -> None:
        if min(gap_timeout, max_held, max_senders) < 1:
            raise ValueError("gap_timeout, max_held and max_senders are at least 1")
        self._gap_timeout = gap_timeout
        self._max_held = max_held
        self._max_senders = max_senders
        self._calm: OrderedDict[str, _Sender[T]] = OrderedDict()  # nothing held; longest silent first
        self._waiting: dict[str, _Sender[T]] = {}  # something held
        self._deadlines: list[tuple[int, str]] = []  # a heap; entries that are no sender's deadline are stale
        self._gaps: deque[Gap] = deque(maxlen=GAPS_KEPT)

    def __len__(self) -> int:
        """Senders known."""
        return len(self._calm) + len(self._waiting)

    def offer(self, sender: str, number: int, item: T, now: int) -> Offered[T]:
        """Message ``number`` (1 and up) of ``sender`` came."""
        if number < 1:
            raise ValueError(f"number {number}, the first is 1")
        known = self._waiting.get(sender) or self._calm.get(sender)
        if known is None:
            known = self._remember(sender, number)
            if known is None:
                return Offered((), Order.REFUSED)
        if sender in self._calm:
            self._calm.move_to_end(sender)
        if number < known.expected:
            if known.was_missing(number):
                return Offered((item,), Order.LATE)
            return Offered((), Order.DUPLICATE)
        if number > known.expected:
            return Offered((), self._hold(sender, known, number, item, now))
        known.expected += 1
        released = (item, *known.run()) if known.held else (item,)
        if known.deadline:
            self._settle(sender, known)
        return Offered(released, Order.NEXT)

    def due(self, now: int) -> list[T]:
        """What has waited long enough, in its senders' order; the gaps before it are noted (``take_gaps``)."""
        released: list[T] = []
        while (at := self.next_due()) and at <= now:
            sender = self._deadlines[0][1]
            known = self._waiting[sender]
            last = max(number for number, (_, since) in known.held.items() if since + self._gap_timeout <= now)
            while known.expected <= last:
                missing = min(known.held)
                self._gaps.append(Gap(sender, known.expected, missing - 1, now))
                known.skip_to(missing, since=known.expected)
                released += known.run()
            self._settle(sender, known)
        return released

    def give_back(self, sender: str, number: int) -> None:
        """It was released and then not taken after all: when it comes again it is late, not a repeat."""
        known = self._waiting.get(sender) or self._calm.get(sender)
        if known is not None and number < known.expected:
            insort(known.missing, (number, number))
            del known.missing[:-RANGES_KEPT]

    def clear(self) -> list[T]:
        """Wait for nobody any more: everything held, in its senders' order; all senders are forgotten."""
        held = [known.held[number][0] for known in self._waiting.values() for number in sorted(known.held)]
        self._calm.clear()
        self._waiting.clear()
        self._deadlines.clear()
        return held

    def next_due(self) -> int:
        """When ``due`` has something to give (ms since the epoch); 0: nothing is held."""
        while self._deadlines:
            at, sender = self._deadlines[0]
            known = self._waiting.get(sender)
            if known is not None and known.deadline == at:
                return at
            heappop(self._deadlines)
        return 0

    def take_gaps(self) -> list[Gap]:
        """The gaps noted since the last call."""
        gaps = list(self._gaps)
        self._gaps.clear()
        return gaps

    def _remember(self, sender: str, number: int) -> _Sender[T] | None:
        if len(self) >= self._max_senders:
            if not self._calm:
                return None
            self._calm.popitem(last=False)
        known = self._calm[sender] = _Sender[T](1 if number <= self._max_held else number)
        return known

    def _hold(self, sender: str, known: _Sender[T], number: int, item: T, now: int) -> Order:
        if number in known.held:
            return Order.WAITING
        if len(known.held) >= self._max_held:
            return Order.REFUSED
        known.held[number] = (item, now)
        if not known.deadline:
            self._waiting[sender] = self._calm.pop(sender)
            self._expect(sender, known, now + self._gap_timeout)
        return Order.HELD

    def _settle(self, sender: str, known: _Sender[T]) -> None:
        """After something was released: a new deadline, or none."""
        if known.held:
            at = min(since for _, since in known.held.values()) + self._gap_timeout
            if at != known.deadline:
                self._expect(sender, known, at)
        else:
            known.deadline = 0
            self._calm[sender] = self._waiting.pop(sender)

    def _expect(self, sender: str, known: _Sender[T], at: int) -> None:
        known.deadline = at
        heappush(self._deadlines, (at, sender))
        if len(self._deadlines) > 2 * len(self._waiting) + 1_000:
            self._deadlines = [(each.deadline, name) for name, each in self._waiting.items()]
            heapify(self._deadlines)
