"""The deduplicator: operations in flight and everybody who waits for them.

The store decides what is a duplicate, atomically with the acceptance, so that two doors and two routers agree. This
actor acts on the decision: the newcomer attaches to the operation in flight, or gets the stored answer; and at the end
of a way everybody who waits is answered. All new places reach their guilds through here, in the order of position.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from actors.answers import decode_answer
from actors.codec import pack
from actors.errors import EngineError, KeyReusedError
from actors.messages import (
    Admissions,
    Commit,
    Delayed,
    Enqueue,
    Entered,
    Left,
    Published,
    Settled,
    StoreCall,
    Submission,
)
from actors.outcome import Answer
from actors.policy.lanes import Place
from actors.ports import Accepted, Duplicate, KeyReused, Note, Record, Result, Stored
from actors.runtime.actor import Actor
from actors.runtime.ref import Ref
from actors.tables.counters import Counters
from actors.tables.guilds import Guilds
from actors.tables.waiters import Waiters, Waiting


class Deduplicator(Actor):
    """Answers senders; passes new places on to their guilds."""

    mailbox_capacity = 1_000_000
    slice_size = 2_000
    redeliver = 3

    def __init__(
        self,
        *,
        waiters: Waiters,
        guilds: Guilds,
        journal: Callable[[], Ref],
        intake: Callable[[], Ref],
        scheduler: Callable[[], Ref],
        hub: Callable[[], Ref],
        listening: Callable[[], bool],
        counters: Counters,
    ) -> None:
        super().__init__()
        self._waiters = waiters
        self._guilds = guilds
        self._journal = journal
        self._intake = intake
        self._scheduler = scheduler
        self._hub = hub
        self._listening = listening
        self._counters = counters
        self._left: list[str] = []
        self._notes: list[Note] = []
        self._events: list[Published] = []

    def on_start(self) -> None:
        self._look_up()

    def _look_up(self) -> None:
        # After a crash: answers may have been committed while nobody was here to pass them on.
        ids = self._waiters.ids()
        if ids:
            me = self.me
            self._journal().tell(
                StoreCall(lambda store, _: [(id_, store.get(id_)) for id_ in ids], lambda found: me.tell(_Found(found)))
            )

    def on_receive(self, message: object) -> None:
        match message:
            case Settled(envelope, answer):
                self._counters.settle(answer)
                self._settled(envelope.guild, answer)
                if self._listening():
                    self._events.append(Published("settled", envelope, answer))
            case Admissions(items, now):
                self._admitted(items, now)
            case Entered(places):
                self._enqueue(places)
            case _Found(found):
                self._recall(found)
            case _Again():
                self._look_up()

    def on_flush(self) -> None:
        if self._left:
            left, self._left = self._left, []
            self._intake().tell(Left(left))
        if self._notes:
            notes, self._notes = self._notes, []
            self._journal().tell(Commit(list(notes), []))
        if self._events:
            events, self._events = self._events, []
            self._hub().tell_many(events)

    def _admitted(self, items: list[tuple[Submission, Result]], now: int) -> None:
        places: list[Place] = []
        delayed: list[Record] = []
        for item, result in items:
            match result:
                case Accepted(_, sequence, position, _):
                    self._accepted(item, result)
                    envelope = item.envelope
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

    def _accepted(self, item: Submission, result: Accepted) -> None:
        self._counters.accepted += 1
        if item.waiter is not None:
            # Before anybody is told: the answer may come as soon as the place is in its lane.
            self._waiters.add(result.id, Waiting(item.waiter, item.envelope, False))
            item.waiter.on_accepted(result.id, result.sequence, result.ahead, "")
        if self._listening():
            self._events.append(Published("accepted", item.envelope, None, result.sequence))

    def _duplicate(self, item: Submission, result: Duplicate, now: int) -> None:
        envelope = item.envelope
        self._counters.duplicates += 1
        self._left.append(envelope.guild)
        detail = pack({"id": envelope.id})
        self._notes.append(Note(now, "duplicate", result.original, envelope.guild, envelope.user, detail))
        if self._listening():
            self._events.append(Published("duplicate", envelope, None, result.sequence, result.original))
        if item.waiter is None:
            return
        item.waiter.on_accepted(envelope.id, result.sequence, 0, result.original)
        waiting = Waiting(item.waiter, envelope, True)
        if result.answer:
            _answer(waiting, decode_answer(result.answer))
        else:
            self._waiters.add(result.original, waiting)

    def _refuse(self, item: Submission, original: str, now: int) -> None:
        envelope = item.envelope
        self._counters.keys_reused += 1
        self._left.append(envelope.guild)
        error = KeyReusedError(f"the idempotency key was used for another payload by {original}")
        detail = pack({"code": error.code, "message": str(error)})
        self._notes.append(Note(now, "refused", envelope.id, envelope.guild, envelope.user, detail))
        if item.waiter is not None:
            item.waiter.on_refused(error)

    def _enqueue(self, places: list[Place]) -> None:
        by_guild: dict[str, list[Place]] = {}
        for place in places:
            by_guild.setdefault(place.envelope.guild, []).append(place)
        for guild, mine in by_guild.items():
            self._guilds.tell(guild, Enqueue(mine))

    def _settled(self, guild: str, answer: Answer) -> None:
        self._left.append(guild)
        for waiting in self._waiters.pop(answer.id):
            _answer(waiting, answer)

    def _recall(self, found: list[tuple[str, Stored | None]] | EngineError) -> None:
        if isinstance(found, EngineError):
            self.send_after(1.0, _Again())
            return
        for id_, stored in found:
            if stored is not None and stored.answer:
                answer = decode_answer(stored.answer)
                for waiting in self._waiters.pop(id_):
                    _answer(waiting, answer)


class _Found:
    """The journal's answer about those who waited when the deduplicator crashed."""

    __match_args__ = ("found",)

    def __init__(self, found: list[tuple[str, Stored | None]] | EngineError) -> None:
        self.found = found


class _Again:
    """Ask the journal again."""


def _answer(waiting: Waiting, answer: Answer) -> None:
    if waiting.duplicate:
        answer = replace(answer, id=waiting.envelope.id, duplicate=True, original=answer.original or answer.id)
    waiting.waiter.on_answered(answer)
