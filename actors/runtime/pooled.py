"""Many actors on few threads."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

from actors.runtime.context import context
from actors.runtime.errors import PoolExhausted
from actors.runtime.incarnation import FENCED, MORE, Incarnation

logger = logging.getLogger("actors.runtime")

_RETIRE: Any = object()


class PoolDispatcher:
    """A run queue of incarnations. One that has more to do after its slice goes to the back of it.

    An incarnation is in the queue, or with one thread, or neither; never twice: ``ready`` is called once per sleep (see
    Mailbox) and a thread puts back only what it took out. So no actor is run by two threads at once.
    """

    has_threads = True
    movable = True

    def __init__(self, threads: int = 4, name: str = "pool", *, stand_ins: int = 16) -> None:
        if threads < 1:
            raise ValueError(f"a pool needs a thread, not {threads!r}")
        self.size = threads
        self.name = name
        self._stand_ins = stand_ins
        self._blocked = 0
        self._queue: SimpleQueue[Any] = SimpleQueue()
        #: put it at the back of the run queue; an attribute, for that saves a call on the hot path
        self.ready: Callable[[Incarnation], None] = self._queue.put
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._numbers = 0
        self._stopped = False

    def start(self) -> None:
        with self._lock:
            self._stopped = False
            missing = self.size - len(self._threads)
        for _ in range(missing):
            self._hire()

    def abandon(self, incarnation: Incarnation, *, hung: bool) -> None:
        """The hung thread ends when it comes back; another takes its place now."""
        if not hung:
            return
        with self._lock:
            self._threads -= {one for one in self._threads if one.ident == incarnation.thread}
        self._hire()

    def stop(self, timeout: float | None = None) -> bool:
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._lock:
            self._stopped = True
            threads = [one for one in self._threads if one is not threading.current_thread()]
        for _ in threads:
            self._queue.put(_RETIRE)
        for thread in threads:
            thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    @contextmanager
    def blocking(self) -> Iterator[None]:
        """While one of its threads waits for an answer another one stands in, so that the answer can be made here."""
        with self._lock:
            if self._blocked >= self._stand_ins:
                raise PoolExhausted(self.name, self._stand_ins)
            self._blocked += 1
        self._hire()
        try:
            yield
        finally:
            with self._lock:
                self._blocked -= 1
            self._queue.put(_RETIRE)  # whichever thread takes it: they are all alike

    def _hire(self) -> None:
        with self._lock:
            if self._stopped:
                return
            self._numbers += 1
            thread = threading.Thread(target=self._run, name=f"{self.name}-{self._numbers}", daemon=True)
            self._threads.add(thread)
        try:
            thread.start()
        except RuntimeError:
            with self._lock:
                self._threads.discard(thread)
            raise

    def _run(self) -> None:
        context.pool = self
        queue = self._queue
        get, put = queue.get, queue.put
        while True:
            incarnation = get()
            if incarnation is _RETIRE:
                break
            try:
                more = incarnation.run_slice()
            except BaseException:  # a fault of the runtime itself; the pool's other actors must not pay
                logger.critical("the slice of %r raised", incarnation.cell.name, exc_info=True)
                continue
            if more == MORE:
                put(incarnation)
            elif more == FENCED:
                return  # another took this thread's place
        with self._lock:
            self._threads.discard(threading.current_thread())
