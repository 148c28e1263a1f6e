"""Attempts that the bots of other routers execute: sent to their router's queue, heard of, taken back.

An attempt lies as an entry in the queue of the router that has the bot (``letters``). While nobody claimed it there, to
take it out is proof that it did not happen. When that router is gone, whoever waits for it closes its queue, unless
another has it by then: what had not begun did not happen, what had begun is in doubt; both go to those who asked.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from threading import Condition
from typing import Any, Protocol

from actors.errand import Append
from actors.errors import EngineError, EnvelopeError, StoreUnavailable
from actors.outcome import Outcome
from actors.ports import Claim, Done, Entry, Ticket, WorkedQueues
from actors.runtime.clock import Clock
from actors.runtime.errors import MailboxFull, NotRunning, RuntimeFault
from actors.tickets import decode_ticket, encode_outcome, encode_ticket, envelope_of
from actors.workers import Execution, Finish
from router.protocols import results
from router.protocols.coarse import NEVER, CoarseTimer
from router.protocols.elsewhere import Elsewhere, Standing, outcome_of
from router.protocols.executor import tell
from router.protocols.websocket.guests import SILENT
from router.protocols.websocket.letters import (
    QUESTION,
    Question,
    attempt_name,
    begun_before,
    decode_question,
    encode_question,
    question_name,
)
from router.protocols.websocket.neighbours import Neighbours
from router.protocols.workshop import BUSY, STOPPED

logger = logging.getLogger("router.protocols.websocket")

GRACE = 1_000  # ms between our deadline, when we take an entry back, and the store's
AGAIN = 200  # ms until an entry is appended again of which nobody knows whether the store has it
MISSES = 3  # looks, a second apart, for an attempt past its deadline that nobody has, before it is in doubt
CLOSING = 5_000  # ms in which whoever closes the queue of a dead router has written what became of its entries
AT_ONCE = 500  # entries of such a queue in one step


class Teller(Protocol):
    """The actor of named queues."""

    def tell(self, message: Any) -> None:
        """Take an ``Append`` or a ``Look``."""


class Asking:
    """One attempt at another router."""

    __slots__ = (
        "again",
        "deadline",
        "entry",
        "limit",
        "looking",
        "misses",
        "queue",
        "router",
        "ticket",
        "tried",
        "waiters",
    )

    def __init__(
        self, ticket: Ticket, waiters: list[Done], router: str, queue: str, tried: frozenset[str], limit: int
    ) -> None:
        self.ticket = ticket
        self.waiters = waiters
        self.router = router
        self.queue = queue  #: that router's
        self.tried = tried | {router}  #: routers that were asked for this attempt
        self.limit = limit  #: ms since the epoch by which there is an outcome
        self.deadline = min(limit, ticket.start_by or NEVER)  #: when to look where it is
        self.entry = attempt_name(ticket.envelope.id, ticket.attempt, queue)
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


class Abroad:
    """Thread-safe. ``wait_ms``: how long a bot may take where the ticket says nothing.

    ``ended(asking, outcome)`` is told each outcome once; ``heard(entry, outcome)`` those that are no attempt's.
    """

    def __init__(
        self,
        named_queues: Callable[[], Teller],
        neighbours: Neighbours,
        clock: Clock,
        router: str,
        *,
        wait_ms: int,
        ended: Callable[[Asking, Outcome], None],
        heard: Callable[[str, Outcome], None],
    ) -> None:
        self._named_queues = named_queues
        self._neighbours = neighbours
        self._clock = clock
        self._router = router
        self._wait = wait_ms
        self._ended = ended
        self._letters = heard
        self._lock = Condition()  # notified when nothing is asked any more
        self._asking: dict[str, Asking] = {}  # by envelope id
        self._entries: dict[str, Asking] = {}  # by entry, until there is an outcome
        self._counts: dict[str, int] = {}  # by router
        self._closing: set[str] = set()  # queues that are being closed
        self.elsewhere = Elsewhere(named_queues, clock, router, self._heard)
        self._timer = CoarseTimer(clock, self._look)

    def open(self) -> None:
        """Hear from now on."""
        self.elsewhere.open()

    def close(self, drain: float) -> None:
        """Take back what nobody claimed, give the rest ``drain`` seconds, hear no more: what runs on is in doubt."""
        for asking in list(self._entries.values()):
            self._withdraw(asking, results.deferred("shutting_down", "the router stops", STOPPED))
        with self._lock:
            if drain > 0:
                self._lock.wait_for(lambda: not self._entries, drain)
            left = list(self._entries.values())
        for asking in left:
            self._answered(asking, results.in_doubt("shutting_down", "it still ran when the router stopped"))
        self.elsewhere.close()
        self._timer.stop()

    def join(self, id_: str, done: Done) -> bool:
        """One more who waits for an attempt that is under way; ``False``: none is."""
        with self._lock:
            asking = self._asking.get(id_)
            if asking is not None:
                asking.waiters.append(done)
            return asking is not None

    def least(self, routers: Sequence[str]) -> str:
        """Of these the one that has the fewest attempts of ours."""
        return min(routers, key=lambda router: self._counts.get(router, 0))

    def send(self, ticket: Ticket, waiters: list[Done], router: str, tried: frozenset[str] = frozenset()) -> None:
        """Ask this router for it."""
        now = self._clock.now()
        queue = self._neighbours.queue(router)
        asking = Asking(ticket, waiters, router, queue, tried, ticket.deadline or now + self._wait)
        with self._lock:
            self._asking[asking.id] = asking
            self._entries[asking.entry] = asking
            self._counts[router] = self._counts.get(router, 0) + 1
        self._timer.want(asking.deadline, now)
        self.elsewhere.expect(asking.queue)
        self._append(asking, now)

    def recall(self, id_: str) -> bool:
        """Only others can tell: always ``False``, and its ``done`` says so soon if it was taken back after all."""
        asking = self._asking.get(id_)
        if asking is not None:
            self._withdraw(asking, results.deferred("recalled", "it was taken back", 0))
            # If it was claimed and has not left for its bot: who is asked whether it happened lets go of it.
            now = self._clock.now()
            question = encode_question(Question("", asking.ticket.envelope), asking.ticket.frame)
            entry = Entry(question_name(id_, self._router, asking.entry), asking.queue, question, 10, now, now + GRACE)
            self._tell_queues(Append([entry], lambda _: None))
        return False

    # ------------------------------------------------------------ entries

    def _append(self, asking: Asking, now: int) -> None:
        envelope = asking.ticket.envelope
        frame = encode_ticket(asking.ticket, self._router)
        entry = Entry(asking.entry, asking.queue, frame, envelope.priority, now, asking.limit + GRACE)
        refusal = self._tell_queues(Append([entry], partial(self._appended, asking)))
        if refusal is not None:
            self._answered(asking, refusal)

    def _appended(self, asking: Asking, answer: Any) -> None:
        if isinstance(answer, StoreUnavailable) and asking.entry in self._entries:
            # It may be there, and be claimed: equal ids are one entry, so it is put there once more.
            asking.again = True
            try:
                self._clock.call_later(AGAIN / 1000, lambda: self._append(asking, self._clock.now()))
            except NotRunning:  # time itself has ended, and the router with it
                return
        elif isinstance(answer, Exception):
            fault = answer.fault if isinstance(answer, EngineError) else None
            code, text = (fault.code, fault.message) if fault else ("queue_error", type(answer).__name__)
            self._answered(asking, results.deferred(code, text, (fault.retry_after if fault else 0) or STOPPED))
        elif not answer[0] and not asking.again:
            # Another owner of the guild left it before its lease ended.
            self._withdraw(asking, None)

    def _tell_queues(self, message: Append) -> Outcome | None:
        """The reason why not, if so."""
        try:
            self._named_queues().tell(message)
        except MailboxFull:
            return results.deferred("busy", "the named queues have too much to do", BUSY)
        except RuntimeFault:
            return results.deferred("shutting_down", "the named queues are stopped", STOPPED)
        return None

    # ------------------------------------------------------------ outcomes

    def _heard(self, entry: str, outcome: Outcome) -> None:
        """The router that was asked says what came of it, or somebody does in its stead."""
        asking = self._entries.get(entry)
        if asking is not None:
            self._answered(asking, outcome)
        else:
            self._letters(entry, outcome)

    def _answered(self, asking: Asking, outcome: Outcome) -> None:
        with self._lock:
            if self._entries.pop(asking.entry, None) is None:
                return
            if self._asking.get(asking.id) is asking:
                del self._asking[asking.id]
            self._counts[asking.router] -= 1
            if not self._counts[asking.router]:
                del self._counts[asking.router]
            if not self._entries:
                self._lock.notify_all()
        self.elsewhere.expect_no_more(asking.queue)
        self._ended(asking, outcome)

    # ------------------------------------------------------------ where it is

    def _look(self, now: int) -> int:
        following = NEVER
        overdue = []
        for asking in list(self._entries.values()):
            if asking.deadline <= now:
                overdue.append(asking)
            else:
                following = min(following, asking.deadline)
        for asking in overdue:
            self._withdraw(asking, results.deferred("not_claimed", "its router did not take it in time", BUSY))
        return following

    def _withdraw(self, asking: Asking, outcome: Outcome | None) -> None:
        """Take it back and tell ``outcome`` (``None``: ask anew), if nobody claimed it."""
        if not asking.looking:
            asking.looking = True
            self.elsewhere.withdraw(asking.queue, asking.entry, asking.id, partial(self._stood, asking, outcome))

    def _stood(self, asking: Asking, outcome: Outcome | None, standing: Standing | None) -> None:
        asking.looking = False
        now = self._clock.now()
        if asking.entry not in self._entries:
            return
        if standing is not None and standing.removed:
            if outcome is None:
                self._append(asking, now)
            else:
                self._answered(asking, outcome)
            return
        execution = None if standing is None else standing.execution
        if execution is not None and execution.entry != asking.entry:
            execution = None  # an earlier attempt's
        if execution is not None and execution.ended_at:
            self._answered(asking, outcome_of(execution))
        elif asking.limit > now:
            asking.deadline = asking.limit
        elif standing is None:
            asking.deadline = now + GRACE
        elif asking.misses < MISSES:
            asking.misses += 1
            asking.deadline = now + GRACE
        else:
            text = f"router {self._neighbours.name(asking.router)} did not say what came of it"
            self._answered(asking, results.in_doubt("connection_lost", text))
            return
        self._timer.want(asking.deadline, now)

    # ------------------------------------------------------------ the queues of the dead

    def look_around(self) -> None:
        """Routers came or went: what lies in a queue that nobody has any more goes back to whoever asked."""
        waiting = {asking.queue: asking.router for asking in list(self._entries.values())}
        for queue, router in waiting.items():
            if not self._neighbours.consumed(queue) and queue not in self._closing:
                self._closing.add(queue)
                text = f"router {self._neighbours.name(router)} is gone"
                self.elsewhere.ask(partial(close_queue, queue, text), partial(self._closed, queue, text))

    def _closed(self, queue: str, text: str, answer: Any) -> None:
        self._closing.discard(queue)
        if isinstance(answer, Exception):
            logger.debug("%s cannot be closed: %s", queue, answer)
        elif answer:
            logger.info("%s: %d of its bots' commands go elsewhere", text, answer)
            self.elsewhere.listen()


def close_queue(queue: str, text: str, store: WorkedQueues, now: int) -> int:
    """What nobody claimed, or whose claim was freed, goes back to whoever asked, with what can be known; how many."""
    claims = store.claim(queue, AT_ONCE, now, now + CLOSING)
    executions = store.executions(queue, [_id_of(claim) for claim in claims])
    finishes = [_end(claim, known, text) for claim, known in zip(claims, executions, strict=True)]
    store.finish(finishes, now, 0)
    return len(claims)


def _end(claim: Claim, known: Execution | None, text: str) -> Finish:
    asker, outcome = "", results.in_doubt(SILENT, text)
    try:
        if claim.id.startswith(QUESTION):
            asker = decode_question(claim.frame).asker
        else:
            asker = decode_ticket(claim.frame).asker
            outcome = begun_before(known, claim.id) or results.deferred("router_gone", text, 0)
    except EnvelopeError as error:
        logger.warning("%s of %s cannot be read: %s", claim.id, claim.queue, error)
    return Finish(
        claim.queue, claim.id, claim.token, _id_of(claim), encode_outcome(outcome), asker, remember=None, done=False
    )


def _id_of(claim: Claim) -> str:
    if claim.id.startswith(QUESTION):
        return claim.id.removeprefix(QUESTION).partition("@")[0]
    return envelope_of(claim.id)
