"""Where handlers run: sync ones on a pool of threads, async ones on an event loop, each within its time.

Knows nothing of commands: a ``Run`` says what to call and is told, exactly once, how it ended. Timeouts are one coarse
timer over everything under way, not one per run.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from enum import Enum
from threading import Condition, Lock
from typing import Any

from actors.outcome import Outcome
from actors.runtime.clock import Clock
from router.protocols import results
from router.protocols.coarse import NEVER, CoarseTimer
from router.protocols.loops import LoopGoneError, LoopSide
from router.protocols.pool import Pool

logger = logging.getLogger("router.protocols.handlers")

ASYNC_LIMIT = 1_000  # async handlers at once
WAITING_LIMIT = 10_000  # runs under way and waiting
HUNG_LIMIT = 8  # sync handlers that may hang on before nothing more is started
BUSY = 100  # ms; advice to come back
HUNG = 1_000  # ms; advice to come back
STOPPED = 1_000  # ms; advice to come back


class Stage(Enum):
    """Where a run is."""

    WAITING = 1
    RUNNING = 2
    GONE = 3  #: ended, or taken back before it began


class Run:
    """One call of a handler; subclasses say which and for whom. Times are milliseconds."""

    __slots__ = (
        "awaitable",
        "deadline",
        "hung",
        "is_async",
        "lapsed",
        "limit",
        "on_thread",
        "stage",
        "start_by",
        "timeout",
    )

    def __init__(self, *, is_async: bool, timeout: int, deadline: int = 0) -> None:
        self.is_async = is_async
        self.start_by = 0  #: not begun later; 0: whenever
        self.lapsed: Callable[[], bool] | None = None  #: not begun once it says so
        self.timeout = timeout  #: from its beginning; 0: the workshop's own
        self.deadline = deadline  #: not begun, and not waited for, later than this (since the epoch); 0: never
        self.stage = Stage.WAITING
        self.limit = NEVER  # when the timer looks at it
        self.on_thread = False
        self.hung = False
        self.awaitable: Awaitable[Any] | None = None

    def enter(self) -> bool:
        """It is about to begin; ``False``: its handler is not there any more."""
        return True

    def call(self, deadline: int) -> Any:  # noqa: ARG002 - for those who override it
        """Call it, on a worker or on the loop; an awaitable result is awaited on the loop. May raise anything."""
        raise TypeError(f"{type(self).__name__} says nothing to call")

    def outcome(self, value: Any) -> Outcome:
        """What its return value means."""
        return results.of_value(value)

    def over(self, outcome: Outcome) -> None:
        """It has ended; also after ``late``."""

    def late(self, outcome: Outcome) -> None:
        """Its time is over and it still runs: in doubt for whoever waits. Again after each ``Workshop.watch``."""

    def unstarted(self, outcome: Outcome) -> None:
        """It has not begun and never will; ``over`` is not called."""


class Workshop:
    """Thread-safe. Runs are told on the thread that ended them, never with a lock held."""

    def __init__(
        self,
        clock: Clock,
        *,
        workers: int,
        timeout: int,
        loop: asyncio.AbstractEventLoop | None = None,
        name: str = "handlers",
        max_hung: int = HUNG_LIMIT,
        waiting: int = WAITING_LIMIT,
    ) -> None:
        self._clock = clock
        self._timeout = timeout
        self._waiting = waiting
        self._runs: dict[Run, None] = {}
        self._lock = Lock()  # guards stages and limits
        self._ended = Condition(self._lock)
        self._timer = CoarseTimer(clock, self._look)
        self._closed = True
        self._pool: Pool[Run] = Pool(self._work, workers=workers, max_hung=max_hung, name=name)
        self._loops: LoopSide[Run] = LoopSide(self._drive, limit=ASYNC_LIMIT, name=name, loop=loop)

    def use_loop(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Run async handlers on this loop (``None``: our own); before ``open``."""
        self._loops.use(loop)

    def open(self) -> None:
        """Start the threads; nothing if it is open."""
        self._pool.open()
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether nothing can be started."""
        return self._closed

    @property
    def hung(self) -> int:
        """Sync handlers that were given up and still run."""
        return self._pool.hung

    def __len__(self) -> int:
        return len(self._runs)

    def refusal(self, run: Run) -> Outcome | None:
        """Why this run cannot be started now; ``None``: it can."""
        if self._closed:
            return results.deferred("shutting_down", "the handlers are stopped", STOPPED)
        if len(self._runs) >= self._waiting:
            return results.deferred("busy", f"{len(self._runs)} commands wait for a handler", BUSY)
        if not run.is_async and self._pool.overloaded:
            return results.deferred("handlers_hang", f"{self._pool.hung} handlers do not return", HUNG)
        return None

    def submit(self, run: Run) -> None:
        """Start it as soon as there is room. Never raises."""
        now = self._clock.now()
        # It may wait as long as it may run: longer, and the router should think again.
        limit = now + (run.timeout or self._timeout)
        run.limit = min(limit, run.deadline) if run.deadline else limit
        with self._lock:
            self._runs[run] = None
            closed = self._closed
        self._timer.want(run.limit, now)
        if closed:
            if self.withdraw(run):
                run.unstarted(results.deferred("shutting_down", "the handlers are stopped", STOPPED))
        elif run.is_async:
            self._to_loop(run)
        else:
            self._pool.put(run)

    def withdraw(self, run: Run) -> bool:
        """Take it back if it has not begun; it is told nothing then."""
        with self._lock:
            if run.stage is not Stage.WAITING:
                return False
            run.stage = Stage.GONE
            self._runs.pop(run, None)
            return True

    def watch(self, run: Run, deadline: int) -> None:
        """Somebody new waits for a run that was late: tell it again when it still runs after another while."""
        now = self._clock.now()
        limit = now + (run.timeout or self._timeout)
        limit = min(limit, deadline) if deadline else limit
        with self._lock:
            if run.stage is not Stage.RUNNING or run.limit != NEVER:
                return
            run.limit = limit
        self._timer.want(limit, now)

    def close(self, drain: float) -> None:
        """Hand back what waits, give what runs ``drain`` seconds, then call it in doubt and let go."""
        with self._lock:
            self._closed = True
            waiting = [run for run in self._runs if run.stage is Stage.WAITING]
        for run in waiting:
            if self.withdraw(run):
                run.unstarted(results.deferred("shutting_down", "the handlers are stopped", STOPPED))
        with self._lock:
            self._ended.wait_for(lambda: not self._runs, drain)
            left = list(self._runs)
            for run in left:
                run.limit = NEVER
        self._timer.stop()
        for run in left:
            self._tell_late(run, "shutting_down", "it was still running when the handlers were stopped")
        loop_ended = self._loops.close()
        # Idle threads end at once, and are nobody's handlers. Those that hang had their drain.
        stuck = sum(run.on_thread for run in left)
        alive = self._pool.close(0.0 if stuck else 1.0)
        if alive or not loop_ended:
            logger.warning("%d handlers went on when the router stopped", (stuck or alive) + (not loop_ended))

    # ------------------------------------------------------------ beginning and ending

    def _begin(self, run: Run, *, on_thread: bool) -> int:
        """The time by which it must have ended; 0: it may not begin, and was told."""
        now = self._clock.now()
        if (run.deadline and now >= run.deadline) or (run.start_by and now >= run.start_by):
            if self.withdraw(run):
                run.unstarted(results.deferred("too_late", "no handler was free before its deadline", BUSY))
            return 0
        if run.lapsed is not None and run.lapsed():
            if self.withdraw(run):
                run.unstarted(results.deferred("lease_lapsed", "its guild may be another router's by now", BUSY))
            return 0
        deadline = now + (run.timeout or self._timeout)
        if run.deadline and run.deadline < deadline:
            deadline = run.deadline
        with self._lock:
            if run.stage is not Stage.WAITING:
                return 0
            run.stage = Stage.RUNNING
            run.on_thread = on_thread
            run.limit = deadline
        self._timer.want(deadline, now)
        if not run.enter():
            self._leave(run)
            run.unstarted(results.deferred("no_handler", "its handler is gone", STOPPED))
            return 0
        return deadline

    def _end(self, run: Run, outcome: Outcome) -> bool:
        """Tell it; whether its thread had been written off."""
        self._leave(run)
        try:
            run.over(outcome)
        except Exception:
            logger.exception("whoever waited for a handler failed")
        return run.hung

    def _leave(self, run: Run) -> None:
        with self._lock:
            run.stage = Stage.GONE
            run.on_thread = False
            self._runs.pop(run, None)
            if self._closed:
                self._ended.notify_all()

    # ------------------------------------------------------------ sync, on a worker

    def _work(self, run: Run) -> bool:
        deadline = self._begin(run, on_thread=True)
        if not deadline:
            return False
        try:
            value = run.call(deadline)
            if value is not None and hasattr(type(value), "__await__"):
                return self._hand_over(run, value)
            outcome = run.outcome(value)
        except BaseException as error:  # noqa: BLE001 - whatever a handler does ends its attempt and nothing else
            outcome = results.of_error(error)
        return self._end(run, outcome)

    def _hand_over(self, run: Run, awaitable: Awaitable[Any]) -> bool:
        """A sync function gave something to await: the loop goes on with it, and this thread is free."""
        with self._lock:
            run.on_thread = False
            hung, run.hung = run.hung, False
            run.is_async = True
            run.awaitable = awaitable
        self._to_loop(run)
        return hung

    # ------------------------------------------------------------ async, on the loop

    def _to_loop(self, run: Run) -> None:
        try:
            self._loops.put(run)
        except LoopGoneError as error:
            if self.withdraw(run):
                run.unstarted(results.deferred("no_loop", str(error), STOPPED))
            elif run.stage is Stage.RUNNING:
                self._end(run, results.in_doubt("no_loop", str(error)))

    async def _drive(self, run: Run) -> None:
        awaitable = run.awaitable
        try:
            if awaitable is None:
                deadline = self._begin(run, on_thread=False)
                if not deadline:
                    return
                awaitable = run.call(deadline)
            value = await awaitable if inspect.isawaitable(awaitable) else awaitable
            outcome = run.outcome(value)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                outcome = results.in_doubt("cancelled", "it was cancelled while it ran")
            else:
                outcome = results.of_error(error)
        except GeneratorExit:
            outcome = results.in_doubt("no_loop", "its event loop was closed while it ran")
        except BaseException as error:  # noqa: BLE001 - as above; a SystemExit would end the loop with all its tasks
            outcome = results.of_error(error)
        self._end(run, outcome)

    # ------------------------------------------------------------ time

    def _look(self, now: int) -> int:
        overdue: list[Run] = []
        following = NEVER
        with self._lock:
            for run in self._runs:
                if run.limit <= now:
                    overdue.append(run)
                elif run.limit < following:
                    following = run.limit
        for run in overdue:
            self._overdue(run, now)
        return following

    def _overdue(self, run: Run, now: int) -> None:
        if self.withdraw(run):
            run.unstarted(results.deferred("busy", "no handler was free in time", BUSY))
            return
        with self._lock:
            if run.stage is not Stage.RUNNING or run.limit > now:
                return
            run.limit = NEVER
            writes_off = run.on_thread and not run.hung
            if writes_off:
                run.hung = True
        if writes_off:
            self._pool.written_off()
            logger.warning("a handler did not return in time; %d threads hang", self._pool.hung)
            if self._pool.starved:
                self._turn_away()
        self._tell_late(run, "timeout", "the handler did not end in time")

    def _tell_late(self, run: Run, code: str, message: str) -> None:
        try:
            run.late(results.in_doubt(code, message))
        except Exception:
            logger.exception("whoever waited for a handler failed")
        if run.is_async and not self._loops.cancel(run):
            self._end(run, results.in_doubt("no_loop", "its event loop was closed while it ran"))

    def _turn_away(self) -> None:
        """Every thread hangs and no more are made: what waits for one goes back."""
        with self._lock:
            waiting = [run for run in self._runs if run.stage is Stage.WAITING and not run.is_async]
        for run in waiting:
            if self.withdraw(run):
                run.unstarted(results.deferred("handlers_hang", f"{self._pool.hung} handlers do not return", HUNG))
