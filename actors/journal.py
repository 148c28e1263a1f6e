"""The journal: the one actor that touches the store, in group commits.

Everything that arrives in one slice of its mailbox becomes one durable step; only then is anybody told. When the store
cannot write, newcomers are refused and everything else is held, in order, and tried again: an outcome once known is
not forgotten because a disk was full for a second.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from actors.codec import decode
from actors.errors import EngineError, ShuttingDown, StoreError, StoreUnavailable
from actors.messages import (
    Admissions,
    Check,
    Commit,
    Due,
    Entered,
    Gone,
    Replied,
    Settled,
    Start,
    StoreCall,
    Submission,
    Submissions,
    Untaken,
    tell,
)
from actors.places import place_of
from actors.policy.facts import Facts
from actors.ports import Accept, Accepted, Backend, Duplicate, Enter, Result, Write
from actors.runtime.actor import Actor
from actors.runtime.errors import RuntimeFault
from actors.runtime.ref import Ref
from actors.tables.backlog import Backlog

logger = logging.getLogger("guild_router.journal")

Then = list[tuple[Ref | None, Any]]


class Held:
    """Commits the store could not take, oldest first; outlives a crash of the journal."""

    def __init__(self) -> None:
        self.items: list[Commit | Due] = []


class Journal(Actor):
    """Collects a slice, commits it, tells the results."""

    mailbox_capacity = 1_000_000  # what the engine itself has to write is bounded by the backlog, and never refused
    slice_size = 2_000
    redeliver = 3
    drain_on_stop = True

    def __init__(
        self,
        store: Backend,
        *,
        facts: Callable[[str], Facts],
        deduplicator: Callable[[], Ref],
        intake: Callable[[], Ref],
        backlog: Backlog,
        held: Held,
        retry: int,
    ) -> None:
        super().__init__()
        self._store = store
        self._facts = facts
        self._deduplicator = deduplicator
        self._intake = intake
        self._backlog = backlog
        self._held = held
        self._retry = retry / 1000
        self._retrying = False
        self._submissions: list[Submission] = []
        self._commits: list[Commit | Due] = []
        self._calls: list[StoreCall] = []
        self._failing = False
        self._newest = 0  # the position of the newest newcomer

    def on_start(self) -> None:
        self._store.open(self.clock.now())
        if self._held.items:
            self._try_later()

    def on_stop(self) -> None:
        self._store.close()

    def on_failure(self, *_: object) -> None:
        # The successor opens the store anew; whatever this incarnation had open must not be in its way.
        self._store.close()

    def on_receive(self, message: object) -> None:
        match message:
            case Commit() | Due():
                self._commits.append(message)
            case Submissions(items):
                self._submissions.extend(items)
            case StoreCall():
                self._calls.append(message)
            case Retry():
                self._retrying = False

    def on_flush(self) -> None:
        submissions, self._submissions = self._submissions, []
        commits, self._commits = self._commits, []
        calls, self._calls = self._calls, []
        held = self._held.items
        if held:
            commits = held + commits
        if not (submissions or commits or calls):
            return
        now = self.clock.now()
        try:
            writes, results, answers = self._commit(submissions, commits, calls, now)
        except StoreError as error:
            self._hold(submissions, commits, calls, error)
            return
        except Exception as error:
            if not calls:
                raise
            # Nothing of it is written. A question of somebody's must not cost the others their commands.
            logger.exception("a step failed; it is done again without what was asked beside it")
            for call in calls:
                tell(call.reply, EngineError(f"the store could not do it: {type(error).__name__}"))
            self._submissions, self._commits = submissions, commits[len(held) :]
            self.on_flush()
            return
        if self._failing:
            self._failing = False
            logger.warning("the store can be written again")
        first_accept = len(results) - len(submissions)
        self._tell_commits(commits, writes, results[:first_accept])
        if held:
            # Not before everybody was told: a crash on the way tells them again, which changes nothing.
            self._held.items = []
        if submissions:
            self._tell_admissions(submissions, results[first_accept:], now)
        for call, answer in zip(calls, answers, strict=True):
            tell(call.reply, answer)

    def _commit(
        self, submissions: list[Submission], commits: list[Commit | Due], calls: list[StoreCall], now: int
    ) -> tuple[list[Write], list[Result], list[Any]]:
        writes: list[Write] = []
        facts = self._facts
        for commit in commits:
            if isinstance(commit, Commit):
                writes.extend(commit.writes)
            else:
                writes.extend(Enter(id_) for id_, _ in commit.records)
        for item in submissions:
            fact = facts(item.envelope.type)
            writes.append(Accept(item.envelope, item.frame, fact.window, fact.opposes))
        with self._store.together():
            results: list[Result] = self._store.write(writes, now) if writes else []
            self._find_repeats(submissions, results, now)
            answers = [_called(call, self._store, now) for call in calls]
        return writes, results, answers

    def _find_repeats(self, submissions: list[Submission], results: list[Result], now: int) -> None:
        """Who was sent again after its end gets its answer, and no place in a lane.

        The store accepts it as it did the first time. It is known by its position, for those of newcomers rise; as
        long as no newcomer was seen, and for delayed ones, the store is asked.
        """
        for at in range(len(results) - len(submissions), len(results)):
            result = results[at]
            if type(result) is not Accepted:
                continue
            if self._newest and result.position > self._newest:
                self._newest = result.position
                continue
            stored = self._store.get(result.id)
            if stored is None:
                continue
            if stored.status:
                results[at] = Duplicate(result.id, result.id, result.sequence, stored.answer)
            elif stored.accepted_at == now:
                self._newest = max(self._newest, result.position)

    def _tell_commits(self, commits: list[Commit | Due], writes: list[Write], results: list[Result]) -> None:
        told: dict[Ref, list[object]] = {}
        replies: list[Replied] = []
        doubtful = False in results  # seldom
        at = 0
        for commit in commits:
            if isinstance(commit, Commit):
                end = at + len(commit.writes)
                then = commit.then
                if doubtful:
                    then = self._without(_refused(writes[at:end], results[at:end]), then)
                at = end
                for ref, message in then:
                    if ref is not None:
                        told.setdefault(ref, []).append(message)
                    else:
                        replies.append(message)
            else:
                told.setdefault(self._deduplicator(), []).extend(_entered(commit, results[at:]))
                at += len(commit.records)
        for ref, messages in told.items():
            self._tell(ref, messages)
        for reply in replies:
            tell(reply.reply, reply.value)

    def _without(self, gone: frozenset[str], then: Then) -> Then:
        # The store is right: the ways of these envelopes have ended. Nothing more is done for them, least of all again.
        if not gone:
            return then
        kept: Then = []
        for ref, message in then:
            match message:
                case Settled(envelope) | Check(envelope) if envelope.id in gone:
                    kept.append((self._deduplicator(), Gone(envelope)))
                case Start(ticket) if ticket.envelope.id in gone:
                    kept.append((self._deduplicator(), Gone(ticket.envelope)))
                case Replied(id_, reply, _) if id_ in gone:
                    kept.append((None, Replied(id_, reply, False)))
                case _:
                    kept.append((ref, message))
        return kept

    def _tell_admissions(self, submissions: list[Submission], results: Sequence[Result], now: int) -> None:
        pairs = list(zip(submissions, results, strict=True))
        if not self._tell(self._deduplicator(), [Admissions(pairs, now)]):
            error = ShuttingDown("the router stopped; it may have been stored", retry_after=5_000)
            for item in submissions:
                item.refuse(error)

    def _tell(self, ref: Ref, messages: list[object]) -> bool:
        try:
            ref.tell_many(messages)
        except RuntimeFault as error:
            # Only while the tree stops, from the door down: what is written is found at the next start.
            logger.warning("%d messages after a commit could not be told: %s", len(messages), error)
            return False
        return True

    def _hold(
        self, submissions: list[Submission], commits: list[Commit | Due], calls: list[StoreCall], error: StoreError
    ) -> None:
        if not self._failing:
            self._failing = True
            logger.error("the store cannot be written: %s", error)
        self._held.items = commits
        if commits:
            self._try_later()
        refusal = StoreUnavailable(str(error), retry_after=max(1_000, int(self._retry * 1000)))
        refusal.__cause__ = error
        self._backlog.leave([item.envelope.id for item in submissions])
        for item in submissions:
            item.refuse(refusal)
        numbered = [item for item in submissions if item.envelope.sender_sequence]
        if numbered:
            self._tell(self._intake(), [Untaken(numbered)])
        for call in calls:
            tell(call.reply, refusal)

    def _try_later(self) -> None:
        if not self._retrying:
            self._retrying = True
            self.send_after(self._retry, Retry())


class Retry:
    """To itself: try what is held again."""


def _called(call: StoreCall, store: Backend, now: int) -> Any:
    try:
        return call.fn(store, now)
    except StoreError:
        raise
    except Exception as error:  # noqa: BLE001 - handed to the caller, whose function it was
        return error


def _refused(writes: Sequence[Any], results: Sequence[Result]) -> frozenset[str]:
    """Ids of whom the store says that they were not in flight."""
    return frozenset(write.id for write, result in zip(writes, results, strict=True) if result is False)


def _entered(due: Due, results: Sequence[Result]) -> list[object]:
    """Who has its place now; and who was cancelled or known before, so that whoever waits for it is answered."""
    messages: list[object] = []
    places = []
    for (_, record), position in zip(due.records, results, strict=False):
        if isinstance(position, int) and position:
            places.append(place_of(record, position))
        else:
            messages.append(Gone(decode(record.frame, trusted=True)))
    if places:
        messages.append(Entered(places))
    return messages
