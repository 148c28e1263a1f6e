"""The durable store's ``Schedules`` port: the memory's, each change a durable step. Claims are this process's own."""

from __future__ import annotations

from actors.schedules import Fire, Schedule
from router.stores.sqlite_queues import SqliteQueues


class SqliteSchedules(SqliteQueues):
    """Schedules in the log."""

    def put_schedule(self, schedule: Schedule, now: int) -> bool:
        with self._step(now):
            return super().put_schedule(schedule, now)

    def remove_schedule(self, id: str) -> bool:
        with self.together():
            return super().remove_schedule(id)

    def pause_schedule(self, id: str, paused: bool, next: int, now: int) -> bool:
        with self._step(now):
            return super().pause_schedule(id, paused, next, now)

    def fire(self, fire: Fire, now: int) -> bool:
        with self._step(now):
            return super().fire(fire, now)
