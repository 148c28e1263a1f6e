"""What waits to be sent to one peer: bounded, filled from any thread, emptied on the loop of the connection."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from threading import Lock

Message = bytes | str
Make = Callable[[], Message | None]
BREATH = 64  # messages after which others on the loop have their turn


class Outbox:
    """``send`` sends one message and waits while the peer does not read; ``overflow`` is called on the loop, once.

    What is put is made into a message at the last moment; ``None`` then says that it is not wanted any more.
    """

    def __init__(self, send: Callable[[Message], Awaitable[None]], limit: int, overflow: Callable[[], None]) -> None:
        self._send = send
        self._limit = limit
        self._overflow = overflow
        self._loop = asyncio.get_running_loop()
        self._lock = Lock()
        self._waiting: deque[tuple[Make, int]] = deque()
        self._bytes = 0
        self._closed = False
        self._woken = False
        self._flushing: asyncio.Task[None] | None = None
        self._room = asyncio.Event()
        self._room.set()

    def put(self, make: Make, size: int) -> None:
        """Send it after what waits already; nothing after the end. ``size``: about how many bytes it will be."""
        with self._lock:
            if self._closed:
                return
            self._waiting.append((make, size))
            self._bytes += size
            if self._bytes > self._limit:
                self._closed = True
                self._waiting.clear()
                act: Callable[[], object] = self._overflow
            elif self._woken:
                return
            else:
                self._woken = True
                act = self._flush
        try:
            self._loop.call_soon_threadsafe(act)
        except RuntimeError:  # the loop is closed, and the connection with it
            self.close()

    async def room(self) -> None:
        """Wait until less than half of what may wait does so; for those who can wait."""
        while self._bytes * 2 > self._limit and not self._closed:
            self._room.clear()
            await self._room.wait()

    async def flushed(self) -> None:
        """Wait until what was put has been sent, or nothing can be."""
        while self._woken and not self._closed:
            if self._flushing is None:
                await asyncio.sleep(0)  # it begins in a moment
            else:
                await asyncio.wait([self._flushing])

    def close(self) -> None:
        """Send nothing more; idempotent."""
        with self._lock:
            self._closed = True
            self._waiting.clear()
            self._bytes = 0
        self._room.set()

    def _flush(self) -> None:
        self._flushing = self._loop.create_task(self._sending())

    async def _sending(self) -> None:
        count = 0
        try:
            while (make := self._take()) is not None:
                message = make()
                if message is not None:
                    await self._send(message)
                count += 1
                if count % BREATH == 0:
                    await asyncio.sleep(0)
        except (OSError, RuntimeError):  # how servers say that the connection has ended
            self.close()
        finally:
            self._flushing = None

    def _take(self) -> Make | None:
        with self._lock:
            if not self._waiting:
                self._woken = False
                return None
            make, size = self._waiting.popleft()
            self._bytes -= size
            roomy = self._bytes * 2 <= self._limit
        if roomy and not self._room.is_set():
            self._room.set()
        return make
