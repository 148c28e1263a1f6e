"""What the judge of the matrix lets pass."""

from __future__ import annotations

import pytest

from tests.faults.judge import Case, Fault, Seen, complaint

ONCE = Case("direct", Fault.LOST, idempotent=False, fallback=False)


def seen(status: str, effects: int, *, struck: bool = True) -> Seen:
    return Seen(status, struck, runs=1, effects=effects)


@pytest.mark.parametrize("honest", [seen("ok", 1), seen("noop", 1), seen("in_doubt", 0), seen("in_doubt", 1)])
def test_one_effect_or_an_honest_word_passes(honest: Seen) -> None:
    assert complaint(ONCE, honest) == ""


@pytest.mark.parametrize(
    "wrong",
    [
        seen("ok", 2),
        seen("in_doubt", 2),
        seen("ok", 0),
        seen("", 1),
        seen("dead", 1),
        seen("expired", 0),
        seen("ok", 1, struck=False),
    ],
)
def test_two_effects_none_of_either_kind_a_wrong_no_and_a_fault_that_never_came_do_not(wrong: Seen) -> None:
    assert complaint(ONCE, wrong)


def test_a_doubt_about_what_may_be_repeated_is_a_complaint() -> None:
    assert complaint(ONCE._replace(idempotent=True), seen("in_doubt", 1))
