"""Is it well: the store, the tree, each protocol and each service behind one."""

from __future__ import annotations

from typing import Any

from actors.engine import Engine
from actors.policy.breaker import Condition, Snapshot
from actors.runtime.promise import Promise
from actors.tables.services import STORE, ServiceView
from router.settings_values import without_password
from router.tree import restarts

NAMED = ("redis", "discord", "websocket", "queue")
"""The protocols of the first seed's ``SystemHealth``; they are always there, used or not."""

DISCORD = "rest:discord"
"""The breaker and the calls of Discord's REST API, where it is an upstream."""

RESTING = (Condition.OPEN, Condition.FORCED_OPEN)


class Health:
    """``SystemHealth`` of the first seed, with what this router has beyond it."""

    def __init__(self, engine: Engine, url: str) -> None:
        self._engine = engine
        self._url = url  #: of the store

    def check(self) -> Promise[dict[str, Any]]:
        """Asks the store now; of everything else the latest look is told."""
        return self._asked(self._system)

    def services(self) -> Promise[dict[str, Any]]:
        """Everything the router depends on and every breaker, one by one."""
        return self._asked(self._services)

    def known_services(self) -> dict[str, Any]:
        """As ``services``, with the latest look at the store instead of a question."""
        services = self._engine.tables.services
        view = services.view(STORE, self._engine.clock.now())
        error = None if services.is_well(STORE) else "StoreUnavailable"
        return self._services(self._store(error, view.look_ms if view else 0.0))

    def protocols(self) -> Promise[dict[str, Any]]:
        """The ways to execute, one by one."""
        return self._asked(lambda store: {"protocols": self._protocols(store), "timestamp": self._engine.clock.now()})

    def breakers(self) -> list[dict[str, Any]]:
        """Each with its state and what it has counted since the start."""
        now = self._engine.clock.now()
        return [_breaker(snapshot, now) for snapshot in self._engine.breakers.snapshots()]

    @property
    def overloaded(self) -> bool:
        """Whether commands are turned away, of the lowest priority at least."""
        return self._engine.overloaded

    # ------------------------------------------------------------ parts

    def _asked(self, report: Any) -> Promise[dict[str, Any]]:
        promise: Promise[dict[str, Any]] = Promise()
        clock = self._engine.clock
        asked = clock.monotonic()

        def answered(reply: Promise[Any]) -> None:
            error = None
            try:
                reply.get(timeout=0)
            except Exception as failure:  # noqa: BLE001 - whatever it is, it is what is wrong with the store
                error = type(failure).__name__
            promise.set(report(self._store(error, (clock.monotonic() - asked) * 1000)))

        self._engine.store_call(lambda store, _: store.stats()).add_done_callback(answered)
        return promise

    def _store(self, error: str | None, ms: float) -> dict[str, Any]:
        now = self._engine.clock.now()
        view = self._engine.tables.services.view(STORE, now)
        return {
            "healthy": error is None,
            "configured": True,
            "url": without_password(self._url),
            "durability": self._engine.store.durability,
            "latencyMs": round(ms, 3),
            "availability": round(view.availability, 4) if view else 1.0,
            "lastCheck": now,
            "error": error,
        }

    def _system(self, store: dict[str, Any]) -> dict[str, Any]:
        engine = self._engine
        protocols = self._protocols(store)
        tree = self._tree()
        well = store["healthy"] and tree["state"] == "running"
        load = engine.tables.load
        return {
            "overall": well and all(each["healthy"] for each in protocols.values() if each["configured"]),
            "protocols": protocols,
            "overloaded": engine.overloaded,
            "timestamp": engine.clock.now(),
            "store": store,
            "tree": tree,
            "load": {"level": round(engine.load, 4), "cause": engine.load_cause, "shares": _rounded(load.shares)},
            "backlog": engine.tables.backlog.total,
            "running": engine.tables.gate.running,
        }

    def _services(self, store: dict[str, Any]) -> dict[str, Any]:
        engine = self._engine
        now = engine.clock.now()
        found = {STORE: store}
        for name, view in engine.tables.services.views(now).items():
            if name != STORE:
                breaker = engine.breakers.find(name)
                found[name] = _status(view, breaker.snapshot() if breaker else None, now)
        for name, status in self._protocols(store).items():
            found.setdefault(name, status)
        return {"services": found, "breakers": self.breakers(), "tree": self._tree(), "timestamp": now}

    def _protocols(self, store: dict[str, Any]) -> dict[str, dict[str, Any]]:
        engine = self._engine
        now = engine.clock.now()
        views = engine.tables.services.views(now)
        found = {name: _absent() for name in NAMED}
        if self._url.startswith("redis"):
            found["redis"] = _status(views.get(STORE), None, now) | {
                "healthy": store["healthy"],
                "configured": True,
                "latencyMs": store["latencyMs"],
                "error": store["error"],
            }
        for snapshot in engine.breakers.snapshots():
            if snapshot.name in engine.protocols:
                found[snapshot.name] = _status(views.get(snapshot.name), snapshot, now)
        breaker = engine.breakers.find(DISCORD)
        view = views.get("discord") or views.get(DISCORD)
        if breaker is not None or view is not None:
            found["discord"] = _status(view, breaker.snapshot() if breaker else None, now)
        return found

    def _tree(self) -> dict[str, Any]:
        tree = self._engine.runtime.tree()
        return {"state": tree.state if tree else "stopped", "restarts": restarts(tree) if tree else 0}


def _status(view: ServiceView | None, breaker: Snapshot | None, now: int) -> dict[str, Any]:
    sign = view.sign if view else None
    rests = breaker is not None and breaker.condition in RESTING
    status = _absent() | {
        "healthy": not rests and (sign is None or sign.well),
        "configured": sign is None or sign.counts,
        "breaker": breaker.condition.value if breaker else None,
    }
    if breaker is not None and breaker.condition is Condition.OPEN:
        status["retryAfter"] = max(0, breaker.until - now)
    if view is not None:
        calls = view.calls
        status |= {
            "errorRate": round(calls.error_rate, 4),
            "calls": calls.calls,
            "latency": {"p50": calls.p50, "p95": calls.p95, "p99": calls.p99} if calls.calls > calls.failed else None,
            "latencyMs": round(view.look_ms, 3) if view.looked_at else None,
            "availability": round(view.availability, 4),
            "lastCheck": view.looked_at or None,
            "error": sign.detail if sign and not sign.well else None,
        }
    return status


def _absent() -> dict[str, Any]:
    return {
        "healthy": False,
        "configured": False,
        "breaker": None,
        "retryAfter": None,
        "errorRate": 0.0,
        "calls": 0,
        "latency": None,
        "latencyMs": None,
        "availability": 1.0,
        "lastCheck": None,
        "error": None,
    }


def _breaker(snapshot: Snapshot, now: int) -> dict[str, Any]:
    return {
        "name": snapshot.name,
        "state": snapshot.condition.value,
        "retryAfter": max(0, snapshot.until - now) if snapshot.condition is Condition.OPEN else None,
        "failures": snapshot.failures,
        "permitted": snapshot.permitted,
        "rejected": snapshot.rejected,
        "succeeded": snapshot.succeeded,
        "failed": snapshot.failed,
        "opened": snapshot.opened,
    }


def _rounded(shares: dict[str, float]) -> dict[str, float]:
    return {name: round(share, 4) for name, share in shares.items()}
