"""The router: composition root and public face. Embedded, through proxies or as a daemon, it is this class."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import cache, partial
from os import getpid
from socket import gethostname
from types import TracebackType
from typing import Any, Self, TypeVar

from uuid_utils import uuid7

from actors.codec import encode
from actors.engine import Engine
from actors.envelope import Envelope
from actors.errors import KeyReusedError, ShuttingDown
from actors.hub import Listeners
from actors.messages import Submission
from actors.outcome import Answer
from actors.policy.consuming import QueueRules
from actors.policy.facts import Facts
from actors.ports import Entry, LoadMeter, Probe
from actors.runtime.clock import Clock, SystemClock
from actors.runtime.errors import NoSuchActor
from actors.runtime.promise import Promise
from actors.runtime.spec import ChildSpec
from actors.runtime.testing import Stepper
from actors.schedules import Schedule as StoredSchedule
from actors.sharing import Member
from actors.tables.breakers import Breakers
from actors.tables.deliveries import Desk
from actors.timetable import Timetable
from actors.waits import Explained
from router.alerts import Alerts
from router.assembly import Protocols
from router.audit import Audit
from router.cluster import Cluster
from router.dead_letters import DeadLetters
from router.errors import InvalidMessage, UnknownType, shape
from router.health import Health
from router.hub import EventHub
from router.memory import MemoryMeter
from router.messages.base import Message
from router.messages.redaction import Secrets, has_secrets, redacted_payload
from router.messages.registry import Catalog
from router.messages.registry import catalog as everything
from router.messages.replies import CommandAnswered
from router.messages.seal import seal, unseal
from router.metrics import Metrics
from router.once import Once, event_id, publish_once
from router.permissions.decision import Authorizer, Decision, Judge, told_of
from router.protocols.context import Context
from router.protocols.guard import Guard
from router.protocols.handlers import F, Handlers, Verify
from router.protocols.subscriptions import Cancel, Subscriptions
from router.protocols.websocket.letters import RULES, is_place
from router.proxy import CommandActor, command_actor
from router.query_cache import QueryCache
from router.query_desk import QueryDesk
from router.queues import Queues
from router.reply import Publication, Reply
from router.response import Response
from router.saga import Saga
from router.schedules import Schedule, Schedules
from router.send_options import seal_options
from router.settings import Settings
from router.status import LIBRARY, PATIENCE, StatusView, explanation_of, find
from router.stores.retention import Retention
from router.stores.timing import take_time_of
from router.stores.url import open_store
from router.tree import shown
from router.version import package_version

T = TypeVar("T")
A = TypeVar("A", bound="Authorizer | Judge")
logger = logging.getLogger("guild_router.router")


class Router:
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

    # ------------------------------------------------------------ sending

    def send(self, message: Message, **options: Any) -> Reply:
        """Hand a command over; never blocks. Raises ``InvalidMessage``; a refusal comes through the reply.

        Options: idempotency_key, priority, delay (s), at (ms or datetime), expires_in (s), requires_realtime,
        requires_reliability, protocols, correlation_id, request_id, reply_to, headers, actor, source, sender,
        sender_sequence, created_at (ms), id.
        """
        submission, reply = self._command(message, options)
        if message.__operation__.read_only:
            self.queries.ask(message, submission)
        else:
            self.engine.submit(submission)
        return reply

    def send_many(self, messages: Iterable[Message | tuple[Message, Mapping[str, Any]]]) -> list[Reply]:
        """Hand several over; stored together. All are validated before any is sent."""
        given = [item if isinstance(item, tuple) else (item, {}) for item in messages]
        pairs = [self._command(message, options) for message, options in given]
        commands = []
        for (message, _), (submission, _) in zip(given, pairs, strict=True):
            if message.__operation__.read_only:
                self.queries.ask(message, submission)
            else:
                commands.append(submission)
        if commands:
            self.engine.submit_many(commands)
        return [reply for _, reply in pairs]

    def request(self, message: Message, *, timeout: float | None = None, **options: Any) -> Response:
        """Send and wait for the response; ``pykka.Timeout`` after ``timeout`` s, which does not take it back."""
        return self.send(message, **options).result(timeout)

    async def arequest(self, message: Message, *, timeout: float | None = None, **options: Any) -> Response:
        """As ``request``; raises ``TimeoutError``."""
        async with asyncio.timeout(timeout):
            return await self.send(message, **options)

    def saga(self, ctx: Context) -> Saga:
        """In a handler: steps that are undone in reverse when one fails, and gone on from after a crash.

        ``async with router.saga(ctx) as saga: await saga.step("name", action, undo=...)``; see ``router.saga``.
        """
        return Saga(self, ctx)

    def send_child(self, message: Message, parent: Envelope, id_: str) -> Promise[Response]:
        """Send a command on behalf of one that is being executed, once per id; the response of whichever was first.

        It has a lane of its own, since in its own one it might wait for its parent.
        """
        promise: Promise[Response] = Promise()

        def send() -> None:
            options = {
                "id": id_,
                "idempotency_key": id_,
                "actor": parent.user or None,
                "correlation_id": parent.correlation_id or parent.id,
                "source": "saga",
            }
            submission, reply = self._command(message, options)
            envelope = submission.envelope._replace(subject=f"saga:{parent.id}"[:128])
            reply.response.add_done_callback(lambda response: _pass_on(response, promise))
            self.engine.submit(Submission(envelope, encode(envelope), reply))

        def found(view: Promise[StatusView | None]) -> None:
            # An answer is kept longer than the window in which an idempotency key makes duplicates.
            try:
                known = view.get(timeout=0)
                if known is not None and known.response is not None:
                    promise.set(known.response)
                else:
                    send()
            except Exception as error:  # noqa: BLE001 - whoever waits for the promise is told
                promise.fail(error)

        find(self.engine, id_).add_done_callback(found)
        return promise

    # ------------------------------------------------------------ named queues

    def publish(self, message: Message, **options: Any) -> str:
        """Put a message into its type's named queue for whoever subscribes, durably; its id. Options as ``send``.

        With an ``idempotency_key`` a repeat within ``queue_history_ttl`` publishes nothing and has the same id; raises
        ``KeyReusedError`` when it has another payload.
        """
        return self.publication(message, **options).get(timeout=PATIENCE).id

    async def apublish(self, message: Message, **options: Any) -> str:
        """As ``publish``."""
        return (await self.publication(message, **options)).id

    def publication(self, message: Message, **options: Any) -> Promise[Publication]:
        """As ``publish``, to be waited for later; says also whether it is a duplicate."""
        submission, _ = self._submission(message, options)
        envelope, frame = submission.envelope, submission.frame
        keyed = bool(envelope.idempotency_key)
        if keyed:
            envelope = envelope._replace(id=event_id(envelope))
            frame = encode(envelope)
        now = self.clock.now()
        entry = Entry(
            envelope.id, envelope.queue, frame, envelope.priority, envelope.due_at or now, envelope.expires_at
        )
        if keyed:
            outcome: Promise[Any] = self.engine.store_call(
                publish_once(entry, envelope, self.settings.queue_history_ttl)
            )
        else:
            outcome = self.engine.publish([entry])
        outcome.add_done_callback(lambda done: self._tell_published(done, envelope))
        return outcome.map(lambda found: _publication(found, envelope.id))

    def _tell_published(self, outcome: Promise[Any], envelope: Envelope) -> None:
        # Once it is stored, and once only: an id that the queue knew has been told.
        with suppress(Exception):  # whoever published it is told why it was not
            if outcome.get(timeout=0) in ([True], Once.NEW):
                self.engine.tables.desk.poke(envelope.queue)
                self.engine.announce("published", envelope)

    def _publish_answer(self, envelope: Envelope, answer: Answer) -> None:
        # Equal ids are one entry, so an answer that is told again is published once.
        response = Response.of(answer).model_dump(mode="json", by_alias=True)
        message = CommandAnswered(
            request_id=envelope.id, command_type=envelope.type, status=answer.status.value, response=response
        )
        options = {"correlation_id": envelope.correlation_id or None}
        sealed = self._sealed(message, f"answer.{envelope.id}", options)._replace(queue=envelope.reply_to)
        now = self.clock.now()
        entry = Entry(sealed.id, envelope.reply_to, encode(sealed), sealed.priority, now, sealed.expires_at)
        self.engine.publish([entry]).add_done_callback(_log_failure)

    def subscribe(
        self,
        queue: str,
        handler: Callable[..., Any],
        *,
        batch_size: int = 10,
        auto_ack: bool = True,
        retry_on_failure: bool = True,
        concurrency: int | None = None,
        timeout: float | None = None,
    ) -> Cancel:
        """Have ``handler(message)`` or ``handler(message, received)`` called for what is published to a named queue.

        Several subscribers of one queue share its messages. See ``router.protocols.subscriptions``.
        """
        return self._subscriptions.subscribe(
            queue,
            handler,
            batch_size=batch_size,
            auto_ack=auto_ack,
            retry_on_failure=retry_on_failure,
            concurrency=concurrency,
            timeout=timeout,
        )

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
        id: str | None = None,  # noqa: A002 - the word of the contract
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

    def _command(self, message: Message, options: Mapping[str, Any]) -> tuple[Submission, Reply]:
        submission, reply = self._submission(message, options)
        envelope = submission.envelope
        if envelope.kind in ("event", "notification") and self.handlers.find(envelope.type) is None:
            raise InvalidMessage("message", f"must be a command or a task; publish() takes {envelope.type}")
        if envelope.protocols and not any(name in self.engine.protocols for name in envelope.protocols):
            known = ", ".join(sorted(self.engine.protocols))
            raise InvalidMessage("protocols", f"must name one that this router has: {known}")
        return submission, reply

    def _submission(self, message: Message, options: Mapping[str, Any]) -> tuple[Submission, Reply]:
        if not isinstance(message, Message):
            raise InvalidMessage("message", "must be a message of the catalog", shape(message))
        if self.catalog is not everything and message.type not in self.catalog:
            raise UnknownType(message.type)
        id_ = options.get("id") or str(uuid7())
        envelope = self._sealed(message, id_, options)
        reply = Reply(id_, self.engine)
        if self.queries.changed_by(message.type):
            # Before its sender is told: who asks after that must not be told what was true before.
            reply.before = partial(self.queries.settled, envelope)
        return Submission(envelope, encode(envelope), reply), reply

    def _sealed(self, message: Message, id_: str, options: Mapping[str, Any]) -> Envelope:
        known: dict[str, Any] = {"source": "library"}
        own = self._own.get(message.type)
        if own:
            known |= own
        if options:
            known |= seal_options(options)
        envelope = seal(message, id=id_, now=self.clock.now(), **known)
        queue = self._facts(message.type).queue
        if message.__operation__.read_only and not message.__operation__.subject:
            return envelope._replace(queue=queue, subject=f"query:{id_}"[:128])  # it waits for nobody
        return envelope if envelope.queue == queue else envelope._replace(queue=queue)

    def facts(self, type_: str) -> Facts:
        """What the engine knows of a type: the catalog's facts under this installation's settings."""
        return self._facts(type_)

    # ------------------------------------------------------------ looking

    def find(self, id: str) -> StatusView | None:  # noqa: A002 - the word of the contract
        """Where a command stands; ``None``: not known (any more)."""
        return find(self.engine, id).get(PATIENCE)

    async def afind(self, id: str) -> StatusView | None:  # noqa: A002
        """As ``find``."""
        return await find(self.engine, id)

    def cancel(self, id: str, *, operator: str = "") -> bool:  # noqa: A002
        """Take a command back if it has not started. ``operator``: who wants it, for the audit trail."""
        return self._cancel(id, operator).get(timeout=PATIENCE)

    async def acancel(self, id: str, *, operator: str = "") -> bool:  # noqa: A002
        """As ``cancel``."""
        return await self._cancel(id, operator)

    def _cancel(self, id_: str, operator: str) -> Promise[bool]:
        def cancelled(done: bool) -> bool:
            if done:
                self.engine.note("operator", {"action": "cancel"}, id=id_, user=operator or LIBRARY)
            return done

        return self.engine.cancel(id_).map(cancelled)

    def explain(self, id: str) -> dict[str, Any] | None:  # noqa: A002
        """The causal record of a command; ``None``: not known (any more)."""
        return self._explain(id).get(timeout=PATIENCE)

    async def aexplain(self, id: str) -> dict[str, Any] | None:  # noqa: A002
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
        """Counters since the start, and depths now."""
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


def _publication(outcome: list[bool] | Once, id_: str) -> Publication:
    if outcome is Once.REUSED:
        raise KeyReusedError("this idempotency key stands for another payload")
    return Publication(id_, duplicate=outcome not in ([True], Once.NEW))


def _pass_on(response: Promise[Response], promise: Promise[Response]) -> None:
    try:
        promise.set(response.get(timeout=0))
    except Exception as error:  # noqa: BLE001 - whoever waits for the promise is told
        promise.fail(error)


def _log_failure(published: Promise[list[bool]]) -> None:
    try:
        published.get(timeout=0)
    except Exception as error:  # noqa: BLE001 - the answer itself is stored; only its copy in a queue is missing
        logger.warning("an answer could not be put into its queue: %s", error)
