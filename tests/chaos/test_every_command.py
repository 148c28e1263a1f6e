"""Q23 over Redis: a router is killed at its Nth command to Redis, for every N of one scene; the next one goes on.

CHAOS_EVERY=1 tries each of them, which takes a minute or two; by default it is every seventh, from a place that the
seed chooses.
"""

from __future__ import annotations

import os
import random
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.chaos.load import Order, wait_until
from tests.chaos.neighbours import Neighbour, Neighbours
from tests.chaos.nursery import Nursery, said
from tests.chaos.trap import Trap
from tests.history.events import Effect, End
from tests.servers.proxy import Proxy
from tests.servers.shared import options, server

EVERY = int(os.environ.get("CHAOS_EVERY", "7"))
ALL = 400
"""More commands than the scene has."""


def scene() -> list[Order]:
    """A retry, a dead letter, one that must not be repeated, one over a named queue, and what waits behind them."""
    return [
        Order("CHAOS_STEP", "guild-1", "ann", "again", fails=1),
        Order("CHAOS_STRIKE", "guild-1", "ann", "once"),
        Order("CHAOS_STEP", "guild-1", "bob", "queued", reliable=True),
        Order("CHAOS_DOOMED", "guild-2", "ann", "doomed"),
        Order("CHAOS_STEP", "guild-2", "ann", "behind"),
        Order("CHAOS_STRIKE", "guild-2", "bob", "queued-once", reliable=True),
    ]


def is_over(town: Neighbours) -> bool:
    effects = {event.key for event in town.lines(lambda event: isinstance(event, Effect))}
    failures = town.lines(lambda event: isinstance(event, End) and event.outcome == "failed")
    return len(effects) == 5 and len(failures) == 3


@pytest.mark.timeout(600)
@pytest.mark.parametrize("done", [False, True], ids=["lost-on-the-way-in", "done-and-not-heard"])
def test_q23_killed_at_any_command_to_redis(tmp_path: Path, nursery: Nursery, seed: int, done: bool) -> None:
    first = random.Random(seed).randrange(EVERY) + 1
    print(f"CHAOS_SEED={seed}, from {first} in steps of {EVERY}")
    tried = 0
    for at in range(first, ALL, EVERY):
        folder = tmp_path / str(at)
        folder.mkdir()
        if not killed_at(at, folder, nursery, done=done):
            break
        tried += 1
    assert tried > 20 / EVERY


def killed_at(at: int, folder: Path, nursery: Nursery, *, done: bool) -> bool:
    """Whether the scene has so many commands; if it has, the checker found nothing wrong."""
    prefix = options().prefix
    with ExitStack() as stack:
        stack.enter_context(said(nursery))
        proxy = stack.enter_context(Proxy(server().port))
        town = Neighbours(folder, f"{server().url}?prefix={prefix}&partitions=2", [nursery])
        victims: list[Neighbour] = []

        def spring() -> None:
            wait_until(lambda: bool(victims), 5, lambda: "it speaks before it was born")
            victims[0].life.signal(signal.SIGKILL)
            assert victims[0].life.wait(10) == -signal.SIGKILL
            town.note("kill", victims[0])

        trap = Trap(proxy, at, spring, done=done, matter=lambda words: words[0] != b"PING")
        victims.append(town.launch(0, *scene(), store=f"redis://127.0.0.1:{proxy.port}/0?prefix={prefix}&partitions=2"))
        wait_until(lambda: trap.sprung.is_set() or is_over(town), 30, lambda: f"it stands still at {trap.count}")
        if not trap.sprung.is_set():
            town.kill(victims[0])
            return False
        outcome = town.finish(0)
    assert outcome.violations == [], f"killed at {at}: {trap.words}"
    return True
