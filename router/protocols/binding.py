"""An object whose methods are handlers: a weak reference to it, and how many of its calls run."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from threading import Condition


class Binding:
    """Alive from ``bind`` to ``unbind``, or until the object is gone."""

    def __init__(self, owner: object, on_gone: Callable[[Binding], None]) -> None:
        self.name = type(owner).__qualname__
        self._idle = Condition()
        self._running = 0
        self._closed = False
        self._callbacks: list[Callable[[], None]] = []
        try:
            self.owner: Callable[[], object | None] = weakref.ref(owner, lambda _: on_gone(self))
        except TypeError:  # a class with __slots__ and no __weakref__: it is kept alive instead
            self.owner = lambda: owner

    def enter(self) -> bool:
        """A call of a method is about to begin; ``False``: not any more."""
        with self._idle:
            if self._closed:
                return False
            self._running += 1
            return True

    def leave(self) -> None:
        """It has ended."""
        with self._idle:
            self._running -= 1
            if self._running:
                return
            self._idle.notify_all()
            callbacks, self._callbacks = (self._callbacks, []) if self._closed else ([], self._callbacks)
        for callback in callbacks:
            callback()

    def close(self) -> None:
        """No further call begins."""
        with self._idle:
            self._closed = True

    def wait(self, seconds: float) -> bool:
        """Block until no call runs; ``False``: some still do."""
        with self._idle:
            return self._idle.wait_for(lambda: not self._running, seconds)

    async def await_idle(self, seconds: float) -> bool:
        """As ``wait``, without blocking the event loop."""
        loop = asyncio.get_running_loop()
        idle = asyncio.Event()

        def tell() -> None:
            try:
                loop.call_soon_threadsafe(idle.set)
            except RuntimeError:  # the loop was closed meanwhile: nobody waits any more
                return

        with self._idle:
            if not self._running:
                return True
            self._callbacks.append(tell)
        try:
            await asyncio.wait_for(idle.wait(), seconds)
        except TimeoutError:
            return False
        return True
