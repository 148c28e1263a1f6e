"""The pure rules of named queues."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.policy.consuming import QueueRules, Room, retry_at, room
from actors.policy.facts import Backoff


def test_concurrency_bounds_what_may_begin() -> None:
    rules = QueueRules(concurrency=3)
    assert [room(rules, deque(), in_hand, 0).entries for in_hand in (0, 2, 3, 5)] == [3, 1, 0, 0]


def test_two_per_minute_says_when_the_next_may_begin() -> None:
    rules = QueueRules(rate=2, rate_window=60_000)
    begun = deque([1_000, 31_000])
    assert room(rules, begun, 0, 40_000) == Room(0, 61_000)
    assert room(rules, begun, 0, 60_999) == Room(0, 61_000)
    assert room(rules, begun, 0, 61_000) == Room(1)
    assert list(begun) == [31_000]


def test_a_full_hand_does_not_ask_to_be_reminded() -> None:
    rules = QueueRules(concurrency=1, rate=5)
    assert room(rules, deque([0]), 1, 0) == Room(0)


@given(
    rate=st.integers(1, 5),
    window=st.integers(10, 1_000),
    steps=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 8)), max_size=60),
)
def test_no_window_ever_sees_more_than_the_rate(rate: int, window: int, steps: list[tuple[int, int]]) -> None:
    rules = QueueRules(concurrency=100, rate=rate, rate_window=window)
    now, begun, starts = 0, deque[int](), []
    for pause, wish in steps:
        now += pause
        allowed = min(wish, room(rules, begun, 0, now).entries)
        begun.extend([now] * allowed)
        starts.extend([now] * allowed)
    for start in starts:
        assert sum(start <= other < start + window for other in starts) <= rate


@given(
    rate=st.integers(1, 5),
    starts=st.lists(st.integers(0, 1_000), max_size=20),
    now=st.integers(1_000, 3_000),
)
def test_whoever_comes_back_when_told_finds_room(rate: int, starts: list[int], now: int) -> None:
    rules = QueueRules(rate=rate, rate_window=1_000)
    begun = deque(sorted(starts))
    first = room(rules, begun, 0, now)
    if not first.entries:
        assert first.again > now
        assert room(rules, begun, 0, first.again - 1).entries == 0
        assert room(rules, begun, 0, first.again).entries > 0


def test_a_failed_attempt_waits_for_its_backoff_and_the_last_one_is_dead() -> None:
    rules = QueueRules(backoff=Backoff(initial=2_000, factor=2, cap=30_000, jitter=0.0))
    assert [retry_at(rules, attempt, 3, 1_000, 0.5) for attempt in (1, 2, 3)] == [3_000, 5_000, None]


def test_no_limit_of_attempts_is_without_end() -> None:
    assert retry_at(QueueRules(), 1_000_000, 0, 0, 0.5) is not None


@pytest.mark.parametrize(
    "wrong",
    [{"concurrency": 0}, {"lease": 99}, {"depth": 0}, {"rate": -1}, {"attempts": -1}, {"retention_done": -1}],
)
def test_rules_that_cannot_work_are_refused_by_name(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        QueueRules(**wrong)
