"""The dedupe record."""

from __future__ import annotations

import pytest

from actors.outcome import Outcome, Verdict
from router.protocols import results
from router.protocols.records import Records

APPLIED = Outcome(Verdict.APPLIED, b"data")
REJECTED = Outcome(Verdict.REJECTED)
FAILED = results.failed("handler_error", "no")
DOUBT = results.in_doubt("cancelled", "who knows")


@pytest.mark.parametrize("outcome", [APPLIED, REJECTED])
@pytest.mark.parametrize("attempt", [1, 2, 9])
def test_what_is_final_answers_whoever_asks(outcome: Outcome, attempt: int) -> None:
    records = Records()
    records.keep("a", outcome, 2, heard=True)
    for _ in range(3):
        assert records.answer("a", attempt, safe=True) == outcome


def test_a_failure_that_was_heard_is_not_remembered() -> None:
    records = Records()
    records.keep("a", FAILED, 1, heard=True)
    assert records.answer("a", 1, safe=False) is None


def test_a_failure_nobody_heard_is_told_once() -> None:
    records = Records()
    records.keep("a", FAILED, 1, heard=False)
    assert records.answer("a", 2, safe=False) == FAILED
    assert records.answer("a", 3, safe=False) is None


def test_what_was_not_executed_is_not_remembered() -> None:
    records = Records()
    records.keep("a", results.deferred("busy", "later", 1), 1, heard=False)
    records.keep("b", Outcome(Verdict.NOT_APPLIED), 1, heard=False)
    assert len(records) == 0


def test_an_end_in_doubt_is_repeated_only_where_that_does_no_harm() -> None:
    records = Records()
    for id_, safe, answer in (("a", False, DOUBT), ("b", True, None)):
        records.keep(id_, DOUBT, 1, heard=True)
        assert records.answer(id_, 2, safe=safe) == answer


def test_a_replayed_dead_letter_is_executed_though_its_end_was_in_doubt() -> None:
    records = Records()
    records.keep("a", DOUBT, 3, heard=True)
    assert records.answer("a", 1, safe=False) is None


def test_the_oldest_go_when_there_are_too_many() -> None:
    records = Records(limit=3)
    for id_ in "abcd":
        records.keep(id_, APPLIED, 1, heard=True)
    assert [records.find(id_) is not None for id_ in "abcd"] == [False, True, True, True]


def test_the_oldest_go_when_their_results_are_too_large() -> None:
    records = Records(limit_bytes=1_000)
    for id_ in "abcd":
        records.keep(id_, Outcome(Verdict.APPLIED, b"x" * 400), 1, heard=True)
    assert [records.find(id_) is not None for id_ in "abcd"] == [False, False, True, True]
    records.forget("c")
    records.keep("e", Outcome(Verdict.APPLIED, b"x" * 600), 1, heard=True)
    assert records.find("d") is not None
    records.keep("f", Outcome(Verdict.APPLIED, b"x" * 2_000), 1, heard=True)
    assert len(records) == 0


def test_the_same_id_again_counts_once() -> None:
    records = Records(limit_bytes=1_000)
    for _ in range(10):
        records.keep("a", Outcome(Verdict.APPLIED, b"x" * 600), 1, heard=True)
    assert records.find("a") is not None
