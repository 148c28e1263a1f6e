"""Overload and limits at several levels: who is turned away, by which limit, and what it is told."""

from __future__ import annotations

import pytest

from actors.errors import Overloaded, RateLimited
from actors.options import Options, TypeOptions
from router.alerts import Alerts
from tests.engine.conftest import Make
from tests.engine.world import FAILED, Sender, World


class Meter:
    """Says what the test says."""

    def __init__(self, name: str = "memory") -> None:
        self.name = name
        self.share: float | BaseException = 0.0
        self.asked = 0

    def read(self) -> float:
        self.asked += 1
        if isinstance(self.share, BaseException):
            raise self.share
        return self.share


def limit_of(sender: Sender) -> str:
    refusal = sender.refusal
    assert isinstance(refusal, Overloaded | RateLimited)
    assert refusal.retry_after > 0
    return refusal.limit


# ------------------------------------------------------------------------ load


@pytest.mark.parametrize(
    ("share", "taken"), [(0.69, [1, 5, 8, 10]), (0.7, [5, 8, 10]), (0.85, [8, 10]), (0.95, [10]), (1.0, [])]
)
def test_the_fuller_the_process_the_higher_the_priority_that_is_still_taken(
    memory: Make, share: float, taken: list[int]
) -> None:
    meter = Meter()
    world = memory(meters=[meter])
    meter.share = share
    world.advance(1)
    senders = {priority: world.send(priority=priority) for priority in (1, 5, 8, 10)}
    assert [priority for priority, sender in senders.items() if sender.accepted] == taken
    assert all(limit_of(sender) == "memory" for sender in senders.values() if sender.refusals)
    assert world.engine.overloaded is (share >= 0.7)
    assert (world.engine.load, world.engine.load_cause) == (share, "memory")


def test_what_was_accepted_is_done_however_full_the_process_is_and_it_recovers(memory: Make) -> None:
    meter = Meter()
    world = memory(meters=[meter])
    world.direct.usual = None
    waiting = world.send()
    meter.share = 1.5
    world.advance(1)
    assert limit_of(world.send(priority=10)) == "memory"
    world.finish(waiting.id)
    world.run()
    assert waiting.status == "ok"
    meter.share = 0.1
    world.advance(1)
    assert world.send(priority=1).accepted


def test_the_farther_over_its_mark_the_later_a_sender_is_told_to_come_back(memory: Make) -> None:
    meter = Meter()
    world = memory(meters=[meter])
    waits = []
    for share in (0.71, 0.9, 1.1):
        meter.share = share
        world.advance(1)
        waits.append(world.send(priority=1).refusal.retry_after)
    assert waits == sorted(set(waits))


def test_the_door_never_measures(memory: Make) -> None:
    meter = Meter()
    world = memory(meters=[meter])
    before = meter.asked
    for _ in range(50):
        world.send()
    assert meter.asked == before
    world.advance(10)
    assert meter.asked == before + 10


def test_a_meter_that_raises_harms_nobody_and_the_others_count(memory: Make) -> None:
    broken, fine = Meter("broken"), Meter("fine")
    world = memory(meters=[broken, fine])
    broken.share, fine.share = ValueError("no such file"), 0.8
    world.advance(2)
    assert (world.engine.load, world.engine.load_cause) == (0.8, "fine")
    assert world.incarnation("health") == 1


def test_lateness_of_actors_counts_when_it_lasts_and_not_for_one_long_turn(memory: Make) -> None:
    world = memory(options=Options(lag_limit=2_000))
    load = world.engine.tables.load
    for lags, level in (([5.0], 0.0), ([0.0, 5.0, 5.0], 0.0), ([1.0, 1.0, 1.0], 0.5), ([9.0, 4.0, 9.0], 2.0)):
        for lag in lags:
            load.lagged(lag)
        load.read(())
        assert load.level == level, lags


def test_a_refusal_tells_the_position_its_guild_stands_at(memory: Make) -> None:
    meter = Meter()
    world = memory(meters=[meter])
    world.direct.usual = None
    for n in range(3):
        world.send(subject=f"{n}")
    meter.share = 1.0
    world.advance(1)
    refusal = world.send().refusal
    assert isinstance(refusal, Overloaded)
    assert refusal.position == 3
    other = world.send(guild="other").refusal
    assert isinstance(other, Overloaded)
    assert other.position == 0


# ------------------------------------------------------------------------ limits at several levels at once


def test_one_types_rate_is_bounded_and_others_are_not_affected(make: Make) -> None:
    world = make(options=Options(types={"T": TypeOptions(rate=2, rate_window=60_000)}))
    senders = [world.send(guild=f"g{n}") for n in range(3)]
    assert [sender.fate for sender in senders] == ["ok", "ok", "rate_limited"]
    assert limit_of(senders[2]) == "type rate"
    assert world.send(type="U").status == "ok"
    world.advance(senders[2].refusal.retry_after / 1000)
    assert world.send().status == "ok"


