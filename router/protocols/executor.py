"""The executor: commands by their handlers, each envelope once, whichever protocols of this process ask for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from threading import Lock
from typing import Any

from actors.envelope import Envelope
from actors.outcome import Outcome, Verdict
from actors.ports import Done, Ticket, Verified
from actors.runtime.clock import Clock
from router.messages.base import Message
from router.messages.redaction import Secrets, has_secrets
from router.messages.seal import unseal
from router.protocols import results
from router.protocols.context import Context
from router.protocols.handlers import Handler, Handlers
from router.protocols.records import Records
from router.protocols.workshop import STOPPED, Run, Workshop

logger = logging.getLogger("router.protocols.handlers")

NOBODY = results.deferred("no_handler", "nobody here handles this type", STOPPED)


class Executor:
    """Runs tickets; keeps a dedupe record by envelope id, shared by all protocols that execute here.

    While an envelope is executed, whoever asks for it gets that execution's outcome; afterwards, see ``Records``.
    """

    def __init__(
        self,
        handlers: Handlers,
        clock: Clock,
        *,
        workers: int = 4,
        timeout_ms: int = 5_000,
        loop: asyncio.AbstractEventLoop | None = None,
        decode: Callable[[Envelope], Any] = unseal,
        records: Records | None = None,
    ) -> None:
        self.handlers = handlers
        self.workshop = Workshop(clock, workers=workers, timeout=timeout_ms, loop=loop)
        self.decode = decode
        self._records = Records() if records is None else records
        self._runs: dict[str, _CommandRun] = {}
        self._users: set[str] = set()
        self._lock = Lock()
        #: called when an execution ends after those who waited were told that it is in doubt
        self.ended_late: list[Callable[[str, Outcome], None]] = []

    def use_loop(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Run async handlers on this loop (``None``: one of our own); before ``open``."""
        self.workshop.use_loop(loop)

    def open(self, user: str) -> None:
        """Protocol ``user`` needs it; nothing if it is open."""
        with self._lock:
            self._users.add(user)
        self.workshop.open()

    def close(self, user: str, drain: float) -> None:
        """Protocol ``user`` is done; after the last one everything stops, running handlers get ``drain`` seconds."""
        with self._lock:
            if user not in self._users:
                return
            self._users.discard(user)
            if self._users:
                return
        self.workshop.close(drain)

    def start(self, ticket: Ticket, done: Done, protocol: str = "direct") -> None:
        """Execute, join the execution under way, or answer from the record. ``done`` is called once; never raises."""
        id_ = ticket.envelope.id
        handler = self.handlers.find(ticket.envelope.type, protocol)
        joined: _CommandRun | None = None
        outcome: Outcome | None = None
        run: _CommandRun | None = None
        with self._lock:
            joined = self._runs.get(id_)
            if joined is not None:
                joined.waiters.append((done, ticket))
            else:
                outcome = self._records.answer(id_, ticket.attempt, safe=handler is not None and handler.safe)
                if outcome is None and handler is None:
                    outcome = NOBODY
                if outcome is None and handler is not None:
                    run = _CommandRun(self, handler, ticket, done, protocol)
                    outcome = self.workshop.refusal(run)
                    if outcome is None:
                        self._runs[id_] = run
        if joined is not None:
            self.workshop.watch(joined, ticket.deadline)
        elif outcome is not None:
            tell(done, outcome)
        elif run is not None:
            self.workshop.submit(run)

    def recall(self, id_: str) -> bool:
        """``True``: it had not begun and will not; nobody is told."""
        with self._lock:
            run = self._runs.get(id_)
            if run is None or not self.workshop.withdraw(run):
                return False
            del self._runs[id_]
            return True

    def hand_back(self, protocol: str) -> None:
        """What came over this protocol and has not begun is put off; whoever asked is told."""
        with self._lock:
            runs = [run for run in self._runs.values() if run.protocol == protocol]
        for run in runs:
            if self.workshop.withdraw(run):
                run.unstarted(results.deferred("shutting_down", "the router stops", STOPPED))

    def knows(self, id_: str) -> bool:
        """Whether this envelope is executed here now, or its end is remembered."""
        return id_ in self._runs or self._records.find(id_) is not None

    def answers(self, id_: str) -> bool:
        """Whether asking for it gives the outcome of an execution that is under way here, or ended for good."""
        if id_ in self._runs:
            return True
        known = self._records.find(id_)
        return known is not None and known.verdict in (Verdict.APPLIED, Verdict.REJECTED)

    def verify(self, envelope: Envelope, done: Verified, protocol: str = "direct") -> None:
        """Whether it happened: by the record, by the execution under way when it ends, by the handler's verify hook."""
        with self._lock:
            running = self._runs.get(envelope.id)
            if running is not None:
                waiter: Done = lambda outcome: self._verified(envelope, outcome, done, protocol)  # noqa: E731 - typed
                running.waiters.append((waiter, None))
                known = None
            else:
                known = self._records.find(envelope.id)
        if running is not None:
            self.workshop.watch(running, 0)
        elif known is not None:
            self._verified(envelope, known, done, protocol)
        else:
            self._ask(envelope, done, protocol)

    def _verified(self, envelope: Envelope, outcome: Outcome, done: Verified, protocol: str) -> None:
        match outcome.verdict:
            case Verdict.APPLIED:
                tell(done, True, outcome.data)
            case Verdict.IN_DOUBT:
                self._ask(envelope, done, protocol)
            case _:
                tell(done, False)

    def _ask(self, envelope: Envelope, done: Verified, protocol: str) -> None:
        handler = self.handlers.find(envelope.type, protocol)
        if handler is None or handler.verify is None:
            tell(done, None)
            return
        run = _VerifyRun(self, handler, envelope, done)
        if self.workshop.refusal(run) is not None:
            tell(done, None)
        else:
            self.workshop.submit(run)

    # ------------------------------------------------------------ told by the runs

    def ended(self, run: _CommandRun, outcome: Outcome, *, began: bool) -> None:
        """A run is over: remember what must be, tell those who wait."""
        id_ = run.ticket.envelope.id
        with self._lock:
            if self._runs.get(id_) is run:
                del self._runs[id_]
            waiters, run.waiters = run.waiters, []
            if began:
                self._records.keep(id_, outcome, run.ticket.attempt, heard=bool(waiters))
            given_up = run.given_up and outcome.verdict is Verdict.IN_DOUBT
            late = run.given_up and began and not given_up
        for done, ticket in waiters:
            if given_up and ticket is not None and not self.workshop.closed:
                # It joined an execution that was being given up: it may have one of its own, if that does no harm.
                self.start(ticket, done, run.protocol)
            else:
                tell(done, outcome)
        if late:
            for listener in self.ended_late:
                listener(id_, outcome)

    def given_up(self, run: _CommandRun, outcome: Outcome) -> None:
        """A run takes too long: those who wait are told so; it stays known."""
        with self._lock:
            run.given_up = True
            waiters, run.waiters = run.waiters, []
        for done, _ in waiters:
            tell(done, outcome)

    def found_out(self, envelope: Envelope, happened: bool | None) -> None:
        """A verify hook has answered: what was in doubt is not any more."""
        with self._lock:
            known = self._records.find(envelope.id)
            if happened is None or (known is not None and known.verdict is not Verdict.IN_DOUBT):
                return
            if happened:
                self._records.keep(envelope.id, Outcome(Verdict.APPLIED), 0, heard=True)
            else:
                self._records.forget(envelope.id)


