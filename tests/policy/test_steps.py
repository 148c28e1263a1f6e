"""The in-doubt rule and what spends an attempt."""

from __future__ import annotations

import pytest

from actors.outcome import Fault, Outcome, Status, Verdict
from actors.policy.facts import Backoff, Facts
from actors.policy.steps import (
    Bury,
    Fallback,
    Finish,
    Situation,
    Step,
    Verify,
    Wait,
    after,
    after_verification,
    overdue,
)

FACTS = Facts("T", attempts=3, backoff=Backoff(2_000, 2.0, 30_000, 0.0))


def situation(
    spent: int = 0,
    repeatable: bool = False,
    plan: tuple[str, ...] = ("websocket", "queue"),
) -> Situation:
    return Situation(FACTS, spent, (), "websocket", plan, repeatable, 0)


def step(outcome: Outcome, at: Situation | None = None) -> Step:
    return after(outcome, at or situation(), now=1_000, random=0.0)


def test_an_applied_attempt_ends_the_way() -> None:
    assert step(Outcome(Verdict.APPLIED)) == Finish(Status.OK)
    assert step(Outcome(Verdict.APPLIED, noop=True)) == Finish(Status.NOOP)


def test_a_rejection_is_final_on_the_first_attempt() -> None:
    fault = Fault("forbidden", "no")
    assert step(Outcome(Verdict.REJECTED, fault=fault)) == Finish(Status.REJECTED, fault)


def test_a_rejection_after_a_doubt_does_not_say_that_nothing_happened() -> None:
    fault = Fault("forbidden", "not any more")
    assert step(Outcome(Verdict.REJECTED, fault=fault), situation()._replace(doubt=True)) == Finish(
        Status.IN_DOUBT, fault
    )


@pytest.mark.parametrize("verdict", [Verdict.NOT_APPLIED, Verdict.DEFERRED])
def test_fallback_is_free_after_proof_that_nothing_happened(verdict: Verdict) -> None:
    assert step(Outcome(verdict)) == Fallback("queue", spent=False)


def test_a_deferral_without_another_protocol_waits_as_told_and_spends_nothing() -> None:
    waited = step(Outcome(Verdict.DEFERRED, retry_after=7_000), situation(plan=("websocket",)))
    assert waited == Wait(8_000, spent=False, reason="deferred")


def test_not_applied_without_another_protocol_spends_the_attempt() -> None:
    waited = step(Outcome(Verdict.NOT_APPLIED), situation(plan=("websocket",)))
    assert waited == Wait(3_000, spent=True, reason="not_applied")


def test_an_executor_that_failed_spends_the_attempt_and_is_not_bypassed() -> None:
    failed = Outcome(Verdict.NOT_APPLIED, executed=True, fault=Fault("handler_error", "boom"))
    assert step(failed) == Wait(3_000, spent=True, reason="handler_error")
    assert step(failed, situation(spent=2)) == Bury(Fault("handler_error", "boom"))


def test_a_doubt_that_nobody_can_clear_up_ends_the_way_at_once() -> None:
    fault = Fault("step_in_doubt", "ban")
    final = Outcome(Verdict.IN_DOUBT, executed=True, fault=fault, final=True)
    for repeatable in (True, False):
        assert step(final, situation(repeatable=repeatable)) == Finish(Status.IN_DOUBT, fault)


def test_in_doubt_is_never_repeated_unless_that_is_safe() -> None:
    assert step(Outcome(Verdict.IN_DOUBT)) == Verify()
    assert step(Outcome(Verdict.IN_DOUBT), situation(repeatable=True)) == Fallback("queue", spent=True)
    assert isinstance(step(Outcome(Verdict.IN_DOUBT), situation(repeatable=True, plan=("websocket",))), Wait)
    assert isinstance(step(Outcome(Verdict.IN_DOUBT), situation(spent=2, repeatable=True)), Bury)


def test_a_worker_that_went_away_is_succeeded_at_once_and_at_the_cost_of_an_attempt() -> None:
    gone, alone = Fault("worker_lost", "gone", True), situation(repeatable=True, plan=("websocket",))
    doubt = Outcome(Verdict.IN_DOUBT, executed=True, fault=gone)
    assert step(doubt, alone) == Wait(1_000, spent=True, reason="worker_lost")
    assert step(doubt) == Verify(), "unless it may not be repeated"
    assert after_verification(False, gone, situation(), now=1_000, random=0.0) == Wait(
        1_000, spent=True, reason="worker_lost"
    )
    assert step(doubt, alone._replace(spent=2)) == Bury(gone), "and ends it with its last attempt"


def test_nobody_knows_is_said_and_not_guessed() -> None:
    fault = Fault("timeout", "no answer")
    assert after_verification(None, fault, situation(), now=0, random=0.0) == Finish(Status.IN_DOUBT, fault)
    assert after_verification(True, fault, situation(), now=0, random=0.0) == Finish(Status.OK)
    assert after_verification(False, fault, situation(), now=0, random=0.0) == Wait(2_000, spent=True, reason="timeout")


def test_the_advice_of_a_failure_is_honoured() -> None:
    failed = Outcome(Verdict.NOT_APPLIED, executed=True, fault=Fault("busy", "later", True, 60_000))
    assert step(failed) == Wait(61_000, spent=True, reason="busy")


def test_a_deadline_answers_what_is_true() -> None:
    assert overdue(attempts=0, doubt=False) is Status.EXPIRED
    assert overdue(attempts=1, doubt=False) is Status.FAILED
    assert overdue(attempts=1, doubt=True) is Status.IN_DOUBT
