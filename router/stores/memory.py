"""The store for tests and for routers that may forget: everything in this process, gone with it."""

from __future__ import annotations

from router.stores.memory_messages import MemoryMessages
from router.stores.memory_schedules import MemorySchedules
from router.stores.memory_workers import MemoryWorkers
from router.stores.retention import Retention

MEMORY_RETENTION = Retention(audit_rows=20_000)
"""A settled envelope takes about 1.5 KiB of memory."""


class MemoryStore(MemoryMessages, MemoryWorkers, MemorySchedules):
    """``Store``, ``Queues``, ``Workers`` and ``Schedules`` on dictionaries.

    What settled within its operation's window is remembered beyond ``retention``, up to ``remembered`` envelopes.
    """

    def __init__(self, retention: Retention = MEMORY_RETENTION, *, remembered: int = 500_000) -> None:
        MemoryMessages.__init__(self, retention, remembered)
        self._clear_queues()
        self._clear_schedules()

    def _check(self) -> None:
        MemoryMessages._check(self)

    def sweep(self, now: int, limit: int) -> int:
        swept = MemoryMessages.sweep(self, now, limit)
        swept += self._sweep_failed(now, limit - swept)
        return swept + self._sweep_workers(now, limit - swept)
