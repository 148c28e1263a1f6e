"""What is wrong now, out of what the engine's tables hold: nothing is asked, so it answers when nothing else does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from actors.engine import Engine
from actors.policy.alerts import BreakerSight, QueueSight, ServiceSight, Sight, alerts
from actors.policy.breaker import Condition
from actors.tables.depths import Depth

SPAN = 300_000
"""Milliseconds over which it is judged what grows, ends or comes late."""

NOTHING = Depth(0, 0, 0, 0)


class Alerts:
    """``router.alerts()``."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def check(self) -> list[dict[str, Any]]:
        """The worst first; ``code``, ``severity`` (``critical`` or ``warning``), ``about``, ``text``."""
        return [alert._asdict() for alert in alerts(self._sight())]

    def _sight(self) -> Sight:
        engine = self._engine
        tables, now = engine.tables, engine.clock.now()
        breakers = [
            BreakerSight(snapshot.name, snapshot.condition.value, max(0, snapshot.until - now))
            for snapshot in engine.breakers.snapshots()
            if snapshot.condition is not Condition.CLOSED
        ]
        services = [
            ServiceSight(view.name, view.sign.well, view.sign.detail, view.calls.calls, view.calls.error_rate)
            if view.sign is not None
            else ServiceSight(view.name, True, "", view.calls.calls, view.calls.error_rate)
            for view in tables.services.views(now).values()
            if view.sign is None or view.sign.counts
        ]
        return Sight(
            self._queues(now),
            breakers,
            services,
            self._within(),
            engine.load,
            engine.load_cause,
            engine.runtime.leaked_threads,
            *self._store(),
        )

    def _store(self) -> tuple[Sequence[str], int | None]:
        # Only a store that is a server of its own can be set up wrongly, or lose everything while this router runs.
        store = self._engine.store
        emptied_at = getattr(store, "emptied_at", None)
        ago = None if emptied_at is None else round((self._engine.clock.monotonic() - emptied_at) * 1000)
        return getattr(store, "unfit", ()), ago

    def _queues(self, now: int) -> list[QueueSight]:
        depths, tables = self._engine.tables.depths, self._engine.tables
        newest = depths.samples[-1] if depths.samples else None
        before = depths.ago(SPAN)
        last_minute = depths.ago(60_000)
        ages = tables.backlog.ages(now)
        found = []
        for name in sorted(ages.keys() | (newest.queues.keys() if newest else ())):
            waiting, age = ages.get(name, (0, 0))
            latest = newest.queues.get(name, NOTHING) if newest else NOTHING
            long_ago = before.queues.get(name, NOTHING) if before else latest
            lately = last_minute.queues.get(name, NOTHING) if last_minute else latest
            ended, newly_dead = latest.ended - lately.ended, latest.dead - long_ago.dead
            found.append(QueueSight(name, waiting, age, ended, latest.dead, newly_dead, name in tables.gate.paused))
        return found

    def _within(self) -> dict[str, tuple[int, int]]:
        now, before = self._engine.tables.counters.within(), self._engine.tables.depths.ago(SPAN)
        if before is None:
            return now
        return {
            name: (well - before.within.get(name, (0, 0))[0], all_ - before.within.get(name, (0, 0))[1])
            for name, (well, all_) in now.items()
        }
