"""Attempts that the bots of other routers execute: each in the queue of the router that has the bot (``letters``).

When that router is gone, whoever waits for it closes its queue, unless another has it by then: what had not begun did
not happen, what had begun is in doubt; both go to those who asked.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from threading import Lock
from typing import Any

from actors.entries import Claim, Entry, WorkedQueues
from actors.errand import Append
from actors.errors import EnvelopeError
from actors.outcome import Outcome
from actors.ports import Done, Ticket
from actors.runtime.clock import Clock
from actors.tickets import asker_of, decode_ticket, encode_outcome, envelope_of
from actors.workers import Execution, Finish
from router.protocols import results
from router.protocols.asker import GRACE, Asker, Asking
from router.protocols.teller import Teller, send
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
from router.protocols.workshop import STOPPED

logger = logging.getLogger("router.protocols.websocket")

CLOSING = 5_000  # ms in which whoever closes the queue of a dead router has written what became of its entries
AT_ONCE = 500  # entries of such a queue in one step


class Trip(Asking):
    """One attempt at another router."""

    __slots__ = ("router", "tried")

    def __init__(
        self, ticket: Ticket, waiters: list[Done], router: str, queue: str, tried: frozenset[str], limit: int
    ) -> None:
        entry = attempt_name(ticket.envelope.id, ticket.attempt, queue)
        super().__init__(ticket, waiters, queue, entry, limit)
        self.router = router
        self.tried = tried | {router}  #: routers that were asked for this attempt


class Abroad:
    """Thread-safe. ``wait_ms``: how long a bot may take where the ticket says nothing.

    ``ended(trip, outcome)`` is told each outcome once; ``heard(entry, outcome)`` those that are no attempt's.
    """

    def __init__(
        self,
        named_queues: Callable[[], Teller],
        neighbours: Neighbours,
        clock: Clock,
        router: str,
        *,
        wait_ms: int,
        ended: Callable[[Trip, Outcome], None],
        heard: Callable[[str, Outcome], None],
    ) -> None:
        self._named_queues = named_queues
        self._neighbours = neighbours
        self._clock = clock
        self._router = router
        self._ended = ended
        self._lock = Lock()
        self._counts: Counter[str] = Counter()  # attempts under way, by router
        self._closing: set[str] = set()  # queues that are being closed
        self._asker = Asker(
            named_queues, clock, router, wait_ms=wait_ms, lost=self._lost, ended=self._back, heard=heard
        )
        self.elsewhere = self._asker.elsewhere
        self.join = self._asker.join

    def open(self) -> None:
        """Hear from now on."""
        self._asker.open()

    def close(self, drain: float) -> None:
        """Take back what nobody claimed, give the rest ``drain`` seconds, hear no more: what runs on is in doubt."""
        unclaimed = results.deferred("shutting_down", "the router stops", STOPPED)
        self._asker.drain(drain, unclaimed, results.in_doubt("shutting_down", "it still ran when the router stopped"))
        self._asker.close()

    def least(self, routers: Sequence[str]) -> str:
        """Of these the one that has the fewest attempts of ours."""
        return min(routers, key=lambda router: self._counts[router])

    def send(self, ticket: Ticket, waiters: list[Done], router: str, tried: frozenset[str] = frozenset()) -> None:
        """Ask this router for it."""
        queue = self._neighbours.queue(router)
        self._count(router, 1)
        self._asker.ask(Trip(ticket, waiters, router, queue, tried, self._asker.limit(ticket)))

    def recall(self, id_: str) -> bool:
        """Only others can tell: always ``False``, and its ``done`` says so soon if it was taken back after all."""
        trip = self._asker.find(id_)
        if trip is not None:
            self._asker.withdraw(trip, results.deferred("recalled", "it was taken back", 0))
            # If it was claimed and has not left for its bot: who is asked whether it happened lets go of it.
            now = self._clock.now()
            question = encode_question(Question("", trip.ticket.envelope), trip.ticket.frame)
            entry = Entry(question_name(id_, self._router, trip.entry), trip.queue, question, 10, now, now + GRACE)
            send(self._named_queues, Append([entry], lambda _: None))
        return False

    def _back(self, trip: Trip, outcome: Outcome) -> None:
        self._count(trip.router, -1)
        self._ended(trip, outcome)

    def _count(self, router: str, step: int) -> None:
        with self._lock:
            self._counts[router] += step
            if not self._counts[router]:
                del self._counts[router]

    def _trips(self) -> list[Trip]:
        return [trip for trip in self._asker.all() if isinstance(trip, Trip)]

    def _lost(self, trip: Trip) -> Outcome:
        text = f"router {self._neighbours.name(trip.router)} did not say what came of it"
        return results.in_doubt("connection_lost", text)

    # ------------------------------------------------------------ the queues of the dead

    def look_around(self) -> None:
        """Routers came or went: what lies in a queue that nobody has any more goes back to whoever asked."""
        waiting = {trip.queue: trip.router for trip in self._trips()}
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
            asker = asker_of(claim.frame)
            decode_ticket(claim.frame)
            outcome = begun_before(known, claim.id) or results.deferred("router_gone", text, 0)
    except EnvelopeError as error:
        logger.warning("%s of %s cannot be read: %s", claim.id, claim.queue, error)
        outcome = results.of_undecodable(error)
    return Finish(
        claim.queue, claim.id, claim.token, _id_of(claim), encode_outcome(outcome), asker, remember=None, done=False
    )


def _id_of(claim: Claim) -> str:
    if claim.id.startswith(QUESTION):
        return claim.id.removeprefix(QUESTION).partition("@")[0]
    return envelope_of(claim.id)
