"""A few threads that call sync handlers. One that hangs is replaced: a thread cannot be killed, only written off.

Waking a thread costs more than a short handler does, and threads that all want the interpreter slow each other down.
So while one works off what comes, the others sleep, but for a **lookout**: it looks every few milliseconds whether the
work goes on, takes a hand in it when it does not, and sends one home when handlers are shorter than that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Condition, Lock, Thread, current_thread
from time import monotonic
from typing import Generic, TypeVar

T = TypeVar("T")

LOOK = 0.005
"""Seconds after which an item that waits behind running ones is taken by another thread.

A thread may wait as long for the interpreter (``sys.getswitchinterval``), and looks the same as a handler that blocks.
"""

SHORT = 4
"""Items each thread has done between two looks when fewer threads would do."""


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
        self._lock = Lock()
        self._shift = _Shift[T](self._lock)
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
            # Threads that hung through a close find the end of the shift they belong to.
            self._shift = _Shift[T](self._lock)
            for _ in range(self._workers):
                self._add()

    def put(self, item: T) -> None:
        """Have ``item`` worked on, after those before it."""
        self._shift.put(item)

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
            self._shift.step_out()
            if self.hung <= self._max_hung and not self._closed:
                self._add()

    def close(self, seconds: float) -> int:
        """End the threads once nothing waits; returns how many still hang after ``seconds``."""
        with self._lock:
            self._closed = True
            self._shift.end()
            threads = list(self._threads)
        until = monotonic() + seconds
        for thread in threads:
            thread.join(max(0.0, until - monotonic()))
        return sum(thread.is_alive() for thread in threads)

    def _add(self) -> None:
        # Called with the lock held.
        self._count += 1
        name = f"{self._name}-{self._count}"
        thread = Thread(target=self._run, args=(self._shift,), name=name, daemon=True)
        self._threads.add(thread)
        thread.start()

    def _run(self, shift: _Shift[T]) -> None:
        while shift.begin() and self._work_off(shift):
            pass
        with self._lock:
            self._threads.discard(current_thread())

    def _work_off(self, shift: _Shift[T]) -> bool:
        """Until nothing waits; ``False``: this thread is one too many."""
        work = self._work
        while (item := shift.next()) is not None:
            back = work(item)
            item = None  # what it held is not kept while waiting for the next
            shift.done += 1
            if back and not self._returned(shift):
                return False
        return True

    def _returned(self, shift: _Shift[T]) -> bool:
        """A thread that was written off is back; whether there is a place for it."""
        with self._lock:
            self.hung -= 1
            if len(self._threads) - self.hung > self._workers:
                return False
            shift.step_in()
            return True


class _Shift(Generic[T]):
    """What waits, and who is awake: a thread is at work, on the lookout, or asleep. All share the pool's lock."""

    def __init__(self, lock: Lock) -> None:
        self._items: deque[T] = deque()
        self._wake = Condition(lock)
        self._asleep = 0
        self._at_work = 0  # those that were called, too
        self._called = 0  # to work, and not there yet
        self._lookout = _NOBODY
        self._over = False
        self._spare = False  # one of those at work is to go
        self.done = 0  #: items done; several threads add to it, so it may miss one: it is a sign of life only

    def put(self, item: T) -> None:
        self._items.append(item)
        # Whoever stops working or looking says so before a last look at the items: either that look finds this one,
        # or it is seen here that nobody is there.
        if self._at_work and self._lookout:
            return
        with self._wake:
            if not self._asleep:
                return  # whoever falls asleep looks first
            if not self._at_work:
                self._at_work = self._called = 1
                self._wake.notify()
            elif not self._lookout:
                self._lookout = _CALLED
                self._wake.notify()

    def next(self) -> T | None:
        """For a thread at work; ``None``: nothing waits, and it is not at work any more."""
        if not self._spare:
            try:
                return self._items.popleft()
            except IndexError:
                pass
        with self._wake:
            self._at_work -= 1
            spare, self._spare = self._spare, False
            if self._items and not (spare and self._at_work):
                self._at_work += 1
                return self._items.popleft()
        return None

    def begin(self) -> bool:
        """Sleep, look out, until there is work for the caller; ``False``: the shift is over."""
        with self._wake:
            while True:
                if self._called:
                    self._called = 0
                    return True
                if self._items and (not self._at_work or (self._lookout != _THERE and self._look_out())):
                    self._at_work += 1
                    return True
                if self._lookout == _CALLED:
                    self._lookout = _NOBODY
                if self._items:
                    if self._lookout:
                        self._sleep()
                elif self._over:
                    return False
                else:
                    self._sleep()

    def _look_out(self) -> bool:
        """Whether there is something for one more thread to do."""
        self._lookout = _THERE
        seen = self.done
        while True:
            self._wake.wait(LOOK)
            if not self._items or self._called or not self._at_work:
                break
            done, seen = self.done - seen, self.done
            if not done:
                break
            self._spare = self._at_work > 1 and done > SHORT * self._at_work
        self._lookout = _NOBODY
        if self._items and self._asleep:  # the next one
            self._lookout = _CALLED
            self._wake.notify()
        return bool(self._items) and not self._called

    def _sleep(self) -> None:
        self._asleep += 1
        self._wake.wait()
        self._asleep -= 1

    def step_out(self) -> None:
        """One that was at work hangs. Called with the lock held, as those below."""
        self._at_work -= 1
        self._wake.notify()

    def step_in(self) -> None:
        """It is back."""
        self._at_work += 1

    def end(self) -> None:
        """Nothing more comes; what waits is still done."""
        self._over = True
        self._wake.notify_all()


_NOBODY, _CALLED, _THERE = 0, 1, 2
