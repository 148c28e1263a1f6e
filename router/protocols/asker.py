"""Attempts that lie in named queues for others to execute: put there, heard of, taken back.

An attempt is an entry. While nobody claimed it, to take it out is proof that it did not happen. Whoever claims it says
in the store what came of it; where that is not heard in time, the store is asked where the attempt stands.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Condition
from typing import Any

from actors.entries import Entry
from actors.errand import Append
from actors.errors import EngineError, StoreUnavailable
from actors.outcome import Outcome
from actors.ports import Done, Ticket
from actors.runtime.clock import Clock
from actors.runtime.errors import NotRunning
from actors.tickets import encode_ticket
from router.protocols import results
from router.protocols.coarse import NEVER, CoarseTimer
from router.protocols.elsewhere import Elsewhere, Standing, outcome_of
from router.protocols.executor import tell
from router.protocols.teller import Teller, send
from router.protocols.workshop import BUSY, STOPPED

GRACE = 1_000  # ms between our deadline, when we take an entry back, and the store's
MISSES = 3  # looks, a second apart, for an attempt past its deadline that nobody has, before it is in doubt
AGAIN = 200  # ms until an entry is appended again of which nobody knows whether the store has it


class Asking:
    """One attempt on its way. ``entry``: what it is called in ``queue``; ``limit``: ms by which there is an outcome."""

    __slots__ = ("again", "deadline", "entry", "limit", "looking", "misses", "queue", "ticket", "waiters")

    def __init__(self, ticket: Ticket, waiters: list[Done], queue: str, entry: str, limit: int) -> None:
        self.ticket = ticket
        self.waiters = waiters
        self.queue = queue
        self.entry = entry
        self.limit = limit
        self.deadline = limit  #: when to look where it is
        self.again = False  #: it was appended more than once
        self.looking = False  #: the store is being asked where it stands
        self.misses = 0  #: looks after its time that found nobody who has it

    @property
    def id(self) -> str:
        """The envelope's."""
        return self.ticket.envelope.id

    def tell(self, outcome: Outcome) -> None:
        """Everybody who asked; never with a lock held."""
        waiters, self.waiters = self.waiters, []
        for done in waiters:
            tell(done, outcome)


