"""Time as an object, so that tests can own it."""

from __future__ import annotations

import heapq
import itertools
import logging
import math
import threading
import time
from collections.abc import Callable
from typing import Protocol

from actors.runtime.context import context
from actors.runtime.errors import NotRunning

logger = logging.getLogger("actors.runtime")

#: a wait longer than this is refused by the operating system; the thread wakes, looks, and waits again
LONGEST_WAIT = 86_400.0


class Timer:
    """One call in the future. ``cancel()`` may be called from any thread, any number of times."""

    __slots__ = ("_heap", "callback", "due", "order")

    def __init__(self, due: float, order: int, callback: Callable[[], None], heap: TimerHeap) -> None:
        self.due = due  #: monotonic seconds
        self.order = order
        self.callback: Callable[[], None] | None = callback
        self._heap = heap

    def __lt__(self, other: Timer) -> bool:
        return (self.due, self.order) < (other.due, other.order)

    def cancel(self) -> None:
        """Not called any more, unless it is being called right now."""
        self._heap.cancel(self)

    @property
    def pending(self) -> bool:
        """Neither called nor cancelled."""
        return self.callback is not None


class TimerHeap:
    """Timers by due time, equal ones in the order they were made. Not more than half of it is cancelled ones."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._heap: list[Timer] = []
        self._order = itertools.count()
        self._cancelled = 0

    def __len__(self) -> int:
        return len(self._heap) - self._cancelled

    def add(self, due: float, callback: Callable[[], None]) -> Timer:
        with self.lock:
            timer = Timer(due, next(self._order), callback, self)
            heapq.heappush(self._heap, timer)
            return timer

    def cancel(self, timer: Timer) -> None:
        with self.lock:
            if timer.callback is None:
                return
            timer.callback = None
            self._cancelled += 1
            # timeouts that are nearly always cancelled would otherwise stay until they are due
            if self._cancelled > 64 and self._cancelled * 2 > len(self._heap):
                self._heap = [one for one in self._heap if one.callback is not None]
                heapq.heapify(self._heap)
                self._cancelled = 0

    def next_due(self) -> float | None:
        """When the next one is due, monotonic seconds."""
        with self.lock:
            while self._heap and self._heap[0].callback is None:
                heapq.heappop(self._heap)
                self._cancelled -= 1
            return self._heap[0].due if self._heap else None

    def pop(self, now: float) -> Callable[[], None] | None:
        """The next callback that is due; it is not pending any more."""
        with self.lock:
            due = self.next_due()
            if due is None or due > now:
                return None
            timer = heapq.heappop(self._heap)
            callback, timer.callback = timer.callback, None
            return callback

    def clear(self) -> None:
        with self.lock:
            for timer in self._heap:
                timer.callback = None
            self._heap.clear()
            self._cancelled = 0


class Clock(Protocol):
    """What actors may know of time."""

    def now(self) -> int:
        """Milliseconds since the epoch; steady: a jump of the wall clock does not show."""

    def monotonic(self) -> float:
        """Seconds that only rise; for measuring."""

    def call_later(self, delay_seconds: float, callback: Callable[[], None]) -> Timer:
        """Call it once, from the clock's thread; it must be quick. Raises ``NotRunning`` after ``close``."""

    def close(self) -> None:
        """Forget all timers; idempotent."""


def checked_delay(delay_seconds: float) -> float:
    """Raises ``ValueError`` for what is no duration; a negative one is 0."""
    if not math.isfinite(delay_seconds):
        raise ValueError(f"a delay is a finite number of seconds, not {delay_seconds!r}")
    return max(0.0, delay_seconds)


class SystemClock:
    """Real time. The wall clock is read once; from there on monotonic time counts, so nobody can turn it back."""

    def __init__(self) -> None:
        self._timers = TimerHeap()
        self._changed = threading.Condition(self._timers.lock)
        self._thread: threading.Thread | None = None
        self._closed = False
        # both are read together once; afterwards only the second moves
        self._wall_ns = time.time_ns()
        self._start_ns = time.monotonic_ns()

    def now(self) -> int:
        return (self._wall_ns + time.monotonic_ns() - self._start_ns) // 1_000_000

    def set(self, now: int) -> None:
        """Count from this time, somebody else's, instead of this machine's; before anybody has read it."""
        self._wall_ns, self._start_ns = now * 1_000_000, time.monotonic_ns()

    def monotonic(self) -> float:
        return time.monotonic()

    def call_later(self, delay_seconds: float, callback: Callable[[], None]) -> Timer:
        due = time.monotonic() + checked_delay(delay_seconds)
        with self._changed:
            if self._closed:
                raise NotRunning("the clock is closed")
            first = self._timers.next_due()
            timer = self._timers.add(due, callback)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="clock", daemon=True)
                self._thread.start()
            elif first is None or due < first:
                self._changed.notify()
            return timer

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._timers.clear()
            self._changed.notify()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _run(self) -> None:
        context.serves_all = True
        while True:
            with self._changed:
                if self._closed:
                    return
                now = time.monotonic()
                callback = self._timers.pop(now)
                if callback is None:
                    due = self._timers.next_due()
                    self._changed.wait(None if due is None else min(due - now, LONGEST_WAIT))
                    continue
            run_callback(callback)


def run_callback(callback: Callable[[], None]) -> None:
    """One bad callback may not end the clock of everybody."""
    try:
        callback()
    except BaseException:
        logger.exception("a timer's callback raised: %r", callback)
