"""Answers the bell of a shared store: what came is claimed at once, and outcomes are heard at once."""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock

from actors.tables.deliveries import Desk
from actors.workers import Bell


class Rings:
    """Keeps the bell open for the queues that have consumers in this process. ``outcomes()``: some may lie ready."""

    def __init__(self, bell: Bell, desk: Desk, asker: str, outcomes: Callable[[], None] = lambda: None) -> None:
        self._bell = bell
        self._desk = desk
        self._asker = asker
        self._outcomes = outcomes
        self._lock = RLock()
        self._open = False
        self._queues: frozenset[str] | None = None
        desk.listeners.append(self._follow)

    def open(self) -> None:
        """Listen from now on; may be called again."""
        self._open = True
        self._follow()

    def close(self) -> None:
        """Listen no more."""
        with self._lock:
            self._open = False
            self._queues = None
        self._bell.close()

    def _follow(self) -> None:
        with self._lock:
            queues = frozenset(self._desk.subscriptions)
            if self._open and queues != self._queues:
                self._queues = queues
                self._bell.open(sorted(queues), self._asker, self._rung)
                if queues:
                    self._desk.poke(*queues)  # what came while nobody listened

    def _rung(self, queue: str) -> None:
        if queue:
            self._desk.poke(queue)
        else:
            self._outcomes()
            self._desk.poke(*(self._queues or ()))
