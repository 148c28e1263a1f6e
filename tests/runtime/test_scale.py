"""Many actors, and a hot one among them: S23 and S35 at size, with real threads."""

from __future__ import annotations

import gc
import logging
import threading
import time
from typing import Any

import psutil
import pytest

from actors.runtime import Actor, ChildSpec, PoolDispatcher, Runtime, SupervisorSpec
from actors.runtime.testing import ManualClock, Stepper

from .conftest import CAP

MANY = 100_000


class Guild(Actor):
    """As small as an actor with some state is."""

    def __init__(self) -> None:
        self.seen = 0

    def on_receive(self, message: Any) -> int:
        self.seen += 1
        return self.seen


def many(runtime: Runtime) -> Any:
    runtime.start(SupervisorSpec("root", [SupervisorSpec("guilds", dynamic=True, per_child=True)]))
    return runtime.supervisor("guilds")


def test_a_hundred_thousand_actors_live_on_a_small_pool(capsys: pytest.CaptureFixture[str]) -> None:
    process = psutil.Process()
    gc.collect()
    before = process.memory_info().rss
    runtime = Runtime()
    guilds = many(runtime)
    begun = time.perf_counter()
    refs = [guilds.start_child(ChildSpec(f"g{n}", Guild, dispatcher="pool")) for n in range(MANY)]
    for ref in refs:
        ref.tell("hello")
    answers = [ref.ask("how many?", block=False) for ref in refs]
    assert {answer.get(60) for answer in answers} == {2}
    took = time.perf_counter() - begun
    del answers
    gc.collect()
    megabytes = (process.memory_info().rss - before) / 1e6
    threads = threading.active_count()
    counts = guilds.count_children()
    runtime.stop(30)
    with capsys.disabled():
        print(f"\n{MANY:,} actors: {took:.1f} s to start, tell and ask each; {megabytes:.0f} MB; {threads} threads")
    assert counts == (1, MANY, 0, MANY)
    assert threads <= 16
    assert megabytes < 300
    assert runtime.wait_stopped(0) == "stopped"


def test_a_hot_actor_cannot_starve_the_rest() -> None:
    """It has always more to do, on a pool of one thread; the others get their turn after each of its slices."""
    order: list[str] = []

    class Hot(Actor):
        slice_size = 10

        def on_receive(self, message: Any) -> None:
            order.append("hot")
            self.me.tell(message)

    class Cold(Actor):
        def on_receive(self, message: Any) -> int:
            order.append("cold")
            return len(order)

    runtime = Runtime(dispatchers={"pool": PoolDispatcher(1)})
    specs = [ChildSpec("hot", Hot, dispatcher="pool"), ChildSpec("cold", Cold, dispatcher="pool")]
    runtime.start(SupervisorSpec("root", specs))
    runtime.ref("hot").tell_many(range(1000))
    for _ in range(20):
        runtime.ref("cold").ask("?", CAP)
    runtime.ref("hot").kill()
    runtime.supervisor("root").terminate_child("hot", timeout=CAP)
    runtime.stop(CAP)
    assert order.count("cold") == 20


def test_the_wait_behind_a_hot_actor_is_one_slice() -> None:
    order: list[str] = []

    class Hot(Actor):
        slice_size = 10

        def on_receive(self, message: Any) -> None:
            order.append(self.me.name)

    stepper = Stepper()
    runtime = Runtime(ManualClock(), stepper=stepper)
    runtime.start(SupervisorSpec("root", [ChildSpec(name, Hot) for name in ("hot", "cold")]))
    runtime.ref("hot").tell_many(range(1000))
    runtime.ref("cold").tell("?")
    stepper.run()
    assert order.index("cold") == 10
    assert len(order) == 1001
    runtime.stop()


def dynamic_round(size: int) -> float:
    stepper = Stepper()
    runtime = Runtime(ManualClock(), stepper=stepper)
    guilds = many(runtime)
    begun = time.process_time()
    for number in range(size):
        guilds.start_child(ChildSpec(f"g{number}", Guild))
    stepper.run(10 * size)
    runtime.stop()
    return time.process_time() - begun


def static_round(size: int) -> float:
    runtime = Runtime(ManualClock(), stepper=Stepper())
    begun = time.process_time()
    runtime.start(SupervisorSpec("root", [ChildSpec(f"g{number}", Guild) for number in range(size)]))
    runtime.stop()
    return time.process_time() - begun


@pytest.mark.parametrize("one_round", [dynamic_round, static_round])
def test_s35_the_cost_of_a_child_does_not_grow_with_their_number(one_round: Any) -> None:
    logging.getLogger("actors.runtime").debug("warm up: %s", one_round(100))
    small = min(one_round(100) for _ in range(3))
    large = one_round(10_000)
    assert large / small <= 10 * 100
