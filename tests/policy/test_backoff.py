"""How long to wait after a failure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.policy.backoff import delay, exhausted
from actors.policy.facts import Backoff

SECOND = 1_000
MINUTE = 60 * SECOND
DAY = 24 * 60 * MINUTE


@pytest.mark.parametrize(
    ("before", "initial", "cap", "expected"),
    [
        (0, 5 * MINUTE, 7 * MINUTE, 5 * MINUTE),
        (2, 5 * SECOND, 7 * SECOND, 7 * SECOND),
        (2, 5 * SECOND, 7 * DAY, 20 * SECOND),
        (29, 5 * MINUTE, 10 * MINUTE, 10 * MINUTE),
        (2**31 - 1, 10_000 * DAY, 10_000 * DAY, 10_000 * DAY),
        (2**31 - 1, 1, 10_000 * DAY, 10_000 * DAY),
    ],
)
def test_r1_doubles_up_to_the_cap_and_never_overflows(before: int, initial: int, cap: int, expected: int) -> None:
    assert delay(Backoff(initial, 2.0, cap, 0.0), before + 1, 0.5) == expected


def test_the_defaults_are_2_4_8_16_30_30_seconds_at_most() -> None:
    assert [delay(Backoff(), failures, 1.0) for failures in range(1, 7)] == [
        2_000,
        4_000,
        8_000,
        16_000,
        30_000,
        30_000,
    ]
    assert delay(Backoff(), 3, 0.0) == 0
    assert delay(Backoff(), 3, 0.25) == 2_000


def test_before_the_first_failure_it_is_as_after_it() -> None:
    assert delay(Backoff(jitter=0.0), 0, 0.5) == delay(Backoff(jitter=0.0), 1, 0.5) == 2_000


@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=20, max_size=20, unique=True))
def test_r2_a_fraction_spreads_upwards_only(randoms: list[float]) -> None:
    delays = [delay(Backoff(10_000, 2.0, 10_000, 0.2), 4, random) for random in randoms]
    assert all(10_000 <= each <= 12_000 for each in delays)


def test_r2_the_spread_is_used() -> None:
    delays = {delay(Backoff(10_000, 2.0, 10_000, 0.2), 4, step / 1_000) for step in range(1_000)}
    assert min(delays) == 10_000
    assert max(delays) > 11_990
    assert len(delays) == 1_000


@given(
    st.builds(
        Backoff,
        initial=st.integers(0, 10**12),
        factor=st.floats(0, 1e6),
        cap=st.integers(0, 10**12),
        jitter=st.just("full") | st.floats(0, 1),
    ),
    st.integers(0, 2**63),
    st.floats(0, 1, exclude_max=True),
)
def test_any_backoff_is_a_finite_time_below_its_cap(backoff: Backoff, failures: int, random: float) -> None:
    found = delay(backoff, failures, random)
    assert type(found) is int
    spread = 1 if backoff.jitter == "full" else 1 + float(backoff.jitter)
    assert 0 <= found <= backoff.cap * spread + 1


@given(st.integers(1, 10**6), st.floats(1, 10), st.integers(1, 10**9), st.integers(1, 200))
def test_without_jitter_it_never_shrinks(initial: int, factor: float, cap: int, failures: int) -> None:
    backoff = Backoff(initial, factor, cap, 0.0)
    assert delay(backoff, failures, 0.5) <= delay(backoff, failures + 1, 0.5)


def test_r3_endless_one_and_three_attempts() -> None:
    assert not any(exhausted(spent, 0) for spent in (0, 1, 3, 10**9))
    assert not exhausted(0, 1)
    assert exhausted(1, 1)
    assert not exhausted(2, 3)
    assert exhausted(3, 3)
    assert exhausted(4, 3)
