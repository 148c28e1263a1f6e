"""The clocks."""

from __future__ import annotations

import logging
import threading
import time

import pytest

from actors.runtime import NotRunning, SystemClock
from actors.runtime.testing import ManualClock

from .conftest import CAP


def test_the_system_clock_shows_the_time_of_day_in_milliseconds() -> None:
    clock = SystemClock()
    assert abs(clock.now() - time.time() * 1000) < 1000


def test_a_jump_of_the_wall_clock_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SystemClock()
    before = clock.now()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    assert 0 <= clock.now() - before < 60_000


def test_a_clock_nobody_asks_for_a_timer_has_no_thread() -> None:
    before = threading.active_count()
    SystemClock().now()
    assert threading.active_count() == before


def test_timers_fire_in_the_order_they_are_due() -> None:
    clock = SystemClock()
    fired: list[str] = []
    done = threading.Event()
    clock.call_later(0.06, done.set)
    clock.call_later(0.04, lambda: fired.append("second"))
    clock.call_later(0.02, lambda: fired.append("first"))
    assert done.wait(CAP)
    assert fired == ["first", "second"]
    clock.close()


def test_a_timer_that_raises_does_not_end_the_clock(caplog: pytest.LogCaptureFixture) -> None:
    clock = SystemClock()
    done = threading.Event()

    def bad() -> None:
        raise SystemExit("not here")

    with caplog.at_level(logging.ERROR):
        clock.call_later(0, bad)
        clock.call_later(0.001, done.set)
        assert done.wait(CAP)
    assert "a timer's callback raised" in caplog.text
    clock.close()


def test_a_cancelled_timer_does_not_fire() -> None:
    clock = SystemClock()
    fired = threading.Event()
    done = threading.Event()
    timer = clock.call_later(0.01, fired.set)
    timer.cancel()
    timer.cancel()
    clock.call_later(0.02, done.set)
    assert done.wait(CAP)
    assert not fired.is_set()
    assert not timer.pending
    clock.close()


def test_close_is_final_and_idempotent() -> None:
    clock = SystemClock()
    clock.call_later(3600, lambda: None)
    clock.close()
    clock.close()
    with pytest.raises(NotRunning):
        clock.call_later(0, lambda: None)


def test_a_clock_may_be_closed_by_its_own_timer() -> None:
    clock = SystemClock()
    done = threading.Event()

    def close() -> None:
        clock.close()
        done.set()

    clock.call_later(0, close)
    assert done.wait(CAP)


def test_cancelled_timers_do_not_pile_up() -> None:
    clock = ManualClock()
    for _ in range(10_000):
        clock.call_later(3600, lambda: None).cancel()
    assert clock.pending() == 0
    assert len(clock._timers._heap) < 200


@pytest.mark.parametrize("delay", [float("nan"), float("inf")])
def test_a_delay_is_a_finite_number(delay: float) -> None:
    for clock in (ManualClock(), SystemClock()):
        with pytest.raises(ValueError, match="finite"):
            clock.call_later(delay, lambda: None)


def test_the_manual_clock_steps_from_timer_to_timer() -> None:
    clock = ManualClock(now_ms=1_000)
    seen: list[tuple[str, int]] = []

    def first() -> None:
        seen.append(("first", clock.now()))
        clock.call_later(1, lambda: seen.append(("chained", clock.now())))

    clock.call_later(3, lambda: seen.append(("last", clock.now())))
    clock.call_later(1, first)
    clock.call_later(9, lambda: seen.append(("too late", clock.now())))
    clock.advance(5)
    assert seen == [("first", 2_000), ("chained", 3_000), ("last", 4_000)]
    assert (clock.now(), clock.monotonic(), clock.pending()) == (6_000, 5.0, 1)


def test_between_is_called_at_each_moment_and_at_the_end() -> None:
    clock = ManualClock(now_ms=0)
    moments: list[int] = []
    clock.call_later(1, lambda: None)
    clock.call_later(2, lambda: None)
    clock.advance(3, lambda: moments.append(clock.now()))
    assert moments == [1_000, 2_000, 3_000]


def test_a_clock_can_be_set_by_somebody_elses() -> None:
    clock = SystemClock()
    before = clock.monotonic()
    clock.set(5_000_000)
    assert 5_000_000 <= clock.now() <= 5_000_000 + (clock.monotonic() - before) * 1_000 + 1
