"""The ``queue`` protocol: the command goes through a named queue to whoever consumes it.

Consumers are in this process, where they execute by the same handlers and with the same dedupe record as ``direct``;
and, where the store is shared, in any other: a worker or another router (see ``hands``, ``elsewhere``, ``roll``). An
entry is one attempt: the queue never tries it again, the router decides on that. Where the store is this process's
alone, an entry whose asker is gone (an earlier process left it) is not executed: the router asks again.

A queue with subscribers belongs to them: no command is sent through it while there are any. What somebody publishes to
a queue without subscribers goes to the handler of its type.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from functools import partial
from threading import Lock
from typing import Any, Protocol

from actors.envelope import Envelope
from actors.errand import Append, Remove
from actors.errors import EngineError, StoreUnavailable
from actors.outcome import Outcome, Verdict
from actors.ports import Done, Entry, Ticket, Verified
from actors.runtime.clock import Clock
from actors.runtime.errors import MailboxFull, NotRunning, RuntimeFault
from actors.tables.deliveries import Delivery, Desk
from actors.tickets import encode_ticket, entry_name, envelope_of
from actors.workers import Bell
from router.protocols import results
from router.protocols.coarse import NEVER, CoarseTimer
from router.protocols.consumers import Check, Consumers, unchecked
from router.protocols.elsewhere import Elsewhere, Standing, outcome_of
from router.protocols.executor import Executor, tell
from router.protocols.hands import Hands
from router.protocols.rings import Rings
from router.protocols.roll import Roll
from router.protocols.workshop import BUSY, STOPPED

logger = logging.getLogger("router.protocols.queue")

SILENCE = 600  # ms without a sign of life after which what a router claimed is another's: its guilds are by then
GRACE = 1_000  # ms between our deadline, when we take an entry back, and the store's
ATTEMPTS = 10  # attempts that ``verify`` looks for in the store
UNSTARTED = 10_000  # entries of an earlier process found unclaimed, and remembered as proof
MISSES = 3  # looks, a second apart, for an attempt past its deadline that nobody has, before it is in doubt
AGAIN = 200  # ms until an entry is appended again of which nobody knows whether the store has it


class Teller(Protocol):
    """The actor of named queues."""

    def tell(self, message: Any) -> None:
        """Take an ``Append``, a ``Remove`` or a ``Look``."""


class QueueProtocol:
    """Executes over named queues. ``reaches`` what is consumed here, or by a worker that lives.

    ``queues``: the named queues consumed here; ``None``: those of all types that have a handler. ``wait_ms``: how long
    an entry may wait for a consumer when its ticket has no deadline. ``concurrency``: of one queue's consumer;
    ``None``: as the queue's rules say. ``router``: this router among those that share the store ("": it is alone), and
    ``bell`` what tells it what came. ``on_reach`` is called when workers came or went, ``on_outcome`` when
    something may lie ready for this router, an attempt's or another's. ``check``: the guard's, for what
    came through no router's lanes.
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
        router: str = "",
        bell: Bell | None = None,
        on_reach: Callable[[], None] = lambda: None,
        on_outcome: Callable[[], None] = lambda: None,
        check: Check = unchecked,
    ) -> None:
        self._named_queues = named_queues
        self._executor = executor
        self._handlers = executor.handlers
        self._clock = clock
        self._wait = wait_ms
        self._router = router
        self._on_outcome = on_outcome
        self._open = False
        self._lock = Lock()
        self._asking: dict[str, _Asking] = {}  # by envelope id
        self._entries: dict[str, _Asking] = {}  # by entry id, until it is claimed here or answered
        self._unstarted: dict[str, None] = {}
        self._count = 0
        self._timer = CoarseTimer(clock, self._look)
        self.roll: Roll | None = None
        self._elsewhere: Elsewhere | None = None
        self._hands: Hands | None = None
        self._rings: Rings | None = None
        if router:
            desk.holder = router
            self.roll = Roll(named_queues, clock, router, lambda: self._consumers.presence(router, SILENCE), on_reach)
            self._elsewhere = Elsewhere(named_queues, clock, router, self._heard)
            self._hands = Hands(executor, named_queues, router)
            if bell is not None:
                self._rings = Rings(bell, desk, router, self._rung)
        self._consumers = Consumers(
            desk,
            executor,
            self._run,
            queues=queues,
            concurrency=concurrency,
            on_change=self._consumers_changed,
            check=check,
        )

    def open(self) -> None:
        """See ``ExecutionProtocol``; may be called again."""
        self._executor.open(self.name)
        self._open = True
        self._consumers.open()
        if self.roll is not None and self._elsewhere is not None:
            self.roll.open()
            self._elsewhere.open()
            if self._rings is not None:
                self._rings.open()

    def close(self, drain: float) -> None:
        """See ``ExecutionProtocol``; what nobody claimed is taken back."""
        self._open = False
        self._consumers.close()
        self._timer.stop()
        if self.roll is not None and self._elsewhere is not None:
            if self._rings is not None:
                self._rings.close()
            self.roll.close()
            self._elsewhere.close()
        self._executor.close(self.name, drain)

    def reaches(self, envelope: Envelope) -> bool:
        """Whether its queue is consumed here and its type has a handler, or a worker elsewhere has."""
        queue = envelope.queue
        if queue in self._consumers and self._handlers.find(envelope.type, self.name) is not None:
            return True
        return self._reached_elsewhere(queue, envelope.type)

    def _reached_elsewhere(self, queue: str, type_: str) -> bool:
        if self.roll is None or not self.roll.reaches(queue, type_):
            return False
        return not self._consumers.subscribed(queue)

    def idempotent(self, envelope: Envelope) -> bool:
        """Whether the handler was declared so; that of this process, else those of all workers."""
        handler = self._handlers.find(envelope.type, self.name)
        if handler is not None:
            return handler.idempotent
        return self.roll is not None and self.roll.idempotent(envelope.queue, envelope.type)

    def start(self, ticket: Ticket, done: Done) -> None:
        """See ``ExecutionProtocol``."""
        envelope = ticket.envelope
        id_ = envelope.id
        now = self._clock.now()
        with self._lock:
            asking = self._asking.get(id_)
            if asking is not None:
                asking.waiters.append(done)
                return
            # What is executed here already, or was, needs no entry: the record answers.
            known = self._executor.knows(id_)
            consumed = self._open and (
                envelope.queue in self._consumers or self._reached_elsewhere(envelope.queue, envelope.type)
            )
            if consumed and not known:
                asking = _Asking(ticket, done, ticket.deadline or now + self._wait)
                asking.entry = entry_name(id_, ticket.attempt)
                self._asking[id_] = asking
                self._entries[asking.entry] = asking
        if not self._open or not (known or consumed):
            tell(done, self._unconsumed(envelope.queue))
        elif asking is None:
            self._executor.start(ticket, done, self.name)
        else:
            self._timer.want(asking.deadline, now)
            if self._elsewhere is not None:
                self._elsewhere.expect(asking.queue)
            self._append(asking, now)

    def recall(self, id: str) -> bool:  # noqa: A002 - the port's word
        """``True`` while nobody claimed it, or its claimer waits for a thread.

        Where others may have claimed it only the store can tell: then ``False``, and ``done`` says so soon if it was
        taken back after all.
        """
        asking = self._asking.get(id)
        if asking is None:
            return self._executor.recall(id)
        if self._elsewhere is not None:
            self._withdraw(asking, results.deferred("recalled", "it was taken back", 0))
            return False
        if self._take_back(asking):
            return True
        if asking.delivery is None or not self._executor.recall(id):
            return False
        with self._lock:
            self._asking.pop(id, None)
        asking.delivery.discard()
        return True

    def verify(self, envelope: Envelope, done: Verified) -> None:
        """By the dedupe record; by taking the entry back, if an earlier process left it unclaimed; by the hook.

        Where others may execute, by what their executions say in between.
        """
        ids = [entry_name(envelope.id, attempt) for attempt in range(1, ATTEMPTS + 1)]
        if self._executor.knows(envelope.id):
            self._executor.verify(envelope, done, self.name)
        elif self._elsewhere is not None:
            self._elsewhere.find_out(envelope, ids, partial(self._found_out, envelope, done))
        elif self._never_started(envelope.id):
            tell(done, False)
        else:
            message = Remove(ids, partial(self._removed, envelope, done))
            if self._tell_queues(message) is not None:
                self._executor.verify(envelope, done, self.name)

    def _found_out(self, envelope: Envelope, done: Verified, happened: bool | None) -> None:
        if happened is None:
            self._executor.verify(envelope, done, self.name)
        else:
            tell(done, happened)

    # ------------------------------------------------------------ consumers

    def _consumers_changed(self) -> None:
        with self._lock:
            left = [asking for asking in self._entries.values() if not self._served(asking)]
        for asking in left:
            if self._elsewhere is not None:
                self._withdraw(asking, self._unconsumed(asking.queue))
            elif self._take_back(asking):
                asking.tell(self._unconsumed(asking.queue))
        if self.roll is not None:
            self.roll.look()

    def _served(self, asking: _Asking) -> bool:
        if asking.queue in self._consumers:
            return True
        return self._open and self._reached_elsewhere(asking.queue, asking.ticket.envelope.type)

    def _unconsumed(self, queue: str) -> Outcome:
        if not self._open:
            return results.deferred("shutting_down", "the router stops", STOPPED)
        return results.deferred("no_consumer", f"no command goes through {queue} now", BUSY)

    def _run(self, deliveries: Sequence[Delivery]) -> None:
        if self._hands is not None:
            self._hands.take(deliveries, self._claimed)
        else:
            for delivery in deliveries:
                self._execute(delivery)

    def _claimed(self, delivery: Delivery) -> Done | None:
        """Who waits for it in this process."""
        asking = self._entries.get(delivery.id)
        return None if asking is None else partial(self._answered, asking)

    def _execute(self, delivery: Delivery) -> None:
        with self._lock:
            asking = self._entries.pop(delivery.id, None)
            if asking is not None:
                asking.delivery = delivery
        if asking is not None:
            self._executor.start(asking.ticket, partial(self._finished, asking), self.name)
            return
        if delivery.attempt == 1:
            self._remember_unstarted(envelope_of(delivery.id))
        logger.info("%s of %s was left by an earlier process, and is not executed", delivery.id, delivery.queue)
        delivery.discard()

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
        frame = encode_ticket(asking.ticket, self._router)
        entry = Entry(asking.entry, envelope.queue, frame, envelope.priority, now, asking.deadline + GRACE)
        refusal = self._tell_queues(Append([entry], partial(self._appended, asking)))
        if refusal is not None:
            self._answered(asking, refusal)

    def _appended(self, asking: _Asking, answer: Any) -> None:
        shared = self._elsewhere is not None
        if isinstance(answer, StoreUnavailable) and shared and asking.entry in self._entries:
            # It may be there, and be claimed by somebody: equal ids are one entry, so it is put there once more.
            asking.again = True
            try:
                self._clock.call_later(AGAIN / 1000, lambda: self._append(asking, self._clock.now()))
            except NotRunning:  # time itself has ended, and the router with it
                return
        elif isinstance(answer, Exception):
            fault = answer.fault if isinstance(answer, EngineError) else None
            code, text = (fault.code, fault.message) if fault else ("queue_error", type(answer).__name__)
            self._answered(asking, results.deferred(code, text, (fault.retry_after if fault else 0) or STOPPED))
        elif answer[0] or asking.again:
            return
        elif shared:
            # Another router left it before its lease ended, or nobody heard that it was put there.
            self._withdraw(asking, None)
        else:
            # The store knows an entry of this name: an earlier process left it. Its place is not ours to wait in.
            with self._lock:
                if self._entries.pop(asking.entry, None) is None:
                    return
                self._count += 1
                old, asking.entry = asking.entry, f"{asking.entry}.{self._count}-{self._clock.now():x}"
                self._entries[asking.entry] = asking
            self._tell_queues(Remove([old], _nobody))
            self._append(asking, self._clock.now())

    def _answered(self, asking: _Asking, outcome: Outcome) -> None:
        """The end of an attempt whose entry is nobody's business any more."""
        if self._leave(asking):
            self._answer(asking, outcome)

    def _rung(self) -> None:
        if self._elsewhere is not None:
            self._elsewhere.listen()
        self._on_outcome()

    def _heard(self, entry: str, outcome: Outcome) -> None:
        """Somebody elsewhere has ended it."""
        asking = self._entries.get(entry)
        if asking is not None:
            self._answered(asking, outcome)

    def _leave(self, asking: _Asking) -> bool:
        with self._lock:
            if self._entries.pop(asking.entry, None) is None:
                return False
        if self._elsewhere is not None:
            self._elsewhere.expect_no_more(asking.queue)
        return True

    def _answer(self, asking: _Asking, outcome: Outcome) -> None:
        with self._lock:
            id_ = asking.ticket.envelope.id
            if self._asking.get(id_) is asking:
                del self._asking[id_]
        asking.tell(outcome)

    def _take_back(self, asking: _Asking) -> bool:
        """``True``: nobody claimed it, and nobody will execute it."""
        if not self._leave(asking):
            return False
        with self._lock:
            self._asking.pop(asking.ticket.envelope.id, None)
        # Whether the store hears of it or not: a claim without an asker is not executed.
        self._tell_queues(Remove([asking.entry], _nobody))
        return True

    def _withdraw(self, asking: _Asking, outcome: Outcome | None) -> None:
        """Where others may have claimed it: take it back and tell ``outcome`` (``None``: ask anew), if it is there."""
        if self._elsewhere is not None and not asking.looking:
            asking.looking = True
            told = partial(self._stood, asking, outcome)
            self._elsewhere.withdraw(asking.queue, asking.entry, asking.ticket.envelope.id, told)

    def _stood(self, asking: _Asking, outcome: Outcome | None, standing: Standing | None) -> None:
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
        if execution is not None and execution.ended_at:
            self._answered(asking, outcome_of(execution))
        elif asking.deadline > now:
            return
        elif standing is None:
            asking.deadline = now + GRACE
        elif execution is not None and standing.alive:
            asking.deadline = now + self._wait  # its own timeout ends it, or its worker's end
        elif asking.misses < MISSES:
            asking.misses += 1
            asking.deadline = now + GRACE
        else:
            self._answered(asking, results.lost("its worker"))
            return
        self._timer.want(asking.deadline, now)

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
            outcome = results.deferred("not_claimed", "no consumer took it in time", BUSY)
            if self._elsewhere is not None:
                self._withdraw(asking, outcome)
            elif self._take_back(asking):
                asking.tell(outcome)
        return following

    # ------------------------------------------------------------ proof that it did not happen

    def _remember_unstarted(self, id_: str) -> None:
        self._unstarted[id_] = None
        while len(self._unstarted) > UNSTARTED:
            self._unstarted.pop(next(iter(self._unstarted)), None)

    def _never_started(self, id_: str) -> bool:
        return self._unstarted.pop(id_, False) is None

    def _removed(self, envelope: Envelope, done: Verified, answer: Any) -> None:
        found = not isinstance(answer, Exception) and any(answer)
        if found or self._never_started(envelope.id):
            tell(done, False)
        else:
            self._executor.verify(envelope, done, self.name)


class _Asking:
    """An attempt on its way through a queue."""

    __slots__ = ("again", "deadline", "delivery", "entry", "looking", "misses", "queue", "ticket", "waiters")

    def __init__(self, ticket: Ticket, done: Done, deadline: int) -> None:
        self.ticket = ticket
        self.queue = ticket.envelope.queue
        self.waiters: list[Done] = [done]
        self.deadline = deadline
        self.entry = ""
        self.delivery: Delivery | None = None  # in the hands of a consumer here
        self.again = False  # it was appended more than once
        self.looking = False  # the store is being asked where it stands
        self.misses = 0  # looks after its deadline that found nobody who has it

    def tell(self, outcome: Outcome) -> None:
        waiters, self.waiters = self.waiters, []
        for done in waiters:
            tell(done, outcome)


def _nobody(_: object) -> None:
    """Who takes an entry back need not know whether it was there."""
