"""A few threads that call sync handlers. One that hangs is replaced: a thread cannot be killed, only written off."""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from threading import Lock, Thread, current_thread
from time import monotonic
from typing import Generic, TypeVar

T = TypeVar("T")


class Pool(Generic[T]):
    """``work(item)`` on one of ``workers`` threads; it never raises and returns whether the item was written off.

    ``written_off()`` is called while an item's ``work`` goes on for too long: another thread takes its place, up to
    ``max_hung`` times. When its work ends after all, there is one thread too many and it goes.
    """

    def __init__(self, work: Callable[[T], bool], *, workers: int, max_hung: int, name: str) -> None:
        if workers < 1:
            raise ValueError(f"workers must be 1 or more, not {workers}")
        self._work = work
        self._workers = workers
        self._max_hung = max_hung
        self._name = name
        self._items: SimpleQueue[T | None] = SimpleQueue()
        self._lock = Lock()
        self._threads: set[Thread] = set()
        self._count = 0  # threads ever made, for their names
        self._closed = True
        self.hung = 0  #: threads whose work was written off and goes on

    def open(self) -> None:
        """Start the threads; nothing if they run."""
        with self._lock:
            if not self._closed:
                return
            self._closed = False
            # Threads that hung through a close still find their stop marks in the old queue.
            self._items = SimpleQueue()
            for _ in range(self._workers):
                self._add()

    def put(self, item: T) -> None:
        """Have ``item`` worked on, after those before it."""
        self._items.put(item)

    @property
    def overloaded(self) -> bool:
        """Whether so many threads hang that nothing more should be started."""
        return self.hung >= self._max_hung

    @property
    def starved(self) -> bool:
        """Whether every thread hangs and none will be added."""
        return self.hung >= len(self._threads)

    def written_off(self) -> None:
        """One more thread hangs."""
        with self._lock:
            self.hung += 1
            if self.hung <= self._max_hung and not self._closed:
                self._add()

    def close(self, seconds: float) -> int:
        """End the threads; returns how many still hang after ``seconds``."""
        with self._lock:
            self._closed = True
            threads = list(self._threads)
        for _ in threads:
            self._items.put(None)
        until = monotonic() + seconds
        for thread in threads:
            thread.join(max(0.0, until - monotonic()))
        return sum(thread.is_alive() for thread in threads)

    def _add(self) -> None:
        # Called with the lock held.
        self._count += 1
        thread = Thread(target=self._run, name=f"{self._name}-{self._count}", daemon=True)
        self._threads.add(thread)
        thread.start()

    def _run(self) -> None:
        get, work = self._items.get, self._work
        while True:
            item = get()
            if item is None:
                break
            if work(item) and self._returned():
                break
            item = None  # what it held is not kept while waiting for the next
        with self._lock:
            self._threads.discard(current_thread())

    def _returned(self) -> bool:
        """A thread that was written off is back; whether it is one too many."""
        with self._lock:
            self.hung -= 1
            return len(self._threads) - self.hung > self._workers