class Asker:
    """Thread-safe. ``wait_ms``: how long an attempt may take where its ticket says nothing.

    ``ended(asking, outcome)`` is told each outcome once, ``heard(entry, outcome)`` those that are no attempt's;
    ``lost(asking)`` is what an attempt comes to that nobody has and nobody said anything of.
    """

    def __init__(
        self,
        named_queues: Callable[[], Teller],
        clock: Clock,
        router: str,
        *,
        wait_ms: int,
        lost: Callable[[Any], Outcome],
        ended: Callable[[Any, Outcome], None] = Asking.tell,
        heard: Callable[[str, Outcome], None] = lambda _entry, _outcome: None,
    ) -> None:
        self._named_queues = named_queues
        self._clock = clock
        self._router = router
        self._wait = wait_ms
        self._lost = lost
        self._ended = ended
        self._strange = heard
        self._lock = Condition()  # notified when nothing is asked any more
        self._asking: dict[str, Asking] = {}  # by envelope id
        self._entries: dict[str, Asking] = {}  # by entry, until there is an outcome
        self.elsewhere = Elsewhere(named_queues, clock, router, self._heard)
        self._timer = CoarseTimer(clock, self._look)

    def open(self) -> None:
        """Hear from now on."""
        self.elsewhere.open()

    def close(self) -> None:
        """Hear no more."""
        self.elsewhere.close()
        self._timer.stop()

    def all(self) -> list[Asking]:
        """What is under way."""
        return list(self._entries.values())

    def limit(self, ticket: Ticket) -> int:
        """ms since the epoch by which this attempt has an outcome."""
        return ticket.deadline or self._clock.now() + self._wait

    def find(self, id_: str) -> Asking | None:
        """The attempt on this envelope that is under way."""
        return self._asking.get(id_)

    def join(self, id_: str, done: Done) -> bool:
        """One more who waits for an attempt that is under way; ``False``: none is."""
        with self._lock:
            asking = self._asking.get(id_)
            if asking is not None:
                asking.waiters.append(done)
            return asking is not None

    def ask(self, asking: Asking) -> None:
        """Put it into its queue."""
        now = self._clock.now()
        asking.deadline = min(asking.limit, asking.ticket.start_by or NEVER)
        with self._lock:
            self._asking[asking.id] = asking
            self._entries[asking.entry] = asking
        self._timer.want(asking.deadline, now)
        self.elsewhere.expect(asking.queue)
        self._append(asking, now)

    def claimed(self, entry: str) -> Done | None:
        """Who waits in this process for what it has just claimed."""
        asking = self._entries.get(entry)
        return None if asking is None else partial(self.end, asking)

    def withdraw(self, asking: Asking, outcome: Outcome | None) -> None:
        """Take it back and tell ``outcome`` (``None``: ask anew), if nobody claimed it."""
        if not asking.looking:
            asking.looking = True
            self.elsewhere.withdraw(asking.queue, asking.entry, asking.id, partial(self._stood, asking, outcome))

    def drain(self, seconds: float, outcome: Outcome, rest: Outcome) -> None:
        """Take back what nobody claimed, wait ``seconds`` for the others; whatever runs on comes to ``rest``."""
        for asking in self.all():
            self.withdraw(asking, outcome)
        with self._lock:
            if seconds > 0:
                self._lock.wait_for(lambda: not self._entries, seconds)
        for asking in self.all():
            self.end(asking, rest)

    def end(self, asking: Asking, outcome: Outcome) -> None:
        """Its entry is nobody's business any more."""
        with self._lock:
            if self._entries.pop(asking.entry, None) is None:
                return
            if self._asking.get(asking.id) is asking:
                del self._asking[asking.id]
            if not self._entries:
                self._lock.notify_all()
        self.elsewhere.expect_no_more(asking.queue)
        self._ended(asking, outcome)

    # ------------------------------------------------------------ inside

    def _append(self, asking: Asking, now: int) -> None:
        frame = encode_ticket(asking.ticket, self._router)
        priority, type_ = asking.ticket.envelope.priority, asking.ticket.envelope.type
        entry = Entry(asking.entry, asking.queue, frame, priority, now, asking.limit + GRACE, type_)
        refusal = send(self._named_queues, Append([entry], partial(self._appended, asking)))
        if refusal is not None:
            self.end(asking, refusal)

    def _appended(self, asking: Asking, answer: Any) -> None:
        if isinstance(answer, StoreUnavailable) and asking.entry in self._entries:
            # It may be there, and be claimed by somebody: equal ids are one entry, so it is put there once more.
            asking.again = True
            try:
                self._clock.call_later(AGAIN / 1000, lambda: self._append(asking, self._clock.now()))
            except NotRunning:  # time itself has ended, and the router with it
                return
        elif isinstance(answer, Exception):
            self.end(asking, refusal_of(answer))
        elif not (answer[0] or asking.again):
            # Another router left it before its lease ended, or nobody heard that it was put there.
            self.withdraw(asking, None)

    def _heard(self, entry: str, outcome: Outcome) -> None:
        """Somebody elsewhere has ended it."""
        asking = self._entries.get(entry)
        if asking is not None:
            self.end(asking, outcome)
        else:
            self._strange(entry, outcome)

    def _stood(self, asking: Asking, outcome: Outcome | None, standing: Standing | None) -> None:
        asking.looking = False
        now = self._clock.now()
        if asking.entry not in self._entries:
            return
        if standing is not None and standing.removed:
            if outcome is None:
                self._append(asking, now)
            else:
                self.end(asking, outcome)
            return
        execution = None if standing is None else standing.execution
        if execution is not None and execution.ended_at:
            self.end(asking, outcome_of(execution))
            return
        if asking.limit > now:
            asking.deadline = asking.limit
        elif standing is None:
            asking.deadline = now + GRACE
        elif execution is not None and standing.alive:
            asking.deadline = now + self._wait  # its own timeout ends it, or its worker's end
        elif asking.misses < MISSES:
            asking.misses += 1
            asking.deadline = now + GRACE
        else:
            self.end(asking, self._lost(asking))
            return
        self._timer.want(asking.deadline, now)

    def _look(self, now: int) -> int:
        following = NEVER
        overdue = []
        for asking in self.all():
            if asking.deadline <= now:
                overdue.append(asking)
            else:
                following = min(following, asking.deadline)
        for asking in overdue:
            self.withdraw(asking, results.deferred("not_claimed", "nobody took it in time", BUSY))
        return following


def refusal_of(error: Exception) -> Outcome:
    """The named queues did not take an entry."""
    fault = error.fault if isinstance(error, EngineError) else None
    code, text = (fault.code, fault.message) if fault else ("queue_error", type(error).__name__)
    return results.deferred(code, text, (fault.retry_after if fault else 0) or STOPPED)
