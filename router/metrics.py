"""Numbers since the start, and depths now."""

from __future__ import annotations

from typing import Any

from actors.engine import Engine
from actors.runtime.promise import Promise


class Metrics:
    """Reads the engine's counters; the queues' depths come from the store."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def read(self) -> Promise[dict[str, Any]]:
        """The third seed's monitoring figures, in camelCase."""
        return self._engine.store_call(lambda store, _: self._figures(store.stats(), store.queue_stats()))

    def _figures(self, commands: Any, entries: Any) -> dict[str, Any]:
        tables = self._engine.tables
        counters = tables.counters
        depths = {name: stats.pending for name, stats in commands.items()}
        for name, stats in entries.items():
            depths[name] = depths.get(name, 0) + stats.waiting + stats.delayed
        settled = dict(counters.settled)
        succeeded = settled.get("ok", 0) + settled.get("noop", 0)
        return {
            "messagesPublished": counters.accepted,
            "messagesConsumed": succeeded,
            "messagesFailed": sum(settled.values()) - succeeded,
            "messagesRetried": counters.retried,
            "deadLetterMessages": sum(stats.dead for stats in commands.values()),
            "averageProcessingTime": round(counters.worked / counters.started, 3) if counters.started else 0.0,
            "averageWaitingTime": round(counters.waited / counters.started, 3) if counters.started else 0.0,
            "queueDepths": depths,
            "duplicateOperations": counters.duplicates,
            "idempotencyConflicts": counters.keys_reused,
            "refused": dict(counters.refused),
            "settled": settled,
            "attempts": [
                {"protocol": protocol, "outcome": verdict, "count": count}
                for (protocol, verdict), count in list(counters.attempts.items())
            ],
            "fallbacks": [
                {"from": before, "to": after, "count": count}
                for (before, after), count in list(counters.fallbacks.items())
            ],
            "running": tables.gate.running,
            "backlog": tables.backlog.total,
            "guildsLive": len(tables.guilds),
            "leakedThreads": self._engine.runtime.leaked_threads,
        }
