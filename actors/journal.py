"""The journal: the one actor that touches the store, in group commits.

Everything that arrives in one slice of its mailbox becomes one durable step; only then is anybody told. When the store
cannot write, newcomers are refused and everything else is held, in order, and tried again: an outcome once known is
not forgotten because a disk was full for a second.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from actors.errors import StoreError, StoreUnavailable
from actors.messages import Admissions, Commit, Due, Entered, StoreCall, Submission, Submissions
from actors.places import place_of
from actors.policy.facts import Facts
from actors.ports import Accept, Backend, Enter, Result, Write
from actors.runtime.actor import Actor
from actors.runtime.ref import Ref

logger = logging.getLogger("guild_router.journal")


class Held:
    """Commits the store could not take, oldest first; outlives a crash of the journal."""

    def __init__(self) -> None:
        self.items: list[Commit | Due] = []


class Journal(Actor):
    """Collects a slice, commits it, tells the results."""

    mailbox_capacity = 100_000
    slice_size = 2_000
    redeliver = 3

    def __init__(
        self, store: Backend, *, facts: Callable[[str], Facts], deduplicator: Callable[[], Ref], held: Held, retry: int
    ) -> None:
        super().__init__()
        self._store = store
        self._facts = facts
        self._deduplicator = deduplicator
        self._held = held
        self._retry = retry / 1000
        self._retrying = False
        self._submissions: list[Submission] = []
        self._commits: list[Commit | Due] = []
        self._calls: list[StoreCall] = []
        self._failing = False

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
        if self._held.items:
            commits = self._held.items + commits
            self._held.items = []
        if not (submissions or commits or calls):
            return
        now = self.clock.now()
        try:
            self._commit(submissions, commits, calls, now)
        except StoreError as error:
            self._hold(submissions, commits, calls, error)
        else:
            if self._failing:
                self._failing = False
                logger.warning("the store can be written again")

    def _commit(
        self, submissions: list[Submission], commits: list[Commit | Due], calls: list[StoreCall], now: int
    ) -> None:
        writes: list[Write] = []
        facts = self._facts
        for commit in commits:
            if isinstance(commit, Commit):
                writes.extend(commit.writes)
            else:
                writes.extend(Enter(id_) for id_, _ in commit.records)
        first_accept = len(writes)
        for item in submissions:
            fact = facts(item.envelope.type)
            writes.append(Accept(item.envelope, item.frame, fact.window, fact.opposes))
        with self._store.together():
            results: list[Result] = self._store.write(writes, now) if writes else []
            answers = [_called(call, self._store, now) for call in calls]
        self._tell_commits(commits, results)
        if submissions:
            pairs = list(zip(submissions, results[first_accept:], strict=True))
            self._deduplicator().tell(Admissions(pairs, now))
        for call, answer in zip(calls, answers, strict=True):
            call.reply(answer)

    def _tell_commits(self, commits: list[Commit | Due], results: list[Result]) -> None:
        told: dict[Ref, list[object]] = {}
        at = 0
        for commit in commits:
            if isinstance(commit, Commit):
                at += len(commit.writes)
                for ref, message in commit.then:
                    told.setdefault(ref, []).append(message)
            else:
                places = []
                for (_, record), position in zip(commit.records, results[at:], strict=False):
                    if isinstance(position, int) and position:
                        places.append(place_of(record, position))
                at += len(commit.records)
                if places:
                    told.setdefault(self._deduplicator(), []).append(Entered(places))
        for ref, messages in told.items():
            ref.tell_many(messages)

    def _hold(
        self, submissions: list[Submission], commits: list[Commit | Due], calls: list[StoreCall], error: StoreError
    ) -> None:
        if not self._failing:
            self._failing = True
            logger.error("the store cannot be written: %s", error)
        refusal = StoreUnavailable(str(error), retry_after=max(1_000, int(self._retry * 1000)))
        refusal.__cause__ = error
        for item in submissions:
            if item.waiter is not None:
                item.waiter.on_refused(refusal)
        for call in calls:
            call.reply(refusal)
        self._held.items = commits
        if commits:
            self._try_later()

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
