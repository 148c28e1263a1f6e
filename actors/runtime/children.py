"""The children of a static supervisor, and what is still to be done to them."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from actors.runtime.clock import Timer
from actors.runtime.promise import Promise

if TYPE_CHECKING:
    from actors.runtime.cell import Cell

DOWN, STARTING, UP, STOPPING = "down", "starting", "up", "stopping"


class Child:
    """One child: where it is (``state``) and where it should be (``want``: up; ``bounce``: down first)."""

    __slots__ = (
        "bounce",
        "cell",
        "delay",
        "failures",
        "halted",
        "order",
        "own",
        "remove",
        "started_before",
        "starting",
        "state",
        "stopping",
        "timer",
        "up_since",
        "want",
    )

    def __init__(self, cell: Cell, order: int, *, own: bool) -> None:
        self.cell = cell
        self.order = order
        self.own = own  #: in the supervisor's spec, so a restart of the supervisor brings it back
        self.state = DOWN
        self.want = True
        self.bounce = False
        self.remove = False  #: forget its spec once it is down
        self.halted = False  #: an operator stopped it
        self.started_before = False
        self.failures = 0  #: restarts in a row, for the backoff
        self.up_since = 0.0
        self.timer: Timer | None = None  #: of its stop
        self.delay: Timer | None = None  #: of its next start
        self.starting: list[Promise[Any]] = []  #: answered when it is up
        self.stopping: list[Promise[Any]] = []  #: answered when it is down

    @property
    def alive(self) -> bool:
        return self.state != DOWN


class Children:
    """By name, in start order, with two queues: whom to start (lowest first), whom to stop (highest first).

    The queues may hold children that changed their mind; ``next_*`` skips those. So each event costs O(log n) and a
    supervisor of n children starts and stops them in O(n log n).
    """

    def __init__(self) -> None:
        self._by_name: dict[str, Child] = {}
        self._starts: list[tuple[int, Child]] = []
        self._stops: list[tuple[int, Child]] = []
        self._orders = 0
        self.counts = {DOWN: 0, STARTING: 0, UP: 0, STOPPING: 0}

    def __iter__(self) -> Iterator[Child]:
        return iter(tuple(self._by_name.values()))

    def __len__(self) -> int:
        return len(self._by_name)

    def get(self, name: str) -> Child | None:
        return self._by_name.get(name)

    def add(self, cell: Cell, *, own: bool) -> Child:
        self._orders += 1
        child = Child(cell, self._orders, own=own)
        self._by_name[cell.name] = child
        self.counts[DOWN] += 1
        return child

    def remove(self, child: Child) -> None:
        if self._by_name.get(child.cell.name) is child:
            del self._by_name[child.cell.name]
            self.counts[child.state] -= 1
            child.want = False

    def move(self, child: Child, state: str) -> None:
        self.counts[child.state] -= 1
        self.counts[state] += 1
        child.state = state

    def group(self, child: Child, strategy: str) -> list[Child]:
        """Those that go down with it."""
        if strategy == "one_for_one":
            return []
        first = 0 if strategy == "one_for_all" else child.order
        return [one for one in self._by_name.values() if one is not child and one.order > first]

    def significant_without(self, child: Child) -> bool:
        """Whether another significant one lives, or is to."""
        others = (one for one in self._by_name.values() if one is not child)
        return any(one.cell.spec.significant and (one.alive or one.want) for one in others)

    @property
    def live(self) -> int:
        """How many are not down."""
        return len(self._by_name) - self.counts[DOWN]

    def to_start(self, child: Child) -> None:
        heapq.heappush(self._starts, (child.order, child))

    def to_stop(self, child: Child) -> None:
        heapq.heappush(self._stops, (-child.order, child))

    def next_start(self) -> Child | None:
        """The first that should be up and is down; it may be waiting out a delay."""
        while self._starts:
            child = self._starts[0][1]
            if child.want and child.state == DOWN and self._by_name.get(child.cell.name) is child:
                return child
            heapq.heappop(self._starts)
        return None

    def next_stop(self) -> Child | None:
        """The last that is up and should be down."""
        while self._stops:
            child = self._stops[0][1]
            if child.state in (STARTING, UP) and (child.bounce or not child.want):
                return child
            heapq.heappop(self._stops)
        return None

    def started(self) -> None:
        """The one ``next_start`` gave is dealt with."""
        heapq.heappop(self._starts)

    def stopped(self) -> None:
        """The one ``next_stop`` gave is dealt with."""
        heapq.heappop(self._stops)
