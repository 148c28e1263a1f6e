"""The protocols of one router, made from its settings: the one place that knows them all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from actors.cluster import shared
from actors.envelope import Envelope
from actors.policy.balancing import Balance
from actors.ports import Backend, ExecutionProtocol, Probe
from actors.runtime.clock import Clock
from actors.runtime.ref import Ref
from actors.sharing import Member
from actors.tables.breakers import Breakers
from actors.tables.deliveries import Desk
from router.probes import QueueProbe, WebSocketProbe
from router.protocols.direct import DirectProtocol
from router.protocols.executor import Executor
from router.protocols.guard import Guard, Guarded
from router.protocols.handlers import Handlers
from router.protocols.queue import QueueProtocol
from router.protocols.websocket.everywhere import Everywhere
from router.protocols.websocket.neighbours import BOTS
from router.protocols.websocket.protocol import WebSocketProtocol
from router.settings import Settings

if TYPE_CHECKING:
    from router.protocols.rest.protocol import RestProtocol
    from router.protocols.rest.target import Target


class Protocols:
    """Each by its name, and all of them as the engine takes them.

    ``router``: this one's name among those that share the store; "": it is alone.
    """

    def __init__(
        self,
        settings: Settings,
        handlers: Handlers,
        *,
        clock: Clock,
        breakers: Breakers,
        desk: Desk,
        decode: Callable[[Envelope], Any],
        named_queues: Callable[[], Ref],
        executors_changed: Callable[[], None],
        guard: Guard,
        store: Backend,
        members: Callable[[], Sequence[Member]],
    ) -> None:
        self._named_queues = named_queues
        self._guard = guard
        self.executor = Executor(
            handlers, clock, workers=settings.workers, timeout_ms=settings.direct_execution_timeout, decode=decode
        )
        self.direct = DirectProtocol(handlers, clock=clock, executor=self.executor)
        self.rest = _rest(settings, clock, breakers, decode)
        sharing = shared(store)
        self.queue = QueueProtocol(
            named_queues,
            desk,
            self.executor,
            clock=clock,
            concurrency=settings.queue_concurrency,
            router=sharing.router if sharing else "",
            bell=sharing.bell() if sharing else None,
            on_reach=executors_changed,
            on_outcome=self._outcomes,
            check=guard.check,
        )
        self.websocket = WebSocketProtocol(
            clock=clock,
            timeout_ms=settings.websocket_timeout,
            balance=Balance(settings.socket_balance),
            changed=self._bots_changed,
        )
        self._executors_changed = executors_changed
        #: the bots of all routers that share the store
        self.everywhere: Everywhere | None = None
        if sharing:
            self.everywhere = Everywhere(
                self.websocket,
                named_queues,
                desk,
                sharing.router,
                clock=clock,
                members=members,
                timeout_ms=settings.websocket_timeout,
                changed=executors_changed,
                check=guard.check,
                discreet=guard.discreet,
            )

    def probes(self) -> list[Probe]:
        """Looks at what lies behind them, besides the store, which is always looked at."""
        found: list[Probe] = [QueueProbe(self._named_queues), WebSocketProbe(self.websocket.bots)]
        return found if self.rest is None else [*found, *self.rest.probes()]

    def about(self) -> Mapping[str, object]:
        """What other routers may know of this one's executors: its bots."""
        return {BOTS: self.websocket.bots()[0]} if self.everywhere is None else self.everywhere.about()

    def retreat(self, seconds: float) -> None:
        """Before the end: what other routers asked of the handlers and bots here may end within so many seconds."""
        end = time.monotonic() + seconds
        self.queue.retreat(0.0)  # it takes no more while the bots are waited for
        if self.everywhere is not None:
            self.everywhere.retreat(seconds)
        self.queue.retreat(max(0.0, end - time.monotonic()))

    def _bots_changed(self) -> None:
        if self.everywhere is not None:
            self.everywhere.bots_changed()
        self._executors_changed()

    def _outcomes(self) -> None:
        if self.everywhere is not None:
            self.everywhere.outcomes()

    def all(self) -> list[ExecutionProtocol]:
        """In no order: the plan decides. Each stands behind the guard."""
        found: list[ExecutionProtocol] = [self.direct, self.queue, self.everywhere or self.websocket]
        if self.rest is not None:
            found.append(self.rest)
        return [Guarded(protocol, self._guard) for protocol in found]


def _rest(
    settings: Settings, clock: Clock, breakers: Breakers, decode: Callable[[Envelope], Any]
) -> RestProtocol | None:
    """Only where there is somebody to send to: it takes a thread, and aiohttp."""
    if not settings.upstreams and not settings.discord_token.get_secret_value():
        return None
    from router.protocols.rest.protocol import RestProtocol
    from router.protocols.rest.upstream import Upstream

    targets: list[Target] = [
        Upstream(
            name,
            its.url,
            clock=clock,
            weight=its.weight,
            capacity=its.concurrency,
            guilds=its.guilds,
            types=its.types,
            secret=(its.secret or settings.rest_secret).get_secret_value(),
            records=its.records,
        )
        for name, its in settings.upstreams.items()
    ]
    if settings.discord_token.get_secret_value():
        targets.append(_discord(settings, clock, decode))
    return RestProtocol(
        targets, clock=clock, breakers=breakers.get, wait_ms=settings.rest_timeout, balance=settings.rest_balance
    )


def _discord(settings: Settings, clock: Clock, decode: Callable[[Envelope], Any]) -> Target:
    from router.protocols.discord.backend import HttpBackend
    from router.protocols.discord.limits import Ledger
    from router.protocols.discord.target import DiscordTarget

    ledger = Ledger(per_second=settings.discord_per_second, budget=settings.discord_refusals)
    backend = HttpBackend(
        settings.discord_token,
        clock=clock,
        base=settings.discord_url,
        user_agent=settings.discord_user_agent,
        ledger=ledger,
    )
    return DiscordTarget(
        backend,
        ledger,
        clock=clock,
        decode=decode,
        types=settings.discord_types,
        tagged=settings.discord_reason_tag,
    )
