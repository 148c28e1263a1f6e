"""Commands of guilds that other routers own, for the bots of this one.

What is claimed from this router's queue goes the way of its own attempts, with one step more: right before a command
leaves for its bot, the store is told which bot begins it. So whoever looks after this router died knows what was never
sent, and which bot to ask about the rest. An attempt whose bot goes away before that goes to another one here, or back
to its asker, who chooses anew. The end of a claim, its outcome for the asker and the bot's word are one step
(``actors.workers``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from threading import Condition, Lock
from typing import Any

from actors.envelope import Envelope
from actors.errand import Look
from actors.errors import EnvelopeError
from actors.outcome import Outcome, Verdict
from actors.ports import Done
from actors.runtime.clock import Clock
from actors.runtime.errors import RuntimeFault
from actors.tables.deliveries import Delivery, Desk, Subscription
from actors.tickets import Asked, asker_of, decode_ticket, encode_outcome, envelope_of
from actors.workers import Execution, Undertake
from router.protocols import results
from router.protocols.consumers import Check
from router.protocols.elsewhere import outcome_of
from router.protocols.teller import Teller
from router.protocols.websocket.beginnings import Beginnings
from router.protocols.websocket.doubts import PATIENCE
from router.protocols.websocket.letters import (
    QUESTION,
    RULES,
    Question,
    begun_before,
    decode_question,
    queue_of,
    worker_name,
)
from router.protocols.websocket.protocol import WebSocketProtocol
from router.protocols.workshop import STOPPED

logger = logging.getLogger("router.protocols.websocket")

FORGOTTEN = "bot_forgot"
"""The code of an answer by a bot that was asked and does not know."""

SILENT = "not_known"
"""The code of an answer by a router whose bots said nothing in time."""

ENOUGH = 500  # ms; an answer that came so long before its time was over is the bot's, not the clock's


class Guests:
    """Thread-safe. ``check`` and ``discreet`` are the guard's: time has passed since the asker's was asked."""

    def __init__(
        self,
        bots: WebSocketProtocol,
        named_queues: Callable[[], Teller],
        desk: Desk,
        router: str,
        *,
        clock: Clock,
        check: Check,
        discreet: Callable[[Envelope, Done], Done],
    ) -> None:
        self._bots = bots
        self._named_queues = named_queues
        self._desk = desk
        self._router = router
        self._clock = clock
        self._check = check
        self._discreet = discreet
        self._place = -1
        self.beginnings = Beginnings(named_queues)
        self._lock = Lock()
        self._open = False
        self._subscription: Subscription | None = None
        self._over = Condition()  # notified when there are no guests any more
        self._guests: dict[str, Guest] = {}  # by envelope id

    def open(self) -> None:
        """Take them from now on, once there is a place."""
        self._open = True
        self.follow()

    def close(self) -> None:
        """Claim no more; what is in hand is ended."""
        self._open = False
        self.follow()

    def retreat(self, seconds: float) -> None:
        """Claim no more, hand back what has not left for its bot, and give the rest ``seconds`` to end."""
        self.close()
        for id_, guest in list(self._guests.items()):
            if self._bots.recall(id_):
                guest.ended(results.deferred("shutting_down", "the router stops", STOPPED))
        with self._over:
            self._over.wait_for(lambda: not self._guests, seconds)

    def move(self, place: int) -> None:
        """To the queue of another place."""
        if place != self._place:
            self._place = place
            self.follow()

    def follow(self) -> None:
        """Consume the queue of the place, if there is one; a router that lost its bots goes on, to say so."""
        with self._lock:
            known = self._subscription
            queue = queue_of(self._place) if self._open and self._place >= 0 else ""
            if queue == (known.queue if known is not None else ""):
                return
            self._subscription = None
            if queue:
                self._subscription = Subscription(
                    queue, self._claimed, batch_size=RULES.concurrency, concurrency=RULES.concurrency
                )
            new = self._subscription
        if known is not None:
            self._desk.unsubscribe(known)
        if new is not None:
            self._desk.subscribe(new)

    def _claimed(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            try:
                if delivery.id.startswith(QUESTION):
                    self._asked(delivery, decode_question(delivery.frame))
                    continue
                guest = Guest(self, delivery, decode_ticket(delivery.frame))
            except EnvelopeError as error:
                logger.warning("%s of %s cannot be read: %s", delivery.id, delivery.queue, error)
                outcome = encode_outcome(results.of_undecodable(error))
                asker = asker_of(delivery.frame)
                delivery.finish(envelope_of(delivery.id), outcome, asker=asker, remember=None, done=False)
                continue
            if delivery.attempt == 1:
                self._start(guest)
            else:
                self._look_back(guest)

    def _look_back(self, guest: Guest) -> None:
        """Somebody had it in hand before: this router, which lost its claim, or one that is gone."""
        queue, id_ = guest.delivery.queue, guest.asked.ticket.envelope.id
        look = Look(lambda store, _: store.executions(queue, [id_])[0], partial(self._looked_back, guest))
        try:
            self._named_queues().tell(look)
        except RuntimeFault:
            guest.delivery.nack(STOPPED, spent=False)

    def _looked_back(self, guest: Guest, known: Any) -> None:
        if isinstance(known, Exception):
            guest.delivery.nack(STOPPED, spent=False)
            return
        outcome = begun_before(known, guest.delivery.id)
        if outcome is None or self._bots.running(guest.asked.ticket.envelope.id):
            self._start(guest)
        else:
            guest.ended(outcome)

    # ------------------------------------------------------------ attempts

    def _start(self, guest: Guest) -> None:
        envelope = guest.asked.ticket.envelope
        self._guests[envelope.id] = guest
        done = self._discreet(envelope, guest.ended)
        self._check(envelope, partial(self._checked, guest, done))

    def _checked(self, guest: Guest, done: Done, refusal: Outcome | None) -> None:
        if refusal is None:
            self._bots.start(guest.asked.ticket, done, guest)
        else:
            done(refusal)

    def over(self, guest: Guest) -> None:
        """It has ended."""
        id_ = guest.asked.ticket.envelope.id
        with self._over:
            if self._guests.get(id_) is guest:
                del self._guests[id_]
            if not self._guests:
                self._over.notify_all()

    def now(self) -> int:
        """ms since the epoch."""
        return self._clock.now()

    @property
    def router(self) -> str:
        """Whose bots these are."""
        return self._router

    # ------------------------------------------------------------ questions

    def _asked(self, delivery: Delivery, question: Question) -> None:
        id_ = question.envelope.id
        guest = self._guests.get(id_)
        if guest is not None and self._bots.recall(id_):
            guest.ended(results.deferred("recalled", "it was taken back", 0))
            self._tell(delivery, question, self.now(), False)
            return
        told = partial(self._tell, delivery, question, self.now())
        self._bots.verify(question.envelope, told, (question.name, question.instance))

    def _tell(
        self, delivery: Delivery, question: Question, since: int, happened: bool | None, data: bytes = b"", /
    ) -> None:
        if happened is None:
            code = FORGOTTEN if self.now() < since + PATIENCE - ENOUGH else SILENT
            outcome = results.in_doubt(code, "no bot knows what came of it")
        else:
            outcome = Outcome(Verdict.APPLIED, data) if happened else Outcome(Verdict.NOT_APPLIED)
        id_ = question.envelope.id
        delivery.finish(id_, encode_outcome(outcome), asker=question.asker, remember=None, done=False)


class Guest:
    """One claimed attempt, and the gate it passes (``attempt.Gate``)."""

    __slots__ = ("_guests", "_over", "asked", "delivery")

    def __init__(self, guests: Guests, delivery: Delivery, asked: Asked) -> None:
        self._guests = guests
        self._over = ("", 0)
        self.delivery = delivery
        self.asked = asked

    def begin(self, name: str, instance: str, go: Callable[[Outcome | None], None]) -> Outcome | None:
        """See ``Gate``."""
        delivery, ticket = self.delivery, self.asked.ticket
        worker = worker_name(self._guests.router, name, instance)
        at = (delivery.queue, delivery.id, delivery.token, ticket.envelope.id)
        undertaking = Undertake(*at, ticket.attempt, worker, self._over, ticket.token)
        return self._guests.beginnings.add(undertaking, partial(self._said, name, instance, go))

    def open(self) -> bool:
        """See ``Gate``: its claim may be another's by now, if this process slept."""
        return not self.delivery.lost and self._guests.now() < self.delivery.until

    def ended(self, outcome: Outcome) -> None:
        """What came of it, in one step with the end of the claim."""
        self._guests.over(self)
        final = outcome.verdict in (Verdict.APPLIED, Verdict.REJECTED)
        remember = None if outcome.verdict is Verdict.IN_DOUBT else final
        id_ = self.asked.ticket.envelope.id
        self.delivery.finish(id_, encode_outcome(outcome), asker=self.asked.asker, remember=remember, done=False)

    def _said(self, name: str, instance: str, go: Callable[[Outcome | None], None], said: Any) -> None:
        """The store's answer, on its actor's thread."""
        if said is True:
            go(None)
            return
        if isinstance(said, Execution):
            outcome = self._met(said) or self.begin(name, instance, go)
            if outcome is None:
                return
        elif isinstance(said, Exception):
            # It may be written down as begun all the same. It was not: that is forgotten with the claim.
            outcome = results.deferred("store_unavailable", "it could not be begun", STOPPED)
        else:
            outcome = results.deferred("claim_lost", "its claim was lost before it began", 0)
        go(outcome)

    def _met(self, execution: Execution) -> Outcome | None:
        """What an earlier execution makes of it; ``None``: it may be begun, for its asker knew that one."""
        ticket = self.asked.ticket
        if execution.ended_at:
            return outcome_of(execution)
        if execution.attempt > ticket.attempt and execution.owner > ticket.token:
            return results.in_doubt("outdated", "a later owner of its guild has begun it")
        self._over = (execution.entry, execution.token)
        return None
