"""The desk for queries: who asks what somebody asks already, or just asked, gets the same answer.

Only who may ask is told: the authorizer is asked for each sender, before it is given an answer that was made for
another. What is executed goes the way of every command.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from threading import Lock
from typing import Any

from actors.envelope import Envelope
from actors.errors import EngineError
from actors.hub import Listeners
from actors.messages import Published, Submission, tell
from actors.outcome import Answer, Outcome, Status
from actors.runtime.clock import Clock
from router.messages.base import Message
from router.messages.layout import layout_of
from router.messages.registry import Catalog
from router.query_cache import Key, QueryCache

Check = Callable[[Envelope, Callable[[Outcome | None], None]], None]

#: the leader's own end, which says nothing about what others would be answered
ITS_OWN = frozenset((Status.CANCELLED, Status.EXPIRED, Status.REJECTED))


REMEMBERED = 10_000
"""Commands of which is known that they ended answers."""


class QueryDesk:
    """Thread-safe. ``submit`` sends on; ``check`` is the guard's."""

    def __init__(
        self,
        clock: Clock,
        cache: QueryCache,
        *,
        submit: Callable[[Submission], None],
        check: Check,
        catalog: Catalog,
        listeners: Listeners,
    ) -> None:
        self._clock = clock
        self._cache = cache
        self._submit = submit
        self._check = check
        self._catalog = catalog
        self._listeners = listeners
        self._changes: tuple[int, dict[str, frozenset[str]]] = (0, {})
        self._unwatch: Callable[[], None] | None = None
        self._leaders: dict[Key, _Leader] = {}
        self._ended: dict[str, None] = {}
        self._lock = Lock()
        self._figures = {"executed": 0, "joined": 0, "cached": 0, "invalidated": 0}

    def close(self) -> None:
        """Listen no more."""
        if self._unwatch is not None:
            self._unwatch()
            self._unwatch = None

    def stats(self) -> dict[str, int]:
        """How queries were answered since the start, and what is kept."""
        with self._lock:
            return {**self._figures, "kept": len(self._cache), "keptBytes": self._cache.size}

    def ask(self, message: Message, submission: Submission) -> None:
        """Answer its waiter, by whoever's execution; never blocks."""
        envelope = submission.envelope
        special = envelope.idempotency_key or envelope.due_at or envelope.sender_sequence or envelope.reply_to
        if special:
            self._submit(submission)  # it wants more than an answer
            return
        key = key_of(message, envelope)

        def decided(refusal: Outcome | None) -> None:
            if refusal is not None:
                self._submit(submission)  # refused on its way, and written down as any refusal
            else:
                self._share(key, message, submission)

        self._check(envelope, decided)

    def _share(self, key: Key, message: Message, submission: Submission) -> None:
        operation = message.__operation__
        with self._lock:
            answer = self._cache.get(key, self._clock.now())
            leader = self._leaders.get(key)
            if answer is not None:
                self._figures["cached"] += 1
            elif leader is not None and leader.join(submission):
                self._figures["joined"] += 1
                return
            else:
                self._figures["executed"] += 1
                leader = self._leaders[key] = _Leader(self, key, submission, operation.cache_ttl)
        if answer is not None:
            give(submission, answer)
            return
        if operation.invalidated_by and self._unwatch is None:
            # For commands nobody here waits for, such as scheduled and replayed ones.
            self._unwatch = self._listeners.add(self._look_on)
        self._submit(Submission(submission.envelope, submission.frame, leader))

    def changed_by(self, type_: str) -> frozenset[str]:
        """The queries whose answers a command of this type ends."""
        known, changes = self._changes
        if known != len(self._catalog):
            changes = {}
            for cls in self._catalog.values():
                for changer in cls.__operation__.invalidated_by:
                    changes[changer] = changes.get(changer, frozenset()) | {cls.type}
            self._changes = (len(self._catalog), changes)
        return changes.get(type_, frozenset())

    def settled(self, envelope: Envelope, answer: Answer) -> None:
        """A command's way has ended: what was answered before, or is being looked at, is given to nobody else."""
        types = self.changed_by(envelope.type) if answer.success else frozenset[str]()
        if not types:
            return
        with self._lock:
            if envelope.id in self._ended:
                return  # told twice: by its waiter at once, and by the hub in its own time
            self._ended[envelope.id] = None
            if len(self._ended) > REMEMBERED:
                del self._ended[next(iter(self._ended))]
            self._figures["invalidated"] += 1
            for type_ in types:
                self._cache.forget(envelope.guild, type_)
            for key in [key for key in self._leaders if key.guild == envelope.guild and key.type in types]:
                del self._leaders[key]

    def _look_on(self, event: Published) -> None:
        if event.answer is not None:
            self.settled(event.envelope, event.answer)

    # ------------------------------------------------------------ told by leaders

    def ended(self, leader: _Leader, answer: Answer | None) -> list[Submission]:
        """A leader's way has ended; who joined it."""
        with self._lock:
            current = self._leaders.get(leader.key) is leader
            if current:
                del self._leaders[leader.key]
            if current and answer is not None and answer.success and leader.ttl:
                self._cache.put(leader.key, answer, self._clock.now() + leader.ttl)
            return leader.close()

    def send(self, submission: Submission) -> None:
        """One that joined must go by itself after all."""
        self._submit(submission)


class _Leader:
    """The waiter of a query that is executed, for everybody who asked the same meanwhile."""

    def __init__(self, desk: QueryDesk, key: Key, submission: Submission, ttl: int) -> None:
        self._desk = desk
        self._own: Any = submission.waiter
        self._id = submission.envelope.id
        self._followers: list[Submission] = []
        self._closed = False
        self.key = key
        self.ttl = ttl

    def join(self, submission: Submission) -> bool:
        """Under the desk's lock; ``False``: too late, or too many."""
        if self._closed or len(self._followers) >= MOST:
            return False
        self._followers.append(submission)
        return True

    def close(self) -> list[Submission]:
        """Under the desk's lock."""
        self._closed = True
        followers, self._followers = self._followers, []
        return followers

    def on_accepted(self, id: str, sequence: int, ahead: int, original: str) -> None:
        tell(self._own.on_accepted, id, sequence, ahead, original)

    def on_refused(self, error: EngineError) -> None:
        followers = self._desk.ended(self, None)
        tell(self._own.on_refused, error)
        for each in followers:
            each.refuse(error)

    def on_expired(self, error: EngineError, answer: Answer) -> None:
        followers = self._desk.ended(self, None)
        tell(self._own.on_expired, error, answer)
        for each in followers:
            self._desk.send(each)

    def on_answered(self, answer: Answer) -> None:
        followers = self._desk.ended(self, answer)
        tell(self._own.on_answered, answer)
        for each in followers:
            if answer.status in ITS_OWN:
                self._desk.send(each)
            else:
                give(each, answer)


MOST = 10_000
"""Senders that wait for one query."""


def key_of(message: Message, envelope: Envelope) -> Key:
    """By the fields the type names; else by the whole payload and the acting user, on whom the answer may depend."""
    layout = layout_of(type(message))
    if layout.keyed:
        identity = layout.operation_key(envelope.guild, layout.payload(message))
        return Key(envelope.guild, envelope.type, identity)
    return Key(envelope.guild, envelope.type, envelope.fingerprint, envelope.user)


def give(submission: Submission, answer: Answer) -> None:
    """Answer a sender with what was answered to another."""
    id_ = submission.envelope.id
    submission.accept(id_, answer.sequence, 0, answer.id)
    if submission.waiter is not None:
        tell(submission.waiter.on_answered, replace(answer, id=id_, duplicate=True, original=answer.id))
