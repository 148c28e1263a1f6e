"""Backlogs of guilds, users and types at doors of routers that do not own the guilds: bounded, if not to the last."""

from __future__ import annotations

import pytest

from actors.codec import pack
from actors.options import Options, TypeOptions
from actors.tables.backlog import told_by
from tests.engine.town import House, Town
from tests.engine.world import APPLIED, Sender

BOUNDS = [
    ({"guild_backlog": 20}, "guild backlog"),
    ({"user_backlog": 20}, "user backlog"),
    ({"types": {"T": TypeOptions(backlog=20)}}, "type backlog"),
]


def houses(town: Town, count: int, **options: object) -> list[House]:
    found = [town.house(options=Options(**options)) for _ in range(count)]
    for house in found:
        house.direct.usual = None
    return found


def knock(town: Town, door: House, guild: str, count: int) -> list[Sender]:
    """Commands of one user, through one router's door."""
    senders = door.post(*(door.envelope(guild=guild, subject=f"s{n}", user="u") for n in range(count)))
    town.run()
    return senders


def taken(senders: list[Sender]) -> int:
    return sum(bool(sender.accepted) for sender in senders)


@pytest.mark.parametrize(("bound", "limit"), BOUNDS)
def test_a_bound_holds_at_the_door_of_a_router_that_does_not_own_the_guild(
    town: Town, bound: dict[str, object], limit: str
) -> None:
    door, owner = houses(town, 2, **bound)
    guild = town.guild_of(owner)
    first = knock(town, door, guild, 100)
    assert taken(first) == 20  # in one instant, in which nobody told it anything
    for _ in range(100):
        town.advance(0.02)
        late = knock(town, door, guild, 5)
        assert taken(late) == 0
        assert {getattr(sender.refusal, "limit", "") for sender in late} == {limit}
    for id_ in list(owner.held):
        owner.finish(id_)
    owner.direct.usual = APPLIED
    town.advance(1.0)
    assert taken(knock(town, door, guild, 100)) == 20
    town.advance(1.0)
    for house in (door, owner):
        house.at_rest_here()


@pytest.mark.parametrize(("bound", "limit"), BOUNDS)
def test_all_doors_together_let_in_at_most_the_bound_each(town: Town, bound: dict[str, object], limit: str) -> None:
    doors = houses(town, 3, **bound)
    guild = town.guild_of(doors[0])
    let_in = 0
    for _ in range(100):
        let_in += sum(taken(knock(town, door, guild, 30)) for door in doors)
        assert let_in <= 60
        town.advance(0.01)
    assert let_in >= 20
    assert all(getattr(sender.refusal, "limit", "") == limit for sender in town.senders if sender.refusals)


def test_what_is_spread_over_routers_counts_in_all(town: Town) -> None:
    one, two = houses(town, 2, user_backlog=20)
    assert taken(knock(town, one, town.guild_of(one), 10)) == 10
    town.advance(0.5)
    assert taken(knock(town, two, town.guild_of(two), 30)) == 10
    town.advance(0.5)
    assert taken(knock(town, one, town.guild_of(one), 1)) == 0


def test_what_a_door_passed_on_and_heard_of_is_counted_once(town: Town) -> None:
    owner, door = houses(town, 2, guild_backlog=20)  # the owner's beat comes just before the door's
    guild = town.guild_of(owner)
    for _ in range(20):
        assert taken(knock(town, door, guild, 1)) == 1
        town.advance(0.02)
    town.advance(0.5)
    assert taken(knock(town, door, guild, 1)) == 0


def test_what_a_dead_router_told_is_forgotten(town: Town) -> None:
    one, two = houses(town, 2, user_backlog=20)
    guild = town.guild_of(two)
    assert taken(knock(town, two, guild, 20)) == 20
    town.advance(0.5)
    two.kill()
    one.direct.usual = APPLIED
    town.advance(3.0)
    assert taken(knock(town, one, guild, 5)) == 5


@pytest.mark.parametrize(
    "about", [b"", b"\xc1", pack([1]), pack({"backlogs": [1]}), pack({"backlogs": {"user": {"u": "x"}}}), pack({})]
)
def test_who_tells_something_else_tells_nothing(about: bytes) -> None:
    assert told_by(about) == {}