def test_the_routers_rate_is_bounded_over_all_guilds_users_and_types(make: Make) -> None:
    world = make(options=Options(router_rate=3))
    senders = [world.send(guild=f"g{n}", user=f"u{n}", type=f"T{n}") for n in range(4)]
    assert [sender.fate for sender in senders] == ["ok"] * 3 + ["rate_limited"]
    assert limit_of(senders[3]) == "router rate"


def test_who_is_refused_at_one_level_has_spent_nothing_at_the_others(memory: Make) -> None:
    world = memory(options=Options(guild_rate=5, user_rate=1))
    assert world.send(user="greedy").status == "ok"
    for _ in range(20):
        assert limit_of(world.send(user="greedy")) == "user rate"
    assert [world.send(user=f"u{n}").fate for n in range(5)] == ["ok"] * 4 + ["rate_limited"]


@pytest.mark.parametrize(
    ("options", "limit", "free"),
    [
        (Options(user_backlog=2), "user backlog", {"user": "other"}),
        (Options(types={"T": TypeOptions(backlog=2)}), "type backlog", {"type": "U", "user": "u"}),
        (Options(guild_backlog=2), "guild backlog", {"guild": "other", "user": "u"}),
    ],
)
def test_a_backlog_is_bounded_at_its_level_and_there_is_room_when_one_ends(
    make: Make, options: Options, limit: str, free: dict[str, str]
) -> None:
    world = make(options=options)
    world.direct.usual = None
    senders = [world.send(user="u", subject=f"{n}") for n in range(3)]
    assert [bool(sender.refusals) for sender in senders] == [False, False, True]
    assert limit_of(senders[2]) == limit
    assert world.send(subject="free", **free).accepted
    world.finish(senders[0].id)
    world.run()
    assert world.send(user="u", subject="again").accepted


def test_a_backlog_of_a_level_counts_what_is_recovered(make: Make) -> None:
    options = Options(user_backlog=3)
    world = make(options=options)
    world.direct.up = False
    for n in range(2):
        world.send(user="u", subject=f"{n}")
    world.send(user="u", delay=600)
    world = make(after=world, options=options, start=False)
    world.direct.up = False
    world.engine.start()
    world.run()
    assert limit_of(world.send(user="u")) == "user backlog"


def test_one_types_concurrency_is_bounded_without_holding_up_other_types(make: Make) -> None:
    world = make(options=Options(types={"T": TypeOptions(concurrency=2)}))
    world.direct.usual = None
    slow = [world.send(f"t{n}", guild=f"g{n}") for n in range(5)]
    assert world.held == ["t0", "t1"]
    quick = world.send("u", type="U", guild="g4", subject="other")
    assert world.held == ["t0", "t1", "u"]
    for sender in (quick, *slow):
        world.finish(sender.id)
        world.run()
        assert sum(id_.startswith("t") for id_ in world.held) <= 2
    assert {sender.status for sender in slow} == {"ok"}
    world.at_rest()


# ------------------------------------------------------------------------ what is told of it


def alerted(world: World) -> list[tuple[str, str]]:
    return [(alert["code"], alert["about"]) for alert in Alerts(world.engine).check()]


def test_a_queue_that_stands_still_is_alerted_and_one_that_waits_for_later_is_not(memory: Make) -> None:
    world = memory()
    world.send(queue="later", delay=3_600, expires_in=10_000)
    world.direct.up = False
    world.send(queue="stuck")
    world.advance(25)
    assert alerted(world) == []
    world.advance(20)
    assert alerted(world) == [("queue_stalled", "stuck")]
    world.direct.up = True
    world.engine.executors_changed()
    world.run()
    assert alerted(world) == []


def test_dead_letters_that_grow_are_alerted_until_they_have_stopped_for_a_while(memory: Make) -> None:
    world = memory()
    world.advance(60)
    world.direct.plays["a"] = [FAILED] * 3
    world.send("a")
    world.advance(60)
    assert alerted(world) == [("dead_letters_growing", "q")]
    world.advance(330)
    assert alerted(world) == []


def test_a_store_that_does_not_answer_is_alerted_and_its_return_is_noticed_soon(memory: Make) -> None:
    world = memory(options=Options(probe_every=60_000))
    world.advance(30)
    world.store.down = True
    world.advance(45)
    assert alerted(world) == [("store_unavailable", "store")]
    world.store.down = False
    world.advance(6)
    assert alerted(world) == []


def test_answers_that_come_late_miss_the_objective_of_their_priority(memory: Make) -> None:
    world = memory()
    world.direct.usual = None
    for n in range(20):
        world.send(f"s{n}", guild=f"g{n}", priority=10, expires_in=60)
    world.advance(2)
    for n in range(20):
        world.finish(f"s{n}")
    world.run()
    assert alerted(world) == [("objective_missed", "critical")]
    assert world.engine.tables.counters.within()["critical"] == (0, 20)
    world.advance(600)
    assert alerted(world) == [], "it is judged by the last five minutes"
