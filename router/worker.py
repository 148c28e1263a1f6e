"""A worker: executes the commands of named queues in a process of its own, over a store that processes share.

It has the consuming half of a router and nothing else: a connection to the store, the claims in hand, the handlers. It
may be killed at any moment: what it had begun is known as begun, and whoever claims it next decides by that (see
``router.protocols.hands``); what it had not begun is executed elsewhere as if nothing had been.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Any, Self, Unpack

from uuid_utils import uuid7

from actors.asking import Barrier
from actors.cluster import shared
from actors.envelope import Envelope
from actors.keeper import Keeper
from actors.policy.consuming import QueueRules
from actors.ports import Backend
from actors.queues import NamedQueues
from actors.runtime.clock import Clock, SystemClock
from actors.runtime.errors import RuntimeFault
from actors.runtime.ref import Ref
from actors.runtime.runtime import Runtime
from actors.runtime.spec import ChildSpec, SupervisorSpec
from actors.tables.deliveries import Desk
from router.errors import BadWorker
from router.messages.base import Message
from router.messages.registry import Catalog
from router.messages.registry import catalog as everything
from router.messages.seal import unseal
from router.permissions.decision import Allowed, Authorizer, Decision, Judge, told_of
from router.protocols.consumers import Consumers
from router.protocols.executor import Executor
from router.protocols.guard import Guard
from router.protocols.handlers import F, Handlers, Verify
from router.protocols.hands import Hands
from router.protocols.rings import Rings
from router.protocols.roll import Roll
from router.protocols.subscriptions import Cancel, SubscribeOptions, Subscriptions
from router.settings import Settings
from router.signals import Echoes
from router.stores.timing import take_time_of
from router.stores.url import open_store

logger = logging.getLogger("guild_router.worker")

LEASE = 10.0
"""Seconds until a command whose worker is frozen, or cut off from the store, is another worker's."""

TIMEOUT = 30.0
"""Seconds a handler may run that declared nothing else."""

DRAIN = 15.0
"""Seconds for running handlers at the end."""

GLANCE = 0.2
"""Seconds between looks whether the process was told to end."""

THREADS = 256
"""For handlers that are not async, at most: one for each command that may be in hand."""


