"""The deduplicator: operations in flight and everybody who waits for them.

The store decides what is a duplicate, atomically with the acceptance, so that two doors and two routers agree. This
actor acts on the decision: the newcomer attaches to the operation in flight, or gets the stored answer; and at the end
of a way everybody who waits is answered. All new places reach their guilds through here, in the order of position.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from actors.alias import ALIAS
from actors.answers import decode_answer
from actors.codec import pack
from actors.envelope import Envelope
from actors.errors import EngineError, KeyReusedError, Overloaded, Refused
from actors.messages import (
    Admissions,
    Commit,
    Delayed,
    Enqueue,
    Entered,
    Gone,
    Published,
    Recheck,
    Settled,
    StoreCall,
    Submission,
    tell,
)
from actors.outcome import Answer
from actors.policy.lanes import Place
from actors.ports import Accepted, Duplicate, KeyReused, Note, Record, Result, Stored
from actors.runtime.actor import Actor
from actors.runtime.ref import Ref
from actors.sharing import Answered
from actors.tables.backlog import Backlog
from actors.tables.counters import Counters
from actors.tables.guilds import Guilds
from actors.tables.holdings import Holdings
from actors.tables.waiters import Waiters, Waiting

MOST_WAITING = 1_000
"""Senders that may wait for the answer of one operation."""

ASKED = 1_000
"""Ids the store is asked about at once."""

EARLY = 1_000
"""Answers from other routers kept for those who are about to wait for them."""

LOOK_AGAIN = 1.0
"""Seconds, when the store could not say what became of those who wait."""


class Deduplicator(Actor):
    """Answers senders; passes new places on to their guilds."""

    mailbox_capacity = 1_000_000
    slice_size = 2_000
    redeliver = 3
    drain_on_stop = True

    def __init__(
        self,
        *,
        waiters: Waiters,
        guilds: Guilds,
        backlog: Backlog,
        journal: Callable[[], Ref],
        scheduler: Callable[[], Ref],
        publish: Callable[[list[Published]], None],
        listening: Callable[[], bool],
        counters: Counters,
        reply: Callable[[Envelope, Answer], None],
        holdings: Holdings | None = None,
    ) -> None:
        super().__init__()
        self._waiters = waiters
        self._guilds = guilds
        self._backlog = backlog
        self._journal = journal
        self._scheduler = scheduler
        self._publish = publish
        self._listening = listening
        self._counters = counters
        self._reply = reply
        self._holdings = holdings
        self._early: OrderedDict[str, bytes] = OrderedDict()  # answers from elsewhere nobody waited for yet
        self._left: list[str] = []
        self._notes: list[Note] = []
        self._events: list[Published] = []

    def on_start(self) -> None:
        # After a crash: answers may have been committed while nobody was here to pass them on.
        self._look_up(self._waiters.ids())

    def _look_up(self, ids: list[str], *, again: bool = True) -> None:
        me = self.me
        shared = self._holdings is not None

        def look(store: Any, part: list[str]) -> list[tuple[str, Stored | None]]:
            if shared:
                return list(zip(part, store.find(part), strict=True))
            return [(id_, store.get(id_)) for id_ in part]

        def ask(part: list[str]) -> None:
            call = StoreCall(lambda store, _: look(store, part), lambda found: me.tell(_Found(part, found, again)))
            self._journal().tell(call)

        for at in range(0, len(ids), ASKED):
            ask(ids[at : at + ASKED])

    def on_receive(self, message: object) -> None:
        match message:
            case Settled(envelope, answer):
                self._counters.settle(envelope, answer)
                self._left.append(answer.id)
                self._answer_all(answer)
                if envelope.reply_to:
                    tell(self._reply, envelope, answer)
                if self._listening():
                    self._events.append(Published("settled", envelope, answer))
            case Admissions(items, now, placed):
                self._admitted(items, now, placed=placed)
            case Entered(places):
                self._enqueue(places)
            case Gone(envelope):
                self._left.append(envelope.id)
                self._guilds.tell(envelope.guild, message)
                self._look_up([envelope.id])
            case Answered(id_, answer):
                self._answered_elsewhere(id_, answer)
            case Recheck(ids):
                self._look_up(ids, again=False)
            case _Found(ids, found, again):
                self._recall(ids, found, again=again)
            case _Again(ids):
                self._look_up(ids)

    def on_flush(self) -> None:
        if self._left:
            left, self._left = self._left, []
            self._backlog.leave(left)
        if self._notes:
            notes, self._notes = self._notes, []
            self._journal().tell(Commit(list(notes), []))
        if self._events:
            events, self._events = self._events, []
            self._publish(events)

    def _admitted(self, items: list[tuple[Submission, Result]], now: int, *, placed: bool) -> None:
        places: list[Place] = []
        delayed: list[Record] = []
        for item, result in items:
            match result:
                case Accepted(_, sequence, position, _):
                    self._accepted(item, result)
                    envelope = item.envelope
                    if not placed and (position or not self._is_mine(envelope)):
                        continue
                    if position:
                        places.append(
                            Place(envelope, item.frame, sequence=sequence, position=position, accepted_at=now)
                        )
                    else:
                        delayed.append(
                            Record(item.frame, sequence, 0, now, 0, "", envelope.due_at, envelope.expires_at, b"")
                        )
                case Duplicate():
                    self._duplicate(item, result, now)
                case KeyReused(_, original):
                    self._refuse(item, original, now)
        if places:
            self._enqueue(places)
        if delayed:
            self._scheduler().tell(Delayed(delayed))

    def _is_mine(self, envelope: Envelope) -> bool:
        return self._holdings is None or self._holdings.of(envelope.guild) is not None

    def _accepted(self, item: Submission, result: Accepted) -> None:
        if item.told:
            return  # by a predecessor, who crashed later
        self._counters.accepted += 1
        self._counters.arrive(item.envelope.source)
        if item.waiter is not None:
            # Before anybody is told: the answer may come as soon as the place is in its lane.
            self._waiters.add(result.id, Waiting(item.waiter, item.envelope, False))
        item.accept(result.id, result.sequence, result.ahead)
        if self._listening():
            self._events.append(Published("accepted", item.envelope, None, result.sequence))
        if self._early:
            self._answer_early(result.id)

    def _duplicate(self, item: Submission, result: Duplicate, now: int) -> None:
        envelope = item.envelope
        self._left.append(envelope.id)
        if not item.told and not result.answer and self._waiters.count(result.original) >= MOST_WAITING:
            text = f"{MOST_WAITING} wait for {result.original}"
            item.refuse(Overloaded(text, retry_after=1_000, limit="waiting senders"))
            return
        detail = pack({"id": envelope.id})
        self._notes.append(Note(now, "duplicate", result.original, envelope.guild, envelope.user, detail))
        # The newcomer is not stored; whoever asks for its id is led to the original by this.
        alias = pack({"original": result.original})
        self._notes.append(Note(now, ALIAS, envelope.id, envelope.guild, envelope.user, alias))
        if not item.told:
            self._counters.duplicates += 1
            self._counters.arrive(envelope.source)
            if item.waiter is not None:
                # Whoever gets a stored answer waits under its own id, for the moment it takes to be told.
                waits_for = envelope.id if result.answer else result.original
                self._waiters.add(waits_for, Waiting(item.waiter, envelope, True))
            item.accept(envelope.id, result.sequence, 0, result.original)
            if self._listening():
                self._events.append(Published("duplicate", envelope, None, result.sequence, result.original))
            if self._early and not result.answer:
                self._answer_early(result.original)
        if result.answer:
            answer = decode_answer(result.answer)
            while (waiting := self._waiters.next(envelope.id)) is not None:
                self._answer(waiting, answer)

    def _refuse(self, item: Submission, original: str, now: int) -> None:
        envelope = item.envelope
        self._left.append(envelope.id)
        error = KeyReusedError(f"the idempotency key was used for another payload by {original}")
        detail = pack({"code": error.code, "message": str(error)})
        self._notes.append(Note(now, "refused", envelope.id, envelope.guild, envelope.user, detail))
        if not item.told:
            self._counters.keys_reused += 1
            item.refuse(error)

    def _enqueue(self, places: list[Place]) -> None:
        by_guild: dict[str, list[Place]] = {}
        for place in places:
            by_guild.setdefault(place.envelope.guild, []).append(place)
        for guild, mine in by_guild.items():
            self._guilds.tell(guild, Enqueue(mine))

    def _answer_all(self, answer: Answer) -> None:
        while (waiting := self._waiters.next(answer.id)) is not None:
            self._answer(waiting, answer)

    def _answer(self, waiting: Waiting, answer: Answer) -> None:
        envelope = waiting.envelope
        if waiting.duplicate:
            answer = replace(answer, id=envelope.id, duplicate=True, original=answer.original or answer.id)
            if envelope.reply_to:
                tell(self._reply, envelope, answer)
        tell(waiting.waiter.on_answered, answer)

    def _answered_elsewhere(self, id_: str, answer: bytes) -> None:
        if not self._waiters.count(id_):
            # It may have come faster than the news of its acceptance; else nobody here waits for it any more.
            self._early[id_] = answer
            while len(self._early) > EARLY:
                self._early.popitem(last=False)
            return
        self._left.append(id_)
        self._answer_all(decode_answer(answer))

    def _answer_early(self, id_: str) -> None:
        answer = self._early.pop(id_, None)
        if answer is not None:
            self._answer_all(decode_answer(answer))

    def _recall(
        self, ids: list[str], found: list[tuple[str, Stored | None]] | EngineError, *, again: bool = True
    ) -> None:
        if isinstance(found, EngineError):
            if again:
                self.send_after(LOOK_AGAIN, _Again(ids))
            return
        for id_, stored in found:
            if stored is None:
                while (waiting := self._waiters.next(id_)) is not None:
                    tell(waiting.waiter.on_refused, Refused(f"the store does not know {id_} any more"))
            elif stored.answer:
                self._left.append(id_)
                self._answer_all(decode_answer(stored.answer))


class _Found:
    """The journal's answer about envelopes somebody waits for; ``again``: to be repeated when there is none."""

    __match_args__ = ("ids", "found", "again")

    def __init__(self, ids: list[str], found: list[tuple[str, Stored | None]] | EngineError, again: bool) -> None:
        self.ids = ids
        self.found = found
        self.again = again


class _Again:
    """To itself: ask the journal again."""

    __match_args__ = ("ids",)

    def __init__(self, ids: list[str]) -> None:
        self.ids = ids
