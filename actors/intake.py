"""Intake: the one door of the engine. It says no early, with a reason and a time to come back, and stores nothing."""

from __future__ import annotations

from collections.abc import Callable

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
)
from actors.messages import Commit, Drain, Left, Submission, Submissions
from actors.options import Options
from actors.outcome import Answer, Status
from actors.policy.limits import Denied, Limits, Rule
from actors.policy.sequence import Sequences
from actors.policy.shedding import admits
from actors.ports import Note
from actors.runtime.actor import Actor
from actors.runtime.errors import MailboxFull
from actors.runtime.ref import Ref
from actors.tables.backlog import Backlog
from actors.tables.counters import Counters

REFUSALS_NOTED = 100
"""Refusals written to the audit trail per second; a flood of them is itself something to be bounded."""


class Intake(Actor):
    """Limits, shedding, clocks, deadlines and the sender's own numbering."""

    mailbox_capacity = 20_000
    slice_size = 2_000

    def __init__(self, *, options: Options, backlog: Backlog, counters: Counters, journal: Callable[[], Ref]) -> None:
        super().__init__()
        self._options = options
        self._backlog = backlog
        self._counters = counters
        self._journal = journal
        self._limits = Limits(_rules(options)) if options.user_rate or options.guild_rate else None
        self._sequences: Sequences[Submission] = Sequences(gap_timeout=options.sequence_gap)
        self._draining = False
        self._admitted: list[Submission] = []
        self._notes: list[Note] = []
        self._noted_in = 0
        self._noted = 0

    def on_receive(self, message: object) -> None:
        match message:
            case Submission():
                self._offer(message, self.clock.now())
            case Submissions(items):
                now = self.clock.now()
                for item in items:
                    self._offer(item, now)
            case Left(guilds):
                self._backlog.leave(guilds)
            case Drain():
                self._draining = True
            case _GapOver():
                now = self.clock.now()
                for item in self._sequences.due(now):
                    self._admit(item, now)
                self._watch_gaps(now)

    def on_flush(self) -> None:
        admitted, self._admitted = self._admitted, []
        if admitted:
            try:
                self._journal().tell(Submissions(admitted))
            except MailboxFull:
                for item in admitted:
                    self._backlog.leave([item.envelope.guild])
                    self._refuse(item, Overloaded("the journal is behind", retry_after=1_000), self.clock.now())
        if self._notes:
            notes, self._notes = self._notes, []
            self._journal().tell(Commit(list(notes), []))

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
        for released in offered.released:
            self._admit(released, now)
        self._watch_gaps(now)

    def _watch_gaps(self, now: int) -> None:
        at = self._sequences.next_due()
        if at:
            self.send_after(max(0, at - now) / 1000, _GapOver())

    def _admit(self, item: Submission, now: int) -> None:
        envelope = item.envelope
        if envelope.expires_at <= now:
            self._expire(item, now)
            return
        error = self._overload(item, now) or self._rate(item, now)
        if error is not None:
            self._refuse(item, error, now)
            return
        self._backlog.enter(envelope.guild)
        self._admitted.append(item)

    def _overload(self, item: Submission, now: int) -> EngineError | None:
        envelope = item.envelope
        backlog, options = self._backlog, self._options
        if backlog.total >= options.max_backlog:
            return Overloaded(f"the router holds {backlog.total} commands", retry_after=backlog.advice(now))
        if backlog.of(envelope.guild) >= options.guild_backlog:
            return Overloaded(
                f"this guild has {options.guild_backlog} commands waiting", retry_after=backlog.advice(now)
            )
        if not admits(envelope.priority, backlog.total / options.max_backlog):
            return Overloaded("shedding low priority", retry_after=backlog.advice(now))
        return None

    def _rate(self, item: Submission, now: int) -> EngineError | None:
        if self._limits is None:
            return None
        envelope = item.envelope
        levels = [("guild", envelope.guild)]
        if envelope.user:
            levels.append(("user", envelope.user))
        answer = self._limits.admit(levels, now)
        if isinstance(answer, Denied):
            return RateLimited(f"too many commands of this {answer.kind}", retry_after=answer.retry_after)
        return None

    def _expire(self, item: Submission, now: int) -> None:
        envelope = item.envelope
        error = Expired("its deadline had passed when it came")
        self._note(item, error, now)
        if item.waiter is not None:
            item.waiter.on_expired(
                error,
                Answer(envelope.id, Status.EXPIRED, fault=error.fault, accepted_at=envelope.created_at, settled_at=now),
            )

    def _refuse(self, item: Submission, error: EngineError, now: int) -> None:
        self._note(item, error, now)
        if item.waiter is not None:
            item.waiter.on_refused(error)

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
    rules = []
    if options.guild_rate:
        rules.append(Rule("guild", rate=options.guild_rate, per=1_000))
    if options.user_rate:
        rules.append(Rule("user", rate=options.user_rate, per=1_000))
    return rules
