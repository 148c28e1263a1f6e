"""Rates of several routers on one store: what is let in is counted together, and never without being counted."""

from __future__ import annotations

import pytest

from actors.errors import RateLimited, StoreUnavailable
from actors.options import Options, TypeOptions
from tests.engine.town import House, Town
from tests.engine.world import Sender


def houses(town: Town, count: int, **options: object) -> list[House]:
    chosen = Options(**options)
    return [town.house(options=chosen) for _ in range(count)]


def post(town: Town, routers: list[House], count: int, **fields: object) -> list[Sender]:
    """So many, one door after the other, all in one instant."""
    senders = []
    for number in range(count):
        house = routers[number % len(routers)]
        senders += house.post(house.envelope(**fields))
    town.run()
    return senders


def taken(senders: list[Sender]) -> int:
    return sum(bool(sender.accepted) for sender in senders)


def refusals(senders: list[Sender]) -> list[str]:
    return [getattr(sender.refusal, "limit", sender.refusal.code) for sender in senders if sender.refusals]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_guilds_rate_is_what_was_set_over_however_many_routers(town: Town, count: int) -> None:
    senders = post(town, houses(town, count, guild_rate=10), 20)
    assert taken(senders) == 10
    assert refusals(senders) == ["guild rate"] * 10
    assert all(
        isinstance(sender.refusal, RateLimited) and sender.refusal.retry_after > 0
        for sender in senders
        if sender.refusals
    )
    town.advance(1.0)
    for house in town:
        house.at_rest_here()


def test_whoever_comes_back_when_told_is_let_in_at_any_door(town: Town) -> None:
    one, two = routers = houses(town, 2, guild_rate=4)
    assert taken(post(town, routers, 4)) == 4
    late = one.send()
    assert 0 < late.refusal.retry_after <= 250
    town.advance(late.refusal.retry_after / 1000)
    assert two.send().accepted
    assert one.send().refusals
    assert one.send(guild="other").accepted


def test_users_and_types_are_counted_over_guilds_and_routers(town: Town) -> None:
    types = {"RARE": TypeOptions(rate=2, rate_window=60_000)}
    routers = houses(town, 3, user_rate=3, types=types)
    assert taken([each for n in range(6) for each in post(town, routers[n % 3 :], 1, guild=f"{n}", user="u")]) == 3
    rare = [each for n in range(6) for each in post(town, routers[n % 3 :], 1, guild=f"{n}", type="RARE")]
    assert (taken(rare), refusals(rare)) == (2, ["type rate"] * 4)
    assert taken(post(town, routers, 9)) == 9


def test_who_is_refused_at_one_level_has_spent_nothing_at_the_others(town: Town) -> None:
    one, two = routers = houses(town, 2, router_rate=6, guild_rate=4, user_rate=1)
    first = post(town, routers, 6, user="u")
    assert (taken(first), refusals(first)) == (1, ["user rate"] * 5)
    rest = post(town, routers, 4, user="")
    assert (taken(rest), refusals(rest)) == (3, ["guild rate"])
    # Of this router's own rate 6: one of u's and at most two of those that followed are spent.
    assert taken([one.send(guild=f"{n}") for n in range(3)]) == 3
    assert taken([two.send(guild=f"{n}") for n in range(5, 8)]) == 3


def test_the_routers_own_rate_is_each_ones_own(town: Town) -> None:
    routers = houses(town, 2, router_rate=5)
    assert taken(post(town, routers, 20)) == 10


def test_what_cannot_be_counted_is_not_let_in(town: Town) -> None:
    (one, two) = houses(town, 2, guild_rate=10, types={"FREE": TypeOptions(backlog=9)})
    town.hub.faults_of(one.router).down = True
    senders = post(town, [one], 3)
    assert taken(senders) == 0
    for sender in senders:
        assert isinstance(sender.refusal, StoreUnavailable)
        assert sender.refusal.retry_after >= 1_000
        assert town.stored(sender.id) is None
    assert two.send().accepted
    town.hub.faults_of(one.router).down = False
    assert isinstance(one.send().refusal, StoreUnavailable)  # it is not asked again at once
    town.advance(1.0)
    assert one.send().accepted
    town.advance(1.0)
    one.at_rest_here()


def test_commands_without_a_rate_are_let_in_whatever_becomes_of_those_that_have_one(town: Town) -> None:
    (one, _) = houses(town, 2, types={"RARE": TypeOptions(rate=1)})
    senders = one.post(*(one.envelope(type=("T", "RARE")[n % 2], guild=f"{n}") for n in range(6)))
    town.run()
    assert [each.fate for each in senders[1::2]].count("rate_limited") == 2
    assert taken(senders[::2]) == 3


def test_the_number_of_a_command_that_was_refused_may_come_again(town: Town) -> None:
    one, _ = houses(town, 2, guild_rate=1)
    assert one.send("a", sender="bot", sender_sequence=1).accepted
    assert one.send("b", sender="bot", sender_sequence=2).fate == "rate_limited"
    town.advance(1.0)
    assert one.send("b", sender="bot", sender_sequence=2).accepted


def test_a_command_that_comes_again_too_soon_still_counts_where_it_waits(town: Town) -> None:
    one = town.house(options=Options(guild_rate=1))
    one.direct.usual = None
    first = one.send()
    assert one.engine.tables.backlog.total == 1
    assert one.send(first.id).fate == "rate_limited"
    assert one.engine.tables.backlog.total == 1
    one.finish(first.id)
    town.run()
    one.at_rest_here()


def test_a_crash_of_the_door_leaves_nobody_without_a_word(town: Town) -> None:
    one, two = routers = houses(town, 2, guild_rate=10)
    one.crash("intake")
    senders = post(town, routers, 20)
    town.advance(1.0)
    assert all(sender.accepted or sender.refusals for sender in senders)
    assert taken(senders) == 10
    two.at_rest_here()
