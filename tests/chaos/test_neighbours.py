"""Routers over one Redis, each with one thing that goes wrong at a chosen moment; the checker has the last word."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from router.stores.redis import scripts
from router.stores.url import open_store
from tests.chaos.load import HOLD, Order, wait_until
from tests.chaos.neighbours import Neighbour, Neighbours
from tests.chaos.nursery import Nursery, said
from tests.chaos.ticks import ticks
from tests.chaos.trap import Trap
from tests.history.events import Begin, Effect, End, Event, Final, Nemesis, Ok
from tests.history.recorder import read
from tests.servers.proxy import Proxy
from tests.servers.shared import options, server

GUILDS = [f"guild-{number}" for number in range(4)]  # as many as run at once
LEASE = 0.5
CLOCKS = 8


@pytest.fixture
def town(tmp_path: Path, nurseries: list[Nursery]) -> Iterator[Neighbours]:
    with ExitStack() as stack:
        for nursery in nurseries:
            stack.enter_context(said(nursery))
        yield Neighbours(tmp_path, f"{server().url}?prefix={options().prefix}&partitions=8", nurseries)


def order(kind: str, guild: str, key: str, **fields: int) -> Order:
    return Order(kind, guild, "ann", f"{guild}-{key}", **fields)


def of(kind: type[Event], ending: str = "", by: str = "") -> Callable[[Event], bool]:
    return lambda event: (
        isinstance(event, kind) and getattr(event, "key", "").endswith(ending) and (not by or event.by == by)
    )


def finish(town: Neighbours) -> None:
    outcome = town.finish(0)
    print(outcome)
    assert outcome.violations == []


# ---------------------------------------------------------------- owners that stand still


def test_m3_an_owner_stopped_before_its_effects_has_none_when_it_wakes(town: Neighbours) -> None:
    one = town.start(0, *(order("CHAOS_STEP", guild, "m", before=1_000) for guild in GUILDS))
    town.wait_for(of(Begin), len(GUILDS))
    town.freeze(one)
    assert town.lines(of(Effect)) == []
    two = town.start(1)
    town.wait_for(of(Effect, by=two.name), len(GUILDS))
    town.thaw(one)
    # Its handlers were turned away by the world outside; what they came to is written by nobody.
    last = town.start(2, order("CHAOS_STEP", "elsewhere", "last"))
    town.wait_for(of(Effect, "last"), 1)
    town.rest()
    assert {event.by for event in town.lines(of(Effect, "m"))} == {two.name}
    for each in (one, two, last):
        town.kill(each)
    finish(town)
    attempts = [event.attempts for event in town.lines(of(Final)) if isinstance(event, Final)]
    assert sorted(attempts)[-len(GUILDS) :] == [2] * len(GUILDS)


def test_q11_a_handler_that_keeps_the_interpreter_for_three_leases_has_no_second_effect(town: Neighbours) -> None:
    two = town.start(1)
    greedy = [order("CHAOS_GREEDY", f"greedy-{number}", "m", before=round(3_000 * LEASE)) for number in range(4)]
    one = town.start(0, *greedy)
    town.wait_for(of(Effect, "m"), len(greedy))
    town.wait_for(lambda event: isinstance(event, Nemesis) and event.action == "takeover", 2)
    for each in (one, two):
        town.kill(each)
    finish(town)
    assert len(town.lines(of(Effect, "m"))) == len(greedy)


def test_q10_m15_a_handler_that_runs_for_ten_leases_keeps_its_guild_though_a_neighbour_comes(town: Neighbours) -> None:
    one = town.start(0, *(order("CHAOS_STEP", guild, "m", before=round(10_000 * LEASE)) for guild in GUILDS))
    town.wait_for(of(Begin), len(GUILDS))
    two = town.start(1)
    town.wait_for(of(End), len(GUILDS))
    assert [event.attempt for event in town.lines(of(Begin)) if isinstance(event, Begin)] == [1] * len(GUILDS)
    for each in (one, two):
        town.kill(each)
    finish(town)


# ---------------------------------------------------------------- several that die


def test_m16_a_new_owner_that_is_killed_too_leaves_everything_to_the_third(town: Neighbours) -> None:
    """Two of three are gone, the second 100 ms after it took over from the first."""
    orders = [order("CHAOS_STEP", guild, f"m{at}", before=80 if at else HOLD) for at in range(4) for guild in GUILDS]
    one = town.start(0, *orders)
    town.wait_for(of(Ok), len(orders))
    two = town.start(1)
    town.kill(one)
    town.wait_for(lambda event: isinstance(event, Nemesis) and event.action == "takeover" and event.by == two.name, 1)
    three = town.start(2)
    two.life.ended(within=0.1)
    killed = time.monotonic_ns()
    town.kill(two)
    town.wait_for(of(Effect), len(orders))
    gaps = _gaps(town, killed)
    print(f"next begins after the last kill: {gaps} ms; the goal is 1,000")
    assert len(gaps) == len(GUILDS), "it was killed too late to show anything"
    town.kill(three)
    finish(town)


def _gaps(town: Neighbours, since: int) -> list[int]:
    """Ms from then to the next begin of each guild that had one."""
    firsts: dict[str, int] = {}
    for event in town.lines(of(Begin)):
        if isinstance(event, Begin) and event.at > since:
            firsts.setdefault(event.guild, round((event.at - since) / 1e6))
    return sorted(firsts.values())


@pytest.mark.parametrize("done", [False, True], ids=["before-it-is-done", "when-it-is-done"])
def test_m16_a_router_killed_while_it_acquires_leaves_nothing_to_nobody(town: Neighbours, done: bool) -> None:
    orders = [order("CHAOS_STEP", guild, f"m{at}", before=0 if at else HOLD) for at in range(3) for guild in GUILDS]
    one = town.start(0, *orders)
    town.wait_for(of(Ok), len(orders))
    with Proxy(server().port) as proxy:
        victims: list[Neighbour] = []

        def spring() -> None:
            wait_until(lambda: bool(victims), 5, lambda: "it speaks before it was born")
            victims[0].life.signal(signal.SIGKILL)
            assert victims[0].life.wait(10) == -signal.SIGKILL
            town.note("kill", victims[0])

        acquire = scripts.ACQUIRE.sha.encode()
        trap = Trap(proxy, 1, spring, done=done, matter=lambda words: len(words) > 1 and words[1] == acquire)
        town.kill(one)
        victims.append(town.launch(1, store=town.store.replace(str(server().port), str(proxy.port))))
        wait_until(trap.sprung.is_set, 10, lambda: "it acquires nothing")
        killed = time.monotonic_ns()
        three = town.start(2)
        town.wait_for(of(Effect), len(orders))
    print(f"next begins after the last kill: {_gaps(town, killed)} ms; the goal is 1,000")
    town.kill(three)
    finish(town)


def test_m24_two_kills_ten_milliseconds_apart_with_a_retry_a_schedule_and_a_burial_under_way(town: Neighbours) -> None:
    one = town.start(0, clocks=CLOCKS)
    two = town.start(1)
    three = town.start(
        2,
        *(order("CHAOS_HOPELESS", f"doomed-{number}", "m") for number in range(4)),
        *(Order("CHAOS_STEP", f"again-{number}", "ann", f"again-{number}", fails=2) for number in range(20)),
    )
    town.wait_for(_is_tick, 1)
    for each in (one, two):
        town.kill(each)
        three.life.ended(within=0.01)
    town.wait_for(lambda event: isinstance(event, Effect) and event.key.startswith("again"), 20)
    town.wait_for(_is_tick, 3 * CLOCKS)
    _unschedule(town.store)
    town.kill(three)
    finish(town)
    _check_ticks(town)


# ---------------------------------------------------------------- schedules


def test_q24_over_three_routers_and_a_kill_every_tick_is_fired_once(town: Neighbours) -> None:
    first, *others = [town.start(place, clocks=CLOCKS) for place in range(3)]
    town.wait_for(_is_tick, CLOCKS + 1)
    town.kill(first)
    town.wait_for(_is_tick, 3 * CLOCKS)
    _unschedule(town.store)
    for each in others:
        town.kill(each)
    finish(town)
    _check_ticks(town)


def _is_tick(event: Event) -> bool:
    return isinstance(event, Effect) and event.key.startswith("schedule:")


def _unschedule(url: str) -> None:
    store = open_store(url)
    store.open(0)
    for number in range(CLOCKS):
        assert store.remove_schedule(f"clock-{number}")
    store.close()


def _check_ticks(town: Neighbours) -> None:
    """One firing of each, from the first to the last; that it was one is the checker's."""
    found = ticks(read(town.folder))
    assert len(found) == CLOCKS
    for fired in found.values():
        assert fired == list(range(fired[0], fired[-1] + 1, 1_000))
