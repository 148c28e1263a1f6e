"""The router's face to operators: where commands stand, how it is, and the orders that set it right again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from actors.engine import Engine
from actors.envelope import Envelope
from actors.runtime.errors import NoSuchActor
from actors.runtime.promise import Promise
from actors.waits import Explained
from router.alerts import Alerts
from router.cluster import Cluster
from router.health import Health
from router.messages.redaction import Secrets, has_secrets, redacted_payload
from router.messages.registry import Catalog
from router.messages.seal import unseal
from router.metrics import Metrics
from router.status import LIBRARY, PATIENCE, StatusView, explanation_of, find
from router.tree import shown


class Looking:
    """What of a ``Router`` is looked at. Every question that waits has a twin with the prefix ``a``."""

    engine: Engine
    catalog: Catalog
    _health: Health
    _metrics: Metrics
    _alerts: Alerts
    _cluster: Cluster

    def find(self, id: str) -> StatusView | None:
        """Where a command stands; ``None``: not known (any more)."""
        return find(self.engine, id).get(PATIENCE)

    async def afind(self, id: str) -> StatusView | None:
        """As ``find``."""
        return await find(self.engine, id)

    def cancel(self, id: str, *, operator: str = "") -> bool:
        """Take a command back if it has not started. ``operator``: who wants it, for the audit trail."""
        return self._cancel(id, operator).get(timeout=PATIENCE)

    async def acancel(self, id: str, *, operator: str = "") -> bool:
        """As ``cancel``."""
        return await self._cancel(id, operator)

    def _cancel(self, id_: str, operator: str) -> Promise[bool]:
        def cancelled(done: bool) -> bool:
            if done:
                self.engine.note("operator", {"action": "cancel"}, id=id_, user=operator or LIBRARY)
            return done

        return self.engine.cancel(id_).map(cancelled)

    def explain(self, id: str) -> dict[str, Any] | None:
        """The causal record of a command; ``None``: not known (any more)."""
        return self._explain(id).get(timeout=PATIENCE)

    async def aexplain(self, id: str) -> dict[str, Any] | None:
        """As ``explain``."""
        return await self._explain(id)

    def health(self) -> dict[str, Any]:
        """``SystemHealth``: overall, protocols, overloaded, timestamp."""
        return self._health.check().get(timeout=PATIENCE)

    async def ahealth(self) -> dict[str, Any]:
        """As ``health``."""
        return await self._health.check()

    def services(self) -> dict[str, Any]:
        """Everything the router depends on, and every breaker."""
        return self._health.services().get(timeout=PATIENCE)

    async def aservices(self) -> dict[str, Any]:
        """As ``services``."""
        return await self._health.services()

    def known_services(self) -> dict[str, Any]:
        """As ``services``, but nobody is asked: of the store, too, the latest look is told."""
        return self._health.known_services()

    async def aprotocols(self) -> dict[str, Any]:
        """The ways to execute, one by one."""
        return await self._health.protocols()

    def breakers(self) -> list[dict[str, Any]]:
        """Each breaker: its state, and what it has counted since the start."""
        return self._health.breakers()

    def reset_breaker(self, name: str, *, operator: str = LIBRARY) -> bool:
        """Close a breaker at once, with nothing counted; audited. ``False``: there is none of that name."""
        return self._reset_breaker(name, operator).get(timeout=PATIENCE)

    async def areset_breaker(self, name: str, *, operator: str = LIBRARY) -> bool:
        """As ``reset_breaker``."""
        return await self._reset_breaker(name, operator)

    def _reset_breaker(self, name: str, operator: str) -> Promise[bool]:
        return self.engine.reset_breaker(name, operator=operator)

    def alerts(self) -> list[dict[str, Any]]:
        """What is wrong now, the worst first: ``code``, ``severity``, ``about``, ``text``."""
        return self._alerts.check()

    def metrics(self) -> dict[str, Any]:
        """Counters since the start, and depths now; ``None`` for what only a store that does not answer knows."""
        return self._metrics.read().get(timeout=PATIENCE)

    async def ametrics(self) -> dict[str, Any]:
        """As ``metrics``."""
        return await self._metrics.read()

    def cross_protocol_metrics(self) -> dict[str, Any]:
        """``CrossProtocolMetrics`` of the first seed; ``docs/metrics.md`` says what each figure counts."""
        return self._metrics.cross_protocol()

    def deduplication_metrics(self) -> dict[str, Any]:
        """What became of operations that were asked for more than once, or against each other."""
        return self._metrics.deduplication()

    def tree(self) -> dict[str, Any]:
        """The supervision tree, alive: states, restarts, mailbox depths."""
        node = self.engine.runtime.tree()
        return shown(node) if node else {}

    def backlog(self, guild: str) -> int:
        """How many commands of a guild have not ended; no question to anybody."""
        return self.engine.tables.backlog.of(guild)

    def cluster(self) -> dict[str, Any]:
        """The routers that share the store: members with their load and lag, and who owns each partition."""
        return self._cluster.view()

    def restart_actor(self, name: str, *, kill: bool = False, operator: str = LIBRARY) -> bool:
        """Restart one actor on purpose; ``False``: no such actor. ``kill``: as a crash, in the middle of its work."""
        # Noted before: what is restarted may be the way to the audit trail.
        action = "kill actor" if kill else "restart actor"
        self.engine.note("operator", {"action": action, "actor": name}, user=operator)
        try:
            if kill:
                return self.engine.runtime.ref(name).kill()
            self.engine.restart(name, PATIENCE)
        except NoSuchActor:
            return False
        return True

    def _explain(self, id_: str) -> Promise[dict[str, Any] | None]:
        def explained(known: Explained | None) -> dict[str, Any] | None:
            return known and explanation_of(known, self._redacted, self._hider)

        return self.engine.explain(id_).map(explained)

    def _redacted(self, envelope: Envelope) -> dict[str, Any]:
        try:
            message = unseal(envelope, self.catalog)
        except Exception as error:  # noqa: BLE001 - an old payload that no longer fits its class still has a story
            return {"unreadable": type(error).__name__}
        return redacted_payload(message)

    def _hider(self, envelope: Envelope) -> Callable[[Any], Any]:
        """What removes the secrets of one command from anything that repeats them."""
        try:
            message = unseal(envelope, self.catalog)
        except Exception:  # noqa: BLE001 - as above; and who cannot read its secrets cannot have repeated them
            return lambda value: value
        return Secrets(message).hide if has_secrets(type(message)) else lambda value: value
