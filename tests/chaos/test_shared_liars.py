"""Routers that share a Redis and are broken on purpose: the checker hears each, and nothing of the right ones."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.chaos.load import HOLD, Order
from tests.chaos.neighbours import Neighbours
from tests.chaos.nursery import Nursery, said
from tests.history.events import Begin, Effect, End, Event, Ok
from tests.servers.shared import options, server

GUILDS = [f"guild-{number}" for number in range(12)]
FEW = GUILDS[:4]  # as many as run at once


def order(kind: str, guild: str, key: str, before: int = 0, after: int = 0) -> Order:
    return Order(kind, guild, "ann", f"{guild}-{key}", before=before, after=after)


def of(kind: type[Event], ending: str = "", by: str = "") -> Callable[[Event], bool]:
    return lambda event: (
        isinstance(event, kind) and getattr(event, "key", "").endswith(ending) and (not by or event.by == by)
    )


def an_owner_freezes_and_wakes(town: Neighbours) -> None:
    """It was stopped when its handlers had done their work and not said so; behind them another command waits."""
    first = [order("CHAOS_STEP", guild, "m1", after=1_500) for guild in FEW]
    second = [order("CHAOS_STRIKE", guild, "m2", before=1_500) for guild in FEW]
    one = town.start(0, *first, *second)
    town.wait_for(of(Ok), 2 * len(FEW))
    town.wait_for(of(Effect, "m1"), len(FEW))
    town.freeze(one)
    assert not town.lines(of(End)), "it was stopped too late to show anything"
    two = town.start(1)
    town.wait_for(of(Begin, "m2", by=two.name), len(FEW))
    town.thaw(one)
    town.wait_for(of(Effect, "m2", by=two.name), len(FEW))
    town.wait_for(of(Effect, "m2"), len(town.lines(of(Begin, "m2"))))
    for each in (one, two):
        town.kill(each)


def a_router_is_killed_that_accepted_for_another(town: Neighbours) -> None:
    """Both own some of the guilds."""
    two = town.start(1)
    orders = [order("CHAOS_STEP", guild, f"m{number}") for number in range(3) for guild in GUILDS]
    one = town.start(0, *orders)
    town.wait_for(of(Ok), len(orders))
    for each in (one, two):
        town.kill(each)


def an_owner_is_killed_with_work_waiting(town: Neighbours) -> None:
    """Its neighbour takes over five of each guild."""
    orders = [order("CHAOS_STEP", guild, f"m{at}", before=0 if at else HOLD) for at in range(6) for guild in FEW]
    one = town.start(0, *orders)
    town.wait_for(of(Ok), len(orders))
    two = town.start(1)
    town.kill(one)
    town.wait_for(of(Effect), len(orders))
    town.kill(two)


FREEZE, HASTE, TAKEOVER = (
    an_owner_freezes_and_wakes,
    a_router_is_killed_that_accepted_for_another,
    (an_owner_is_killed_with_work_waiting),
)


@pytest.mark.parametrize(
    ("what_happens", "lie", "rules"),
    [
        pytest.param(FREEZE, "unfenced", {"K5", "K6", "K7"}, id="no-fencing"),
        pytest.param(FREEZE, "", set(), id="fencing"),
        pytest.param(HASTE, "hasty", {"K1"}, id="acknowledged-before-it-is-stored"),
        pytest.param(HASTE, "", set(), id="acknowledged-when-it-is-stored"),
        pytest.param(TAKEOVER, "unordered", {"K4"}, id="a-takeover-from-a-set"),
        pytest.param(TAKEOVER, "", set(), id="a-takeover-in-order"),
    ],
)
def test_a_broken_neighbour_is_caught_and_a_right_one_is_not(
    tmp_path: Path,
    nurseries: list[Nursery],
    what_happens: Callable[[Neighbours], None],
    lie: str,
    rules: set[str],
) -> None:
    """M2, M17: the world outside looks at no token here, so that the routers alone must be right."""
    url = f"{server().url}?prefix={options().prefix}&partitions=8"
    with ExitStack() as stack:
        for nursery in nurseries:
            stack.enter_context(said(nursery))
        town = Neighbours(tmp_path, url, nurseries, lie=lie, fenced=False)
        what_happens(town)
        outcome = town.finish(0)
    print(outcome)
    found = {violation.rule for violation in outcome.violations}
    assert (rules <= found) if rules else not outcome.violations
    if "K7" in rules:  # and not only its handlers did what they should not
        assert any("wrote to partition" in violation.what for violation in outcome.violations)
