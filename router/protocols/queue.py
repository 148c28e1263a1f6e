"""The ``queue`` protocol: the command goes through a named queue to whoever consumes it.

In this version the consumers are in this process: they claim an entry, execute it by the same handlers and with the
same dedupe record as ``direct``, and what they say of it is the attempt's outcome. An entry is one attempt: the queue
never tries it again, the router decides on that. An entry whose asker is gone (an earlier process left it) is not
executed: the router asks again.

A queue with subscribers belongs to them: no command is sent through it while there are any. What somebody publishes to
a queue without subscribers goes to the handler of its type.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from functools import partial
from threading import Lock
from typing import Any, Protocol

from actors import codec
from actors.envelope import Envelope
from actors.errand import Append, Remove
from actors.errors import EngineError, EnvelopeError
from actors.outcome import Outcome, Verdict
from actors.ports import Done, Entry, Ticket
from actors.runtime.clock import Clock
from actors.runtime.errors import MailboxFull, RuntimeFault
from actors.tables.deliveries import Delivery, Desk, Subscription
from router.protocols import results
from router.protocols.coarse import NEVER, CoarseTimer
from router.protocols.executor import Executor, tell
from router.protocols.workshop import BUSY, STOPPED

logger = logging.getLogger("router.protocols.queue")

MARK = "attempt/"  # no envelope's id has a slash, so an entry of ours is known by its id
GRACE = 1_000  # ms between our deadline, when we take an entry back, and the store's
ATTEMPTS = 10  # attempts that ``verify`` looks for in the store
UNHANDLED = 60_000  # ms until a published message that nobody handles is looked at again
UNSTARTED = 10_000  # entries of an earlier process found unclaimed, and remembered as proof


class Teller(Protocol):
    """The actor of named queues."""

    def tell(self, message: Any) -> None:
        """Take an ``Append`` or a ``Remove``."""


class QueueProtocol:
    """Executes over named queues. ``reaches`` what is consumed here.

    ``queues``: the named queues consumed here; ``None``: those of all types that have a handler. ``wait_ms``: how long
    an entry may wait for a consumer when its ticket has no deadline. ``concurrency``: of one queue's consumer;
    ``None``: as the queue's rules say.
    """

    name = "queue"
    dedupes = True

    def __init__(
        self,
        named_queues: Callable[[], Teller],
        desk: Desk,
        executor: Executor,
        *,
        clock: Clock,
        queues: Collection[str] | None = None,
        wait_ms: int = 30_000,
        concurrency: int | None = None,
    ) -> None:
        self._named_queues = named_queues
        self._desk = desk
        self._executor = executor
        self._handlers = executor.handlers
        self._clock = clock
        self._queues = queues
        self._wait = wait_ms
        self._concurrency = concurrency
        self._open = False
        self._lock = Lock()
        self._consumers: dict[str, Subscription] = {}
        self._asking: dict[str, _Asking] = {}  # by envelope id
        self._entries: dict[str, _Asking] = {}  # by entry id, until it is claimed
        self._unstarted: dict[str, None] = {}
        self._count = 0
        self._timer = CoarseTimer(clock, self._look)
        self._handlers.on_change(self._follow)
        desk.listeners.append(self._follow)

    def open(self) -> None:
        """See ``ExecutionProtocol``; may be called again."""
        self._executor.open(self.name)
        self._open = True
        self._follow()

    def close(self, drain: float) -> None:
        """See ``ExecutionProtocol``; what nobody claimed is taken back."""
        self._open = False
        self._follow()
        self._timer.stop()
        self._executor.close(self.name, drain)

    def reaches(self, envelope: Envelope) -> bool:
        """Whether its queue is consumed here and its type has a handler."""
        return envelope.queue in self._consumers and self._handlers.find(envelope.type, self.name) is not None

    def idempotent(self, envelope: Envelope) -> bool:
        """Whether the handler was declared so."""
        handler = self._handlers.find(envelope.type, self.name)
        return handler is not None and handler.idempotent

    def start(self, ticket: Ticket, done: Done) -> None:
        """See ``ExecutionProtocol``."""
        id_ = ticket.envelope.id
        now = self._clock.now()
        with self._lock:
            asking = self._asking.get(id_)
            if asking is not None:
                asking.waiters.append(done)
                return
            # What is executed here already, or was, needs no entry: the record answers.
            known = self._executor.knows(id_)
            consumed = self._open and ticket.envelope.queue in self._consumers
            if consumed and not known:
                asking = _Asking(ticket, done, ticket.deadline or now + self._wait)
                asking.entry = f"{MARK}{id_}:{ticket.attempt}"
                self._asking[id_] = asking
                self._entries[asking.entry] = asking
        if not self._open or not (known or consumed):
            tell(done, self._unconsumed(ticket.envelope.queue))
        elif asking is None:
            self._executor.start(ticket, done, self.name)
        else:
            self._timer.want(asking.deadline, now)
            self._append(asking, now)

    def recall(self, id: str) -> bool:  # noqa: A002 - the port's word
        """``True`` while nobody claimed it, or its claimer waits for a thread."""
        asking = self._asking.get(id)
        if asking is None:
            return self._executor.recall(id)
        if self._take_back(asking):
            return True
        if asking.delivery is None or not self._executor.recall(id):
            return False
        with self._lock:
            self._asking.pop(id, None)
        asking.delivery.discard()
        return True

    def verify(self, envelope: Envelope, done: Callable[[bool | None], None]) -> None:
        """By the dedupe record; by taking the entry back, if an earlier process left it unclaimed; by the hook."""
        if self._executor.knows(envelope.id):
            self._executor.verify(envelope, done, self.name)
        elif self._never_started(envelope.id):
            tell(done, False)
        else:
            ids = [f"{MARK}{envelope.id}:{attempt}" for attempt in range(1, ATTEMPTS + 1)]
            message = Remove(ids, partial(self._removed, envelope, done))
            if self._tell_queues(message) is not None:
                self._executor.verify(envelope, done, self.name)

    # ------------------------------------------------------------ consumers

    def _follow(self) -> None:
        """Consume the queues that are to be consumed, and no others."""
        wanted: set[str] = set()
        if self._open:
            wanted = set(self._handlers.queues() if self._queues is None else self._queues)
        with self._lock:
            own = self._consumers
            wanted = {queue for queue in wanted if not set(self._desk.consumers(queue)) - {own.get(queue)}}
            gone = [own.pop(queue) for queue in list(own) if queue not in wanted]
            new = [
                Subscription(queue, self._run, concurrency=self._concurrency) for queue in wanted if queue not in own
            ]
            own |= {subscription.queue: subscription for subscription in new}
            left = [asking for asking in self._entries.values() if asking.queue not in own]
        for subscription in gone:
            self._desk.unsubscribe(subscription)
        for subscription in new:
            self._desk.subscribe(subscription)
        for asking in left:
            if self._take_back(asking):
                asking.tell(self._unconsumed(asking.queue))

    def _unconsumed(self, queue: str) -> Outcome:
        if not self._open:
            return results.deferred("shutting_down", "the router stops", STOPPED)
        return results.deferred("no_consumer", f"no command goes through {queue} now", BUSY)

    def _run(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            if delivery.id.startswith(MARK):
                self._execute(delivery)
            else:
                self._execute_foreign(delivery)

    def _execute(self, delivery: Delivery) -> None:
        with self._lock:
            asking = self._entries.pop(delivery.id, None)
            if asking is not None:
                asking.delivery = delivery
        if asking is not None:
            self._executor.start(asking.ticket, partial(self._finished, asking), self.name)
            return
        if delivery.attempt == 1:
            self._remember_unstarted(delivery.id.removeprefix(MARK).rpartition(":")[0])
        logger.info("%s of %s was left by an earlier process, and is not executed", delivery.id, delivery.queue)
        delivery.discard()

    def _execute_foreign(self, delivery: Delivery) -> None:
        """Somebody else put a message into a queue that is consumed here: its handler gets it, by the queue's rules."""
        try:
            envelope = codec.decode(delivery.frame)
        except EnvelopeError as error:
            delivery.fail(str(error), final=True)
            return
        if self._handlers.find(envelope.type, self.name) is None:
            delivery.nack(UNHANDLED, spent=False, error="nobody here handles this type")
            return
        ticket = Ticket(envelope, delivery.frame, delivery.attempt, 0, 0, 0)
        self._executor.start(ticket, partial(end, delivery), self.name)

    def _finished(self, asking: _Asking, outcome: Outcome) -> None:
        delivery = asking.delivery
        if delivery is not None:
            if outcome.verdict in (Verdict.APPLIED, Verdict.REJECTED):
                delivery.ack()
            else:
                delivery.discard()  # the next attempt is another entry, or the same again
        self._answer(asking, outcome)

    # ------------------------------------------------------------ entries

    def _append(self, asking: _Asking, now: int) -> None:
        envelope = asking.ticket.envelope
        entry = Entry(
            asking.entry, envelope.queue, asking.ticket.frame, envelope.priority, now, asking.deadline + GRACE
        )
        refusal = self._tell_queues(Append([entry], partial(self._appended, asking)))
        if refusal is not None:
            self._refuse(asking, refusal)

    def _appended(self, asking: _Asking, answer: Any) -> None:
        if isinstance(answer, Exception):
            fault = answer.fault if isinstance(answer, EngineError) else None
            code, text = (fault.code, fault.message) if fault else ("queue_error", type(answer).__name__)
            self._refuse(asking, results.deferred(code, text, (fault.retry_after if fault else 0) or STOPPED))
        elif not answer[0]:
            # The store knows an entry of this name: an earlier process left it. Its place is not ours to wait in.
            with self._lock:
                if self._entries.pop(asking.entry, None) is None:
                    return
                self._count += 1
                old, asking.entry = asking.entry, f"{asking.entry}.{self._count}-{self._clock.now():x}"
                self._entries[asking.entry] = asking
            self._tell_queues(Remove([old], _nobody))
            self._append(asking, self._clock.now())

    def _refuse(self, asking: _Asking, outcome: Outcome) -> None:
        with self._lock:
            if self._entries.pop(asking.entry, None) is None:
                return
        self._answer(asking, outcome)

    def _answer(self, asking: _Asking, outcome: Outcome) -> None:
        with self._lock:
            id_ = asking.ticket.envelope.id
            if self._asking.get(id_) is asking:
                del self._asking[id_]
        asking.tell(outcome)

    def _take_back(self, asking: _Asking) -> bool:
        """``True``: nobody claimed it, and nobody will execute it."""
        with self._lock:
            if self._entries.pop(asking.entry, None) is None:
                return False
            self._asking.pop(asking.ticket.envelope.id, None)
        # Whether the store hears of it or not: a claim without an asker is not executed.
        self._tell_queues(Remove([asking.entry], _nobody))
        return True

    def _tell_queues(self, message: Append | Remove) -> Outcome | None:
        """The reason why not, if so."""
        try:
            self._named_queues().tell(message)
        except MailboxFull:
            return results.deferred("busy", "the named queues have too much to do", BUSY)
        except RuntimeFault:
            return results.deferred("shutting_down", "the named queues are stopped", STOPPED)
        return None

    # ------------------------------------------------------------ time

    def _look(self, now: int) -> int:
        following = NEVER
        overdue = []
        for asking in list(self._entries.values()):
            if asking.deadline <= now:
                overdue.append(asking)
            else:
                following = min(following, asking.deadline)
        for asking in overdue:
            if self._take_back(asking):
                asking.tell(results.deferred("not_claimed", "no consumer took it in time", BUSY))
        return following

    # ------------------------------------------------------------ proof that it did not happen

    def _remember_unstarted(self, id_: str) -> None:
        self._unstarted[id_] = None
        while len(self._unstarted) > UNSTARTED:
            self._unstarted.pop(next(iter(self._unstarted)), None)

    def _never_started(self, id_: str) -> bool:
        return self._unstarted.pop(id_, False) is None

    def _removed(self, envelope: Envelope, done: Callable[[bool | None], None], answer: Any) -> None:
        found = not isinstance(answer, Exception) and any(answer)
        if found or self._never_started(envelope.id):
            tell(done, False)
        else:
            self._executor.verify(envelope, done, self.name)


