"""The engine: the tree, started, stopped and talked to. What a product embeds."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from random import Random
from threading import Event, Lock
from typing import Any, TypeVar

from actors.asking import Barrier, settle
from actors.cluster import shared
from actors.entries import Entry
from actors.envelope import Envelope
from actors.errand import Append
from actors.errors import EngineError, Overloaded, Refused, ShuttingDown
from actors.hub import Listeners
from actors.messages import (
    Cancel,
    Depart,
    Drain,
    Locate,
    Published,
    PurgeQueue,
    StoreCall,
    Submission,
    Submissions,
    Wake,
    tell,
)
from actors.options import Options
from actors.orders import Orders
from actors.outcome import Answer, Fault, Outcome, Verdict
from actors.partitions import Departed
from actors.policy.breaker import BreakerSettings
from actors.policy.facts import Facts
from actors.policy.sequence import Sequences
from actors.policy.shedding import admits
from actors.ports import Backend, ExecutionProtocol, LoadMeter, Probe
from actors.relay import Order
from actors.runtime.clock import Clock, SystemClock
from actors.runtime.errors import MailboxFull, NotRunning, RuntimeFault, StartError
from actors.runtime.pooled import PoolDispatcher
from actors.runtime.promise import Promise
from actors.runtime.ref import Ref
from actors.runtime.runtime import Runtime
from actors.runtime.spec import ChildSpec, SupervisorSpec
from actors.runtime.testing import Stepper
from actors.tables.backlog import BACKLOGS, Backlog
from actors.tables.breakers import Breakers
from actors.tables.deliveries import Desk
from actors.tables.gate import Gate
from actors.tables.guilds import Guilds
from actors.tables.holdings import Holdings
from actors.tables.load import Load
from actors.tree import GUILD, Tables, engine_tree

T = TypeVar("T")
logger = logging.getLogger("guild_router.engine")

BARRIER = Barrier()

INTERRUPTED = 1.0
"""Seconds for the guilds to put interrupted attempts back into their lanes."""

GIVEN_UP = 10.0
"""Seconds until a guild whose actor crashed too often is tried again."""


class Engine(Orders):
    """One router's actors over one store. Thread-safe once started."""

    def __init__(
        self,
        store: Backend,
        protocols: Sequence[ExecutionProtocol],
        facts: Callable[[str], Facts],
        *,
        options: Options | None = None,
        clock: Clock | None = None,
        stepper: Stepper | None = None,
        random: Random | None = None,
        breakers: Breakers | BreakerSettings | None = None,
        probes: Sequence[Probe] = (),
        meters: Sequence[LoadMeter] = (),
        desk: Desk | None = None,
        listeners: Listeners | None = None,
        reply: Callable[[Envelope, Answer], None] | None = None,
        name: str = "",
        version: str = "",
        said: Callable[[], Mapping[str, object]] = dict,
        extras: tuple[ChildSpec | SupervisorSpec, ...] = (),
    ) -> None:
        self.options = options or Options()
        self.clock: Clock = clock or SystemClock()
        self.store = store
        self.facts = facts
        self.protocols = {protocol.name: protocol for protocol in protocols}
        self.breakers = breakers if isinstance(breakers, Breakers) else Breakers(breakers)
        self.breakers.serve(self.protocols.values())
        guilds = Guilds()
        self.tables = Tables(
            Gate(
                self.options,
                lambda guild: guilds.wake(guild, Wake()),
                shared=None if shared(store) is None else self.clock.monotonic,
            ),
            guilds,
            Sequences(gap_timeout=self.options.sequence_gap),
            self.breakers,
            Load(self.options.lag_limit),
            self.breakers.services,
            Backlog(self.options),
        )
        sharing = shared(store)
        if sharing is not None:
            self.tables.holdings = Holdings(sharing.router, sharing.partitions, self.clock.monotonic)
        if desk is not None:
            self.tables.desk = desk
        if listeners is not None:
            self.tables.listeners = listeners
        self._version = version
        self._said = said
        self._recovered = Event()
        self._stepper = stepper
        self._stopping = False
        self._ended: list[Callable[[BaseException | None], object]] = []
        self._end_lock = Lock()
        self._given_up = False
        self._cause: BaseException | None = None
        self.runtime = Runtime(
            self.clock,
            {"pool": PoolDispatcher(self.options.pool_threads)},
            stepper=stepper,
            on_poison=self._on_poison,
            on_dropped=self._on_dropped,
        )
        self.runtime.on_escalation(self._escalated)
        self._spec = engine_tree(
            self.runtime,
            store=store,
            protocols=self.protocols,
            probes=probes,
            meters=meters,
            facts=facts,
            options=self.options,
            tables=self.tables,
            random=random or Random(),  # noqa: S311 - jitter is no secret
            recovered=self._on_recovered,
            pause_lane=self._pause_lane,
            reply=reply or _nobody,
            on_guild_given_up=self._on_guild_given_up,
            name=name,
            perform=self.perform,
            about=self.about,
            extras=extras,
        )

    # ------------------------------------------------------------ life

    def start(self, timeout: float = 60.0) -> None:
        """Start the tree and recover what the store holds; raises ``StartError`` with the cause, everything undone."""
        self.tables.guilds.hold()
        self.runtime.start(self._spec, timeout)
        if self._stepper is not None:
            self._stepper.run()
        elif not self._recovered.wait(timeout):
            self.runtime.stop()
            raise Refused(f"recovery took longer than {timeout} s")
        if self._given_up:
            raise StartError("router", self._cause)

    def stop(self, drain: float = 15.0) -> None:
        """Take no more, let what runs end within ``drain`` seconds, hand the rest back, flush, stop. Idempotent.

        What still runs then is called off as the protocols are closed: an async handler is cancelled, a thread cannot
        be stopped and ends with its process. So that no other router begins the next of its lane meanwhile, its
        partition is not handed over: its lease runs out, in half a second. A process that lives on after ``stop`` with
        handlers on threads gives a ``drain`` longer than they may take.
        """
        if self._stopping:
            return
        self._stopping = True
        try:
            self.runtime.ref("intake").tell(Drain())
        except RuntimeFault:
            self.runtime.stop()
        else:
            self.tables.gate.close()
            for name in ("intake", "journal", "deduplicator"):  # what was admitted is stored, and its sender told
                self._barrier(name)
            self._depart()
            self._hand_back_waiting()
            self._wait_for_flights(drain)
            self._interrupt()
            for name in ("journal", "deduplicator", "hub"):
                self._barrier(name)
            if self.tables.holdings is not None:
                self._barrier("partitions", Departed())
            self.runtime.stop()
        self._dismiss()

    def on_end(self, callback: Callable[[BaseException | None], object]) -> None:
        """Call ``callback(cause)`` when the tree has given up and everything is stopped; at once if it has already."""
        with self._end_lock:
            if not self._given_up:
                self._ended.append(callback)
                return
        callback(self._cause)

    @property
    def ended(self) -> bool:
        """Whether the tree has given up, or was stopped."""
        return self._stopping

    def _escalated(self, cause: BaseException | None) -> None:
        self._stopping = True
        self._dismiss()
        with self._end_lock:
            self._given_up, self._cause = True, cause
        self._recovered.set()  # whoever waits for the start waits for nothing
        for callback in self._ended:
            callback(cause)

    def _dismiss(self) -> None:
        """Nobody waits for ever: what is stored goes on at the next start, but not before these eyes."""
        error = ShuttingDown("the router stopped before the end of this command's way", retry_after=5_000)
        for waiting in self.tables.waiters.clear():
            tell(waiting.waiter.on_refused, error)
        for protocol in self.protocols.values():
            tell(protocol.close, 0.0)

    def _hand_back_waiting(self) -> None:
        # An attempt that its protocol can prove not to have started goes back into its lane, uncharged.
        for flight in self.tables.flights.all():
            self.tables.landing.hand_back(flight, self.protocols, self.clock.now())

    def _wait_for_flights(self, drain: float) -> None:
        if self._stepper is not None:
            self._stepper.run()
        elif not self.tables.flights.empty.wait(drain):
            logger.warning("%d attempts were still running after %s s", len(self.tables.flights), drain)

    def _interrupt(self) -> None:
        """Whatever still runs after the drain is not charged for it, if executing it again does no harm.

        Of the others nobody knows how far they came: the next start finds them running, in doubt.
        """
        landed = False
        running = [flight for flight in self.tables.flights.all() if flight.outcome is None]
        if self.tables.holdings is not None:
            self.tables.holdings.interrupt({flight.guild for flight in running})
        for flight in running:
            envelope = flight.ticket.envelope
            if self.facts(envelope.type).idempotent or self.protocols[flight.protocol].idempotent(envelope):
                outcome = Outcome(Verdict.DEFERRED, executed=True, fault=Fault("shutdown", "interrupted", True))
                landed = self.tables.landing.land(flight, outcome, self.clock.now()) or landed
        if landed and self._stepper is None:
            self.tables.flights.empty.wait(INTERRUPTED)

    def _depart(self) -> None:
        """Others take each partition as soon as nothing of it runs here; nobody waits for the slowest."""
        if self.tables.holdings is not None:
            with suppress(RuntimeFault):
                self.runtime.ref("partitions").tell(Depart())

    def _barrier(self, name: str, message: object = BARRIER) -> None:
        try:
            for _ in range(2):  # the second is received after the first one's slice was flushed
                self.runtime.ref(name).ask(message, timeout=10.0)
        except Exception:
            logger.exception("%s did not come to rest before the stop", name)

    def about(self) -> dict[str, object]:
        """What this router says of itself to others that share its store; ``load``: 1.0 is all it can bear."""
        tables, options = self.tables, self.options
        shares = (tables.backlog.total / options.max_backlog, tables.gate.running / options.max_running)
        return {
            "backlog": tables.backlog.total,
            "running": tables.gate.running,
            "load": round(max(tables.load.level, *shares), 3),
            "lagMs": round(tables.load.lag, 1),
            "version": self._version,
            BACKLOGS: tables.backlog.tell(),
            **self._said(),
        }

    # ------------------------------------------------------------ the way in

    def submit(self, submission: Submission) -> None:
        """Through the door; never blocks. What becomes of it is told to its waiter."""
        self._offer(submission, [submission])

    def submit_many(self, submissions: list[Submission]) -> None:
        """As ``submit``; stored together as far as they are admitted."""
        self._offer(Submissions(submissions), submissions)

    def _offer(self, message: object, submissions: list[Submission]) -> None:
        error: EngineError
        try:
            if self._stopping:
                raise NotRunning("stopping")
            self.runtime.ref("intake").tell(message)
        except MailboxFull:
            error = Overloaded("the door is full", retry_after=1_000, limit="door")
        except RuntimeFault:
            error = ShuttingDown("the router is not running", retry_after=5_000)
        else:
            return
        for submission in submissions:
            submission.refuse(error)

    # ------------------------------------------------------------ events and executors

    def publish(self, entries: Sequence[Entry]) -> Promise[list[bool]]:
        """Put entries into their named queues; ``False`` for an id that is known. Durable when the promise is kept."""
        promise: Promise[list[bool]] = Promise()
        self._ask("queues", Append(entries, settle(promise)), promise)
        return promise

    def announce(self, kind: str, envelope: Envelope, detail: str = "") -> None:
        """Tell whoever listens; nothing if nobody does."""
        if self.tables.listeners:
            with suppress(RuntimeFault):
                self.runtime.ref("hub").tell(Published(kind, envelope, None, 0, detail))

    def restart(self, name: str, timeout: float | None = None) -> None:
        """Restart one actor, or a supervisor with all below, as an operator. Raises ``NoSuchActor``."""
        self.runtime.restart(name, timeout)
        if name == "guilds":
            self.runtime.restart("recovery", timeout)  # they come back with what the store holds

    @property
    def load(self) -> float:
        """How full this router is, 1.0 being full: the highest of its backlog's share and what the meters say."""
        return max(self.tables.backlog.total / self.options.max_backlog, self.tables.load.level)

    @property
    def load_cause(self) -> str:
        """What the load is the share of."""
        backlog = self.tables.backlog.total / self.options.max_backlog
        return "backlog" if backlog >= self.tables.load.level else self.tables.load.cause

    @property
    def overloaded(self) -> bool:
        """Whether commands are turned away, of the lowest priority at least."""
        return not admits(1, self.load)

    def executors_changed(self) -> None:
        """A handler, a bot or a worker came: parked commands try again."""
        self.tables.gate.executors_changed()

    def _on_recovered(self, count: int) -> None:
        if count:
            logger.info("recovered %d unsettled commands", count)
        self._recovered.set()

    def _on_guild_given_up(self, ref: Ref, error: BaseException | None) -> None:
        # It crashed too often. Its work is in the store; it gets another chance after a while, not at once.
        guild = ref.name.removeprefix(GUILD)
        logger.error("guild %s is given up for %s s: %r", guild, GIVEN_UP, error)
        self.tables.guilds.leave_unread(guild)
        self.clock.call_later(GIVEN_UP, lambda: self.tables.guilds.tell(guild, Wake()))

    def _on_dropped(self, ref: Ref, messages: Sequence[Any]) -> None:
        # The tree ended with these unheard.
        error = ShuttingDown("the router stopped before it came to this", retry_after=5_000)
        for message in messages:
            _answer_unheard(message, error, ref.name)

    def _on_poison(self, ref: Ref, message: object, cause: BaseException | None) -> None:
        logger.error("%s: gave up on a %s: %r", ref.name, type(message).__name__, cause)
        _answer_unheard(message, Refused("the router could not handle this"), ref.name)


def _answer_unheard(message: object, error: EngineError, name: str) -> None:
    """Whoever asked is told, nobody waits for ever."""
    match message:
        case Submission():
            message.refuse(error)
        case Submissions(items):
            for item in items:
                item.refuse(error)
        case (
            StoreCall(_, reply)
            | Append(_, reply)
            | Cancel(_, reply)
            | Locate(_, reply)
            | PurgeQueue(_, reply)
            | Order(_, _, _, reply)
        ):
            tell(reply, error)
        case _:
            logger.debug("%s: a %s was never handled", name, type(message).__name__)


def _nobody(_envelope: Envelope, _answer: Answer) -> None:
    """Answers are published for whoever composed the engine so."""
