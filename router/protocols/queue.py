"""The ``queue`` protocol: the command goes through a named queue to whoever consumes it.

Consumers are in this process, where they execute by the same handlers and with the same dedupe record as ``direct``;
and, where the store is shared, in any other: a worker or another router (see ``hands``, ``asker``, ``roll``). An
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
from typing import Any

from actors.entries import Entry
from actors.envelope import Envelope
from actors.errand import Append, Remove
from actors.outcome import Outcome, Verdict
from actors.ports import Done, Ticket, Verified
from actors.runtime.clock import Clock
from actors.tables.deliveries import Delivery, Desk
from actors.tickets import MARK, encode_ticket, entry_name, envelope_of
from actors.workers import Bell
from router.protocols import results
from router.protocols.asker import GRACE, Asker, Asking, refusal_of
from router.protocols.coarse import NEVER, CoarseTimer
from router.protocols.consumers import Check, Consumers, unchecked
from router.protocols.executor import Executor, tell
from router.protocols.hands import Hands
from router.protocols.rings import Rings
from router.protocols.roll import Roll
from router.protocols.teller import Teller, send
from router.protocols.workshop import BUSY, STOPPED

logger = logging.getLogger("router.protocols.queue")

SILENCE = 600  # ms without a sign of life after which what a router claimed is another's: its guilds are by then
ATTEMPTS = 10  # attempts that ``verify`` looks for in the store
UNSTARTED = 10_000  # entries of an earlier process found unclaimed, and remembered as proof


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
        # Where the store is this process's alone; else the asker has them.
        self._asking: dict[str, _Asking] = {}  # by envelope id
        self._entries: dict[str, _Asking] = {}  # by entry id, until it is claimed here or answered
        self._unstarted: dict[str, None] = {}
        self._count = 0
        self._timer = CoarseTimer(clock, self._look)
        self.roll: Roll | None = None
        self._asker: Asker | None = None
        self._hands: Hands | None = None
        self._rings: Rings | None = None
        if router:
            desk.holder = router
            self.roll = Roll(named_queues, clock, router, lambda: self._consumers.presence(router, SILENCE), on_reach)
            self._asker = Asker(named_queues, clock, router, wait_ms=wait_ms, lost=lambda _: results.lost("its worker"))
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
        if self.roll is not None and self._asker is not None:
            self.roll.open()
            self._asker.open()
            if self._rings is not None:
                self._rings.open()

    def close(self, drain: float) -> None:
        """See ``ExecutionProtocol``; what nobody claimed is taken back."""
        self._open = False
        self._consumers.close()
        self._timer.stop()
        if self.roll is not None and self._asker is not None:
            if self._rings is not None:
                self._rings.close()
            self.roll.close()
            self._asker.close()
        self._executor.close(self.name, drain)

    def retreat(self, seconds: float) -> None:
        """Before the end: claim no more, hand back what no handler has begun, and give the rest ``seconds`` to end.

        Nobody waits here for what this router sent to itself: that is the engine's.
        """
        self._consumers.close()
        self._executor.hand_back(self.name)
        self._consumers.wait(seconds, self._is_own)

    def _is_own(self, entry: str) -> bool:
        return entry.startswith(MARK) and (self._asker is None or self._asker.claimed(entry) is not None)

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
            if self._join(id_, done):
                return
            # What is executed here already, or was, needs no entry: the record answers.
            known = self._executor.knows(id_)
            consumed = self._open and (
                (envelope.queue in self._consumers and self._takes(envelope.type))
                or self._reached_elsewhere(envelope.queue, envelope.type)
            )
            asking = _Asking(ticket, done, ticket.deadline or now + self._wait)
            if consumed and not known and self._asker is None:
                self._asking[id_] = asking
                self._entries[asking.entry] = asking
        if not self._open or not (known or consumed):
            tell(done, self._unconsumed(envelope.queue))
        elif known:
            self._executor.start(ticket, done, self.name)
        elif self._asker is not None:
            self._asker.ask(asking)
        else:
            self._timer.want(asking.deadline, now)
            self._append(asking, now)

    def _join(self, id_: str, done: Done) -> bool:
        if self._asker is not None:
            return self._asker.join(id_, done)
        asking = self._asking.get(id_)
        if asking is not None:
            asking.waiters.append(done)
        return asking is not None

    def recall(self, id: str) -> bool:
        """``True`` while nobody claimed it, or its claimer waits for a thread.

        Where others may have claimed it only the store can tell: then ``False``, and ``done`` says so soon if it was
        taken back after all.
        """
        if self._asker is not None and (theirs := self._asker.find(id)) is not None:
            self._asker.withdraw(theirs, results.deferred("recalled", "it was taken back", 0))
            return False
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

    def verify(self, envelope: Envelope, done: Verified) -> None:
        """By the dedupe record; by taking the entry back, if an earlier process left it unclaimed; by the hook.

        Where others may execute, by what their executions say in between.
        """
        ids = [entry_name(envelope.id, attempt) for attempt in range(1, ATTEMPTS + 1)]
        if self._executor.knows(envelope.id):
            self._executor.verify(envelope, done, self.name)
        elif self._asker is not None:
            self._asker.elsewhere.find_out(envelope, ids, partial(self._found_out, envelope, done))
        elif self._never_started(envelope.id):
            tell(done, False)
        else:
            message = Remove(ids, partial(self._removed, envelope, done))
            if send(self._named_queues, message) is not None:
                self._executor.verify(envelope, done, self.name)

    def _found_out(self, envelope: Envelope, done: Verified, happened: bool | None) -> None:
        if happened is None:
            self._executor.verify(envelope, done, self.name)
        else:
            tell(done, happened)

    def _rung(self) -> None:
        if self._asker is not None:
            self._asker.elsewhere.listen()
        self._on_outcome()

    # ------------------------------------------------------------ consumers

    def _consumers_changed(self) -> None:
        if self._asker is not None:
            for theirs in self._asker.all():
                if not self._served(theirs):
                    self._asker.withdraw(theirs, self._unconsumed(theirs.queue))
        with self._lock:
            left = [asking for asking in self._entries.values() if not self._served(asking)]
        for asking in left:
            if self._take_back(asking):
                asking.tell(self._unconsumed(asking.queue))
        if self.roll is not None:
            self.roll.look()

    def _served(self, asking: Asking) -> bool:
        type_ = asking.ticket.envelope.type
        if asking.queue in self._consumers and self._takes(type_):
            return True
        return self._open and self._reached_elsewhere(asking.queue, type_)

    def _takes(self, type_: str) -> bool:
        # What goes through a store of one's own is claimed here whatever it is, and answered at once.
        return self._asker is None or self._handlers.find(type_, self.name) is not None

    def _unconsumed(self, queue: str) -> Outcome:
        if not self._open:
            return results.deferred("shutting_down", "the router stops", STOPPED)
        return results.deferred("no_consumer", f"no command goes through {queue} now", BUSY)

    def _run(self, deliveries: Sequence[Delivery]) -> None:
        if self._hands is not None and self._asker is not None:
            asker = self._asker
            self._hands.take(deliveries, lambda delivery: asker.claimed(delivery.id))
        else:
            for delivery in deliveries:
                self._execute(delivery)

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

    # ------------------------------------------------------------ entries of a store of one's own

    def _append(self, asking: _Asking, now: int) -> None:
        envelope = asking.ticket.envelope
        frame = encode_ticket(asking.ticket, self._router)
        entry = Entry(asking.entry, envelope.queue, frame, envelope.priority, now, asking.deadline + GRACE)
        refusal = send(self._named_queues, Append([entry], partial(self._appended, asking)))
        if refusal is not None:
            self._answered(asking, refusal)

    def _appended(self, asking: _Asking, answer: Any) -> None:
        if isinstance(answer, Exception):
            self._answered(asking, refusal_of(answer))
        elif not answer[0]:
            # The store knows an entry of this name: an earlier process left it. Its place is not ours to wait in.
            with self._lock:
                if self._entries.pop(asking.entry, None) is None:
                    return
                self._count += 1
                old, asking.entry = asking.entry, f"{asking.entry}.{self._count}-{self._clock.now():x}"
                self._entries[asking.entry] = asking
            send(self._named_queues, Remove([old], _nobody))
            self._append(asking, self._clock.now())

    def _answered(self, asking: _Asking, outcome: Outcome) -> None:
        """The end of an attempt whose entry is nobody's business any more."""
        if self._leave(asking):
            self._answer(asking, outcome)

    def _leave(self, asking: _Asking) -> bool:
        with self._lock:
            return self._entries.pop(asking.entry, None) is not None

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
        send(self._named_queues, Remove([asking.entry], _nobody))
        return True

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

    def _removed(self, envelope: Envelope, done: Verified, answer: Any) -> None:
        found = not isinstance(answer, Exception) and any(answer)
        if found or self._never_started(envelope.id):
            tell(done, False)
        else:
            self._executor.verify(envelope, done, self.name)


class _Asking(Asking):
    """An attempt on its way through the queue of its type."""

    __slots__ = ("delivery",)

    def __init__(self, ticket: Ticket, done: Done, limit: int) -> None:
        envelope = ticket.envelope
        super().__init__(ticket, [done], envelope.queue, entry_name(envelope.id, ticket.attempt), limit)
        self.delivery: Delivery | None = None  # in the hands of a consumer here


def _nobody(_: object) -> None:
    """Who takes an entry back need not know whether it was there."""
