"""Attempts that others may execute: hears their outcomes, takes them back, finds out what became of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from threading import Lock
from typing import Any, NamedTuple

from actors.entries import WorkedQueues
from actors.envelope import Envelope
from actors.errand import Look
from actors.errors import EnvelopeError
from actors.outcome import Outcome, Verdict
from actors.runtime.clock import Clock, Timer
from actors.runtime.errors import NotRunning, RuntimeFault
from actors.tickets import decode_outcome
from actors.workers import Answered, Execution
from router.protocols import results
from router.protocols.teller import Teller

logger = logging.getLogger("router.protocols.queue")

POLL = 250  # ms between looks for outcomes while some are waited for; news of one comes at once
PATIENCE = 9_000  # ms an execution under way is waited for when somebody asks whether it happened
RECHECK = 100  # ms between looks at it

Heard = Callable[[str, Outcome], None]


class Standing(NamedTuple):
    """Where an attempt is."""

    removed: bool  #: it was unclaimed, and now it is nowhere
    execution: Execution | None  #: the latest one of its envelope
    alive: bool  #: the worker of that execution lives


class Elsewhere:
    """The store's side of asking. ``asker``: whose attempts; ``heard(entry, outcome)`` is told each outcome once
    or, after a crash in between, again. Thread-safe."""

    def __init__(self, named_queues: Callable[[], Teller], clock: Clock, asker: str, heard: Heard) -> None:
        self._named_queues = named_queues
        self._clock = clock
        self.asker = asker
        self._heard = heard
        self._lock = Lock()
        self._waiting: dict[str, int] = {}  # attempts under way, by queue
        self._timer: Timer | None = None
        self._open = False
        self._listening = False  # a look is asked for and has not begun
        self._told: list[tuple[str, str]] = []  # (queue, entry) of outcomes that need not lie there any longer

    def open(self) -> None:
        """Hear from now on."""
        self._open = True
        self._arm()

    def close(self) -> None:
        """Hear no more."""
        self._open = False
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def expect(self, queue: str) -> None:
        """One more attempt is in this queue."""
        with self._lock:
            self._waiting[queue] = self._waiting.get(queue, 0) + 1
        self._arm()

    def expect_no_more(self, queue: str) -> None:
        """One less."""
        with self._lock:
            count = self._waiting.get(queue, 0) - 1
            if count > 0:
                self._waiting[queue] = count
            else:
                self._waiting.pop(queue, None)

    def listen(self) -> None:
        """There may be outcomes: look now. Whoever asks while a look waits for its turn has asked for the same."""
        with self._lock:
            if self._listening or not (self._waiting or self._told):
                return
            self._listening = True
        self.ask(self._collect, self._answers)

    def _collect(self, store: WorkedQueues, _: int) -> list[Answered]:
        with self._lock:
            self._listening = False
            queues, told, self._told = list(self._waiting), self._told, []
        return store.answers(self.asker, queues, heard=told)

    def withdraw(self, queue: str, entry: str, id_: str, told: Callable[[Standing | None], None]) -> None:
        """Take an attempt back if nobody claimed it; ``None``: the store cannot say."""

        def look(store: WorkedQueues, now: int) -> tuple[Standing, Sequence[Answered]]:
            standing = _stand(store, queue, id_, [entry], now)
            # Its outcome may lie there, unheard of: whoever asks must hear that first.
            return standing, () if standing.removed else store.answers(self.asker, [queue])

        def reply(answer: Any) -> None:
            if isinstance(answer, Exception):
                told(None)
                return
            standing, answers = answer
            if answers:
                self._answers(answers)
            told(standing)

        self.ask(look, reply)

    def find_out(self, envelope: Envelope, entries: Sequence[str], done: Callable[[bool | None], None]) -> None:
        """Whether it happened: by taking its attempts back, by what its executor said or says soon.

        ``None``: nobody elsewhere knows.
        """
        self._find_out(_Question(envelope.queue, envelope.id, tuple(entries), self._clock.now() + PATIENCE), done)

    def ask(self, fn: Callable[[WorkedQueues, int], Any], reply: Callable[[Any], None]) -> None:
        """Something of the store; ``reply`` may be told an exception."""
        try:
            self._named_queues().tell(Look(fn, reply))
        except RuntimeFault as error:
            reply(error)

    # ------------------------------------------------------------ outcomes

    def _answers(self, answer: Any) -> None:
        if isinstance(answer, Exception):
            with self._lock:
                self._listening = False  # whether it came to look or not
            logger.debug("outcomes cannot be read: %s", answer)
            return
        for answered in answer:
            self._heard(answered.entry, outcome_of(answered))
        if answer:
            with self._lock:
                self._told += [(answered.queue, answered.entry) for answered in answer]
            self.listen()  # takes these away, and there may be more

    def _arm(self) -> None:
        with self._lock:
            if self._timer is not None or not self._open or not self._waiting:
                return
            try:
                self._timer = self._clock.call_later(POLL / 1000, self._tick)
            except NotRunning:  # time itself has ended, and the router with it
                return

    def _tick(self) -> None:
        with self._lock:
            self._timer = None
            self._listening = False  # if it still waits for its turn, one too many does no harm
        self.listen()
        self._arm()

    # ------------------------------------------------------------ whether it happened

    def _find_out(self, question: _Question, done: Callable[[bool | None], None]) -> None:
        def look(store: WorkedQueues, now: int) -> Standing:
            return _stand(store, question.queue, question.id, question.entries, now)

        self.ask(look, partial(self._found, question, done))

    def _found(self, question: _Question, done: Callable[[bool | None], None], answer: Any) -> None:
        execution = answer.execution if isinstance(answer, Standing) else None
        if execution is not None:
            if execution.ended_at:
                done(_happened(execution))
                return
            if answer.alive and self._clock.now() < question.until:
                try:
                    self._clock.call_later(RECHECK / 1000, partial(self._find_out, question, done))
                except NotRunning:
                    done(None)
                return
        done(False if execution is None and isinstance(answer, Standing) and answer.removed else None)


class _Question(NamedTuple):
    queue: str
    id: str
    entries: tuple[str, ...]
    until: int


def _stand(store: WorkedQueues, queue: str, id_: str, entries: Sequence[str], now: int) -> Standing:
    removed = any(store.remove(entries))
    execution = store.executions(queue, [id_])[0]
    alive = execution is not None and any(
        each.worker == execution.worker and each.until > now for each in store.workers()
    )
    return Standing(removed, execution, alive)


def outcome_of(said: Answered | Execution) -> Outcome:
    """What a worker said became of it; in doubt when that cannot be read."""
    try:
        return decode_outcome(said.outcome)
    except EnvelopeError as error:
        logger.warning("the outcome of %s cannot be read: %s", said.entry, error)
        return results.in_doubt("bad_outcome", "its worker's answer cannot be read")


def _happened(execution: Execution) -> bool | None:
    verdict = outcome_of(execution).verdict
    return None if verdict is Verdict.IN_DOUBT else verdict is Verdict.APPLIED
