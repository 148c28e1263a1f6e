"""The engine against a small model of its laws: whatever is sent, finished, crashed, killed or ordered, in any order.

The model is what a user would keep on paper. Each lane is a list; its first is the only one that may run; who runs next
is known; each end of an attempt has one consequence. Time is turned by the test alone, so the model knows every wait.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.codec import decode
from actors.errors import StoreUnavailable
from actors.options import Options
from actors.policy.breaker import BreakerSettings
from actors.policy.facts import Backoff, ConflictPolicy, Facts
from actors.ports import Stats
from tests.engine.world import APPLIED, DOUBT, FAILED, REJECTED, Maker, Sender, World, deferred

LONG = settings.get_current_profile_name() == "long"

pytestmark = pytest.mark.timeout(0 if LONG else 300)  # about 3 s a store on a quiet machine

FOR_LONG = 10**8  # ms: longer than a run, so that whoever has a key has it to the end
STEADY = Backoff(initial=2_000, factor=1.0, cap=2_000, jitter=0.0)
DEFERRAL = 1_000  # ms
PATIENT = BreakerSettings(failure_threshold=10**6, min_calls=10**6)  # breakers have a model of their own
ATTEMPTS = 2
OPTIONS = Options(passivate_after=5_000, sweep_every=2_000)
GUILDS = ("g", "h")
SUBJECTS = ("s", "t")


def _facts(
    kind: str, opposed: str = "", conflict: ConflictPolicy = ConflictPolicy.QUEUE, *, safe: bool = False
) -> Facts:
    opposes = frozenset({opposed} if opposed else ())
    return Facts(
        kind,
        idempotent=safe,
        window=FOR_LONG,
        opposes=opposes,
        conflict=conflict,
        attempts=ATTEMPTS,
        backoff=STEADY,
    )


FACTS = {
    facts.type: facts
    for facts in (
        _facts("ONCE"),
        _facts("SAFE", safe=True),
        _facts("BAN", "UNBAN"),
        _facts("UNBAN", "BAN", ConflictPolicy.SUPERSEDE),
        _facts("STOP", "GO", ConflictPolicy.ANNIHILATE),
        _facts("GO", "STOP", ConflictPolicy.REJECT),
    )
}
OUTCOMES = {
    "applied": APPLIED,
    "failed": FAILED,
    "rejected": REJECTED,
    "doubt": DOUBT,
    "deferred": deferred(DEFERRAL, executed=True),
}
ACTORS = ("journal", "scheduler", "deduplicator", "adapter:direct", "recovery", "intake", "hub", "guild:g", "guild:h")


@dataclass
class Command:
    """What the model knows of one accepted envelope."""

    id: str
    kind: str
    lane: tuple[str, str]
    queue: str
    due: int  #: 0: at once
    word: str = ""  #: its idempotency key
    attempts: int = 0
    until: int = 0
    touched: bool = False  #: it was attempted, so it cannot be taken back by an opposed one
    doubt: bool = False
    status: str = ""
    replays: int = 0
    starts: list[int] = field(default_factory=list)

    @property
    def safe(self) -> bool:
        return FACTS[self.kind].idempotent


class Model:
    """The laws, as lists."""

    def __init__(self) -> None:
        self.commands: dict[str, Command] = {}
        self.lanes: dict[tuple[str, str], list[Command]] = {}
        self.delayed: list[Command] = []
        self.running: dict[str, Command] = {}
        self.keys: dict[str, Command] = {}
        self.paused: set[str] = set()
        self.answers: dict[str, str] = {}  #: expected of each sender, by the envelope it waits for

    def enter(self, command: Command) -> None:
        lane = self.lanes.setdefault(command.lane, [])
        facts = FACTS[command.kind]
        opposed = [each for each in lane if each.kind in facts.opposes and each.id not in self.running]
        fresh = [each for each in opposed if not each.touched]
        lane.append(command)
        if not opposed:
            return
        if facts.conflict is ConflictPolicy.REJECT and fresh:
            self.end(command, "rejected")
        elif facts.conflict is ConflictPolicy.SUPERSEDE:
            for each in fresh:
                self.end(each, "superseded")
        elif facts.conflict is ConflictPolicy.ANNIHILATE and fresh:
            self.end(fresh[-1], "annihilated")
            self.end(command, "annihilated")

    def end(self, command: Command, status: str) -> None:
        command.status = status
        self.lanes[command.lane].remove(command)
        self.running.pop(command.id, None)

    def start(self, now: int) -> None:
        """Every lane whose head may start starts it, and what is due enters, each at its time."""
        heads = [lane[0].until for lane in self.lanes.values() if lane]
        times = {each.due for each in self.delayed} | set(heads)
        for time in [*sorted(each for each in times if each <= now), now]:
            for command in sorted(self.delayed, key=lambda each: (each.due, each.id)):
                if command.due <= time:
                    self.delayed.remove(command)
                    self.enter(command)
            self.start_heads(time)

    def start_heads(self, now: int) -> None:
        for lane in self.lanes.values():
            if not lane or lane[0].id in self.running:
                continue
            head = lane[0]
            if head.until <= now and head.queue not in self.paused:
                head.starts.append(head.attempts + 1)
                head.touched = True
                self.running[head.id] = head

    def finish(self, command: Command, outcome: str, now: int, truth: bool | None) -> None:
        if outcome == "applied" or (outcome == "doubt" and not command.safe and truth):
            self.end(command, "ok")
        elif outcome == "rejected":  # after a doubt that is no proof that it did not happen
            self.end(command, "in_doubt" if command.doubt else "rejected")
        elif outcome == "deferred":
            self.wait(command, now + DEFERRAL)
        elif outcome == "doubt" and not command.safe and truth is None:
            self.end(command, "in_doubt")
        else:
            command.attempts += 1
            command.doubt = command.doubt or (outcome == "doubt" and command.safe)
            if command.attempts >= ATTEMPTS:
                self.end(command, "dead")
            else:
                self.wait(command, now + 2_000)

    def wait(self, command: Command, until: int) -> None:
        command.until = until
        self.running.pop(command.id, None)

    def killed(self, now: int) -> None:
        """What ran is in doubt now; nobody remembers."""
        for command in list(self.running.values()):
            self.finish(command, "doubt", now, None)


class Machine(RuleBasedStateMachine):
    """Drives a world and a model, and compares."""

    kind = "memory"
    sent = Bundle("sent")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.maker = Maker(self.kind, self.folder)
        self.model = Model()
        self.old: list[Sender] = []
        self.waiting: dict[str, str] = {}  #: sender's envelope id -> the envelope whose end it is told

    @initialize(seed=st.integers(0, 1_000))
    def begin(self, seed: int) -> None:
        self.seed = seed
        self.world = self.maker(facts=FACTS, options=OPTIONS, breakers=PATIENT, seed=seed)
        self.prepare()

    def prepare(self) -> None:
        self.world.direct.usual = None
        self.world.engine.tables.listeners.add(lambda _: None)

    def teardown(self) -> None:
        try:
            if hasattr(self, "world"):
                self.to_rest()
        finally:
            self.maker.clear()
            shutil.rmtree(self.folder)

    # ------------------------------------------------------------ what happens

    @rule(
        target=sent,
        kind=st.sampled_from(sorted(FACTS)),
        guild=st.sampled_from(GUILDS),
        subject=st.sampled_from(SUBJECTS),
        queue=st.sampled_from(["q", "r"]),
        key=st.sampled_from(["", "", "k", "l"]),
        delay=st.sampled_from([0, 0, 0, 3]),
    )
    def send(self, kind: str, guild: str, subject: str, queue: str, key: str, delay: int) -> str:
        word = f"{kind}/{subject}/{key}" if key else ""
        (sender,) = self.post(kind, guild, subject, queue, word, delay)
        known = self.model.keys.get(f"{guild}/{word}") if word else None
        if known is not None:
            self.waiting[sender.id] = known.id
        else:
            due = self.world.clock.now() + delay * 1000 if delay else 0
            command = Command(sender.id, kind, (guild, subject), queue, due, word)
            self.model.commands[sender.id] = command
            self.waiting[sender.id] = sender.id
            if word:
                self.model.keys[f"{guild}/{word}"] = command
            if due:
                self.model.delayed.append(command)
            else:
                self.model.enter(command)
        self.settle()
        return sender.id

    def post(
        self, kind: str, guild: str, subject: str, queue: str, word: str, delay: int, what: str = ""
    ) -> list[Sender]:
        envelope = self.world.envelope(
            type=kind,
            guild=guild,
            subject=subject,
            queue=queue,
            idempotency_key=word,
            payload=what or word,
            delay=delay,
            expires_in=86_400,
        )
        return self.world.post(envelope)

    @rule(id_=sent, same=st.booleans())
    def use_key(self, id_: str, same: bool) -> None:
        """The key of one that was sent, for the same once more, or for something else, which is refused."""
        command = self.model.commands.get(id_)
        if command is None or not command.word:
            return
        (sender,) = self.post(command.kind, *command.lane, command.queue, command.word, 0, "" if same else "another")
        if same:
            self.waiting[sender.id] = id_
            self.settle()
        else:
            self.world.senders.remove(sender)
            self.settle()
            assert [error.code for error in sender.refusals] == ["idempotency_key_reused"], sender
            assert not sender.accepted, sender

    @rule(id_=sent)
    def send_again(self, id_: str) -> None:
        """The same envelope, as a sender does who heard nothing."""
        sender = next(each for each in (*self.senders, *self.old) if each.id == id_)
        if sender.envelope.id not in self.model.commands:
            return  # a duplicate was never stored; sent again it is one more
        (again,) = self.world.post(sender.envelope)
        self.world.senders.remove(again)
        self.settle()
        self.expect(again, self.model.commands[id_].status)

    @rule(data=st.data(), outcome=st.sampled_from(sorted(OUTCOMES)), truth=st.sampled_from([True, False, None]))
    def finish(self, data: Any, outcome: str, truth: bool | None) -> None:
        if not self.held:
            return
        id_ = data.draw(st.sampled_from(sorted(self.held)))
        world = self.held[id_]
        world.direct.truth[id_] = truth
        world.finish(id_, OUTCOMES[outcome])
        self.model.finish(self.model.commands[id_], outcome, self.world.clock.now(), truth)
        self.settle()

    @rule(seconds=st.sampled_from([0.5, 1, 2, 6]))
    def tick(self, seconds: float) -> None:
        self.advance(seconds)

    @rule(name=st.sampled_from(ACTORS), outcome=st.sampled_from(["applied", "failed"]), busy=st.booleans())
    def crash(self, name: str, outcome: str, busy: bool) -> None:
        """One actor; with ``busy``, while the outcome of an attempt is on its way."""
        self.advance(4)  # so that no restart limit is ever reached
        if name not in self.world.engine.runtime._cells:
            return
        self.world.crash(name)
        if busy and self.world.held:
            id_ = min(self.world.held)
            self.world.finish(id_, OUTCOMES[outcome])
            self.model.finish(self.model.commands[id_], outcome, self.world.clock.now(), None)
        self.settle()

    @rule()
    def kill(self) -> None:
        """``kill -9``, and a new router on the same store."""
        self.old += self.world.senders
        self.world = self.maker(after=self.world, options=OPTIONS, breakers=PATIENT, seed=self.seed, start=False)
        self.prepare()
        self.world.engine.start()
        self.model.killed(self.world.clock.now())
        self.settle()

    @rule(id_=sent)
    def cancel(self, id_: str) -> None:
        command = self.model.commands.get(id_)
        self.before_an_order()
        done = self.world.engine.cancel(id_).get(5)
        possible = command is not None and not command.status and id_ not in self.model.running and not command.doubt
        assert done is possible, (id_, done)
        if command is not None and possible:
            if command in self.model.delayed:
                self.model.delayed.remove(command)
                command.status = "cancelled"
            else:
                self.model.end(command, "cancelled")
        self.settle()

    @precondition(lambda self: any(each.status == "dead" for each in self.model.commands.values()))
    @rule()
    def replay(self) -> None:
        self.before_an_order()
        chosen = [letter.id for letter in self.world.letters()]
        dead = [each.id for each in self.model.commands.values() if each.status == "dead"]
        assert sorted(chosen) == sorted(dead)
        result = self.world.replay()
        fit = [id_ for id_ in chosen if self.model.commands[id_].replays < 3]
        assert result.ids == fit
        for id_ in fit:
            command = self.model.commands[id_]
            command.replays += 1
            command.status = ""
            command.attempts = command.until = 0
            command.doubt = command.touched = False  # it begins anew
            self.model.enter(command)
        self.settle()

    @rule(queue=st.sampled_from(["q", "r"]), paused=st.booleans())
    def pause(self, queue: str, paused: bool) -> None:
        try:
            self.world.engine.pause(queue, paused).get(5)
        except StoreUnavailable:  # whoever does not hear that it was done orders it again
            self.world.engine.pause(queue, paused).get(5)
        (self.model.paused.add if paused else self.model.paused.discard)(queue)
        self.settle()

    def expect(self, sender: Sender, status: str) -> None:
        """What it was told."""
        assert sender.status == status, f"{sender}: {status}"

    def before_an_order(self) -> None:
        """Nobody else is in the way."""

    # ------------------------------------------------------------ where to look

    @property
    def senders(self) -> list[Sender]:
        """Whose process lives."""
        return self.world.senders

    @property
    def held(self) -> dict[str, World]:
        """Attempts that wait for ``finish``, and in which world."""
        return dict.fromkeys(self.world.held, self.world)

    @property
    def worlds(self) -> list[World]:
        """Every router that lives."""
        return [self.world]

    def found(self, ids: list[str]) -> list[Any]:
        """Each as the store knows it."""
        return [self.world.stored(id_) for id_ in ids]

    def pending(self, guild: str) -> list[Any]:
        """Of a guild, in order."""
        return self.world.backend.pending(guild)

    def counts(self) -> Mapping[str, Stats]:
        """Of each queue, by the store."""
        return self.world.backend.stats()

    # ------------------------------------------------------------ what must be true

    def settle(self) -> None:
        self.world.run()
        self.model.start(self.world.clock.now())
        self.world.advance(0.005)  # an attempt that was put back by a crash waits a millisecond

    def advance(self, seconds: float) -> None:
        """In steps so short that nothing of the model can happen twice within one."""
        left = round(seconds * 1000)
        while left > 0:
            step = min(left, 100)
            self.world.advance(step / 1000)
            self.model.start(self.world.clock.now())
            left -= step
        self.settle()

    @invariant()
    def same(self) -> None:
        if not hasattr(self, "world"):
            return
        model = self.model
        for world in self.worlds:
            world.check()
        assert set(self.held) == set(model.running), f"{self.held} run, not {model.running}"
        found = self.found(list(model.commands))
        for command, stored in zip(model.commands.values(), found, strict=True):
            assert stored is not None, command
            assert stored.status == command.status, (command, stored.status)
        for sender in self.senders:
            expected = model.commands[self.waiting[sender.id]].status
            told = sender.answers[0].status.value if sender.answers else ""
            if expected:
                assert told == expected or model.commands[self.waiting[sender.id]].replays, (sender, expected)
            elif not model.commands[self.waiting[sender.id]].replays:
                assert told == "", (sender, expected)
            assert not sender.refusals, sender
        waiting = {guild: self.pending(guild) for guild in {lane[0] for lane in model.lanes}}
        for lane, commands in model.lanes.items():
            pending = [each for each in waiting[lane[0]] if _subject(each.frame) == lane[1]]
            assert [_id(each.frame) for each in pending] == [each.id for each in commands], lane
        for queue, counts in self.counts().items():
            mine = [command for command in model.commands.values() if command.queue == queue]
            running = sum(command.id in model.running for command in mine)
            ends = sum(command.replays + bool(command.status) for command in mine)
            dead = sum(command.status == "dead" for command in mine)
            assert counts.pending + counts.processing == sum(not command.status for command in mine), (queue, counts)
            assert (counts.processing, counts.completed + counts.failed, counts.dead) == (running, ends, dead), counts
        tables = [world.engine.tables for world in self.worlds]
        assert sum(each.backlog.total for each in tables) == len(model.delayed) + sum(map(len, model.lanes.values()))
        assert sum(each.gate.running for each in tables) == len(model.running)
        assert sum(len(each.flights) for each in tables) == len(model.running)

    def to_rest(self) -> None:
        for queue in ("q", "r"):
            self.pause(queue, False)
        for _ in range(400):
            self.same()
            for id_, world in self.held.items():
                command = self.model.commands[id_]
                outcome = "rejected" if command.doubt else "applied"  # only whoever remembers a doubt answers right
                world.finish(id_, OUTCOMES[outcome])
                self.model.finish(command, outcome, self.world.clock.now(), None)
                self.settle()
            if not self.model.delayed and not any(self.model.lanes.values()):
                break
            self.advance(1)
        self.same()
        self.check_rest()
        assert all(command.status for command in self.model.commands.values())
        ends = [line.id for line in self.world.audit() if line.kind == "settled"]
        for command in self.model.commands.values():
            assert ends.count(command.id) == 1 + command.replays, command

    def check_rest(self) -> None:
        """Nothing is left anywhere."""
        self.world.at_rest()


def _id(frame: bytes) -> str:
    from actors.codec import decode

    return decode(frame, trusted=True).id


def _subject(frame: bytes) -> str:
    return decode(frame, trusted=True).subject


class SqliteMachine(Machine):
    """The same over SQLite."""

    kind = "sqlite"


def bounds(examples: int) -> settings:
    """So many examples in every run; by hand what the long profile says."""
    return settings() if LONG else settings(max_examples=examples, stateful_step_count=40)


TestMemory = Machine.TestCase
TestMemory.settings = bounds(60)
TestSqlite = SqliteMachine.TestCase
TestSqlite.settings = bounds(40)
