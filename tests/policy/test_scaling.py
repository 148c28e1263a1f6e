"""How many processes: thresholds, bounds and cooldowns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.scaling import Bounds, Changes, wanted

BOUNDS = Bounds(1, 4)
LONG_AGO = Changes(None, -10_000.0)
loads = st.lists(st.floats(0, 2), max_size=6)


@pytest.mark.parametrize(
    ("mean", "count", "expected"),
    [(0.81, 2, 3), (0.8, 2, 2), (0.5, 2, 2), (0.3, 2, 2), (0.29, 2, 1), (0.9, 4, 4), (0.1, 1, 1)],
)
def test_thresholds(mean: float, count: int, expected: int) -> None:
    assert wanted(count, [mean] * count, LONG_AGO, 0.0, BOUNDS) == expected


def test_the_mean_counts_not_the_worst() -> None:
    assert wanted(2, [1.5, 0.0], LONG_AGO, 0.0, BOUNDS) == 2
    assert wanted(2, [1.5, 0.2], LONG_AGO, 0.0, BOUNDS) == 3


def test_one_more_at_once_and_the_next_after_the_cooldown() -> None:
    assert wanted(1, [1.0], Changes(None, 0.0), 0.0, BOUNDS) == 2
    assert wanted(2, [1.0, 1.0], Changes(0.0, 0.0), 299.9, BOUNDS) == 2
    assert wanted(2, [1.0, 1.0], Changes(0.0, 0.0), 300.0, BOUNDS) == 3


def test_one_fewer_only_after_a_calm_time() -> None:
    assert wanted(3, [0.0] * 3, Changes(0.0, 0.0), 599.9, BOUNDS) == 3
    assert wanted(3, [0.0] * 3, Changes(0.0, 0.0), 600.0, BOUNDS) == 2


def test_one_that_was_taken_away_may_be_missed_at_once() -> None:
    assert wanted(2, [0.9, 0.9], Changes(0.0, 1_000.0), 1_000.0, BOUNDS) == 3


@given(st.integers(0, 8), loads, st.floats(0, 1e6))
def test_the_bounds_hold_and_steps_are_small(count: int, figures: list[float], now: float) -> None:
    result = wanted(count, figures, Changes(None, 0.0), now, BOUNDS)
    assert 1 <= result <= 4
    assert abs(result - min(max(count, 1), 4)) <= 1


@pytest.mark.parametrize("wrong", [{"least": 0}, {"least": 3, "most": 2}, {"below": 0.9}])
def test_bounds_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"must be|neither"):
        Bounds(**wrong)
