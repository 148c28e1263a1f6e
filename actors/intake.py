"""Intake: the one door of the engine. It says no early, with a reason and a time to come back, and stores nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from actors.codec import pack
from actors.errors import (
    ClockSkew,
    EngineError,
    Expired,
    Overloaded,
    RateLimited,
    SequenceGap,
    SequenceRepeat,
    ShuttingDown,
    StoreUnavailable,
)
from actors.messages import Commit, Drain, Submission, Submissions, Untaken
from actors.meter import Meter
from actors.options import Options
from actors.outcome import Answer, Status
from actors.policy.limits import Denied, Limits, Rule
from actors.policy.sequence import Order, Sequences
from actors.policy.shedding import admits, retry_after
from actors.ports import Note
from actors.rates import Spent
from actors.runtime.actor import Actor
from actors.runtime.clock import Timer
from actors.runtime.errors import MailboxFull, RuntimeFault
from actors.runtime.ref import Ref
from actors.tables.backlog import Backlog
from actors.tables.counters import Counters
from actors.tables.load import Load

REFUSALS_NOTED = 100
"""Refusals written to the audit trail per second; a flood of them is itself something to be bounded."""


class Intake(Actor):
    """Limits, shedding, clocks, deadlines and the sender's own numbering.

    ``meter``: rates of guilds, users and types hold over all routers of a shared store, which is asked for each slice.
    """

    mailbox_capacity = 20_000
    slice_size = 2_000
    redeliver = 1
    drain_on_stop = True

    def __init__(
        self,
        *,
        options: Options,
        backlog: Backlog,
        load: Load,
        counters: Counters,
        sequences: Sequences[Submission],
        journal: Callable[[], Ref],
        meter: Meter | None = None,
    ) -> None:
        super().__init__()
        self._options = options
        self._backlog = backlog
        self._load = load
        self._counters = counters
        self._journal = journal
        self._meter = meter
        rules = [rule for rule in _rules(options) if meter is None or rule.kind == "router"]
        self._limits = Limits(rules) if rules else None
        self._again: set[str] = set()  # ids of this slice that were counted in the backlog before
        self._sequences = sequences
        self._gap_timer: Timer | None = None
        self._gap_at = 0
        self._draining = False
        self._slice: list[Submission] = []  # whom a crash would leave without a word
        self._admitted: list[Submission] = []
        self._notes: list[Note] = []
        self._noted_in = 0
        self._noted = 0

    def on_start(self) -> None:
        self._watch_gaps(self.clock.now())

    def on_stop(self) -> None:
        if self._meter is not None:
            self._meter.close()

    def on_failure(self, *_: object) -> None:
        if self._meter is not None:
            self._meter.close()
        # Nothing of this slice was handed on: whoever was in it may try again, and is told so. The successor gets the
        # messages once more, finds who was told, and takes care of those that were not even looked at.
        error = Overloaded("the door was restarted", retry_after=1_000)
        now = self.clock.now()
        for item in self._slice:
            if not item.kept and not item.told:
                self._backlog.leave([item.envelope.id])
                self._turn_away(item, error, now)

    def on_receive(self, message: object) -> None:
        match message:
            case Submission():
                self._take([message], self.clock.now())
            case Submissions(items):
                self._take(items, self.clock.now())
            case Untaken(items):
                for item in items:
                    self._give_back(item)
            case Drain():
                self._drain(self.clock.now())
            case _GapOver():
                self._gap_timer = None
                now = self.clock.now()
                self._release(self._sequences.due(now), now)
                self._watch_gaps(now)

    def on_flush(self) -> None:
        admitted, self._admitted = self._admitted, []
        if admitted and self._meter is not None:
            admitted = self._metered(admitted, self._meter, self.clock.now())
        if admitted:
            try:
                self._journal().tell(Submissions(admitted))
            except MailboxFull:
                self._backlog.leave([item.envelope.id for item in admitted])
                error = Overloaded("the journal is behind", retry_after=1_000, limit="journal")
                for item in admitted:
                    self._turn_away(item, error, self.clock.now())
        self._slice = []
        if self._notes:
            notes, self._notes = self._notes, []
            with suppress(RuntimeFault):  # the sender was told; a line of the trail may be lost before the door may
                self._journal().tell(Commit(list(notes), []))

    def _drain(self, now: int) -> None:
        # The numbers that are missing come too late now, so nothing is held back for them any more.
        self._draining = True
        for item in self._sequences.clear():
            item.kept = False
            self._refuse(item, ShuttingDown("the router is stopping", retry_after=5_000), now)

    def _take(self, items: list[Submission], now: int) -> None:
        fresh = [item for item in items if not (item.told or item.kept)]
        self._slice += fresh
        for item in fresh:
            self._offer(item, now)

    def _offer(self, item: Submission, now: int) -> None:
        envelope = item.envelope
        if self._draining:
            self._refuse(item, ShuttingDown("the router is stopping", retry_after=5_000), now)
        elif abs(envelope.created_at - now) > self._options.clock_tolerance:
            self._refuse(item, ClockSkew(f"created_at is {envelope.created_at - now} ms from the router's clock"), now)
        elif envelope.sender_sequence:
            self._number(item, now)
        else:
            self._admit(item, now)

    def _number(self, item: Submission, now: int) -> None:
        envelope = item.envelope
        offered = self._sequences.offer(envelope.sender, envelope.sender_sequence, item, now)
        if offered.repeat and not envelope.idempotency_key and not envelope.key:
            self._refuse(item, SequenceRepeat(f"number {envelope.sender_sequence} of this sender came before"), now)
            return
        if offered.repeat:
            self._admit(item, now)  # the store knows its key and gives the first one's answer
            return
        if offered.refused:
            self._refuse(item, SequenceGap("too many messages wait for an earlier number", retry_after=1_000), now)
            return
        if offered.verdict is Order.HELD:
            item.kept = True
        self._release(offered.released, now)
        self._watch_gaps(now)

    def _release(self, items: Sequence[Submission], now: int) -> None:
        self._slice += items
        for item in items:
            item.kept = False
        for item in items:
            self._admit(item, now)

    def _watch_gaps(self, now: int) -> None:
        at = self._sequences.next_due()
        if self._gap_timer is not None:
            if at == self._gap_at:
                return
            self._gap_timer.cancel()
            self._gap_timer = None
        if at:
            self._gap_at = at
            self._gap_timer = self.send_after(max(0, at - now) / 1000, _GapOver())

    def _admit(self, item: Submission, now: int) -> None:
        envelope = item.envelope
        if envelope.expires_at <= now:
            self._expire(item, now)
            return
        error = self._overload(item, now) or self._full(item, now) or self._rate(item, now)
        if error is not None:
            self._turn_away(item, error, now)
            return
        if not self._backlog.enter(envelope, envelope.due_at or now) and self._meter is not None:
            self._again.add(envelope.id)
        self._admitted.append(item)

    def _overload(self, item: Submission, now: int) -> EngineError | None:
        envelope = item.envelope
        backlog, options = self._backlog, self._options
        ahead = backlog.of(envelope.guild)
        if backlog.total >= options.max_backlog:
            text = f"the router holds {backlog.total} commands"
            return Overloaded(text, retry_after=backlog.advice(now), limit="router backlog", position=ahead)
        if ahead >= options.guild_backlog:
            text = f"this guild has {options.guild_backlog} commands waiting"
            return Overloaded(text, retry_after=backlog.advice(now), limit="guild backlog", position=ahead)
        load = backlog.total / options.max_backlog
        if not admits(envelope.priority, load):
            text = f"shedding low priority: the backlog is at {load:.0%}"
            return Overloaded(text, retry_after=backlog.advice(now), limit="router backlog", position=ahead)
        load = self._load.level
        if not admits(envelope.priority, load):
            # How fast commands leave says nothing of when memory does; the farther over, the later.
            text = f"shedding low priority: {self._load.cause} is at {load:.0%}"
            wait = retry_after(envelope.priority, load)
            return Overloaded(text, retry_after=wait, limit=self._load.cause, position=ahead)
        return None

    def _full(self, item: Submission, now: int) -> EngineError | None:
        for level in self._backlog.levels(item.envelope):
            held, most = self._backlog.at(level), self._backlog.most(level)
            if held >= most:
                kind, name = level
                text = f"{_the(kind, name)} has {held} commands waiting, at most {most}"
                position = self._backlog.of(item.envelope.guild)
                return Overloaded(
                    text, retry_after=self._backlog.advice(now), limit=f"{kind} backlog", position=position
                )
        return None

    def _rate(self, item: Submission, now: int) -> EngineError | None:
        # The last question, and asked of all levels at once: who is refused has spent nothing anywhere.
        if self._limits is None:
            return None
        envelope = item.envelope
        levels = [("router", ""), ("guild", envelope.guild), ("type", envelope.type)]
        if envelope.user:
            levels.append(("user", envelope.user))
        answer = self._limits.admit(levels, now)
        return self._too_fast(item, answer) if isinstance(answer, Denied) else None

    def _too_fast(self, item: Submission, answer: Denied | Spent) -> RateLimited:
        text = f"too many commands of {_the(answer.kind, answer.name)} in too short a time"
        position = self._backlog.of(item.envelope.guild)
        return RateLimited(text, retry_after=answer.retry_after, limit=f"{answer.kind} rate", position=position)

    def _metered(self, items: list[Submission], meter: Meter, now: int) -> list[Submission]:
        """Those of a slice that the store lets in too, in their order; who is refused has spent nothing anywhere."""
        again, self._again = self._again, set()
        asked = [(item, levels) for item in items if (levels := meter.levels(item.envelope))]
        if not asked:
            return items
        answers: Sequence[Spent | StoreUnavailable | None]
        try:
            answers = meter.take([levels for _, levels in asked], now)
        except StoreUnavailable as error:
            answers = [error] * len(asked)
        refused = {}
        for (item, _), answer in zip(asked, answers, strict=True):
            if answer is not None:
                refused[id(item)] = self._too_fast(item, answer) if isinstance(answer, Spent) else answer
        for item in items:
            refusal = refused.get(id(item))
            if refusal is not None:
                if item.envelope.id not in again:
                    self._backlog.leave([item.envelope.id])
                if self._limits is not None:
                    self._limits.give_back([("router", "")], now)
                self._turn_away(item, refusal, now)
        return [item for item in items if id(item) not in refused]

    def _expire(self, item: Submission, now: int) -> None:
        envelope = item.envelope
        error = Expired("its deadline had passed when it came")
        self._note(item, error, now)
        item.expire(
            error,
            Answer(envelope.id, Status.EXPIRED, fault=error.fault, accepted_at=envelope.created_at, settled_at=now),
        )

    def _turn_away(self, item: Submission, error: EngineError, now: int) -> None:
        self._give_back(item)
        self._refuse(item, error, now)

    def _give_back(self, item: Submission) -> None:
        # Its number has passed; it must not be a repeat when its sender tries again.
        envelope = item.envelope
        if envelope.sender_sequence:
            self._sequences.give_back(envelope.sender, envelope.sender_sequence)

    def _refuse(self, item: Submission, error: EngineError, now: int) -> None:
        self._note(item, error, now)
        item.refuse(error)

    def _note(self, item: Submission, error: EngineError, now: int) -> None:
        self._counters.refuse(error.code)
        second = now // 1_000
        if second != self._noted_in:
            self._noted_in, self._noted = second, 0
        self._noted += 1
        if self._noted <= REFUSALS_NOTED:
            envelope = item.envelope
            detail = pack({"code": error.code, "message": str(error), "type": envelope.type})
            self._notes.append(Note(now, "refused", envelope.id, envelope.guild, envelope.user, detail))


class _GapOver:
    """To itself: a gap in a sender's numbers has lasted long enough."""


def _rules(options: Options) -> list[Rule]:
    rates = (("router", options.router_rate), ("guild", options.guild_rate), ("user", options.user_rate))
    rules = [Rule(kind, rate=rate, per=1_000) for kind, rate in rates if rate]
    for name, kind in options.types.items():
        if kind.rate:
            rules.append(Rule("type", name, rate=kind.rate, per=kind.rate_window))
    return rules


def _the(kind: str, name: str) -> str:
    return "the router" if kind == "router" else f"type {name}" if kind == "type" else f"this {kind}"