class Worker:
    """Consumes named queues of a store.

    ``store``: a URL, or a backend that is not open; ``queues``: the named queues it consumes, ``None``: those of all
    types it has handlers for. ``concurrency``: commands of one queue at once, ``None``: as the queue's rules in
    ``settings`` say; ``timeout``: of one call of a handler that declared none, in seconds; ``lease``: seconds, see
    ``LEASE``; claims are renewed at a third of it by threads of their own, so a busy handler does not lose its claim.
    ``name``: for people, in lists of workers. ``authorizer``: asked about what was published into a queue beside the
    routers, who ask their own about their commands; its decisions are logged. Raises ``BadWorker`` for a store that
    only one process can hold.

    A ``with`` block, an ``async with`` block (async handlers then run on its loop), ``start()`` and ``stop()``, or
    ``run()``, which ends by SIGTERM or SIGINT.
    """

    def __init__(
        self,
        store: str | Backend,
        queues: Collection[str] | None = None,
        *,
        settings: Settings | None = None,
        concurrency: int | None = None,
        timeout: float = TIMEOUT,
        lease: float = LEASE,
        drain: float = DRAIN,
        name: str = "",
        catalog: Catalog = everything,
        clock: Clock | None = None,
        authorizer: Authorizer | Judge | None = None,
    ) -> None:
        self.id = uuid7().hex
        self.name = name
        self.drain = drain
        self.queues = None if queues is None else _names(queues)
        self.catalog = catalog
        self.handlers = Handlers(catalog)
        self._store = store
        self._settings = settings or Settings()
        self._concurrency = _positive("concurrency", concurrency)
        self._timeout = round(_seconds("timeout", timeout) * 1000)
        self._lease = round(_seconds("lease", lease) * 1000)
        self._clock = clock
        self.authorizer = authorizer
        self._loop: asyncio.AbstractEventLoop | None = None
        self._subscribed: list[tuple[str, Callable[..., Any], SubscribeOptions]] = []
        self._crew: _Crew | None = None
        self._over = threading.Event()
        self.cause: BaseException | None = None  #: why it gave up, if it did
        if isinstance(store, str):
            _must_be_shared(store)

    def use(
        self,
        *,
        store: str | Backend | None = None,
        queues: Collection[str] | None = None,
        settings: Settings | None = None,
        concurrency: int | None = None,
        name: str | None = None,
        drain: float | None = None,
    ) -> None:
        """Use these instead, before the start; what is not given stays. How a terminal runs an application's worker."""
        if self._crew is not None:
            raise BadWorker("a running worker keeps what it has; stop it first")
        if isinstance(store, str):
            _must_be_shared(store)
        self._store = self._store if store is None else store
        self.queues = self.queues if queues is None else _names(queues)
        self._settings = settings or self._settings
        self._concurrency = self._concurrency if concurrency is None else _positive("concurrency", concurrency)
        self.name = self.name if name is None else name
        self.drain = self.drain if drain is None else drain

    # ------------------------------------------------------------ handlers

    def handler(
        self,
        message: type[Message] | str,
        *,
        timeout: float | None = None,
        idempotent: bool | None = None,
        verify: Verify | None = None,
    ) -> Callable[[F], F]:
        """Decorate a sync or async function ``fn(command, ctx)`` as the executor of a type; as ``Router.handler``."""
        return self.handlers.handler(message, timeout=timeout, idempotent=idempotent, verify=verify)

    def bind(self, owner: object) -> None:
        """Use the methods of ``owner`` that are marked with ``@handles(...)``."""
        self.handlers.bind(owner)

    def subscribe(self, queue: str, handler: Callable[..., Any], **options: Unpack[SubscribeOptions]) -> None:
        """Have ``handler(message)`` or ``handler(message, received)`` called for what is published to a named queue.

        Options as ``Router.subscribe``. Before the start; what is wrong is raised there at the latest.
        """
        self._subscribed.append((queue, handler, options))
        if self._crew is not None:
            self._crew.subscribe(queue, handler, options)

    # ------------------------------------------------------------ life

    def start(self) -> Self:
        """Open the store and begin to claim. Raises ``StartError`` with the cause, and ``BadSubscription``."""
        if self._crew is None:
            self._over.clear()
            self.cause = None
            self._crew = _Crew(self, self._ended)
            for queue, handler, options in self._subscribed:
                self._crew.subscribe(queue, handler, options)
            try:
                self._crew.start()
            except BaseException:
                self._crew = None
                raise
            logger.info("worker %s consumes %s", self.id, ", ".join(self.consumes) or "nothing yet")
        return self

    def stop(self, drain: float | None = None) -> None:
        """Claim no more; let what runs end within ``drain`` seconds (default: the worker's); give the rest back.

        What has not begun goes back into its queue at no cost. What still runs then is given back if it may be
        repeated; of the rest its router is told that it is in doubt. Idempotent.
        """
        crew, self._crew = self._crew, None
        if crew is not None:
            crew.stop(self.drain if drain is None else drain)
        self._over.set()

    @property
    def consumes(self) -> list[str]:
        """The named queues it claims from now."""
        return [] if self._crew is None else self._crew.consumed()

    def _ended(self, cause: BaseException | None) -> None:
        self.cause = cause or RuntimeError("its actors gave up")
        self._over.set()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        return await asyncio.to_thread(self.start)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop)

    def run(self, ready: Callable[[], None] = lambda: None) -> int:
        """Start, work until SIGTERM or SIGINT, drain; a second one ends the process at once, without loss.

        In the main thread. Returns 0, or 1 when it gave up (``cause`` says why).
        """
        with _signals(self._over):
            with self:
                ready()
                # The system may hand a signal to any thread; then this one hears of it when it looks.
                while not self._over.wait(GLANCE):
                    pass
            return 1 if self.cause else 0

    async def arun(self) -> None:
        """Work until it is cancelled, on this event loop; then drain. Raises ``cause`` when it gave up."""
        async with self:
            over = asyncio.get_running_loop().create_task(asyncio.to_thread(self._over.wait))
            try:
                await asyncio.shield(over)
            finally:
                self._over.set()
                await over
        if self.cause is not None:
            raise self.cause

    # ------------------------------------------------------------ for its crew

    def open_backend(self) -> Backend:
        """The store, not open yet."""
        return open_store(self._store) if isinstance(self._store, str) else self._store

    def rules(self, queue: str) -> QueueRules:
        """What one queue allows here."""
        rules = self._settings.queue_rules(queue)
        rules = replace(rules, lease=min(rules.lease, self._lease))
        return rules if self._concurrency is None else replace(rules, concurrency=self._concurrency)

    def clock(self) -> Clock:
        """Its time."""
        return self._clock or SystemClock()

    def executor(self, clock: Clock, decode: Callable[[Envelope], Any]) -> Executor:
        """What calls its handlers; a claimed command never waits for a thread, so what has begun runs."""
        queues = self.handlers.queues() if self.queues is None else self.queues
        threads = sum(self.rules(queue).concurrency for queue in {*queues, *(each[0] for each in self._subscribed)})
        workers = min(THREADS, max(1, threads))
        loop, self._loop = self._loop, None
        return Executor(self.handlers, clock, workers=workers, timeout_ms=self._timeout, loop=loop, decode=decode)


