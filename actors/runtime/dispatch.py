"""Who runs an actor's slices: here, a thread for each."""

from __future__ import annotations

import threading
import time
from queue import SimpleQueue
from typing import Protocol

from actors.runtime.incarnation import FENCED, MORE, Incarnation


class Dispatcher(Protocol):
    """Gives incarnations a thread. ``ready`` is never called again for one before its ``run_slice`` said PAUSED."""

    has_threads: bool  #: a hung actor hangs a thread of this dispatcher, not the caller's
    movable: bool  #: an actor may be run by any thread, one at a time

    def start(self) -> None:
        """Before the first actor."""

    def ready(self, incarnation: Incarnation) -> None:
        """It has something to do; must be quick, from any thread."""

    def abandon(self, incarnation: Incarnation, *, hung: bool) -> None:
        """It was given up; ``hung``: while a thread was inside it."""

    def stop(self, timeout: float | None = None) -> bool:
        """No actor is left: join the threads, except hung ones. False: some did not end in time. Idempotent."""


class ThreadDispatcher:
    """A thread for each incarnation. Daemon threads: a forgotten runtime does not keep the process alive."""

    has_threads = True
    movable = False

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: dict[Incarnation, threading.Thread] = {}

    def start(self) -> None:
        """Nothing to do: threads come with their actors."""

    def ready(self, incarnation: Incarnation) -> None:
        # ready() calls of one incarnation never overlap (see Dispatcher), and the first is its launch
        if incarnation.worker is None:
            incarnation.worker = SimpleQueue()
            thread = threading.Thread(target=self._run, args=(incarnation,), name=incarnation.cell.name, daemon=True)
            with self._lock:
                self._threads[incarnation] = thread
            try:
                thread.start()
            except RuntimeError:
                with self._lock:
                    del self._threads[incarnation]
                incarnation.worker = None
                raise
        else:
            incarnation.worker.put(None)

    def abandon(self, incarnation: Incarnation, *, hung: bool) -> None:
        if hung:
            with self._lock:
                self._threads.pop(incarnation, None)
        elif incarnation.worker is not None:
            incarnation.worker.put(None)  # it sleeps: let it look, and end

    def stop(self, timeout: float | None = None) -> bool:
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._lock:
            threads = list(self._threads.values())
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in threads if thread is not threading.current_thread())

    def _run(self, incarnation: Incarnation) -> None:
        wake = incarnation.worker.get
        while True:
            more = incarnation.run_slice()
            if more == MORE:
                continue
            if incarnation.over or more == FENCED:
                break
            # A token for each ready(); an extra one (abandon) only causes a look at an empty mailbox.
            wake()
        with self._lock:
            self._threads.pop(incarnation, None)
