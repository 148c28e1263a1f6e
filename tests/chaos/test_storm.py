"""Three routers over one Redis, killed, frozen and cut off from it: the short form of ``python -m tests.chaos``."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.chaos.fleet import Fleet, nurseries
from tests.chaos.handover import history_of
from tests.chaos.nursery import Nursery, said
from tests.chaos.pauses import calms, freezes
from tests.chaos.run import Outcome
from tests.chaos.storm import WIRED, Storm, Weather, distribution, told
from tests.history.recorder import read
from tests.servers.redis import RedisServer
from tests.servers.wire import Wire

ROUTERS = 3


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Nursery]]:
    with nurseries(tmp_path_factory.mktemp("nurseries"), ROUTERS) as forks:
        yield forks


def storm(folder: Path, forks: Sequence[Nursery], seed: int, *faults: str) -> Outcome:
    order = list(faults)
    random.Random(seed).shuffle(order)
    print(f"CHAOS_SEED={seed}: {', '.join(order)}")
    with ExitStack() as stack:
        server = stack.enter_context(RedisServer(folder / "redis"))
        wires = [stack.enter_context(Wire(server.port, seed)) for _ in forks if WIRED.intersection(faults)]
        for nursery in forks:
            stack.enter_context(said(nursery))
        fleet = Fleet(folder, server.url, forks, wires)
        outcome = Storm(fleet, server, Weather(seed, order, guilds=60)).run()
    print(distribution(read(folder)), *told(folder), outcome, sep="\n")
    return outcome


@pytest.mark.timeout(240)
def test_killed_routers_lose_double_and_reorder_nothing(tmp_path: Path, forks: list[Nursery], seed: int) -> None:
    found = storm(tmp_path, forks, seed, *["kill"] * 5, "two")
    assert found.violations == []
    assert found.statistics["kills"] == 7
    assert found.statistics["new"] > 100


@pytest.mark.timeout(240)
def test_a_frozen_owner_and_an_absent_store_change_nothing(tmp_path: Path, forks: list[Nursery], seed: int) -> None:
    found = storm(tmp_path, forks, seed, "freeze", "store-away", "store-restart")
    assert found.violations == []
    assert found.statistics["new"] > 100
    history = history_of(read(tmp_path))
    (freeze,) = freezes(history)
    assert freeze.taken, "nobody went on without it"
    assert freeze.done == 0
    assert len(list(calms(history))) == 2


@pytest.mark.timeout(240)
def test_wires_that_are_dead_or_slow_or_lose_answers_change_nothing(
    tmp_path: Path, forks: list[Nursery], seed: int
) -> None:
    found = storm(tmp_path, forks, seed, "cut-off", "slow-wires", "bad-wires")
    assert found.violations == []
    assert found.statistics["new"] > 100
