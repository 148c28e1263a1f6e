"""Several ordered lists, one per partition, read as one: page by page, each round trip for all that ran out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from heapq import heapify, heappop, heappush
from typing import Any, Generic, TypeVar

from router.stores.redis.link import Call

T = TypeVar("T")


class Source(Generic[T]):
    """One list. ``call(cursor, size)`` reads on; ``read(answer)`` gives (key, item) pairs and the next cursor.

    It has ended when ``read`` gives fewer than were asked for.
    """

    def __init__(
        self,
        start: Any,
        call: Callable[[Any, int], Call],
        read: Callable[[Any, Any], tuple[list[tuple[Any, T]], Any]],
        size: int,
    ) -> None:
        self._cursor = start
        self._call = call
        self._read = read
        self._size = size
        self._over = False
        self.items: deque[tuple[Any, T]] = deque()

    @property
    def hungry(self) -> bool:
        """More has to be read before it can be said what comes next."""
        return not self.items and not self._over

    def call(self) -> Call:
        """The next page."""
        return self._call(self._cursor, self._size)

    def take(self, answer: Any) -> None:
        """The page."""
        page, self._cursor = self._read(answer, self._cursor)
        self._over = len(page) < self._size
        self.items.extend(page)
        self._size = min(2 * self._size, 2_000)  # who ran out first has more than the others


def merged(run: Callable[[Sequence[Call]], list[Any]], sources: Sequence[Source[T]]) -> Iterator[T]:
    """Items of all in the order of their keys."""
    heap: list[tuple[Any, int, Source[T]]] = []
    waiting = list(enumerate(sources))
    while True:
        while hungry := [each for each in waiting if each[1].hungry]:
            for (_, source), answer in zip(hungry, run([source.call() for _, source in hungry]), strict=True):
                source.take(answer)
        heap += [(source.items[0][0], number, source) for number, source in waiting if source.items]
        heapify(heap)
        waiting = []
        while heap and not waiting:
            _, number, source = heappop(heap)
            yield source.items.popleft()[1]
            if source.items:
                heappush(heap, (source.items[0][0], number, source))
            else:
                waiting.append((number, source))
        if not heap and not waiting:
            return


def share(limit: int, sources: int) -> int:
    """The first page of each, when ``limit`` items are wanted of all."""
    return max(1, min(limit, limit * 5 // (4 * max(1, sources)) + 16))
