"""The event loop's lateness."""

from __future__ import annotations

import asyncio
import time

import pytest

from router.http.loop import EVERY, LoopMeter


def test_a_loop_that_runs_is_not_late() -> None:
    async def run() -> float:
        meter = LoopMeter(2_000)
        task = asyncio.create_task(meter.run())
        await asyncio.sleep(EVERY / 2)  # real time: the meter measures real loops
        share = meter.read()
        task.cancel()
        return share

    assert asyncio.run(run()) < 0.5


def test_lateness_counts_when_it_lasts_and_not_for_one_long_turn() -> None:
    meter = LoopMeter(2_000)
    for lag in (0.0, 9.0, 4.0):
        meter._note(lag)
    assert meter.read() == 0.0
    meter._note(8.0)
    assert meter.read() == pytest.approx(2.0)
    assert meter.lag == 8.0
    for _ in range(3):
        meter._note(-0.1)
    assert (meter.read(), meter.lag) == (0.0, 0.0)


def test_a_loop_that_stands_still_is_seen_from_another_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    meter = LoopMeter(2_000)
    now = time.monotonic()
    meter._due = now
    monkeypatch.setattr(time, "monotonic", lambda: now + 12)
    assert meter.read() == pytest.approx(2.0)
    assert meter.lag == 12
