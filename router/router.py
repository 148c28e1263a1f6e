"""The router: composition root and public face. Embedded, through proxies or as a daemon, it is this class.

What it takes is in ``sending``, what it publishes in ``publishing``, what operators see and order in ``looking``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from os import getpid
from socket import gethostname
from types import TracebackType
from typing import Any, Self, TypeVar

from uuid_utils import uuid7

from actors.engine import Engine
from actors.envelope import Envelope
from actors.errors import ShuttingDown
from actors.hub import Listeners
from actors.policy.consuming import QueueRules
from actors.policy.facts import Facts
from actors.ports import LoadMeter, Probe
from actors.runtime.clock import Clock, SystemClock
from actors.runtime.spec import ChildSpec
from actors.runtime.testing import Stepper
from actors.schedules import Schedule as StoredSchedule
from actors.sharing import Member
from actors.tables.breakers import Breakers
from actors.tables.deliveries import Desk
from actors.timetable import Timetable
from router.alerts import Alerts
from router.assembly import Protocols
from router.audit import Audit
from router.cluster import Cluster
from router.dead_letters import DeadLetters
from router.health import Health
from router.hub import EventHub
from router.looking import Looking
from router.memory import MemoryMeter
from router.messages.base import Message
from router.messages.registry import Catalog
from router.messages.registry import catalog as everything
from router.messages.seal import unseal
from router.metrics import Metrics
from router.permissions.decision import Authorizer, Decision, Judge, told_of
from router.protocols.context import Context
from router.protocols.guard import Guard
from router.protocols.handlers import F, Handlers, Verify
from router.protocols.subscriptions import Subscriptions
from router.protocols.websocket.letters import RULES, is_place
from router.proxy import CommandActor, command_actor
from router.publishing import Publishing
from router.query_cache import QueryCache
from router.query_desk import QueryDesk
from router.queues import Queues
from router.saga import Saga
from router.schedules import Schedule, Schedules
from router.settings import Settings
from router.status import PATIENCE
from router.stores.retention import Retention
from router.stores.timing import take_time_of
from router.stores.url import open_store
from router.version import package_version

A = TypeVar("A", bound="Authorizer | Judge")


class Router(Publishing, Looking):
    """Takes commands, sees to it that each happens once and in order, and can explain it afterwards.

    ``Router(Settings(...))`` or ``Router(store="sqlite:///router.db", ...)`` with settings as keywords. A ``with``
    block, an ``async with`` block, or ``start()`` and ``stop()``. Every method that waits has an async twin with the
    prefix ``a``.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        catalog: Catalog = everything,
        clock: Clock | None = None,
        stepper: Stepper | None = None,
        authorizer: Authorizer | Judge | None = None,
        **overrides: Any,
    ) -> None:
        if settings is not None and overrides:
            raise TypeError(f"settings are given: {', '.join(overrides)} would be a second opinion")
        self.catalog = catalog
        self.clock: Clock = clock or SystemClock()
        self.handlers = Handlers(catalog)
        #: what this process can run out of; whoever embeds the router may add its own before or after the start
        self.meters: list[LoadMeter] = []
        #: looks at what the router depends on; whoever embeds it may add its own before the start
        self.probes: list[Probe] = []
        self._made: list[Probe] = []
        self._listeners = Listeners()
        self.hub = EventHub(self._listeners, lambda: self.clock.now())  # noqa: PLW0108 - a restart makes another clock
        # Who subscribes before the start does so at the desk, which no new settings take away.
        self._desk = Desk(self._queue_rules)
        self._subscriptions = Subscriptions(self._desk, lambda: self.protocols.executor.workshop, self._decode)
        self._stepper = stepper
        self._running = False
        self._spent = False
        self._proxied = 0
        self._authorizer = authorizer
        self._name = uuid7().hex
        self._declared: dict[str, tuple[Message, Mapping[str, Any], str | None, Mapping[str, Any]]] = {}
        self.handlers.on_change(self._executors_changed)
        self.configure(settings or Settings(**overrides))

    def configure(self, settings: Settings) -> None:
        """Use these settings instead, before the start: how a daemon takes over a router that an application made."""
        if self._running:
            raise RuntimeError("a running router keeps its settings; stop it first")
        self.settings = settings
        self.meters[:] = [meter for meter in self.meters if not isinstance(meter, MemoryMeter)]
        self.memory = MemoryMeter(settings.memory_limit_mb)
        self.meters.append(self.memory)
        self._facts = cache(lambda type_: settings.facts(self.catalog.find(type_).facts()))
        self._own = {name: own for name, table in settings.types.items() if (own := table.sealing())}
        self.store = open_store(settings.store, Retention(**settings.store_options()))
        breakers = Breakers(settings.breakers())
        self.guard = Guard(
            self.clock,
            self._decode,
            self._note_decision,
            ttl=settings.authorization_ttl_ms,
            timeout=settings.authorization_timeout_ms,
        )
        self.guard.use(self._authorizer)
        self.protocols = Protocols(
            settings,
            self.handlers,
            clock=self.clock,
            breakers=breakers,
            desk=self._desk,
            decode=self._decode,
            named_queues=lambda: self.engine.runtime.ref("queues"),
            executors_changed=self._executors_changed,
            guard=self.guard,
            store=self.store,
            members=self._members,
        )
        others = [probe for probe in self.probes if probe not in self._made]
        self._made = self.protocols.probes()
        self.probes[:] = [*self._made, *others]
        self.engine = Engine(
            self.store,
            self.protocols.all(),
            self._facts,
            options=settings.options(),
            clock=self.clock,
            stepper=self._stepper,
            breakers=breakers,
            probes=self.probes,
            meters=self.meters,
            desk=self._desk,
            listeners=self._listeners,
            reply=self._publish_answer,
            name=f"{gethostname()}:{getpid()}",
            version=package_version(),
            said=self.protocols.about,
            extras=(
                ChildSpec("commands", self._command_actor, dispatcher="pool"),
                ChildSpec("timetable", self._timetable, dispatcher="pool"),
            ),
        )

        self.queries = QueryDesk(
            self.clock,
            QueryCache(settings.query_cache_entries, settings.query_cache_bytes),
            submit=self.engine.submit,
            check=self.guard.check,
            catalog=self.catalog,
            listeners=self._listeners,
        )
        self.queues = Queues(self.engine)
        self.dead_letters = DeadLetters(self.engine)
        self.audit = Audit(self.engine, self._hider)
        self.schedules = Schedules(self.engine, self._sealed, self._decode)
        self._metrics = Metrics(self.engine)
        self._health = Health(self.engine, settings.store)
        self._alerts = Alerts(self.engine)
        self._cluster = Cluster(self.engine, f"{gethostname()}:{getpid()}")

    def _members(self) -> Sequence[Member]:
        holdings = self.engine.tables.holdings
        return () if holdings is None else holdings.members

    def _queue_rules(self, queue: str) -> QueueRules:
        return RULES if is_place(queue) else self.settings.queue_rules(queue)

    def _decode(self, envelope: Envelope) -> Message:
        return unseal(envelope, self.catalog)

    # ------------------------------------------------------------ life

    def start(self) -> Self:
        """Open the store, start the tree, recover what was not finished. Raises ``StartError`` with the cause."""
        if self._running:
            if self.engine.ended:
                raise ShuttingDown("this router gave up; stop it before it is started again")
            return self
        if self._spent:  # a tree lives once
            if isinstance(self.clock, SystemClock):
                self.clock = SystemClock()
            self.configure(self.settings)
        self._spent = True
        take_time_of(self.store, self.clock)
        try:
            self.engine.start()
        except BaseException:
            self._close_clock()
            raise
        self._running = True
        declared, self._declared = self._declared, {}
        for what in declared.values():
            self.schedules.put(self._scheduled(*what)).get(timeout=PATIENCE)
        return self

    def stop(self, drain: float | None = None) -> None:
        """Take no more; let what runs end within ``drain`` seconds (default: the settings'); flush. Idempotent.

        Async handlers that still run are cancelled then; sync ones run on as long as this process does, and other
        routers wait half a second for that before they go on with the guilds concerned. See ``Engine.stop``.
        """
        if self._running:
            self._running = False
            end = time.monotonic() + (self.settings.drain if drain is None else drain)
            self.protocols.retreat(max(0.0, end - time.monotonic()))
            self.engine.stop(max(0.0, end - time.monotonic()))
            self.queries.close()
            self._close_clock()

    def _close_clock(self) -> None:
        if isinstance(self.clock, SystemClock):
            self.clock.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        self.protocols.executor.use_loop(asyncio.get_running_loop())
        self.guard.use_loop(asyncio.get_running_loop())
        return await asyncio.to_thread(self.start)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop)

    # ------------------------------------------------------------ handlers

    def handler(
        self,
        message: type[Message] | str,
        *,
        timeout: float | None = None,
        protocols: Sequence[str] = (),
        idempotent: bool | None = None,
        verify: Verify | None = None,
    ) -> Callable[[F], F]:
        """Decorate a sync or async function ``fn(command, ctx)`` as the executor of a type in this process.

        ``timeout`` in seconds; ``idempotent=True``: executing twice is safe; ``verify(command, ctx)`` is asked after an
        attempt without an answer whether it happened (``True``, ``False``, or ``None``: cannot tell).
        """
        return self.handlers.handler(
            message, timeout=timeout, protocols=protocols, idempotent=idempotent, verify=verify
        )

    def bind(self, owner: object) -> None:
        """Use the methods of ``owner`` that are marked with ``@handles(...)``."""
        self.handlers.bind(owner)

    async def unbind(self, owner: object, drain: float = 5.0) -> bool:
        """Use them no more; ``True`` when none of them runs any more within ``drain`` seconds."""
        return await self.handlers.aunbind(owner, drain)

    def authorizer(self, authorizer: A) -> A:
        """Ask it before each attempt whether the acting user may do this; also a decorator of a function.

        ``authorize(command, envelope)``, sync or async, gives ``Allowed()``, ``Denied(code, message)`` or
        ``Unknown(retry_after)``; see ``router.permissions``. Without one everything is executed that came through a
        door. ``router.guard.forget()`` when roles or members changed and the answers of before should not count.
        """
        self._authorizer = authorizer
        self.guard.use(authorizer)
        return authorizer

    def _note_decision(self, envelope: Envelope, decision: Decision) -> None:
        self.engine.note("permission", told_of(decision), id=envelope.id, guild=envelope.guild, user=envelope.user)

    def _executors_changed(self) -> None:
        self.engine.executors_changed()  # not bound before: ``configure`` makes another engine

    def saga(self, ctx: Context) -> Saga:
        """In a handler: steps that are undone in reverse when one fails, and gone on from after a crash.

        ``async with router.saga(ctx) as saga: await saga.step("name", action, undo=...)``; see ``router.saga``.
        """
        return Saga(self, ctx)

    # ------------------------------------------------------------ schedules

    def schedule(
        self,
        message: Message,
        *,
        cron: str | None = None,
        every: float | timedelta | None = None,
        at: int | datetime | None = None,
        timezone: str = "UTC",
        overlap: str = "skip",
        catch_up: float = 60,
        id: str | None = None,
        **options: Any,
    ) -> Schedule:
        """Send a command again and again: at the ticks of ``cron`` (in ``timezone``), ``every`` so many seconds, or
        once ``at`` a time. Durable, and over any number of routers each tick is sent once.

        ``overlap``: a tick that comes while the command of an earlier one is not done is passed over (``skip``), waits
        behind it unless one does already (``buffer_one``), or is sent all the same (``allow``). ``catch_up``: seconds a
        tick may be late, because no router ran; of several such only the latest is sent, older ones are missed.
        ``id``: replaces the schedule of that id; without one it is made of what the schedule is, so that a program
        which makes it at every start has one. Options as ``send``. Before the start it is kept and stored then.
        Raises ``InvalidMessage`` with the field and the rule.
        """
        rule = {"cron": cron, "every": every, "at": at, "timezone": timezone, "overlap": overlap, "catch_up": catch_up}
        stored = self._scheduled(message, rule, id, options)
        if not self._running:
            self._declared[stored.id] = (message, rule, id, options)
            return Schedule(lambda: self.schedules, stored.id)
        return self.schedules.put(stored).get(timeout=PATIENCE)

    async def aschedule(self, message: Message, **options: Any) -> Schedule:
        """As ``schedule``."""
        names = ("cron", "every", "at", "timezone", "overlap", "catch_up")
        rule = {name: options.pop(name, None) for name in names}
        id_, operator = options.pop("id", None), options.pop("operator", "")
        return await self.schedules.put(self._scheduled(message, rule, id_, options), operator)

    def _scheduled(
        self, message: Message, rule: Mapping[str, Any], id_: str | None, options: Mapping[str, Any]
    ) -> StoredSchedule:
        self._command(message, options)  # whatever ``send`` would refuse is refused here
        return self.schedules.prepared(message, rule, id_, options)

    # ------------------------------------------------------------ proxies

    def proxy(self) -> Any:
        """A pykka proxy with a method per command of the catalog: ``proxy().ban_user(guild_id=..., ...)``.

        A call returns a pykka future of the ``Response``; ``.ban_user.defer(...)`` forgets it.
        """
        if not self._running:
            raise ShuttingDown("the router is not running")
        known = len(self.catalog)
        if known != self._proxied:  # types were declared since the command actor was made
            self._proxied = known
            self.engine.runtime.restart("commands")
        return self.engine.runtime.ref("commands").proxy()

    def _timetable(self) -> Timetable:
        ref = self.engine.runtime.ref
        return Timetable(
            lambda: ref("journal"),
            lambda: ref("intake"),
            self.schedules.submission,
            getattr(self.store, "router", self._name),
        )

    def _command_actor(self) -> CommandActor:
        self._proxied = len(self.catalog)
        return command_actor(self.catalog, lambda message, **options: self.send(message, **options).response)

    def facts(self, type_: str) -> Facts:
        """What the engine knows of a type: the catalog's facts under this installation's settings."""
        return self._facts(type_)
