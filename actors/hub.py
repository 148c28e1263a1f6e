"""The event hub: what happens inside, told to whoever listens. Bounded and lossy by design; the store is the truth."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Lock

from actors.messages import Published
from actors.runtime.actor import Actor

logger = logging.getLogger("guild_router.hub")

Listener = Callable[[Published], None]


class Listeners:
    """Who listens; outlives a crash of the hub. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._listeners: tuple[Listener, ...] = ()
        self.dropped = 0  #: events the hub had no room for

    def __bool__(self) -> bool:
        return bool(self._listeners)

    def add(self, listener: Listener) -> Callable[[], None]:
        """Listen from now on; call the result to stop. The listener is called on the hub's thread and must be quick."""
        with self._lock:
            self._listeners = (*self._listeners, listener)
        return lambda: self._remove(listener)

    def all(self) -> tuple[Listener, ...]:
        """Everybody, in the order they came."""
        return self._listeners

    def _remove(self, listener: Listener) -> None:
        with self._lock:
            self._listeners = tuple(other for other in self._listeners if other is not listener)


class Hub(Actor):
    """Calls every listener for every event, in order; one that raises harms nobody else."""

    mailbox_capacity = 1_000_000

    def __init__(self, listeners: Listeners) -> None:
        super().__init__()
        self._listeners = listeners

    def on_receive(self, message: object) -> None:
        if not isinstance(message, Published):
            return
        for listener in self._listeners.all():
            try:
                listener(message)
            except Exception:
                logger.exception("an event listener failed on %s", message.kind)
