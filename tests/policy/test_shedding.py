"""Whom a router that fills up turns away first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.policy.shedding import LATEST, SOONEST, WATERMARKS, Watermark, admits, retry_after

PRIORITIES = st.integers(1, 10)
LOADS = st.floats(0, 3)


def test_nobody_is_turned_away_from_a_calm_router() -> None:
    assert all(admits(priority, 0.69) for priority in range(1, 11))


def test_low_goes_first_and_critical_last() -> None:
    taken = {load: [priority for priority in range(1, 11) if admits(priority, load)] for load in (0.7, 0.85, 0.95, 1.0)}
    assert taken == {0.7: [5, 6, 7, 8, 9, 10], 0.85: [8, 9, 10], 0.95: [10], 1.0: []}


@given(PRIORITIES, PRIORITIES, LOADS)
def test_whoever_is_taken_would_be_taken_with_a_higher_priority_too(one: int, other: int, load: float) -> None:
    low, high = sorted((one, other))
    assert admits(high, load) or not admits(low, load)


@given(PRIORITIES, LOADS, LOADS)
def test_whoever_is_taken_would_be_taken_at_a_lower_load_too(priority: int, one: float, other: float) -> None:
    less, more = sorted((one, other))
    assert admits(priority, less) or not admits(priority, more)


@given(PRIORITIES, LOADS)
def test_advice_is_given_exactly_to_those_who_are_turned_away(priority: int, load: float) -> None:
    advice = retry_after(priority, load)
    assert (advice == 0) == admits(priority, load)
    assert advice == 0 or SOONEST <= advice <= LATEST


def test_advice_grows_with_the_load() -> None:
    assert retry_after(1, 0.7) == SOONEST
    assert SOONEST < retry_after(1, 0.8) < retry_after(1, 1.0) < retry_after(1, 1.2)
    assert retry_after(1, 99.0) == LATEST


def test_a_load_that_is_not_a_number_admits_nothing() -> None:
    assert not admits(10, float("nan"))
    assert retry_after(10, float("nan")) == LATEST


def test_watermarks_are_data() -> None:
    marks = (Watermark(9, 0.9), Watermark(3, 0.5))
    assert admits(9, 0.8, marks)
    assert not admits(8, 0.8, marks)
    assert not admits(1, 0.5, marks)
    assert admits(1, 0.4, marks)
    assert retry_after(8, 0.8, marks) > 0
    assert [mark.priority for mark in WATERMARKS] == sorted((mark.priority for mark in WATERMARKS), reverse=True)
