"""Starts of several routers on one store: slots and rates of queues and types are one for all, and none gets lost."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from actors.errors import StoreUnavailable
from actors.options import Options, QueueOptions, TypeOptions
from actors.rates import Spent
from tests.engine.test_waits import wait
from tests.engine.town import House, Town
from tests.engine.world import APPLIED, FAILED, Sender


def houses(town: Town, count: int, *, hold: bool = True, **options: object) -> list[House]:
    chosen = Options(**options)
    found = [town.house(options=chosen) for _ in range(count)]
    for house in found:
        house.direct.usual = None if hold else APPLIED
    return found


def post(town: Town, owner: House, count: int, *, lanes: int = 100, lane: str = "s", **fields: object) -> list[Sender]:
    """Commands of a guild of one router, in so many lanes, through its own door."""
    guild = town.guild_of(owner)
    envelopes = [owner.envelope(guild=guild, subject=f"{lane}{n % lanes}", **fields) for n in range(count)]
    senders = owner.post(*envelopes)
    town.run()
    return senders


def running(town: Town) -> int:
    return len(town.held)


def finish_all(town: Town, seconds: float = 30.0) -> None:
    """Whatever is held ends, as it comes, until all senders were answered."""
    spent = 0.0
    while not all(sender.answers for sender in town.senders):
        for id_, house in list(town.held.items()):
            house.finish(id_)
        town.advance(0.01)
        spent += 0.01
        assert spent < seconds, [sender for sender in town.senders if not sender.answers]


def steward_of(house: House) -> Any:
    """The actor itself: what it asks of the store is what matters here."""
    return house.engine.runtime.ref("steward")._cell.incarnation.actor  # a look inside


def unavailable(*_: object) -> object:
    raise StoreUnavailable("not now")


@pytest.mark.parametrize("options", [{"types": {"T": TypeOptions(concurrency=3)}}, {"queues": {"q": QueueOptions(3)}}])
def test_no_more_run_at_once_than_was_set_over_all_routers(town: Town, options: dict[str, object]) -> None:
    one, two, three = houses(town, 3, guild_running=100, **options)
    for house in (one, two, three):
        post(town, house, 10)
    most = 0
    for _ in range(200):
        town.advance(0.01)
        assert running(town) <= 3
        most = max(most, running(town))
        for id_, house in list(town.held.items())[:1]:
            house.finish(id_)
    assert most == 3
    finish_all(town)
    for house in (one, two, three):
        house.at_rest_here()


def test_every_router_gets_its_part_while_all_want_more(town: Town) -> None:
    one, two = houses(town, 2, guild_running=100, types={"T": TypeOptions(concurrency=4)})
    post(town, one, 30)
    town.advance(0.1)
    assert running(town) == 4
    post(town, two, 30)
    done = {one: 0, two: 0}
    for _ in range(40):
        town.advance(0.05)
        for id_, house in list(town.held.items()):
            done[house] += 1
            house.finish(id_)
    assert min(done.values()) == 30
    finish_all(town)


@pytest.mark.parametrize("limit", [1, 2])
def test_where_there_are_fewer_slots_than_routers_they_take_turns(town: Town, limit: int) -> None:
    routers = houses(town, 3, guild_running=100, types={"T": TypeOptions(concurrency=limit)})
    for house in routers:
        post(town, house, 200)
    done = dict.fromkeys(routers, 0)
    for _ in range(200):
        town.advance(0.02)
        assert running(town) <= limit
        for id_, house in list(town.held.items()):
            done[house] += 1
            house.finish(id_)
    assert min(done.values()) > 20
    assert sum(done.values()) > 150 * limit
    finish_all(town, 200)


def test_a_lone_router_uses_all_there_is_and_a_slot_that_is_free_is_used_at_once(town: Town) -> None:
    one, two = houses(town, 2, guild_running=100, types={"T": TypeOptions(concurrency=5)})
    post(town, one, 7)
    assert running(town) == 5  # at once: no time has passed
    one.finish(next(iter(town.held)))
    town.run()
    assert running(town) == 5
    post(town, two, 3)
    for id_ in list(one.held):
        one.finish(id_)
        town.run()
    assert running(town) == 4  # one's last, and two's three, by news and not by waiting
    finish_all(town)


def test_news_may_be_lost(town: Town) -> None:
    one, two = houses(town, 2, guild_running=100, types={"T": TypeOptions(concurrency=2)})
    for house in (one, two):
        town.hub.faults_of(house.router).deaf = True
    post(town, one, 2)
    post(town, two, 2)
    assert running(town) == 2
    for id_ in list(one.held):
        one.finish(id_)
    town.until(lambda: len(two.held) == 2, seconds=1.0)
    finish_all(town)


def test_the_slots_of_a_router_that_died_come_back(town: Town) -> None:
    one, two = houses(town, 2, guild_running=100, types={"T": TypeOptions(concurrency=2)})
    post(town, one, 2)
    waiting = post(town, two, 2)
    assert len(one.held) == 2
    one.kill()
    town.until(lambda: all(each.id in two.held for each in waiting), seconds=1.5)
    for house in town:
        house.direct.usual = APPLIED
    for id_ in list(two.held):
        two.finish(id_)
    town.advance(2.0)
    assert [each.status for each in waiting] == ["ok", "ok"]


def test_a_lease_that_cannot_be_renewed_starts_nothing_once_its_slots_may_be_another_s(town: Town) -> None:
    one, two = houses(town, 2, guild_running=100, types={"T": TypeOptions(concurrency=4)})
    post(town, one, 1)
    post(town, two, 1)
    town.advance(0.1)
    slots = steward_of(one)._slots
    real, slots.claim = slots.claim, unavailable  # its partitions are renewed, over another connection
    town.advance(0.3)
    for sender in post(town, one, 1, lane="other"):
        one.finish(sender.id)  # its lease is not over
    town.advance(1.0)
    late = post(town, one, 3, lane="late")
    post(town, two, 9)
    town.advance(0.5)
    assert (len(one.held), len(two.held)) == (1, 4)  # what one had in hand runs on
    slots.claim = real
    finish_all(town)
    assert {each.status for each in late} == {"ok"}


def test_a_router_that_cannot_reach_the_store_starts_nothing_once_its_slots_may_be_another_s(town: Town) -> None:
    one, two = houses(town, 2, guild_running=100, queues={"q": QueueOptions(4)})
    post(town, one, 1)
    town.advance(0.1)
    town.hub.faults_of(one.router).down = True
    town.advance(1.0)
    post(town, two, 9)
    town.advance(1.0)
    assert len(two.held) == 4
    town.hub.faults_of(one.router).down = False
    town.advance(1.0)
    finish_all(town)


def test_order_holds_and_no_attempt_is_spent_by_waiting(town: Town) -> None:
    options = {"types": {"T": TypeOptions(concurrency=1)}, "queues": {"q": QueueOptions(rate=20, rate_window=1_000)}}
    routers = houses(town, 2, hold=False, guild_running=100, **options)
    senders = [post(town, house, 12, lanes=2) for house in routers]
    town.until(lambda: all(sender.answers for sender in town.senders), seconds=10.0)
    for house, mine in zip(routers, senders, strict=True):
        started = [id_ for id_ in house.starts if any(sender.id == id_ for sender in mine)]
        for lane in range(2):
            expected = [sender.id for sender in mine[lane::2]]
            assert [id_ for id_ in started if id_ in expected] == expected
        assert all(house.starts_of(sender.id) == [(1, "direct")] for sender in mine)
        house.at_rest_here()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_queues_rate_is_what_was_set_over_however_many_routers(town: Town, count: int) -> None:
    routers = houses(town, count, hold=False, guild_running=100, queues={"q": QueueOptions(rate=6, rate_window=600)})
    begun = town.clock.monotonic()
    for house in routers:
        post(town, house, 30 // count)
    times: list[float] = []
    while len(times) < 30:
        started = len(town.all_starts)
        times += [town.clock.monotonic() - begun] * (started - len(times))
        assert started <= 6 + (town.clock.monotonic() - begun) * 10 + 1e-6
        town.advance(0.01)
        assert town.clock.monotonic() - begun < 5.0
    assert times.count(0.0) == 6
    assert times[-1] < 3.0  # 24 more at ten a second, and no token lost
    for house in routers:
        house.at_rest_here()


def test_a_token_nobody_spent_is_given_back(town: Town) -> None:
    one, two = houses(town, 2, hold=False, guild_running=100, queues={"q": QueueOptions(rate=2, rate_window=60_000)})
    first = post(town, one, 4)
    assert [sender.status for sender in first] == ["ok", "ok", "", ""]
    town.advance(29.9)
    for sender in first[2:]:
        one.engine.cancel(sender.id)
    town.run()
    town.advance(1.0)
    assert [sender.status for sender in first[2:]] == ["cancelled", "cancelled"]
    late = post(town, two, 1)
    town.advance(1.0)
    assert late[0].status == "ok"


def test_what_nobody_uses_costs_nothing(town: Town) -> None:
    one, _ = houses(town, 2, hold=False, types={"T": TypeOptions(concurrency=2), "U": TypeOptions(concurrency=2)})
    asked = []
    steward = steward_of(one)
    real = steward._slots.claim
    steward._slots.claim = lambda claims, ttl: asked.append([each.level for each in claims]) or real(claims, ttl)
    town.advance(5.0)
    assert asked == []
    post(town, one, 3)
    town.advance(3.0)
    assert {level for levels in asked for level in levels} == {"type:T"}
    count = len(asked)
    town.advance(10.0)
    assert len(asked) == count


def test_a_crash_of_the_steward_loses_no_slot(town: Town) -> None:
    one, two = houses(town, 2, guild_running=100, types={"T": TypeOptions(concurrency=3)})
    post(town, one, 5)
    one.crash("steward")
    town.advance(0.2)
    post(town, two, 5)
    town.advance(0.2)
    assert running(town) == 3
    finish_all(town)
    for house in (one, two):
        house.at_rest_here()


def test_what_waits_says_what_runs_here_and_what_may_in_all(town: Town) -> None:
    options = {"types": {"T": TypeOptions(concurrency=2)}, "queues": {"q": QueueOptions(rate=3, rate_window=60_000)}}
    one, two = houses(town, 2, guild_running=100, **options)
    post(town, two, 2)
    (first, second) = post(town, one, 2)
    for id_ in list(two.held)[:1]:
        two.finish(id_)
    town.advance(0.1)
    waits = wait(one, second.id)
    assert (waits["reason"], waits["bounds"]) == (
        "type_full",
        [{"name": "type:T", "running": 1, "most": 1, "inAll": 2}],
    )
    one.finish(first.id)
    town.advance(0.1)
    waits = wait(one, second.id)
    assert (waits["reason"], waits["until"]) == ("rate_limit", None)
    assert waits["bounds"] == [{"name": "queue:q", "most": 3, "windowMs": 60_000}]


def test_retries_take_their_slot_anew(town: Town) -> None:
    one, two = houses(town, 2, guild_running=100, types={"T": TypeOptions(concurrency=1)})
    (sender,) = post(town, one, 1)
    one.finish(sender.id, FAILED)
    (other,) = post(town, two, 1)
    town.until(lambda: other.id in two.held, seconds=1.0)
    town.advance(5.0)
    assert running(town) == 1
    finish_all(town)
    assert sender.status == other.status == "ok"


def test_slots_are_handed_out_for_many_starts_and_not_asked_for_at_each(town: Town) -> None:
    routers = houses(town, 2, guild_running=100, types={"T": TypeOptions(concurrency=6)})
    for house in routers:
        post(town, house, 400)
    town.advance(1.0)
    asked = []
    for house in routers:
        slots = steward_of(house)._slots
        slots.claim = partial(_noted, asked, slots.claim)
    done = 0
    while done < 300:
        for id_, house in list(town.held.items()):
            done += 1
            house.finish(id_)
        town.advance(0.005)
    assert len(asked) <= 10  # a lease lasts 500 ms, and it took 250
    finish_all(town)


def test_a_token_that_is_there_before_the_answer_is_heard_is_fetched(town: Town) -> None:
    one = houses(town, 1, hold=False, guild_running=100, queues={"q": QueueOptions(rate=4, rate_window=1_000)})[0]
    rates = steward_of(one)._rates
    real = rates.take

    def none_yet(asked: list[object]) -> object:
        town.clock.advance(0.05)
        rates.take = real
        return [Spent("queue", "q", 20)] * len(asked)

    rates.take = none_yet
    senders = post(town, one, 10)
    town.until(lambda: all(sender.answers for sender in senders), seconds=3.0)


def _noted(asked: list[object], claim: Any, claims: object, ttl: int) -> object:
    asked.append(claims)
    return claim(claims, ttl)
