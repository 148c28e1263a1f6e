"""Priorities and the words of errors."""

from __future__ import annotations

from typing import Any

import pytest

from router.errors import BadCatalog, InvalidMessage, Problem, RouterError, UnknownType, shape, shown
from router.messages.priority import Priority, level_of, priority_of


def test_levels_of_all_ten_priorities() -> None:
    low, normal, high, critical = Priority
    assert [level_of(number) for number in range(1, 11)] == [low] * 4 + [normal] * 3 + [high] * 2 + [critical]


def test_a_name_and_its_number_are_one_priority() -> None:
    for priority in Priority:
        assert (
            priority_of(priority.name) == priority_of(priority.name.lower()) == priority_of(int(priority)) == priority
        )
        assert level_of(priority) is priority


@pytest.mark.parametrize("value", ["", "hi", "5", 0, 11, -1, 2.0, True, None, [5]])
def test_what_is_no_priority(value: Any) -> None:
    with pytest.raises(InvalidMessage, match="priority must be 1 to 10"):
        priority_of(value)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "null"),
        (True, "a boolean"),
        (5, "an integer"),
        (0.5, "a number"),
        ("abc", "a string of 3 characters"),
        (b"ab", "2 bytes"),
        ({"a": 1}, "an object of 1 fields"),
        ([1], "a list of 1"),
        ((), "a list of 0"),
        (Priority.LOW, "a Priority"),
        (object(), "a object"),
    ],
)
def test_shapes_tell_type_and_size(value: Any, words: str) -> None:
    assert shape(value) == words


def test_only_harmless_names_are_shown() -> None:
    assert [shown(name) for name in ("userId", "a.b[0]", "BAN_USER")] == ["userId", "a.b[0]", "BAN_USER"]
    for name in ("a b", "a\n", "<b>", "x" * 200, "", 5, None, "\u202e"):
        assert shown(name).startswith("<")


def test_every_error_has_a_code_of_its_own_and_travels_as_a_fault() -> None:
    errors = [InvalidMessage("a", "must be b", "c"), UnknownType("NO"), BadCatalog("x"), RouterError("y")]
    assert len({error.code for error in errors}) == len(errors)
    assert [error.fault.retryable for error in errors] == [False] * 4
    assert errors[0].fault[:2] == ("invalid_message", "a must be b, not c")


def test_several_problems_are_one_error_that_begins_with_the_first() -> None:
    error = InvalidMessage("", "", problems=(Problem("a", "is required"), Problem("b", "must be c", "null")))
    assert (error.field, error.rule, error.shape) == ("a", "is required", "")
    assert str(error) == "a is required (and 1 more)"
    assert str(error.problems[1]) == "b must be c, not null"
