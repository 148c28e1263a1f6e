"""The engine: the tree, started, stopped and talked to. What a product embeds."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random
from threading import Event, Lock
from typing import Any, NamedTuple, TypeVar

from actors.codec import decode, pack
from actors.envelope import Envelope
from actors.errand import Append
from actors.errors import EngineError, Overloaded, Refused, ShuttingDown
from actors.messages import (
    Cancel,
    Drain,
    Entered,
    Locate,
    Published,
    PurgeQueue,
    StoreCall,
    Submission,
    Submissions,
    Wake,
)
from actors.options import Options
from actors.outcome import Fault, Outcome, Verdict
from actors.places import place_of
from actors.policy.breaker import Breaker, BreakerSettings
from actors.policy.facts import Facts
from actors.ports import Backend, DeadLetter, Entry, ExecutionProtocol, Note, Record, Replay, Stored, Write
from actors.runtime.clock import Clock, SystemClock
from actors.runtime.errors import MailboxFull, RuntimeFault
from actors.runtime.pooled import PoolDispatcher
from actors.runtime.promise import Promise
from actors.runtime.ref import Ref
from actors.runtime.runtime import Runtime
from actors.runtime.spec import ChildSpec, SupervisorSpec
from actors.runtime.testing import Stepper
from actors.tables.deliveries import Desk
from actors.tables.gate import Gate
from actors.tables.guilds import Guilds
from actors.tree import Tables, engine_tree

T = TypeVar("T")
logger = logging.getLogger("guild_router.engine")


class Engine:
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
        breakers: BreakerSettings | None = None,
        desk: Desk | None = None,
        extras: tuple[ChildSpec | SupervisorSpec, ...] = (),
    ) -> None:
        self.options = options or Options()
        self.clock: Clock = clock or SystemClock()
        self.store = store
        self.facts = facts
        self.protocols = {protocol.name: protocol for protocol in protocols}
        self.breakers = {name: Breaker(name, breakers or BreakerSettings()) for name in self.protocols}
        guilds = Guilds()
        self.tables = Tables(Gate(self.options, lambda guild: guilds.wake(guild, Wake())), guilds)
        if desk is not None:
            self.tables.desk = desk
        self._recovered = Event()
        self._stepper = stepper
        self._stopping = False
        self._ended: list[Callable[[BaseException | None], object]] = []
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
            breakers=self.breakers,
            facts=facts,
            options=self.options,
            tables=self.tables,
            random=random or Random(),  # noqa: S311 - jitter is no secret
            recovered=self._on_recovered,
            pause_lane=self._pause_lane,
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

    def stop(self, drain: float = 15.0) -> None:
        """Take no more, let what runs end within ``drain`` seconds, hand the rest back, flush, stop. Idempotent."""
        if self._stopping:
            return
        self._stopping = True
        try:
            self.runtime.ref("intake").tell(Drain())
        except RuntimeFault:
            self.runtime.stop()
            return
        self.tables.gate.close()
        self._hand_back_waiting()
        self._wait_for_flights(drain)
        for name in ("journal", "deduplicator", "hub"):
            self._barrier(name)
        self.runtime.stop()
        self._dismiss()

    def on_end(self, callback: Callable[[BaseException | None], object]) -> None:
        """Call ``callback(cause)`` when the tree has given up and everything is stopped."""
        self._ended.append(callback)

    def _escalated(self, cause: BaseException | None) -> None:
        self._stopping = True
        self._dismiss()
        for callback in self._ended:
            callback(cause)

    def _dismiss(self) -> None:
        """Nobody waits for ever: what is stored goes on at the next start, but not before these eyes."""
        error = ShuttingDown("the router stopped before the end of this command's way", retry_after=5_000)
        for waiting in self.tables.waiters.clear():
            waiting.waiter.on_refused(error)

    def _hand_back_waiting(self) -> None:
        # An attempt that its protocol can prove not to have started goes back into its lane, uncharged.
        for flight in self.tables.flights.all():
            if flight.handed and self.protocols[flight.protocol].recall(flight.ticket.envelope.id):
                outcome = Outcome(Verdict.DEFERRED, executed=True, fault=Fault("shutdown", "handed back", True))
                self.tables.landing.land(flight, outcome, self.clock.now())

    def _wait_for_flights(self, drain: float) -> None:
        if self._stepper is not None:
            self._stepper.run()
        elif not self.tables.flights.empty.wait(drain):
            logger.warning("%d attempts were still running after %s s", len(self.tables.flights), drain)

    def _barrier(self, name: str) -> None:
        try:
            self.runtime.ref(name).ask(Barrier(), timeout=10.0)
        except Exception:
            logger.exception("%s did not come to rest before the stop", name)

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
            self.runtime.ref("intake").tell(message)
        except MailboxFull:
            error = Overloaded("the door is full", retry_after=1_000)
        except RuntimeFault:
            error = ShuttingDown("the router is not running", retry_after=5_000)
        else:
            return
        for submission in submissions:
            if submission.waiter is not None:
                submission.waiter.on_refused(error)

    # ------------------------------------------------------------ questions and orders

    def store_call(self, fn: Callable[[Backend, int], T]) -> Promise[T]:
        """Run ``fn(store, now)`` on the journal, inside its commit."""
        promise: Promise[T] = Promise()
        self._ask("journal", StoreCall(fn, _settle(promise)), promise)
        return promise

    def find(self, id: str) -> Promise[tuple[Stored | None, int]]:  # noqa: A002 - the word of the port
        """One envelope as the store knows it, and how many of its guild are before it."""
        promise: Promise[tuple[Stored | None, int]] = Promise()

        def found(stored: Any) -> None:
            if isinstance(stored, Exception):
                promise.fail(stored)
            elif stored is None or stored.state not in ("queued", "waiting"):
                promise.set((stored, 0))
            else:
                self._tell_guild(stored, Locate(id, lambda ahead: promise.set((stored, ahead))))

        self._ask("journal", StoreCall(lambda store, _: store.get(id), found), promise)
        return promise

    def cancel(self, id: str) -> Promise[bool]:  # noqa: A002
        """Take it back if it has not started; ``False``: it has, or is unknown."""
        promise: Promise[bool] = Promise()

        def found(stored: Stored | EngineError | None) -> None:
            if stored is None or isinstance(stored, Exception):
                _settle(promise)(stored or False)
                return
            message = Cancel(id, promise.set)
            if stored.state == "delayed":
                self._ask("scheduler", message, promise)
            elif stored.state in ("queued", "waiting", "started"):
                self._tell_guild(stored, message)
            else:
                promise.set(False)

        self._ask("journal", StoreCall(lambda store, _: store.get(id), found), promise)
        return promise

    def purge(self, queue: str) -> Promise[int]:
        """Cancel all commands of a queue that wait and have not started; how many."""
        promise: Promise[int] = Promise()
        guilds = self.tables.guilds.everybody()
        tally = Tally(len(guilds) + 1, promise)
        self._ask("scheduler", PurgeQueue(queue, tally.add), promise)
        for guild in guilds:
            self.tables.guilds.tell(guild, PurgeQueue(queue, tally.add))
        return promise

    def pause(self, name: str, paused: bool, *, operator: str = "") -> Promise[frozenset[str]]:
        """Pause or resume a queue, or a lane by its ``lane_name``; durable. All paused names."""
        promise: Promise[frozenset[str]] = Promise()

        def pause(store: Backend, now: int) -> frozenset[str]:
            store.pause(name, paused)
            detail = pack({"action": "pause" if paused else "resume", "queue": name})
            store.write([Note(now, "operator", "", "", operator, detail)], now)
            return frozenset(store.paused())

        def done(names: Any) -> None:
            if not isinstance(names, Exception):
                self.tables.gate.set_paused(names)
                self.tables.desk.poke(name)
            _settle(promise)(names)

        self._ask("journal", StoreCall(pause, done), promise)
        return promise

    def replay(
        self,
        choose: Callable[[Backend, int], list[DeadLetter]],
        max_replays: int,
        lease: int,
        *,
        dry_run: bool = False,
        operator: str = "",
    ) -> Promise[Replayed]:
        """Dead letters live again, in the order ``choose(store, now)`` gives; audited. ``lease``: ms they live."""
        promise: Promise[Replayed] = Promise()

        def replay(store: Backend, now: int) -> tuple[list[Record], Replayed]:
            letters = choose(store, now)
            fit = [letter for letter in letters if letter.replays < max_replays]
            refused = [letter.id for letter in letters if letter.replays >= max_replays]
            if dry_run:
                return [], Replayed([letter.id for letter in fit], refused, dry_run=True)
            writes: list[Write] = [Replay(letter.id, max_replays, now + lease) for letter in fit]
            detail = pack({"action": "replay"})
            writes += [Note(now, "operator", letter.id, letter.guild, operator, detail) for letter in fit]
            results = store.write(writes, now) if writes else []
            records, ids = [], []
            for letter, position in zip(fit, results, strict=False):
                if isinstance(position, int) and position:
                    ids.append(letter.id)
                    records.append(
                        Record(letter.frame, letter.sequence, position, now, 0, "", 0, now + lease, letter.trail)
                    )
            return records, Replayed(ids, refused, dry_run=False)

        def done(result: Any) -> None:
            if isinstance(result, Exception):
                promise.fail(result)
                return
            records, replayed = result
            if records:
                # Through the deduplicator like every new place, so that the order of position is kept.
                self.runtime.ref("deduplicator").tell(Entered([place_of(record) for record in records]))
            promise.set(replayed)

        self._ask("journal", StoreCall(replay, done), promise)
        return promise

    def publish(self, entries: Sequence[Entry]) -> Promise[list[bool]]:
        """Put entries into their named queues; ``False`` for an id that is known. Durable when the promise is kept."""
        promise: Promise[list[bool]] = Promise()
        self._ask("queues", Append(entries, _settle(promise)), promise)
        return promise

    def announce(self, kind: str, envelope: Envelope, detail: str = "") -> None:
        """Tell whoever listens; nothing if nobody does."""
        if self.tables.listeners:
            with suppress(RuntimeFault):
                self.runtime.ref("hub").tell(Published(kind, envelope, None, 0, detail))

    def _tell_guild(self, stored: Stored, message: object) -> None:
        self.tables.guilds.tell(decode(stored.frame, trusted=True).guild, message)

    def executors_changed(self) -> None:
        """A handler, a bot or a worker came: parked commands try again."""
        self.tables.gate.executors_changed()

    def _ask(self, name: str, message: object, promise: Promise[Any]) -> None:
        try:
            self.runtime.ref(name).tell(message)
        except MailboxFull:
            promise.fail(Overloaded(f"the {name} is behind", retry_after=1_000))
        except RuntimeFault:
            promise.fail(ShuttingDown("the router is not running"))

    def _on_recovered(self, count: int) -> None:
        if count:
            logger.info("recovered %d unsettled commands", count)
        self._recovered.set()

    def _pause_lane(self, name: str) -> None:
        self.pause(name, True)

    def _on_dropped(self, ref: Ref, messages: Sequence[Any]) -> None:
        # The tree ended with these unheard; whoever asked is told, nobody waits for ever.
        error = ShuttingDown("the router stopped before it came to this", retry_after=5_000)
        for message in messages:
            match message:
                case Submission(waiter=waiter):
                    refused = [waiter]
                case Submissions(items):
                    refused = [item.waiter for item in items]
                case StoreCall(_, reply) | Append(_, reply):
                    reply(error)
                    continue
                case _:
                    logger.debug("%s stopped with a %s unhandled", ref.name, type(message).__name__)
                    continue
            for waiter in refused:
                if waiter is not None:
                    waiter.on_refused(error)

    def _on_poison(self, ref: Ref, message: object, error: BaseException | None) -> None:
        logger.error("%s: gave up on a %s: %r", ref.name, type(message).__name__, error)


class Replayed(NamedTuple):
    """What a replay of dead letters did, or as a dry run would do."""

    ids: list[str]  #: in the order in which they live again
    refused: list[str]  #: replayed too often already
    dry_run: bool


class Barrier:
    """Asked of an actor: everything sent before is handled when it answers."""


class Tally:
    """Counts answers from several actors into one promise."""

    def __init__(self, expected: int, promise: Promise[int]) -> None:
        self._lock = Lock()
        self._left = expected
        self._count = 0
        self._promise = promise

    def add(self, count: int) -> None:
        """One actor's answer. Called from several threads."""
        with self._lock:
            self._count += count
            self._left -= 1
            if self._left:
                return
        self._promise.set(self._count)


def _settle(promise: Promise[Any]) -> Callable[[Any], None]:
    def settle(value: Any) -> None:
        if isinstance(value, Exception):
            promise.fail(value)
        else:
            promise.set(value)

    return settle