class _CommandRun(Run):
    """One command by its handler."""

    __slots__ = ("_command", "_executor", "given_up", "handler", "protocol", "ticket", "waiters")

    def __init__(self, executor: Executor, handler: Handler, ticket: Ticket, done: Done, protocol: str) -> None:
        super().__init__(is_async=handler.is_async, timeout=handler.timeout, deadline=ticket.deadline)
        self.start_by = ticket.start_by
        self.lapsed = ticket.lapsed
        self._executor = executor
        self._command: Any = None
        self.handler = handler
        self.ticket = ticket
        self.protocol = protocol
        self.given_up = False
        self.waiters: list[tuple[Done, Ticket | None]] = [(done, ticket)]

    def enter(self) -> bool:
        binding = self.handler.binding
        return binding is None or binding.enter()

    def call(self, deadline: int) -> Any:
        ticket = self.ticket
        try:
            command = self._executor.decode(ticket.envelope)
        except Exception as error:  # noqa: BLE001 - whatever a body does to the decoder, it is the body's fault
            return _Undecodable(error)
        self._command = command
        return self.handler.target()(command, Context(ticket, command, deadline))

    def outcome(self, value: Any) -> Outcome:
        return results.of_undecodable(value.error) if type(value) is _Undecodable else results.of_value(value)

    def over(self, outcome: Outcome) -> None:
        binding = self.handler.binding
        if binding is not None:
            binding.leave()
        self._executor.ended(self, without_secrets(outcome, self._command), began=True)

    def late(self, outcome: Outcome) -> None:
        self._executor.given_up(self, outcome)

    def unstarted(self, outcome: Outcome) -> None:
        self._executor.ended(self, outcome, began=False)


