"""Is it well: the store, the tree, each protocol."""

from __future__ import annotations

from typing import Any

from actors.engine import Engine
from actors.runtime.promise import Promise
from router.settings_values import without_password
from router.tree import restarts

OVERLOADED = 0.8
"""Part of the backlog's bound from which on the router calls itself overloaded."""


class Health:
    """``SystemHealth`` of the first seed, with what this router has beyond it."""

    def __init__(self, engine: Engine, url: str) -> None:
        self._engine = engine
        self._url = url  #: of the store

    def check(self) -> Promise[dict[str, Any]]:
        """Asks the store; every answer is of now."""
        promise: Promise[dict[str, Any]] = Promise()
        asked = self._engine.clock.monotonic()

        def answered(reply: Promise[Any]) -> None:
            try:
                reply.get(timeout=0)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is what is wrong with the store
                promise.set(self._report(type(error).__name__, asked))
            else:
                promise.set(self._report(None, asked))

        self._engine.store_call(lambda store, _: store.stats()).add_done_callback(answered)
        return promise

    def _report(self, store_error: str | None, asked: float) -> dict[str, Any]:
        engine = self._engine
        now = engine.clock.now()
        latency = round((engine.clock.monotonic() - asked) * 1000, 3)
        tables, options = engine.tables, engine.options
        overloaded = tables.backlog.total >= options.max_backlog * OVERLOADED
        protocols = {name: _absent() for name in ("redis", "discord", "websocket", "queue", "direct")}
        for breaker in engine.breakers.snapshots():
            name, state = breaker.name, breaker.condition
            protocols[name] = {"healthy": state != "open", "configured": True, "breaker": state}
        store = {
            "healthy": store_error is None,
            "url": without_password(self._url),
            "durability": engine.store.durability,
            "latencyMs": latency,
            "error": store_error,
        }
        tree = engine.runtime.tree()
        healthy = store_error is None and tree is not None and tree.state == "running"
        return {
            "overall": healthy and all(p["healthy"] for p in protocols.values() if p["configured"]),
            "protocols": protocols,
            "store": store,
            "tree": {"state": tree.state if tree else "stopped", "restarts": restarts(tree) if tree else 0},
            "overloaded": overloaded,
            "backlog": tables.backlog.total,
            "running": tables.gate.running,
            "timestamp": now,
        }


def _absent() -> dict[str, Any]:
    return {"healthy": False, "configured": False, "breaker": None}
