"""A world for one engine: its clock is turned by hand, its actors run when told to, its protocols do as the test says.

Everything that matters is written into one list, ``world.log``, in the order in which it happened: ``stored`` (an
envelope's acceptance was committed), ``accepted``, ``refused``, ``expired``, ``answered`` (its sender was told) and
``began`` (a protocol was given an attempt).
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from actors.answers import decode_answer
from actors.codec import encode
from actors.engine import Engine
from actors.envelope import Envelope
from actors.errors import EngineError, StoreUnavailable
from actors.messages import Submission
from actors.options import Options
from actors.outcome import Answer, Fault, Outcome, Verdict
from actors.policy.breaker import BreakerSettings
from actors.policy.facts import Facts
from actors.ports import (
    Accept,
    Accepted,
    AuditFilter,
    AuditLine,
    DeadFilter,
    DeadLetter,
    Done,
    LoadMeter,
    Probe,
    Stored,
    Ticket,
    Write,
)
from actors.runtime.context import context
from actors.runtime.testing import ManualClock, Stepper
from actors.tables.breakers import Breakers
from router.stores.memory import MemoryStore
from router.stores.sqlite import SqliteStore
from tests.servers.shared import Alone, store_of_one

APPLIED = Outcome(Verdict.APPLIED)
FAILED = Outcome(Verdict.NOT_APPLIED, executed=True, fault=Fault("handler_error", "it raised", True))
UNSENT = Outcome(Verdict.NOT_APPLIED, fault=Fault("refused", "connection refused", True))
REJECTED = Outcome(Verdict.REJECTED, fault=Fault("no_such_user", "nobody of that name"))
DOUBT = Outcome(Verdict.IN_DOUBT, fault=Fault("timeout", "no answer", True))

WINDOW = 300_000


def deferred(retry_after: int = 0, *, executed: bool = False) -> Outcome:
    """Not now."""
    return Outcome(Verdict.DEFERRED, executed=executed, fault=Fault("rate_limited", "", True), retry_after=retry_after)


class Sender:
    """Whoever sent one envelope, and all that it was told."""

    def __init__(self, world: World, envelope: Envelope) -> None:
        self._world = world
        self.envelope = envelope
        self.id = envelope.id
        self.accepted: list[tuple[int, int, str]] = []  #: (sequence, ahead, original)
        self.refusals: list[EngineError] = []
        self.answers: list[Answer] = []

    def __repr__(self) -> str:
        return f"<Sender {self.id} {self.fate}>"

    @property
    def answer(self) -> Answer:
        """The one answer."""
        assert len(self.answers) == 1, f"{self.id} has {len(self.answers)} answers"
        return self.answers[0]

    @property
    def status(self) -> str:
        """Of the answer; "" as long as there is none."""
        return self.answer.status.value if self.answers else ""

    @property
    def refusal(self) -> EngineError:
        """The one refusal."""
        assert len(self.refusals) == 1, f"{self.id} has {len(self.refusals)} refusals"
        return self.refusals[0]

    @property
    def fate(self) -> str:
        """What it was told last, in a word."""
        if self.answers:
            return self.status
        if self.refusals:
            return self.refusals[-1].code
        return "accepted" if self.accepted else "waiting"

    def on_accepted(self, id: str, sequence: int, ahead: int, original: str) -> None:
        self._world.log.append(("accepted", id))
        self.accepted.append((sequence, ahead, original))

    def on_refused(self, error: EngineError) -> None:
        self._world.log.append(("refused", self.id))
        self.refusals.append(error)

    def on_expired(self, error: EngineError, answer: Answer) -> None:
        self._world.log.append(("expired", self.id))
        self.refusals.append(error)
        self.answers.append(answer)

    def on_answered(self, answer: Answer) -> None:
        self._world.log.append(("answered", self.id))
        self.answers.append(answer)


class Attempt:
    """One attempt in the hands of a protocol, which ends when the test says so."""

    def __init__(self, ticket: Ticket, protocol: str, done: Done) -> None:
        self.ticket = ticket
        self.id = ticket.envelope.id
        self.number = ticket.attempt
        self.protocol = protocol
        self.done = done
        self.over = False

    def __repr__(self) -> str:
        return f"<Attempt {self.id} {self.number} {self.protocol}>"


class Script:
    """A protocol that plays what it is told.

    ``plays[id]`` are the outcomes of the attempts of one envelope, in order, then ``usual``; ``None`` holds the attempt
    until ``world.finish``. ``truth`` is what ``verify`` says; an exception there is raised, ``"silence"`` says nothing.
    """

    def __init__(self, world: World, name: str, *, dedupes: bool = False) -> None:
        self._world = world
        self.name = name
        self.dedupes = dedupes
        self.declared: set[str] = set()  #: types its executor declared idempotent
        self.up = True
        self.usual: Outcome | BaseException | None = APPLIED
        self.plays: dict[str, list[Outcome | BaseException | None]] = {}
        self.truth: dict[str, bool | str | BaseException | None] = {}
        self.opened = 0
        self.closed = 0
        self.held: dict[str, Attempt] = {}
        self.recallable: set[str] = set()
        self.asked: list[str] = []

    def open(self) -> None:
        self.opened += 1

    def close(self, drain: float) -> None:
        self.closed += 1

    def reaches(self, envelope: Envelope) -> bool:
        return self.up

    def idempotent(self, envelope: Envelope) -> bool:
        return envelope.type in self.declared

    def start(self, ticket: Ticket, done: Done) -> None:
        envelope = ticket.envelope
        attempt = Attempt(ticket, self.name, done)
        self._world.began(attempt)
        plays = self.plays.get(envelope.id)
        outcome = plays.pop(0) if plays else self.usual
        if isinstance(outcome, BaseException):
            self._world.ended(attempt)
            raise outcome
        if outcome is None:
            self.held[envelope.id] = attempt
        else:
            self._world.finish(attempt, outcome)

    def recall(self, id: str) -> bool:
        if id not in self.recallable:
            return False
        attempt = self.held.pop(id)
        self._world.ended(attempt)
        return True

    def verify(self, envelope: Envelope, done: Callable[[bool | None], None]) -> None:
        self.asked.append(envelope.id)
        truth = self.truth.get(envelope.id)
        if isinstance(truth, BaseException):
            raise truth
        if truth != "silence":
            done(truth)


class Notary:
    """A store that writes down when an acceptance was committed, and fails when told to."""

    def __init__(self, store: Any, log: list[tuple[Any, ...]]) -> None:
        self._store = store
        self._log = log
        self.down = False
        self.refusals = 0
        self.fail_after = 0  #: > 0: the transaction after so many more fails *after* its writes were made
        self.batches: list[list[Write]] = []
        self.broken: BaseException | None = None
        self._pending: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    @contextmanager
    def together(self) -> Iterator[None]:
        if self.down:
            self.refusals += 1
            raise StoreUnavailable("the disk is full")
        if self.broken is not None:
            broken, self.broken = self.broken, None
            raise broken
        self._pending = []
        with self._store.together():
            yield
        self._log.extend(self._pending)
        self._pending = []

    def write(self, batch: list[Write], now: int) -> list[Any]:
        self.batches.append(list(batch))
        results: list[Any] = self._store.write(batch, now)
        for write, result in zip(batch, results, strict=True):
            if type(write) is Accept and type(result) is Accepted:
                self._pending.append(("stored", result.id))
        return results


class World:
    """One engine and everybody around it."""

    def __init__(
        self,
        store: Any = None,
        *,
        protocols: Iterable[str] = ("direct",),
        dedupes: Iterable[str] = (),
        facts: dict[str, Facts] | None = None,
        options: Options | None = None,
        breakers: Breakers | BreakerSettings | None = None,
        probes: Iterable[Probe] = (),
        meters: Iterable[LoadMeter] = (),
        clock: Any = None,
        seed: int | None = None,
        stepper: Stepper | None = None,
        start: bool = True,
        first: int = 0,
    ) -> None:
        self.log: list[tuple[Any, ...]] = []
        self.clock = clock or TestClock()
        self.stepper = stepper or Stepper(seed=seed)
        self.backend = MemoryStore() if store is None else store
        self.store = Notary(self.backend, self.log)
        self.facts = facts or {}
        self.protocols = {name: Script(self, name, dedupes=name in dedupes) for name in protocols}
        self.running: dict[tuple[str, str], Attempt] = {}  #: by lane: what is in a protocol's hands now
        self.overlaps: list[tuple[Attempt, Attempt]] = []
        self.senders: list[Sender] = []
        self.count = first
        self.engine = Engine(
            self.store,
            list(self.protocols.values()),
            self.facts_of,
            options=options,
            clock=self.clock,
            stepper=self.stepper,
            random=random.Random(7),
            breakers=breakers,
            probes=list(probes),
            meters=list(meters),
        )
        if start:
            self.engine.start()

    def facts_of(self, type: str) -> Facts:
        """Of a type; the default when the test gave none."""
        return self.facts.get(type) or Facts(type)

    @property
    def direct(self) -> Script:
        """The protocol of most tests."""
        return self.protocols["direct"]

    # ------------------------------------------------------------ time

    def run(self) -> None:
        """Until nobody has anything to do now."""
        self.stepper.run(20_000)

    def advance(self, seconds: float) -> None:
        """Time passes, and everybody acts in time."""
        self.clock.advance(seconds, between=self.run)

    # ------------------------------------------------------------ sending

    def envelope(
        self,
        id: str = "",
        *,
        type: str = "T",
        guild: str = "g",
        subject: str = "s",
        queue: str = "q",
        priority: int = 5,
        key: str = "",
        idempotency_key: str = "",
        payload: str = "",
        delay: float = 0,
        expires_in: float = 900,
        **more: Any,
    ) -> Envelope:
        """An envelope of now; ``delay`` and ``expires_in`` in seconds; ``key`` and ``payload`` in words."""
        if not id:
            self.count += 1
            id = f"m{self.count}"
        now = self.clock.now()
        word = f"{guild}/{idempotency_key or key}"
        return Envelope(
            id,
            type,
            "command",
            guild,
            subject,
            queue,
            priority,
            now,
            now + round(expires_in * 1000),
            due_at=now + round(delay * 1000) if delay else 0,
            key=word.encode().ljust(16, b".")[:16] if key or idempotency_key else b"",
            fingerprint=f"{type}:{payload}".encode().ljust(16, b".")[:16],
            idempotency_key=idempotency_key,
            body=b"\x80",
            **more,
        )

    def post(self, *envelopes: Envelope) -> list[Sender]:
        """Offer them together; nobody acts before ``run``."""
        senders = [Sender(self, envelope) for envelope in envelopes]
        self.senders += senders
        items = [Submission(each.envelope, encode(each.envelope), each) for each in senders]
        if len(items) == 1:
            self.engine.submit(items[0])
        else:
            self.engine.submit_many(items)
        return senders

    def send(self, id: str = "", **fields: Any) -> Sender:
        """One, and let everybody act."""
        (sender,) = self.post(self.envelope(id, **fields))
        self.run()
        return sender

    # ------------------------------------------------------------ attempts

    def began(self, attempt: Attempt) -> None:
        """A protocol was given an attempt."""
        lane = attempt.ticket.envelope.lane
        other = self.running.get(lane)
        if other is not None:
            self.overlaps.append((other, attempt))
        self.running[lane] = attempt
        self.log.append(("began", attempt.id, attempt.number, attempt.protocol))

    def ended(self, attempt: Attempt) -> None:
        """It is in nobody's hands any more."""
        attempt.over = True
        lane = attempt.ticket.envelope.lane
        if self.running.get(lane) is attempt:
            del self.running[lane]

    def finish(self, which: str | Attempt, outcome: Outcome = APPLIED) -> None:
        """A held attempt comes to this."""
        attempt = self.take(which) if isinstance(which, str) else which
        self.ended(attempt)
        attempt.done(outcome)

    def take(self, id: str) -> Attempt:
        """The held attempt of an envelope, out of its protocol's hands."""
        for script in self.protocols.values():
            if id in script.held:
                return script.held.pop(id)
        raise AssertionError(f"no attempt of {id} is held; there are {self.held}")

    @property
    def held(self) -> list[str]:
        """Ids of the attempts that wait for ``finish``."""
        return [id_ for script in self.protocols.values() for id_ in script.held]

    @property
    def starts(self) -> list[str]:
        """Ids in the order in which attempts began."""
        return [entry[1] for entry in self.log if entry[0] == "began"]

    def starts_of(self, id: str) -> list[tuple[int, str]]:
        """(attempt, protocol) of each time a protocol was given this one."""
        return [entry[2:] for entry in self.log if entry[0] == "began" and entry[1] == id]

    # ------------------------------------------------------------ looking

    def stored(self, id: str) -> Stored | None:
        """As the store knows it."""
        return self.backend.get(id)

    def settled_answer(self, id: str) -> Answer:
        """As the store would answer a duplicate."""
        stored = self.stored(id)
        assert stored is not None
        return decode_answer(stored.answer)

    def letters(self) -> list[DeadLetter]:
        """All dead letters."""
        return self.backend.dead_letters(DeadFilter(), limit=1_000)

    def audit(self, **which: Any) -> list[AuditLine]:
        """The trail, oldest first."""
        return self.backend.audit(AuditFilter(**which), limit=1_000)[::-1]

    def replay(self, **which: Any) -> Any:
        """Dead letters live again, oldest first."""
        chosen = DeadFilter(**which)
        result = self.engine.replay(lambda store, now: store.dead_letters(chosen, limit=1_000), 3, 900_000).get(5)
        self.run()
        return result

    def crash(self, name: str, error: BaseException | None = None) -> None:
        """An actor of this name dies at its next message, which is one it does not know."""
        bomb = error or RuntimeError("bomb")
        ref = self.engine.runtime.ref(name)
        actor = ref._cell.incarnation.actor
        assert actor is not None, f"{name} is not alive"
        real = actor.on_receive

        def burst(message: Any) -> Any:
            actor.on_receive = real
            raise bomb

        actor.on_receive = burst
        ref.tell(None)

    def incarnation(self, name: str) -> int:
        """How many lives the actor of this name has had."""
        return self.engine.runtime.ref(name)._cell.incarnation.number

    # ------------------------------------------------------------ ends

    def kill(self) -> None:
        """As ``kill -9`` of the process: from here on nothing of it runs, and nobody is told."""
        self.stepper.stop()
        self.clock.drop_timers()
        if context.stepper is self.stepper:
            context.stepper = None

    def check(self) -> None:
        """What must be true whenever everybody has come to rest."""
        assert not self.overlaps, f"two attempts of one lane at once: {self.overlaps}"
        for sender in self.senders:
            assert len(sender.answers) <= 1, f"{sender} was answered {len(sender.answers)} times"
            assert len(sender.accepted) <= 1, f"{sender} was accepted {len(sender.accepted)} times"
            assert not (sender.accepted and sender.refusals), f"{sender} was accepted and refused"
        told = {entry[1] for entry in self.log if entry[0] == "stored"}
        for sender in self.senders:
            if sender.accepted:
                assert sender.id in told or sender.accepted[0][2], f"{sender} was told accepted and never stored"

    def at_rest(self) -> None:
        """Nothing is left anywhere."""
        self.check()
        assert not self.held
        assert not self.backend.pending()
        assert not self.backend.delayed()
        tables = self.engine.tables
        assert len(tables.flights) == 0
        assert tables.gate.running == 0
        assert len(tables.waiters) == 0
        assert tables.backlog.total == 0
        for sender in self.senders:
            assert sender.answers or sender.refusals, f"{sender} was never told"


