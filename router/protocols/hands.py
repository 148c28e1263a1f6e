"""Executes what routers elsewhere ask for through a named queue; each envelope once, as far as that can be known.

For each claimed attempt: say in the store that it begins, call the handler, end the claim together with the outcome.
What the store knows of an earlier execution decides before any handler is called:

================================ ===================================================================================
an earlier one                   then
================================ ===================================================================================
ended                            its outcome is the answer
is under way here                its outcome is the answer when it ends
was this attempt, and did not    its worker is gone, and the number is spent: no handler is called. The answer is
end                              ``worker_lost``, and the asker decides; or what the handler's verify hook knows
was an earlier attempt, and did  this one is executed if that does no harm (the catalog's word, or the handler's), or
not end                          the verify hook says that nothing had happened; else the answer is ``worker_lost``
was a later attempt              under an owner of the guild who came later: this one was left behind by an owner that
                                 is gone, and is not executed. Else it is a new life, which an operator gave to a dead
                                 letter: it is executed
================================ ===================================================================================

So no two executions of an envelope have one number, and what kills its workers ends when its attempts are used up.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from actors.errand import Look
from actors.errors import EnvelopeError
from actors.outcome import WORKER_LOST, Outcome, Verdict
from actors.runtime.errors import RuntimeFault
from actors.tables.deliveries import Delivery
from actors.tickets import Asked, decode_ticket, encode_outcome, envelope_of
from actors.workers import Execution, Finish, Undertake
from router.protocols import results
from router.protocols.elsewhere import outcome_of
from router.protocols.executor import Executor, tell
from router.protocols.handlers import Handler
from router.protocols.teller import Teller
from router.protocols.workshop import BUSY, STOPPED

logger = logging.getLogger("router.protocols.queue")

UNHANDLED = 250  # ms until an attempt of a type that has no handler here may be claimed again, by whoever has one
KEEP_ALL = 1_000_000  # done entries; how many are kept is the business of the regular ends

Told = Callable[[Outcome], None]


class Hands:
    """Thread-safe. ``worker``: whose hands these are; ``protocol``: handlers of which are used."""

    def __init__(
        self, executor: Executor, named_queues: Callable[[], Teller], worker: str, *, protocol: str = "queue"
    ) -> None:
        self._executor = executor
        self._named_queues = named_queues
        self._worker = worker
        self._protocol = protocol
        # By envelope, what was given up and still runs: (queue, entry, token, asker).
        self._doubtful: dict[str, tuple[str, str, int, str]] = {}
        executor.ended_late.append(self._ended_late)

    def take(self, deliveries: Sequence[Delivery], told: Callable[[Delivery], Told | None] = lambda _: None) -> None:
        """Execute these attempts. ``told(delivery)``: who in this process waits for one, instead of its asker."""
        tasks: list[_Task] = []
        for delivery in deliveries:
            task = self._task(delivery, told(delivery))
            if task is not None:
                tasks.append(task)
        self._undertake(tasks)

    def _task(self, delivery: Delivery, told: Told | None) -> _Task | None:
        try:
            asked = _asked(delivery)
        except EnvelopeError as error:
            logger.warning("%s of %s is no attempt: %s", delivery.id, delivery.queue, error)
            delivery.fail(str(error), final=True)
            return None
        handler = self._executor.handlers.find(asked.ticket.envelope.type, self._protocol)
        task = _Task(delivery, asked, handler, told)
        if handler is None:
            if told is not None:
                self._end(task, results.deferred("no_handler", "nobody here handles this type", STOPPED))
            else:
                delivery.nack(UNHANDLED, spent=False, error="nobody here handles this type")
            return None
        return task

    # ------------------------------------------------------------ beginning

    def _undertake(self, tasks: Sequence[_Task]) -> None:
        if not tasks:
            return
        wanted = [task.undertaking(self._worker) for task in tasks]
        look = Look(lambda store, now: store.begin(wanted, now), partial(self._begun, tasks))
        try:
            self._named_queues().tell(look)
        except RuntimeFault:
            for task in tasks:
                task.delivery.nack(BUSY, spent=False)

    def _begun(self, tasks: Sequence[_Task], answer: Any) -> None:
        if isinstance(answer, Exception):
            logger.warning("%d attempts could not be begun: %s", len(tasks), answer)
            for task in tasks:
                # It may be written down as begun all the same. It was not: this is forgotten with the claim.
                self._end(task, results.deferred("store_unavailable", "it could not be begun", STOPPED), remember=False)
            return
        for task, said in zip(tasks, answer, strict=True):
            if said is True:
                self._execute(task)
            elif said is False:
                logger.warning("the claim of %s was lost before it began", task.delivery.id)
                task.delivery.nack(spent=False)
            else:
                self._known(task, said)

    def _execute(self, task: _Task) -> None:
        if task.happened is not None:
            self._end(task, task.happened)
        else:
            self._executor.start(task.asked.ticket, partial(self._executed, task), self._protocol)

    # ------------------------------------------------------------ what an earlier execution means

    def _known(self, task: _Task, execution: Execution) -> None:
        if execution.ended_at:
            self._end(task, outcome_of(execution), remember=None)
            return
        if self._executor.answers(execution.id):
            self._executor.start(task.asked.ticket, partial(self._end, task, remember=None), self._protocol)
            return
        handler, ticket = task.handler, task.asked.ticket
        same = execution.entry == task.delivery.id
        # An entry that was never claimed before is no attempt that somebody began.
        begun = same and task.delivery.attempt > 1
        later = execution.attempt > ticket.attempt
        task.over = (execution.entry, execution.token)
        if later and execution.owner > ticket.token:
            self._end(task, results.lost("another attempt"), remember=None)
        elif later or (same and not begun) or (handler.safe and not begun):
            self._undertake([task])
        elif handler.safe or handler.verify is None:
            self._end(task, results.lost(f"worker {execution.worker}"), remember=None)
        else:
            told = partial(self._verified, task, execution, begun)
            self._executor.verify(ticket.envelope, told, self._protocol)

    def _verified(
        self, task: _Task, execution: Execution, begun: bool, happened: bool | None, _data: bytes = b""
    ) -> None:
        if happened is None:
            self._end(task, results.lost(f"worker {execution.worker}"), remember=None)
            return
        if happened:
            task.happened = Outcome(Verdict.APPLIED)
        elif begun:
            task.happened = results.failed(WORKER_LOST, f"worker {execution.worker} began it, and it did not happen")
        self._undertake([task])

    # ------------------------------------------------------------ ending

    def _executed(self, task: _Task, outcome: Outcome) -> None:
        if outcome.verdict is not Verdict.IN_DOUBT:
            self._end(task, outcome)
            return
        if self._executor.workshop.closed and task.handler.safe:
            outcome = results.lost(f"worker {self._worker}")  # interrupted, and it may be repeated: that is for now
        ticket, delivery = task.asked.ticket, task.delivery
        self._doubtful[ticket.envelope.id] = (delivery.queue, delivery.id, delivery.token, task.asker)
        self._end(task, outcome, remember=None)

    def _end(self, task: _Task, outcome: Outcome, *, remember: bool | None = True) -> None:
        final = outcome.verdict in (Verdict.APPLIED, Verdict.REJECTED)
        if remember:
            remember = final
        task.delivery.finish(
            task.asked.ticket.envelope.id, encode_outcome(outcome), asker=task.asker, remember=remember, done=final
        )
        if task.told is not None:
            tell(task.told, outcome)

    def _ended_late(self, id_: str, outcome: Outcome) -> None:
        """It was called in doubt, and now its handler has ended: whoever asks for it again learns the truth."""
        execution = self._doubtful.pop(id_, None)
        if execution is None:
            return
        final = outcome.verdict in (Verdict.APPLIED, Verdict.REJECTED)
        queue, entry, token, asker = execution
        # Should the end in doubt not be written yet, then this is written in its stead.
        finish = Finish(queue, entry, token, id_, encode_outcome(outcome), asker, remember=final, done=final)
        look = Look(lambda store, now: store.finish([finish], now, KEEP_ALL), partial(_said, id_))
        try:
            self._named_queues().tell(look)
        except RuntimeFault:
            logger.warning("%s ended after all, and nobody could be told", id_)


class _Task:
    """One claimed attempt."""

    __slots__ = ("asked", "delivery", "handler", "happened", "over", "told")

    def __init__(self, delivery: Delivery, asked: Asked, handler: Handler | None, told: Told | None) -> None:
        self.delivery = delivery
        self.asked = asked
        self.handler: Handler = handler  # type: ignore[assignment]  # without one it is ended before anybody looks
        self.told = told
        self.over = ("", 0)
        self.happened: Outcome | None = None  # the verify hook says so: nothing is left to do

    @property
    def asker(self) -> str:
        """Who is to hear of it through the store."""
        return "" if self.told is not None else self.asked.asker

    def undertaking(self, worker: str) -> Undertake:
        delivery, ticket = self.delivery, self.asked.ticket
        id_ = ticket.envelope.id
        at = (delivery.queue, delivery.id, delivery.token)
        return Undertake(*at, id_, ticket.attempt, worker, self.over, ticket.token)


def _asked(delivery: Delivery) -> Asked:
    asked = decode_ticket(delivery.frame)
    if asked.ticket.envelope.id != envelope_of(delivery.id):
        raise EnvelopeError("an attempt that is named after another envelope", field="id")
    return asked


def turn_away(delivery: Delivery, outcome: Outcome) -> None:
    """Answer an attempt that nobody here executes."""
    try:
        asked = decode_ticket(delivery.frame)
    except EnvelopeError:
        delivery.discard()
    else:
        envelope = asked.ticket.envelope
        delivery.finish(envelope.id, encode_outcome(outcome), asker=asked.asker, remember=None, done=False)


def _said(id_: str, answer: Any) -> None:
    if isinstance(answer, Exception):
        logger.warning("%s ended after all, and the store could not be told: %s", id_, answer)
