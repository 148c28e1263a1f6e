"""What tests of actors need: a clock they turn by hand, a sink that remembers, and a dispatcher without threads.

Shipped, so that users can test their own actors the same way.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from actors.runtime import waiting
from actors.runtime.clock import Timer, TimerHeap, checked_delay, run_callback
from actors.runtime.context import context
from actors.runtime.errors import NotRunning
from actors.runtime.incarnation import MORE, Incarnation
from actors.runtime.promise import Promise


class ManualClock:
    """Time that moves only by ``advance``. Safe to use beside real threads."""

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self._start_ms = now_ms
        self._seconds = 0.0
        self._timers = TimerHeap()
        self._closed = False

    def now(self) -> int:
        return self._start_ms + round(self._seconds * 1000)

    def monotonic(self) -> float:
        return self._seconds

    def call_later(self, delay_seconds: float, callback: Callable[[], None]) -> Timer:
        if self._closed:
            raise NotRunning("the clock is closed")
        return self._timers.add(self._seconds + checked_delay(delay_seconds), callback)

    def advance(self, seconds: float, between: Callable[[], object] | None = None) -> None:
        """Move on; timers fire here, in order, each at its own time, also those set on the way.

        ``between`` is called after each of them and at the end (``stepper.run``: actors see every moment as it comes).
        """
        end = self._seconds + checked_delay(seconds)
        while (due := self._timers.next_due()) is not None and due <= end:
            self._seconds = max(self._seconds, due)
            callback = self._timers.pop(self._seconds)
            if callback is not None:
                run_callback(callback)
                if between is not None:
                    between()
        self._seconds = end
        if between is not None:
            between()

    def jump_wall(self, seconds: float) -> None:
        """The wall clock is set; a steady clock does not follow, so nothing changes but this call being possible."""

    def pending(self) -> int:
        """How many timers are set."""
        return len(self._timers)

    def close(self) -> None:
        self._closed = True
        self._timers.clear()


class Probe:
    """Takes messages as a ``Ref`` does, from any thread, and lets a test wait for them."""

    def __init__(self, name: str = "probe") -> None:
        self.name = name
        self._messages: list[Any] = []
        self._changed = threading.Condition()

    def __repr__(self) -> str:
        return f"<Probe {self.name}>"

    def tell(self, message: Any) -> None:
        """Remember it."""
        with self._changed:
            self._messages.append(message)
            self._changed.notify_all()

    __call__ = tell  # usable as a callback

    def tell_many(self, messages: Sequence[Any]) -> None:
        """Remember them."""
        with self._changed:
            self._messages.extend(messages)
            self._changed.notify_all()

    def ask(self, message: Any, timeout: float | None = None, *, block: bool = True) -> Any:
        """Remembered as ``(message, promise)``: the test answers by ``promise.set(...)``."""
        promise: Promise[Any] = Promise()
        self.tell((message, promise))
        return promise.get(timeout) if block else promise

    def alive(self) -> bool:
        """Always."""
        return True

    def depth(self) -> int:
        """How many were not expected yet."""
        return len(self._messages)

    @property
    def messages(self) -> list[Any]:
        """Those not expected yet."""
        with self._changed:
            return list(self._messages)

    def clear(self) -> None:
        """Forget them."""
        with self._changed:
            self._messages.clear()

    def expect(self, what: type | Callable[[Any], object] | None = None, timeout: float = 5) -> Any:
        """The first message of that type, or for which the predicate holds, or any; taken out, others stay.

        Waits up to ``timeout`` seconds (with a stepper, runs it). Raises ``AssertionError`` naming what came instead.
        """
        taken: list[Any] = []

        def take() -> bool:
            if not taken:
                for place, message in enumerate(self._messages):
                    if _matches(what, message):
                        taken.append(self._messages.pop(place))
                        break
            return bool(taken)

        deadline = time.monotonic() + timeout
        if context.stepper is not None:
            waiting.wait_stepping(context.stepper, take, deadline)
        else:
            with self._changed:
                self._changed.wait_for(take, timeout)
        if not taken:
            raise AssertionError(f"{self.name}: waited {timeout} s for {what}; there is {self.messages!r}")
        return taken[0]

    def expect_many(self, count: int, timeout: float = 5) -> list[Any]:
        """The next ``count`` messages, whatever they are."""
        deadline = time.monotonic() + timeout
        return [self.expect(None, max(0.0, deadline - time.monotonic())) for _ in range(count)]


def _matches(what: type | Callable[[Any], object] | None, message: Any) -> bool:
    if what is None:
        return True
    return isinstance(message, what) if isinstance(what, type) else bool(what(message))


class Stepper:
    """A dispatcher that runs every actor of a runtime on the thread that calls ``run``, in an order it decides.

    ``choose(names)`` picks the index of the actor that goes next; ``seed`` makes that choice by chance, repeatably;
    neither: first come, first served. ``slice_size`` limits the messages of a step (1: the finest interleaving).
    """

    has_threads = False
    movable = True

    def __init__(
        self,
        choose: Callable[[list[str]], int] | None = None,
        *,
        seed: int | None = None,
        slice_size: int = 0,
    ) -> None:
        self._ready: deque[Incarnation] = deque()
        self._slice_size = slice_size
        self._choose = choose
        if choose is None and seed is not None:
            chance = random.Random(seed)  # noqa: S311 - a schedule, not a secret
            self._choose = lambda names: chance.randrange(len(names))

    def run(self, max_steps: int = 100_000) -> int:
        """Run slices until nothing is runnable; how many. Raises ``RuntimeError`` if that never happens."""
        for steps in range(max_steps):
            if not self.step():
                return steps
        if self._ready:
            raise RuntimeError(f"still busy after {max_steps} steps: {[one.cell.name for one in self._ready][:10]}")
        return max_steps

    def step(self) -> bool:
        """Run one slice; False: nothing was runnable."""
        if not self._ready:
            return False
        if self._choose is None or len(self._ready) == 1:
            one = self._ready.popleft()
        else:
            place = self._choose([one.cell.name for one in self._ready])
            one = self._ready[place]
            del self._ready[place]
        if one.run_slice(self._slice_size) == MORE:
            self._ready.append(one)
        return True

    def runnable(self) -> list[str]:
        """The names of those that could go next."""
        return [one.cell.name for one in tuple(self._ready)]

    # ------------------------------------------------------------ as a dispatcher

    def start(self) -> None:
        """Nothing to start."""

    def ready(self, incarnation: Incarnation) -> None:
        """Runnable from now on."""
        self._ready.append(incarnation)

    def abandon(self, incarnation: Incarnation, *, hung: bool) -> None:
        """Its slice, if one is on, is the caller's own: nothing to replace."""

    def stop(self, timeout: float | None = None) -> bool:  # noqa: ARG002 - as every dispatcher's
        """Nothing to join."""
        self._ready.clear()
        return True
