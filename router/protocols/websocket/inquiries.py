"""Whether it happened, asked of everybody who may know: the store, the bots here, and the bots of every other router.

A bot may have come back to any router. The store knows which bot began it, if an attempt went from one router to
another; the bot itself knows what it did. The first who can tell ends the question. Whoever only does not know is not
waited for twice, and a router that gets bots while the question is open is asked as well.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count
from threading import Lock
from typing import Any, NamedTuple

from actors.codec import encode
from actors.entries import Entry, WorkedQueues
from actors.envelope import Envelope
from actors.errand import Append
from actors.outcome import Outcome, Verdict
from actors.ports import Verified
from actors.runtime.clock import Clock
from actors.runtime.errors import RuntimeFault
from actors.workers import Execution
from router.protocols.coarse import NEVER, CoarseTimer
from router.protocols.elsewhere import Elsewhere, outcome_of
from router.protocols.executor import tell
from router.protocols.teller import Teller
from router.protocols.websocket.doubts import PATIENCE
from router.protocols.websocket.guests import ENOUGH, FORGOTTEN
from router.protocols.websocket.letters import (
    Question,
    attempt_name,
    bot_of,
    encode_question,
    is_place,
    question_name,
)
from router.protocols.websocket.neighbours import Neighbours
from router.protocols.websocket.protocol import WebSocketProtocol

ATTEMPTS = 10  # attempts that are looked for in the store


class _Inquiry:
    """One envelope, asked about."""

    __slots__ = ("asked", "envelope", "instance", "name", "since", "waiters")

    def __init__(self, envelope: Envelope, done: Verified, since: int) -> None:
        self.envelope = envelope
        self.waiters: list[Verified] = [done]
        self.since = since
        self.name = self.instance = ""  #: of the bot that had it; "": nobody knows
        self.asked: set[str] | None = None  #: routers that were asked; ``None``: the store is still being asked


class _Found(NamedTuple):
    """What the store knows."""

    removed: bool  #: an attempt was unclaimed, and now it is nowhere
    latest: Execution | None


class Inquiries:
    """Thread-safe."""

    def __init__(
        self,
        bots: WebSocketProtocol,
        named_queues: Callable[[], Teller],
        elsewhere: Elsewhere,
        neighbours: Neighbours,
        clock: Clock,
        router: str,
    ) -> None:
        self._bots = bots
        self._named_queues = named_queues
        self._elsewhere = elsewhere
        self._neighbours = neighbours
        self._clock = clock
        self._router = router
        self._lock = Lock()
        self._open: dict[str, _Inquiry] = {}  # by envelope id
        self._entries: dict[str, tuple[str, str]] = {}  # entry -> (envelope id, queue)
        self._numbers = count(1)
        self._timer = CoarseTimer(clock, self._look)

    def close(self) -> None:
        """Nobody will know any more."""
        self._timer.stop()
        for id_ in list(self._open):
            self._tell(id_, None)

    def ask(self, envelope: Envelope, done: Verified) -> None:
        """``done`` is told once, within ``PATIENCE``."""
        now = self._clock.now()
        with self._lock:
            inquiry = self._open.get(envelope.id)
            if inquiry is not None:
                inquiry.waiters.append(done)
                return
            inquiry = self._open[envelope.id] = _Inquiry(envelope, done, now)
        inquiry.name, inquiry.instance = self._bots.sent_to(envelope.id)
        self._timer.want(now + PATIENCE, now)
        self._elsewhere.ask(partial(_look_for, envelope.id), partial(self._found, inquiry))

    def look_around(self) -> None:
        """Some router may have bots by now that it had not."""
        for inquiry in list(self._open.values()):
            if inquiry.asked is not None:
                self._ask_others(inquiry)

    def heard(self, entry: str, outcome: Outcome) -> None:
        """A router answers."""
        known = self._entries.pop(entry, None)
        if known is None:
            return
        id_, queue = known
        self._elsewhere.expect_no_more(queue)
        inquiry = self._open.get(id_)
        code = outcome.fault.code if outcome.fault is not None else ""
        if outcome.verdict is Verdict.APPLIED:
            self._tell(id_, True, outcome.data)
        elif outcome.verdict is Verdict.NOT_APPLIED or (code == FORGOTTEN and inquiry is not None and inquiry.name):
            self._tell(id_, False if outcome.verdict is Verdict.NOT_APPLIED else None)

    # ------------------------------------------------------------ the store

    def _found(self, inquiry: _Inquiry, answer: Any) -> None:
        id_ = inquiry.envelope.id
        latest = answer.latest if isinstance(answer, _Found) else None
        if latest is not None:
            if latest.ended_at:
                outcome = outcome_of(latest)
                self._tell(id_, outcome.verdict is Verdict.APPLIED, outcome.data)
                return
            _, inquiry.name, inquiry.instance = bot_of(latest.worker)
        elif isinstance(answer, _Found) and answer.removed and not inquiry.name:
            self._tell(id_, False)
            return
        inquiry.asked = set()
        self._bots.verify(
            inquiry.envelope, partial(self._bots_say, inquiry, self._clock.now()), (inquiry.name, inquiry.instance)
        )
        self._ask_others(inquiry)

    def _bots_say(self, inquiry: _Inquiry, since: int, happened: bool | None, data: bytes = b"", /) -> None:
        """Those that are connected here."""
        sure = happened is not None or (inquiry.name and self._clock.now() < since + PATIENCE - ENOUGH)
        if sure:
            self._tell(inquiry.envelope.id, happened, data)

    # ------------------------------------------------------------ the others

    def _ask_others(self, inquiry: _Inquiry) -> None:
        asked = inquiry.asked
        if asked is None:
            return
        now, envelope = self._clock.now(), inquiry.envelope
        for router in self._neighbours.with_bots():
            if router in asked:
                continue
            asked.add(router)
            entry = question_name(envelope.id, self._router, next(self._numbers))
            question = Question(self._router, envelope, inquiry.name, inquiry.instance)
            queue = self._neighbours.queue(router)
            frame = encode_question(question, encode(envelope))
            asking = Entry(entry, queue, frame, envelope.priority, now, inquiry.since + PATIENCE)
            with self._lock:
                if self._open.get(envelope.id) is not inquiry:
                    return  # somebody has answered
                self._entries[entry] = (envelope.id, queue)
                self._elsewhere.expect(queue)
            try:
                self._named_queues().tell(Append([asking], partial(self._appended, inquiry, router, entry)))
            except RuntimeFault as error:
                self._appended(inquiry, router, entry, error)

    def _appended(self, inquiry: _Inquiry, router: str, entry: str, answer: Any) -> None:
        if isinstance(answer, Exception) and (known := self._entries.pop(entry, None)) is not None:
            self._elsewhere.expect_no_more(known[1])
            if inquiry.asked is not None:
                inquiry.asked.discard(router)  # at the next look around

    # ------------------------------------------------------------ the end

    def _tell(self, id_: str, happened: bool | None, data: bytes = b"") -> None:
        with self._lock:
            inquiry = self._open.pop(id_, None)
            if inquiry is None:
                return
            over = [(entry, queue) for entry, (about, queue) in list(self._entries.items()) if about == id_]
            for entry, _ in over:
                del self._entries[entry]
        for _, queue in over:
            self._elsewhere.expect_no_more(queue)
        for done in inquiry.waiters:
            tell(done, happened, data)

    def _look(self, now: int) -> int:
        late = [id_ for id_, inquiry in list(self._open.items()) if inquiry.since + PATIENCE <= now]
        for id_ in late:
            self._tell(id_, None)
        return min((inquiry.since + PATIENCE for inquiry in list(self._open.values())), default=NEVER)


def _look_for(id_: str, store: WorkedQueues, _: int) -> _Found:
    """In all queues of routers with bots: whoever sent it may be gone, and cannot tell where to."""
    queues = [queue for queue in store.queue_stats() if is_place(queue)]
    names = [attempt_name(id_, attempt, queue) for queue in queues for attempt in range(1, ATTEMPTS + 1)]
    removed = any(store.remove(names)) if names else False
    executions = [known for queue in queues if (known := store.executions(queue, [id_])[0]) is not None]
    return _Found(removed, max(executions, key=lambda known: (known.attempt, known.begun_at), default=None))
