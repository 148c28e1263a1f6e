"""Breakers of several routers on one store: they share what they know of targets, and nothing else."""

from __future__ import annotations

from typing import Any

from actors.policy.breaker import BreakerSettings, Condition
from tests.engine.town import House, Town

QUICK = BreakerSettings(failure_threshold=3, recovery_timeout=30_000)


def fail(house: House, name: str) -> None:
    breaker = house.engine.breakers.get(name)
    now = house.clock.now()
    for _ in range(3):
        permit: Any = breaker.permit(now)
        breaker.fail(permit, now)


def condition(house: House, name: str) -> Condition:
    return house.engine.breakers.get(name).condition


def test_a_target_that_one_router_finds_down_rests_at_the_others_and_each_finds_out_when_it_is_back(town: Town) -> None:
    first, second = town.house(breakers=QUICK), town.house(breakers=QUICK)
    fail(first, "rest:api")
    town.advance(0.1)
    assert condition(second, "rest:api") is Condition.OPEN
    assert condition(second, "rest:other") is Condition.CLOSED
    town.advance(31)
    for house in (first, second):
        breaker = house.engine.breakers.get("rest:api")
        permit: Any = breaker.permit(house.clock.now())
        breaker.succeed(permit, house.clock.now())
        assert breaker.condition is Condition.CLOSED


def test_a_protocol_that_one_router_finds_down_is_no_business_of_the_others(town: Town) -> None:
    first, second = town.house(breakers=QUICK), town.house(breakers=QUICK)
    fail(first, "direct")
    town.advance(0.1)
    assert condition(first, "direct") is Condition.OPEN
    assert condition(second, "direct") is Condition.CLOSED
    assert second.send("x", guild=town.guild_of(second)).status == "ok"


def test_c19_a_router_that_comes_later_knows_of_targets_that_are_down_and_of_no_others_protocols(town: Town) -> None:
    first = town.house(breakers=QUICK)
    fail(first, "rest:api")
    fail(first, "direct")
    town.advance(0.1)
    late = town.house(breakers=QUICK)
    assert condition(late, "rest:api") is Condition.OPEN
    assert condition(late, "direct") is Condition.CLOSED
