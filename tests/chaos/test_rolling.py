"""M14: three routers are told to go one after the other, and their successors come, under steady load."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.chaos.fleet import Fleet, nurseries
from tests.chaos.handover import history_of, redeliveries, waits
from tests.chaos.nursery import said
from tests.chaos.storm import Storm, Weather
from tests.history.recorder import read
from tests.servers.redis import RedisServer


@pytest.mark.timeout(240)
def test_m14_a_rolling_restart_delivers_nothing_twice_and_loses_nothing(tmp_path: Path, seed: int) -> None:
    print(f"CHAOS_SEED={seed}")
    with ExitStack() as stack:
        server = stack.enter_context(RedisServer(tmp_path / "redis"))
        forks = stack.enter_context(nurseries(tmp_path, 3))
        for nursery in forks:
            stack.enter_context(said(nursery))
        found = Storm(Fleet(tmp_path, server.url, forks), server, Weather(seed, ["roll"], guilds=40)).run()
    history = history_of(read(tmp_path))
    gaps = sorted(wait.ms for wait in waits(history))
    print(found)
    print(f"{len(gaps)} waits: p50 {gaps[len(gaps) // 2]:.0f} ms, longest {gaps[-5:]} ms; the goal is 200")
    assert found.violations == []
    assert redeliveries(history) == []
    assert len({wait.router for wait in waits(history)}) == 3
