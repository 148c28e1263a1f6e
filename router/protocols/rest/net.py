"""The event loop of the network: one of our own, on a thread of its own.

Not the loop of the handlers: that one may be the user's, which ends when he likes, and whose handlers may block it;
an answer that waits behind a slow handler would be taken for a dead endpoint, and its breaker would open.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from threading import Lock, Thread
from typing import Any

logger = logging.getLogger("router.protocols.rest")

GOODBYE = 2.0  # seconds cancelled tasks get to clean up


class Net:
    """Runs coroutines; may be closed and opened again."""

    def __init__(self, name: str = "rest") -> None:
        self._name = name
        self._lock = Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None
        self._tasks: set[asyncio.Task[Any]] = set()  # touched on the loop only

    def open(self) -> None:
        """Start the thread; nothing if it runs."""
        with self._lock:
            if self._loop is None:
                self._loop = loop = asyncio.new_event_loop()
                self._thread = Thread(target=self._run, args=(loop,), name=f"{self._name}-loop", daemon=True)
                self._thread.start()

    def go(self, work: Callable[[], Coroutine[Any, Any, None]]) -> bool:
        """Have ``work()`` run on the loop; ``False``: it is closed."""
        with self._lock:
            if self._loop is None:
                return False
            self._loop.call_soon_threadsafe(self._begin, work)
            return True

    def close(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Cancel what runs, let ``last()`` run, end the thread; idempotent."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is None or thread is None:
            return
        loop.call_soon_threadsafe(self._leave, last)
        thread.join(2 * GOODBYE)
        if thread.is_alive():
            logger.error("the network's thread %s did not end and was left behind", thread.name)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())  # it looks up host names
        finally:
            loop.close()

    # ------------------------------------------------------------ on the loop

    def _begin(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        task = asyncio.get_running_loop().create_task(work())
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("a request of the network failed", exc_info=error)

    def _leave(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        left = list(self._tasks)
        for task in left:
            task.cancel()
        self._leaving = asyncio.get_running_loop().create_task(self._end(left, last))

    async def _end(self, left: list[asyncio.Task[Any]], last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if left:
            await asyncio.wait(left, timeout=GOODBYE)
        try:
            await asyncio.wait_for(last(), GOODBYE)
        except Exception:
            logger.exception("the network did not end in good order")
        await asyncio.sleep(0)  # aiohttp's transports close on the loop's next turn
        asyncio.get_running_loop().stop()
