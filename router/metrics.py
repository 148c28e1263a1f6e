"""Numbers since the start, and depths now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actors.engine import Engine
from actors.entries import QueueStats
from actors.errors import EngineError
from actors.ports import Stats
from actors.runtime.promise import Promise
from actors.tables.counters import CLASSES, EDGES
from actors.tables.services import STORE
from router.protocols.websocket.letters import is_place

PATIENCE = 0.5
"""Seconds the store has to answer: who watches a router whose store is away wants the rest while it is true."""


class Metrics:
    """Reads the engine's counters; the queues' depths come from the store."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def read(self) -> Promise[dict[str, Any]]:
        """The third seed's monitoring figures, in camelCase, and what this router has beyond them.

        What only the store knows (``queueDepths``, ``deadLetterMessages``) is ``None`` when it does not answer in
        time, or the latest look at it went badly.
        """
        promise: Promise[dict[str, Any]] = Promise()
        if not self._engine.tables.services.is_well(STORE):  # a question would only stand in the way of commands
            promise.set(self._figures(None))
            return promise

        def given_up() -> None:
            promise.offer(self._figures(None))

        def answered(reply: Promise[tuple[Any, Any]]) -> None:
            timer.cancel()
            try:
                promise.offer(self._figures(reply.get(timeout=0)))
            except EngineError:
                promise.offer(self._figures(None))
            except Exception as error:  # noqa: BLE001 - whoever asked is told
                promise.offer_failure(error)

        timer = self._engine.clock.call_later(PATIENCE, given_up)
        asked = self._engine.store_call(lambda store, _: (store.stats(), store.queue_stats()))
        asked.add_done_callback(answered)
        return promise

    def cross_protocol(self) -> dict[str, Any]:
        """``CrossProtocolMetrics`` of the first seed; ``docs/metrics.md`` says what each counts."""
        engine = self._engine
        counters = engine.tables.counters
        over = _by_protocol(dict(counters.attempts))
        sources = dict(counters.sources)
        return {
            "restRequests": sources.get("rest", 0),
            "websocketMessages": sources.get("websocket", 0) + over.get("websocket", 0),
            "queueJobs": over.get("queue", 0),
            "restToWebSocketDelay": counters.rest_to_websocket.value,
            "queueToWebSocketDelay": counters.queue_to_websocket.value,
            "duplicateOperations": counters.duplicates,
            "totalProtocolFailures": engine.tables.services.failures,
            "websocketFallbackToQueue": self._fallbacks("websocket", "queue"),
            "queueFallbackToWebSocket": self._fallbacks("queue", "websocket"),
        }

    def deduplication(self) -> dict[str, Any]:
        """What became of operations that were not the only ones of their kind."""
        tables = self._engine.tables
        counters = tables.counters
        arrived = counters.accepted + counters.duplicates
        return {
            "duplicateOperations": counters.duplicates,
            "duplicateShare": round(counters.duplicates / arrived, 4) if arrived else 0.0,
            "idempotencyConflicts": counters.keys_reused,
            "conflicts": {kind: counters.conflicts.get(kind, 0) for kind in ("superseded", "annihilated", "rejected")},
            "waiting": len(tables.waiters),
            "accepted": counters.accepted,
        }

    def objectives(self) -> dict[str, Any]:
        """The response times of each class of priority, and the share that came within its objective."""
        found = {}
        for name, _, objective in CLASSES:
            times = self._engine.tables.counters.responses[name]
            within = times.within(objective) if objective else times.count
            found[name] = {
                "objectiveMs": objective or None,
                "answered": times.count,
                "withinObjective": within,
                "share": round(within / times.count, 4) if times.count else 1.0,
                "meanMs": round(times.total / times.count, 3) if times.count else 0.0,
                "histogram": [
                    {"leMs": edge, "count": count} for edge, count in zip((*EDGES, None), times.buckets, strict=True)
                ],
            }
        return found

    def _fallbacks(self, before: str, after: str) -> int:
        # One that was never tried, since its breaker was open, gave way just as well.
        pair = (before, after)
        return self._engine.tables.counters.fallbacks.get(pair, 0) + self._engine.breakers.diverted.get(pair, 0)

    def _figures(self, stored: tuple[Mapping[str, Stats], Mapping[str, QueueStats]] | None) -> dict[str, Any]:
        engine = self._engine
        tables = engine.tables
        counters = tables.counters
        settled = dict(counters.settled)
        succeeded = settled.get("ok", 0) + settled.get("noop", 0)
        ages = tables.backlog.ages(engine.clock.now())
        return {
            "messagesPublished": counters.accepted,
            "messagesConsumed": succeeded,
            "messagesFailed": sum(settled.values()) - succeeded,
            "messagesRetried": counters.retried,
            "deadLetterMessages": None if stored is None else sum(stats.dead for stats in stored[0].values()),
            "averageProcessingTime": round(counters.worked / counters.started, 3) if counters.started else 0.0,
            "averageWaitingTime": round(counters.waited / counters.started, 3) if counters.started else 0.0,
            "started": counters.started,
            "queueDepths": None if stored is None else _depths(*stored),
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
            "diverted": [
                {"from": before, "to": after, "count": count}
                for (before, after), count in list(engine.breakers.diverted.items())
            ],
            "running": tables.gate.running,
            "backlog": tables.backlog.total,
            "guildsLive": len(tables.guilds),
            "leakedThreads": engine.runtime.leaked_threads,
            "objectives": self.objectives(),
            "scaling": {
                "load": round(engine.load, 4),
                "loadCause": engine.load_cause,
                "running": tables.gate.running,
                "capacity": engine.options.max_running,
                "utilization": round(tables.gate.running / engine.options.max_running, 4),
                "queues": {
                    name: {"backlog": count, "oldestEligibleAge": age, "paused": name in tables.gate.paused}
                    for name, (count, age) in sorted(ages.items())
                },
            },
            "topGuilds": [{"guildId": guild, "backlog": count} for guild, count in tables.backlog.largest(10)],
            "actorLagMs": round(tables.load.lag, 3),
        }


def _depths(commands: Mapping[str, Stats], entries: Mapping[str, QueueStats]) -> dict[str, int]:
    depths = {name: stats.pending for name, stats in commands.items()}
    for name, stats in entries.items():
        if is_place(name):
            continue  # commands on their way to another router's bots: they count in the queues of their types
        depths[name] = depths.get(name, 0) + stats.waiting + stats.delayed
    return depths


def _by_protocol(attempts: dict[tuple[str, str], int]) -> dict[str, int]:
    found: dict[str, int] = {}
    for (protocol, _), count in attempts.items():
        found[protocol] = found.get(protocol, 0) + count
    return found