class _Asking:
    """An attempt on its way through a queue."""

    __slots__ = ("deadline", "delivery", "entry", "queue", "ticket", "waiters")

    def __init__(self, ticket: Ticket, done: Done, deadline: int) -> None:
        self.ticket = ticket
        self.queue = ticket.envelope.queue
        self.waiters: list[Done] = [done]
        self.deadline = deadline
        self.entry = ""
        self.delivery: Delivery | None = None  # in the hands of a consumer

    def tell(self, outcome: Outcome) -> None:
        waiters, self.waiters = self.waiters, []
        for done in waiters:
            tell(done, outcome)


def end(delivery: Delivery, outcome: Outcome, *, retry: bool = True) -> None:
    """End a delivery by what its handler came to; ``retry``: a failure is tried again, as the queue's rules say."""
    text = f"{outcome.fault.code}: {outcome.fault.message}" if outcome.fault else outcome.verdict.value
    match outcome.verdict:
        case Verdict.APPLIED:
            delivery.ack()
        case Verdict.DEFERRED:
            delivery.nack(outcome.retry_after, spent=False, error=text)
        case Verdict.REJECTED:
            delivery.fail(text, final=True)
        case _:
            delivery.fail(text, final=not retry)


def _nobody(_: object) -> None:
    """Who takes an entry back need not know whether it was there."""