class _VerifyRun(Run):
    """The verify hook of a handler, for one envelope."""

    __slots__ = ("_answer", "_done", "_envelope", "_executor", "_handler")

    def __init__(self, executor: Executor, handler: Handler, envelope: Envelope, done: Verified) -> None:
        super().__init__(is_async=handler.is_async, timeout=handler.timeout)
        self._executor = executor
        self._handler = handler
        self._envelope = envelope
        self._done: Verified | None = done
        self._answer: bool | None = None

    def call(self, deadline: int) -> Any:
        envelope = self._envelope
        command = self._executor.decode(envelope)
        ticket = Ticket(envelope, b"", 0, deadline, 0, 0)
        return self._handler.hook()(command, Context(ticket, command, deadline))

    def outcome(self, value: Any) -> Outcome:
        if value is True or value is False:
            self._answer = value
        elif value is not None:
            logger.warning("the verify hook of %s returned neither a bool nor None", self._handler.name)
        return results.of_value(None)

    def over(self, outcome: Outcome) -> None:
        if outcome.fault is not None:
            logger.warning("the verify hook of %s failed: %s", self._handler.name, outcome.fault.message)
        self._executor.found_out(self._envelope, self._answer)
        self._tell(self._answer)

    def late(self, outcome: Outcome) -> None:
        self.unstarted(outcome)

    def unstarted(self, outcome: Outcome) -> None:
        if outcome.fault is not None:
            logger.warning("the verify hook of %s gave no answer: %s", self._handler.name, outcome.fault.message)
        self._tell(None)

    def _tell(self, happened: bool | None) -> None:
        done, self._done = self._done, None
        if done is not None:
            tell(done, happened)


def without_secrets(outcome: Outcome, command: Any) -> Outcome:
    """The same, its fault without the values that the command's type declares sensitive."""
    fault = outcome.fault
    if fault is None or not isinstance(command, Message) or not has_secrets(type(command)):
        return outcome
    return outcome._replace(fault=fault._replace(message=Secrets(command).hide(fault.message)))


class _Undecodable:
    __slots__ = ("error",)

    def __init__(self, error: Exception) -> None:
        self.error = error


def tell(done: Callable[..., None], *values: object) -> None:
    """Call back; a callback that raises is logged."""
    try:
        done(*values)
    except Exception:
        logger.exception("whoever waited for an outcome failed")
