"""The journal: the one actor that touches the store, in group commits.

Everything that arrives in one slice of its mailbox becomes one durable step; only then is anybody told. When the store
cannot write, newcomers are refused and everything else is held, in order, and tried again: an outcome once known is
not forgotten because a disk was full for a second.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, cast

from actors.arrivals import Arrivals as Arrived
from actors.asking import ask_store
from actors.codec import decode
from actors.errors import EngineError, OwnerAway, ShuttingDown, StoreDoubt, StoreError, StoreUnavailable
from actors.messages import (
    Admissions,
    Arrivals,
    Check,
    Commit,
    Due,
    Entered,
    Gone,
    Recheck,
    Replied,
    Seized,
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
from actors.policy.lanes import Place
from actors.ports import Accept, Accepted, Backend, Duplicate, Enter, Lost, Result, Write
from actors.runtime.actor import Actor
from actors.runtime.errors import RuntimeFault
from actors.runtime.ref import Ref
from actors.sharing import SharedStore
from actors.tables.backlog import Backlog
from actors.tables.holdings import Holdings

logger = logging.getLogger("guild_router.journal")

Then = list[tuple[Ref | None, Any]]


class Held:
    """What the store could not take, oldest first; outlives a crash of the journal."""

    def __init__(self) -> None:
        self.items: list[Commit | Due] = []
        self.doubtful: list[Submission] = []  #: may have been stored, or not
        self.since = 0.0  #: when the oldest of these was tried first, steady seconds


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
        doubt: int,
        arrived: Arrived | None = None,
        holdings: Holdings | None = None,
        keeper: Callable[[], Ref] | None = None,
    ) -> None:
        super().__init__()
        self._store = store
        self._facts = facts
        self._deduplicator = deduplicator
        self._intake = intake
        self._backlog = backlog
        self._held = held
        self._retry = retry / 1000
        self._doubt = doubt / 1000
        self._arrived = arrived
        self._holdings = holdings
        self._keeper = keeper
        self._retrying = False
        self._submissions: list[Submission] = []
        self._commits: list[Commit | Due] = []
        self._calls: list[StoreCall] = []
        self._failing = False
        self._newest = 0  # the position of the newest newcomer

    def on_start(self) -> None:
        self._store.open(self.clock.now())
        if self._held.items or self._held.doubtful:
            self._try_later()

    def on_stop(self) -> None:
        self._store.close()
        self._give_up("the router stopped")

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
            case Arrivals(partitions):
                if self._arrived is not None:
                    self._arrived.look(partitions)
            case Retry():
                self._retrying = False

    def on_flush(self) -> None:
        submissions, self._submissions = self._submissions, []
        commits, self._commits = self._commits, []
        calls, self._calls = self._calls, []
        held = self._held.items
        if held:
            commits = held + commits
        if self._held.doubtful:
            submissions = self._held.doubtful + submissions
        if not (submissions or commits or calls):
            self._pass_on()
            return
        if self._holdings is not None and commits:
            commits = self._current(commits)
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
            self._submissions = submissions[len(self._held.doubtful) :]
            known = {id(commit) for commit in held}
            self._commits = [commit for commit in commits if id(commit) not in known]
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
            self._held.doubtful = []
        self._pass_on()
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
                writes.extend(Enter(id_, guild) for id_, guild, _ in commit.records)
        for item in submissions:
            fact = facts(item.envelope.type)
            writes.append(Accept(item.envelope, item.frame, fact.window, fact.opposes))
        with self._store.together():
            results: list[Result] = self._store.write(writes, now) if writes else []
            try:
                self._find_repeats(submissions, results, now)
                answers = [ask_store(call.fn, self._store, now) for call in calls]
            except StoreUnavailable as error:
                if self._arrived is None or not writes:
                    raise
                # What routers share has no transactions: it is written, whatever the question after it came to.
                raise StoreUnavailable(str(error), retry_after=error.retry_after, doubt=True) from error
        return writes, results, answers

    def _find_repeats(self, submissions: list[Submission], results: list[Result], now: int) -> None:
        """Who was sent again after its end gets its answer, and no place in a lane.

        The store accepts it as it did the first time. It is known by its position, for those of newcomers rise; as
        long as no newcomer was seen, and for delayed ones, the store is asked.
        """
        if self._arrived is not None:
            self._find_shared_repeats(submissions, results, self._arrived)
            return
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

    def _find_shared_repeats(self, submissions: list[Submission], results: list[Result], arrived: Arrived) -> None:
        # Where another owns the guild nobody is asked: whoever waits for what has ended is told at the next look.
        first = len(results) - len(submissions)
        asked: list[int] = []
        for at, item in enumerate(submissions, first):
            result = results[at]
            if type(result) is Accepted and self._holdings is not None:
                partition = self._holdings.partition(item.envelope.guild)
                if arrived.is_known(partition, result.position):
                    asked.append(at)
        if not asked:
            return
        found = cast("SharedStore", self._store).find([submissions[at - first].envelope.id for at in asked])
        for at, stored in zip(asked, found, strict=True):
            result = results[at]
            if stored is not None and stored.status and isinstance(result, Accepted):
                results[at] = Duplicate(result.id, result.id, result.sequence, stored.answer)

    def _current(self, commits: list[Commit | Due]) -> list[Commit | Due]:
        """Those that were not decided under an ownership that has ended."""
        kept: list[Commit | Due] = []
        for commit in commits:
            if isinstance(commit, Commit) and commit.token:
                holding = self._holdings.taken(commit.partition) if self._holdings is not None else None
                if holding is None or holding.token != commit.token:
                    _tell_lost(commit.then)
                    continue
            kept.append(commit)
        return kept

    def _pass_on(self) -> None:
        """What has come into this router's partitions, in the order of position."""
        if self._arrived:
            try:
                places, ended = self._arrived.collect(cast("SharedStore", self._store))
            except StoreError as error:
                logger.warning("arrivals could not be read: %s", error)  # the next look finds them
                return
            if places:
                self._tell(self._deduplicator(), [Entered(places)])
            if ended:
                # They were sent again after their end. Whoever waits for it is told as soon as it was looked up.
                ids = [place.envelope.id for place in ended]
                self._backlog.leave(ids)
                self._tell(self._deduplicator(), [Recheck(ids)])

    def _tell_commits(self, commits: list[Commit | Due], writes: list[Write], results: list[Result]) -> None:
        told: dict[Ref, list[object]] = {}
        replies: list[Replied] = []
        doubtful = False in results  # seldom
        fenced = self._arrived is not None and any(type(result) is Lost for result in results)
        at = 0
        for commit in commits:
            if isinstance(commit, Commit):
                end = at + len(commit.writes)
                then = commit.then
                if fenced and any(type(result) is Lost for result in results[at:end]):
                    then = self._seized(commit)
                elif doubtful:
                    then = self._without(_refused(writes[at:end], results[at:end]), then)
                at = end
                for ref, message in then:
                    if ref is not None:
                        told.setdefault(ref, []).append(message)
                    else:
                        replies.append(message)
            else:
                told.setdefault(self._deduplicator(), []).extend(self._entered(commit, results[at:]))
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
        if self._arrived is not None:
            self._place(pairs, now, self._arrived)
        if not self._tell(self._deduplicator(), [Admissions(pairs, now, self._arrived is None)]):
            error = ShuttingDown("the router stopped; it may have been stored", retry_after=5_000)
            for item in submissions:
                item.refuse(error)

    def _place(self, pairs: list[tuple[Submission, Result]], now: int, arrived: Arrived) -> None:
        elsewhere = []
        for item, result in pairs:
            if type(result) is not Accepted:
                continue
            envelope = item.envelope
            partition = self._holdings.partition(envelope.guild) if self._holdings is not None else 0
            if not arrived.is_open(partition):
                elsewhere.append(envelope.id)  # whoever owns it counts it, or whoever takes it over
            elif result.position:
                arrived.own(
                    Place(
                        envelope,
                        item.frame,
                        sequence=result.sequence,
                        position=result.position,
                        accepted_at=now,
                    )
                )
        self._backlog.pass_on(elsewhere)

    def _entered(self, due: Due, results: Sequence[Result]) -> list[object]:
        """Who has its place now; and who was cancelled or known before, so that whoever waits for it is answered."""
        messages: list[object] = []
        places = []
        for (_, _, record), position in zip(due.records, results, strict=False):
            if isinstance(position, int) and position:
                places.append(place_of(record, position))
            elif not isinstance(position, Lost):
                messages.append(Gone(decode(record.frame, trusted=True)))
        if self._arrived is not None:
            for place in places:
                self._arrived.own(place)
        elif places:
            messages.append(Entered(places))
        return messages

    def _seized(self, commit: Commit) -> Then:
        """The store says that another owns the guild: nothing follows."""
        if self._keeper is not None and commit.token:
            self._tell(self._keeper(), [Seized(commit.partition, commit.token)])
        _tell_lost(commit.then)
        return []

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
        refused = self._doubtful(submissions, error)
        if commits or self._held.doubtful:
            self._try_later()
        refusal = StoreUnavailable(str(error), retry_after=max(1_000, int(self._retry * 1000)))
        refusal.__cause__ = error
        self._refuse(refused, refusal)
        for call in calls:
            tell(call.reply, refusal)

    def _doubtful(self, submissions: list[Submission], error: StoreError) -> list[Submission]:
        """Hold those that may have been stored, to be tried again; the others.

        To try again is safe: an id is stored once. Who was in doubt once stays in doubt whatever the next error says.
        """
        known = len(self._held.doubtful)
        if isinstance(error, StoreUnavailable) and error.doubt:
            held, others = submissions, []
        else:
            held, others = submissions[:known], submissions[known:]
        if not held:
            return others
        now = self.clock.monotonic()
        if not known:
            self._held.since = now
        self._held.doubtful = held
        if now - self._held.since >= self._doubt:
            self._give_up(str(error))
        return others

    def _give_up(self, why: str) -> None:
        held, self._held.doubtful = self._held.doubtful, []
        if held:
            error = StoreDoubt(
                f"it may have been stored or not ({why}): repeat it with the same id or idempotency key",
                retry_after=1_000,
            )
            self._refuse(held, error)

    def _refuse(self, submissions: list[Submission], refusal: StoreUnavailable) -> None:
        self._backlog.leave([item.envelope.id for item in submissions])
        for item in submissions:
            item.refuse(refusal)
        numbered = [item for item in submissions if item.envelope.sender_sequence]
        if numbered:
            self._tell(self._intake(), [Untaken(numbered)])

    def _try_later(self) -> None:
        if not self._retrying:
            self._retrying = True
            self.send_after(self._retry, Retry())


class Retry:
    """To itself: try what is held again."""


def _refused(writes: Sequence[Any], results: Sequence[Result]) -> frozenset[str]:
    """Ids of whom the store says that they were not in flight."""
    return frozenset(write.id for write, result in zip(writes, results, strict=True) if result is False)


def _tell_lost(then: Then) -> None:
    """Nobody is told of what was not done, but those who asked for it."""
    error = OwnerAway("its guild has just gone to another router", retry_after=1_000)
    for ref, message in then:
        if ref is None:
            tell(message.reply, error)
