"""The event loop that runs async handlers: one of our own on its own thread, or the user's."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from threading import Lock, Thread
from typing import Any, Generic, TypeVar

T = TypeVar("T")

logger = logging.getLogger("router.protocols.handlers")

GOODBYE = 1.0  # seconds cancelled tasks get to clean up


class LoopGoneError(RuntimeError):
    """The event loop is closed: nothing more can be started on it."""


class LoopSide(Generic[T]):
    """``drive(item)`` as a task per item on one event loop, at most ``limit`` at once, the others in order after them.

    A burst of items wakes the loop once.
    """

    def __init__(
        self,
        drive: Callable[[T], Coroutine[Any, Any, None]],
        *,
        limit: int,
        name: str,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._drive = drive
        self._limit = limit
        self._name = name
        self._foreign = loop
        self._loop = loop
        self._thread: Thread | None = None
        self._lock = Lock()
        self._items: deque[T] = deque()
        self._woken = False
        self._tasks: dict[asyncio.Task[None], T] = {}  # touched on the loop only

    def use(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """From now on run on this loop (``None``: our own); only while nothing runs."""
        self._foreign = self._loop = loop

    def put(self, item: T) -> None:
        """Have ``item`` driven; raises ``LoopGoneError``."""
        loop = self._loop or self._own()
        self._items.append(item)
        if not self._woken:
            self._woken = True
            self._call(loop, self._pump)

    def cancel(self, item: T) -> bool:
        """Cancel the task of ``item``, not waiting for it to obey; ``False``: the loop is closed, and it with it."""
        if self._loop is None:
            return False
        try:
            self._call(self._loop, self._cancel, item)
        except LoopGoneError:
            return False
        return True

    def close(self) -> bool:
        """Cancel what runs, and end our own thread; ``False``: it is blocked by a handler and was left behind."""
        loop, thread = self._loop, self._thread
        if loop is None:
            return True
        try:
            self._call(loop, self._cancel_all, thread is not None)
        except LoopGoneError:
            return True
        if thread is None:
            return True
        thread.join(2 * GOODBYE)
        self._loop, self._thread = self._foreign, None
        if thread.is_alive():
            logger.error("an async handler blocks its event loop; its thread %s was left behind", thread.name)
            return False
        return True

    def _own(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = loop = asyncio.new_event_loop()
                self._thread = Thread(target=self._run, args=(loop,), name=f"{self._name}-loop", daemon=True)
                self._thread.start()
            return self._loop

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            loop.close()

    def _call(self, loop: asyncio.AbstractEventLoop, callback: Callable[..., None], *args: Any) -> None:
        try:
            loop.call_soon_threadsafe(callback, *args)
        except RuntimeError as error:
            self._woken = False
            raise LoopGoneError("the event loop of the async handlers is closed") from error

    # ------------------------------------------------------------ on the loop

    def _pump(self) -> None:
        self._woken = False  # first: whatever is put from here on wakes us again or is seen below
        loop = asyncio.get_running_loop()
        while self._items and len(self._tasks) < self._limit:
            item = self._items.popleft()
            task = loop.create_task(self._drive(item))
            self._tasks[task] = item
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("the driver of an async handler failed", exc_info=error)
        if self._items:
            self._pump()

    def _cancel(self, item: T) -> None:
        for task, its in self._tasks.items():
            if its is item:
                task.cancel()

    def _cancel_all(self, leave: bool) -> None:
        for task in self._tasks:
            task.cancel()
        if leave:
            self._leaving = asyncio.get_running_loop().create_task(self._leave(list(self._tasks)))

    async def _leave(self, tasks: list[asyncio.Task[None]]) -> None:
        if tasks:
            await asyncio.wait(tasks, timeout=GOODBYE)
        asyncio.get_running_loop().stop()