class Maker:
    """Makes worlds over one kind of store, and clears them away."""

    def __init__(self, kind: str, folder: Path) -> None:
        self._kind = kind
        self._folder = folder
        self._worlds: list[World] = []

    def __call__(self, *, after: World | None = None, **options: Any) -> World:
        if after is None:
            options.setdefault("store", self._fresh())
        else:
            options.setdefault("store", self._left_by(after))
            options.setdefault("clock", after.clock)
            options.setdefault("facts", after.facts)
            options.setdefault("first", after.count)
        world = World(**options)
        self._worlds.append(world)
        return world

    def _fresh(self) -> Any:
        if self._kind == "memory":
            return MemoryStore()
        if self._kind == "redis":
            return store_of_one()
        return SqliteStore(str(self._folder / f"{len(self._worlds)}.db"), synchronous="NORMAL")

    def _left_by(self, world: World) -> Any:
        world.kill()
        store = world.backend
        if isinstance(store, MemoryStore):
            return store
        if isinstance(store, Alone):
            return store.successor()
        # As the files were at the kill: closing the old one afterwards cannot help the new one.
        copy = self._folder / f"{len(self._worlds)}.db"
        for end in ("", "-wal"):
            source = self._folder / f"{self._worlds.index(world)}.db{end}"
            if source.exists():
                shutil.copy(source, f"{copy}{end}")
        store.close()
        return SqliteStore(str(copy), synchronous="NORMAL")

    def clear(self) -> None:
        """Close every store."""
        for world in self._worlds:
            world.kill()
            world.backend.close()


class TestClock(ManualClock):
    """A clock that can forget the timers of a process that was killed."""

    __test__ = False

    def drop_timers(self) -> None:
        """Nobody is left whom they could call."""
        self._timers.clear()
