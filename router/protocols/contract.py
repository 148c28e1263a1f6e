"""What every protocol that executes handlers of this process promises: one text, run over each of them.

Subclass ``ProtocolContract`` with a ``make``; its ``test_*`` methods have plain asserts, for pytest or
any other runner that calls ``setup_method`` and ``teardown_method`` around them. Time is the bench's; nothing sleeps.
"""

# ruff: noqa: S101, ARG002 - asserts are what it is for, and `make` is there to be overridden

from __future__ import annotations

from collections.abc import Callable
from threading import Condition, Event
from typing import Any

from actors.codec import encode, unpack
from actors.envelope import Envelope
from actors.outcome import Outcome, Verdict
from actors.ports import Ticket
from router.messages.base import Message
from router.messages.communication import SendMessage
from router.messages.moderation import BanUser
from router.messages.seal import seal
from router.protocols.handlers import Handlers
from router.protocols.rehearsal import CAP, Bench, Outcomes, ban, say
from router.protocols.signals import Noop, Reject, RetryLater


class ProtocolContract:
    """The promises."""

    def make(self, handlers: Handlers, *, workers: int = 4, timeout_ms: int = 5_000) -> Bench:
        """An open protocol that executes these."""
        raise TypeError("a contract needs something to hold it against")

    # ------------------------------------------------------------ set-up

    def setup_method(self) -> None:
        """Before each test."""
        self.handlers = Handlers()
        self.calls: list[tuple[str, int]] = []  # (envelope id, attempt) in the order they began
        self.release = Event()
        self._benches: list[Bench] = []
        self._count = 0
        self._called = Condition()

    def teardown_method(self) -> None:
        """After each test."""
        self.release.set()
        for bench in self._benches:
            bench.close()

    def start(self, **options: Any) -> Bench:
        """The bench of this test."""
        bench = self.make(self.handlers, **options)
        self._benches.append(bench)
        return bench

    def handle(self, what: Callable[[Any, Any], Any], message: type[Message] = BanUser, **options: Any) -> None:
        """Register a handler that notes its calls."""

        def handler(command: Any, ctx: Any) -> Any:
            with self._called:
                self.calls.append((ctx.id, ctx.attempt))
                self._called.notify_all()
            return what(command, ctx)

        self.handlers.handler(message, **options)(handler)

    def begun(self, count: int = 1) -> None:
        """Wait until so many handlers have been called."""
        with self._called:
            assert self._called.wait_for(lambda: len(self.calls) >= count, CAP)

    def block(self, _command: Any, _ctx: Any) -> str:
        """A handler's body that goes on until the test releases it."""
        assert self.release.wait(CAP)
        return "done"

    def ticket(self, bench: Bench, message: Message | None = None, attempt: int = 1, deadline: int = 0) -> Ticket:
        """A new envelope's ticket."""
        self._count += 1
        now = bench.now()
        envelope = seal(message or ban(), id=f"e{self._count}", now=now, source="library")
        return self.again(envelope, attempt, deadline)

    def again(self, envelope: Envelope, attempt: int, deadline: int = 0) -> Ticket:
        """Another attempt on the same envelope."""
        return Ticket(envelope, encode(envelope), attempt, deadline, sequence=7, token=0)

    def run(self, bench: Bench, ticket: Ticket) -> Outcome:
        """Start it and wait."""
        outcomes = Outcomes()
        bench.protocol.start(ticket, outcomes)
        outcome = outcomes.one
        assert isinstance(outcome, Outcome)
        return outcome

    # ------------------------------------------------------------ results

    def test_what_a_handler_returns_is_the_data_of_an_applied_outcome(self) -> None:
        self.handle(lambda command, _: {"banned": command.user_id})
        bench = self.start()
        outcome = self.run(bench, self.ticket(bench))
        assert outcome.verdict is Verdict.APPLIED
        assert unpack(outcome.data) == {"banned": "2" * 17}

    def test_a_handler_that_returns_nothing_has_applied_it(self) -> None:
        self.handle(lambda *_: None)
        bench = self.start()
        assert self.run(bench, self.ticket(bench)) == Outcome(Verdict.APPLIED)

    def test_an_exception_is_a_failed_attempt_and_the_next_command_runs(self) -> None:
        raised: list[BaseException] = [ValueError("no such user"), SystemExit(3), KeyboardInterrupt(), MemoryError()]

        def body(_command: Any, _ctx: Any) -> str:
            if raised:
                raise raised.pop(0)
            return "fine"

        self.handle(body)
        bench = self.start()
        for name in ("ValueError: no such user", "SystemExit: 3", "KeyboardInterrupt", "MemoryError"):
            outcome = self.run(bench, self.ticket(bench))
            assert (outcome.verdict, outcome.executed) == (Verdict.NOT_APPLIED, True)
            assert outcome.fault is not None
            assert (outcome.fault.code, outcome.fault.message, outcome.fault.retryable) == ("handler_error", name, True)
        assert self.run(bench, self.ticket(bench)).verdict is Verdict.APPLIED

    def test_a_handler_may_reject_defer_or_find_nothing_to_do(self) -> None:
        said: list[Exception] = [Reject("hierarchy", "above the bot"), RetryLater(2.5), Noop({"was": "gone"})]

        def body(_command: Any, _ctx: Any) -> None:
            raise said.pop(0)

        self.handle(body)
        bench = self.start()
        rejected, deferred, noop = [self.run(bench, self.ticket(bench)) for _ in range(3)]
        assert rejected.verdict is Verdict.REJECTED
        assert rejected.fault is not None
        assert (rejected.fault.code, rejected.fault.message) == ("hierarchy", "above the bot")
        assert (deferred.verdict, deferred.retry_after, deferred.executed) == (Verdict.DEFERRED, 2_500, True)
        assert (noop.verdict, noop.noop, unpack(noop.data)) == (Verdict.APPLIED, True, {"was": "gone"})

    def test_a_body_that_is_no_valid_message_is_rejected_without_calling_the_handler(self) -> None:
        self.handle(lambda *_: None)
        bench = self.start()
        ticket = self.ticket(bench)
        for body in (b"\xc1", b"", b"\x81\xa6userId\xc3"):
            envelope = ticket.envelope._replace(id=f"{ticket.envelope.id}.{len(body)}", body=body)
            outcome = self.run(bench, self.again(envelope, 1))
            assert outcome.verdict is Verdict.REJECTED
            assert outcome.fault is not None
            assert outcome.fault.code == "invalid_message"
        assert self.calls == []

    def test_a_type_nobody_handles_is_not_reached_and_not_executed(self) -> None:
        self.handle(lambda *_: None)
        bench = self.start()
        ticket = self.ticket(bench, say())
        assert not bench.protocol.reaches(ticket.envelope)
        assert bench.protocol.reaches(self.ticket(bench).envelope)
        outcome = Outcomes()
        bench.protocol.start(ticket, outcome)
        bench.advance(60)
        assert outcome.one.verdict is Verdict.DEFERRED

    def test_idempotent_is_what_the_handler_declares(self) -> None:
        self.handle(lambda *_: None)
        self.handle(lambda *_: None, SendMessage, idempotent=True)
        bench = self.start()
        assert not bench.protocol.idempotent(self.ticket(bench).envelope)
        assert bench.protocol.idempotent(self.ticket(bench, say()).envelope)

    def test_many_at_once_are_each_answered_once(self) -> None:
        self.handle(lambda command, _: command.content, SendMessage)
        bench = self.start()
        sinks = []
        for number in range(200):
            sink = Outcomes()
            bench.protocol.start(self.ticket(bench, say(str(number))), sink)
            sinks.append(sink)
        assert [unpack(sink.one.data) for sink in sinks] == [str(number) for number in range(200)]
        assert all(len(sink.all) == 1 for sink in sinks)
        assert len(self.calls) == 200

    # ------------------------------------------------------------ asking twice

    def test_asking_twice_while_it_runs_executes_once_and_answers_both(self) -> None:
        self.handle(self.block, SendMessage)
        bench = self.start()
        ticket = self.ticket(bench, say())
        first, second = Outcomes(), Outcomes()
        bench.protocol.start(ticket, first)
        self.begun()
        bench.protocol.start(self.again(ticket.envelope, 2), second)
        self.release.set()
        assert first.one == second.one
        assert first.one.verdict is Verdict.APPLIED
        assert len(self.calls) == 1

    def test_asking_again_after_it_was_applied_gives_the_same_answer_without_executing(self) -> None:
        self.handle(lambda _, ctx: ctx.attempt, SendMessage)
        bench = self.start()
        ticket = self.ticket(bench, say())
        first = self.run(bench, ticket)
        assert self.run(bench, self.again(ticket.envelope, 2)) == first
        assert len(self.calls) == 1

    def test_a_failed_attempt_may_be_repeated(self) -> None:
        def body(_command: Any, ctx: Any) -> str:
            if ctx.attempt < 3:
                raise RuntimeError("not yet")
            return "at last"

        self.handle(body, SendMessage)
        bench = self.start()
        ticket = self.ticket(bench, say())
        verdicts = [self.run(bench, self.again(ticket.envelope, attempt)).verdict for attempt in (1, 2, 3)]
        assert verdicts == [Verdict.NOT_APPLIED, Verdict.NOT_APPLIED, Verdict.APPLIED]
        assert [attempt for _, attempt in self.calls] == [1, 2, 3]

    def test_a_dead_letter_that_is_replayed_is_executed_though_its_attempts_begin_anew(self) -> None:
        failing = [True]

        def body(_command: Any, _ctx: Any) -> None:
            if failing:
                raise RuntimeError("broken")

        self.handle(body, SendMessage)
        bench = self.start()
        ticket = self.ticket(bench, say())
        assert self.run(bench, ticket).verdict is Verdict.NOT_APPLIED
        failing.clear()
        assert self.run(bench, ticket).verdict is Verdict.APPLIED

    # ------------------------------------------------------------ time

    def test_a_handler_that_does_not_end_in_time_is_in_doubt(self) -> None:
        self.handle(self.block)
        bench = self.start(timeout_ms=2_000)
        outcomes = Outcomes()
        bench.protocol.start(self.ticket(bench), outcomes)
        self.begun()
        bench.advance(1.9)
        assert outcomes.all == []
        bench.advance(0.2)
        assert outcomes.one.verdict is Verdict.IN_DOUBT
        assert outcomes.one.fault.code == "timeout"

    def test_a_handler_has_its_own_timeout_and_the_ticket_the_last_word(self) -> None:
        self.handle(self.block, timeout=30)
        bench = self.start(timeout_ms=2_000)
        patient, urgent = Outcomes(), Outcomes()
        bench.protocol.start(self.ticket(bench), patient)
        bench.protocol.start(self.ticket(bench, deadline=bench.now() + 3_000), urgent)
        self.begun(2)
        bench.advance(3.1)
        assert urgent.one.verdict is Verdict.IN_DOUBT
        assert patient.all == []

    def test_what_ends_late_answers_the_next_attempt_and_is_not_executed_again(self) -> None:
        self.handle(self.block, SendMessage)
        bench = self.start(timeout_ms=1_000)
        ticket = self.ticket(bench, say())
        first, second = Outcomes(), Outcomes()
        bench.protocol.start(ticket, first)
        self.begun()
        bench.advance(1.1)
        assert first.one.verdict is Verdict.IN_DOUBT
        bench.protocol.start(self.again(ticket.envelope, 2), second)
        self.release.set()
        assert second.one.verdict is Verdict.APPLIED
        assert len(first.all) == 1
        assert len(self.calls) == 1

    # ------------------------------------------------------------ taking back, asking whether

    def test_what_has_not_begun_can_be_recalled_and_never_begins(self) -> None:
        self.handle(self.block)
        bench = self.start(workers=1)
        running, waiting, after = Outcomes(), Outcomes(), Outcomes()
        bench.protocol.start(self.ticket(bench), running)
        self.begun()
        ticket = self.ticket(bench)
        bench.protocol.start(ticket, waiting)
        told = self.take_back(bench, ticket.envelope.id, waiting)
        self.release.set()
        bench.protocol.start(self.ticket(bench), after)
        assert after.one.verdict is Verdict.APPLIED
        assert waiting.all == told
        assert ticket.envelope.id not in [id_ for id_, _ in self.calls]

    def take_back(self, bench: Bench, id_: str, waiting: Outcomes) -> list[Outcome]:
        """Recall it; what whoever waits for it is told."""
        assert bench.protocol.recall(id_)
        assert not bench.protocol.recall(id_)
        return []

    def test_what_has_begun_cannot_be_recalled(self) -> None:
        self.handle(self.block)
        bench = self.start()
        ticket = self.ticket(bench)
        outcomes = Outcomes()
        bench.protocol.start(ticket, outcomes)
        self.begun()
        assert not bench.protocol.recall(ticket.envelope.id)
        self.release.set()
        assert outcomes.one.verdict is Verdict.APPLIED

    def test_verify_knows_what_was_applied_here(self) -> None:
        self.handle(lambda *_: None)
        bench = self.start()
        ticket = self.ticket(bench)
        self.run(bench, ticket)
        assert self.verified(bench, ticket.envelope) is True

    def test_verify_of_what_nobody_here_has_seen_asks_the_handlers_hook(self) -> None:
        answers: list[bool | None] = [True, False, None]

        def hook(command: Any, _ctx: Any) -> bool | None:
            assert command.user_id == "2" * 17
            return answers.pop(0)

        self.handle(lambda *_: None, verify=hook)
        self.handle(lambda *_: None, SendMessage)
        bench = self.start()
        found = [self.verified(bench, self.ticket(bench).envelope) for _ in range(3)]
        assert found == [True, False, None]
        assert self.verified(bench, self.ticket(bench, say()).envelope) is None

    def verified(self, bench: Bench, envelope: Envelope) -> Any:
        """What ``verify`` says."""
        answers = Outcomes()
        bench.protocol.verify(envelope, answers)
        return answers.one

    # ------------------------------------------------------------ closing

    def test_close_waits_for_what_runs_and_hands_back_what_does_not(self) -> None:
        self.handle(self.block)
        bench = self.start(workers=1)
        running, waiting, late = Outcomes(), Outcomes(), Outcomes()
        bench.protocol.start(self.ticket(bench), running)
        self.begun()

        def handed_back(outcome: Any) -> None:
            waiting(outcome)
            self.release.set()

        bench.protocol.start(self.ticket(bench), handed_back)
        bench.protocol.close(CAP)
        assert waiting.one.verdict is Verdict.DEFERRED
        assert running.one.verdict is Verdict.APPLIED
        bench.protocol.start(self.ticket(bench), late)
        assert late.one.verdict is Verdict.DEFERRED
        assert len(self.calls) == 1

    def test_what_still_runs_when_the_drain_is_over_is_in_doubt(self) -> None:
        self.handle(self.block)
        bench = self.start()
        outcomes = Outcomes()
        bench.protocol.start(self.ticket(bench), outcomes)
        self.begun()
        bench.protocol.close(0)
        assert outcomes.one.verdict is Verdict.IN_DOUBT

    def test_it_can_be_opened_twice_and_again_after_a_close(self) -> None:
        self.handle(lambda *_: None)
        bench = self.start()
        bench.protocol.open()
        assert self.run(bench, self.ticket(bench)).verdict is Verdict.APPLIED
        bench.protocol.close(1)
        bench.protocol.close(1)
        bench.protocol.open()
        assert self.run(bench, self.ticket(bench)).verdict is Verdict.APPLIED
