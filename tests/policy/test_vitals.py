"""The sliding window of calls."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.policy.vitals import EDGES, Window


def test_edges_rise_by_a_quarter_at_most() -> None:
    assert list(EDGES) == sorted(set(EDGES))
    assert all(after <= before * 1.26 for before, after in pairwise(EDGES[3:]))


def test_nothing_is_said_of_no_calls() -> None:
    reading = Window().read(0)
    assert (reading.calls, reading.error_rate, reading.p99) == (0, 0.0, 0)


@given(st.lists(st.integers(0, 600_000), min_size=1, max_size=200))
def test_a_percentile_is_never_better_than_the_truth_and_a_quarter_worse_at_most(times: list[int]) -> None:
    window = Window()
    for ms in times:
        window.add(0, ms, well=True)
    reading = window.read(0)
    times.sort()
    for share, told in ((0.5, reading.p50), (0.95, reading.p95), (0.99, reading.p99)):
        truth = times[-(-int(share * 100) * len(times) // 100) - 1]
        assert truth <= told <= max(truth * 1.34, truth + 1)  # below 4 ms an edge is a whole millisecond


def test_failures_count_and_are_not_timed() -> None:
    window = Window()
    window.add(0, 10, well=True)
    for _ in range(3):
        window.add(0, 60_000, well=False)
    reading = window.read(0)
    assert (reading.calls, reading.failed, reading.error_rate, reading.p99) == (4, 3, 0.75, 10)


@pytest.mark.parametrize(("later", "calls"), [(49_999, 1), (60_000, 0), (10**9, 0)])
def test_a_call_leaves_the_window_when_it_is_over(later: int, calls: int) -> None:
    window = Window(60_000)
    window.add(9_999, 5, well=True)
    assert window.read(9_999 + later).calls == calls