class _Crew:
    """One start of a worker: its actors and what they use."""

    def __init__(self, worker: Worker, ended: Callable[[BaseException | None], None]) -> None:
        self._worker = worker
        self._ended = ended
        self._clock = worker.clock()
        self._own_clock = worker._clock is None
        self._desk = Desk(worker.rules)
        self._desk.holder = worker.id
        self._executor = worker.executor(self._clock, lambda envelope: unseal(envelope, worker.catalog))
        self._hands = Hands(self._executor, self._queues, worker.id)
        self._roll = Roll(self._queues, self._clock, worker.id, self._presence)
        self._rings: Rings | None = None
        settings = worker._settings
        self._guard = Guard(
            self._clock,
            self._executor.decode,
            _log_decision,
            ttl=settings.authorization_ttl_ms,
            timeout=settings.authorization_timeout_ms,
        )
        self._guard.use(worker.authorizer)
        self._consumers = Consumers(
            self._desk,
            self._executor,
            self._hands.take,
            queues=worker.queues,
            concurrency=worker._concurrency,
            on_change=self._roll.look,
            check=self._guard.check,
        )
        self._subscriptions = Subscriptions(self._desk, lambda: self._executor.workshop, self._executor.decode)
        self._runtime = Runtime(self._clock)
        self._runtime.on_escalation(self._escalated)

    def _queues(self) -> Ref:
        return self._runtime.ref("queues")

    def _presence(self) -> Any:
        worker = self._worker
        return self._consumers.presence(worker.id, worker._lease, worker.name)

    def consumed(self) -> list[str]:
        return sorted(self._desk.subscriptions)

    def subscribe(self, queue: str, handler: Callable[..., Any], options: SubscribeOptions) -> Cancel:
        return self._subscriptions.subscribe(queue, handler, **options)

    def start(self) -> None:
        store = self._worker.open_backend()
        take_time_of(store, self._clock)
        sharing = shared(store)
        if sharing is not None:
            self._rings = Rings(sharing.bell(), self._desk, self._worker.id)
        children = [
            ChildSpec("keeper", lambda: Keeper(store), shutdown="infinity"),
            ChildSpec("queues", lambda: NamedQueues(lambda: self._runtime.ref("keeper"), self._desk)),
        ]
        try:
            self._runtime.start(
                SupervisorSpec("worker", children, strategy="rest_for_one", intensity=5, period=10.0), 60.0
            )
        except BaseException:
            self._close_clock()
            raise
        self._executor.open("worker")
        self._guard.open("worker")
        self._consumers.open()
        self._roll.open()
        if self._rings is not None:
            self._rings.open()

    def stop(self, drain: float) -> None:
        if self._rings is not None:
            self._rings.close()
        self._consumers.close()
        for subscriptions in list(self._desk.subscriptions.values()):
            for subscription in list(subscriptions):
                self._desk.unsubscribe(subscription)
        self._roll.close()
        self._barrier()  # claims that were asked for are given back before anything ends
        self._guard.close("worker")
        self._executor.close("worker", drain)
        self._barrier()
        self._runtime.stop()
        self._close_clock()

    def _barrier(self) -> None:
        # What is under way, then what had gathered behind it, and what that left to be said.
        for name in ("queues", "keeper", "queues", "keeper", "queues"):
            try:
                for _ in range(2):  # the second is received after the first one's slice was flushed
                    self._runtime.ref(name).ask(Barrier(), timeout=10.0)
            except (RuntimeFault, TimeoutError) as error:
                logger.warning("%s did not come to rest before the stop: %r", name, error)

    def _escalated(self, cause: BaseException | None) -> None:
        self._guard.close("worker")
        self._executor.close("worker", 0.0)
        self._ended(cause)

    def _close_clock(self) -> None:
        if self._own_clock and isinstance(self._clock, SystemClock):
            self._clock.close()


def _log_decision(envelope: Envelope, decision: Decision) -> None:
    level = logging.DEBUG if isinstance(decision, Allowed) else logging.WARNING
    logger.log(level, "%s %s of user %s: %s", envelope.type, envelope.id, envelope.user or "-", told_of(decision))


@contextmanager
def _signals(over: threading.Event) -> Iterator[None]:
    """SIGTERM and SIGINT set the event; a second one ends the process, and its claims lapse by themselves."""
    echoes = Echoes()

    def asked(number: int, _: object) -> None:
        if echoes.is_echo(number):
            return
        if over.is_set():
            os._exit(128 + number)
        over.set()

    before = {each: signal.signal(each, asked) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _must_be_shared(url: str) -> None:
    """Raise ``BadWorker`` unless several processes can hold it at once."""
    if not url.startswith(("redis:", "rediss:", "redis+", "rediss+")):
        scheme = url.partition(":")[0][:20]
        raise BadWorker(
            f"a worker in another process needs a store that processes share: redis://..., not {scheme}, "
            "which one process holds at a time (there, register the handlers on its Router)"
        )


def _names(queues: Collection[str]) -> tuple[str, ...]:
    if isinstance(queues, str) or not all(isinstance(each, str) and each for each in queues):
        raise BadWorker(f"queues must be a list of names, not {queues!r}")
    return tuple(dict.fromkeys(queues))


def _positive(name: str, value: int | None) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise BadWorker(f"{name} must be 1 or more, not {value!r}")
    return value


def _seconds(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.1 <= value <= 86_400:
        raise BadWorker(f"{name} must be seconds from 0.1 to a day, not {value!r}")
    return value


__all__: Sequence[str] = ["Worker"]
