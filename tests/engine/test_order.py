"""Law 2: in a lane first in, first out, one at a time; across lanes by priority, among heads only."""

from __future__ import annotations

import pytest

from actors.options import Options, QueueOptions
from actors.policy.facts import Facts, OnExhausted
from actors.policy.lanes import AGING
from tests.engine.conftest import Make
from tests.engine.world import APPLIED, FAILED, World, deferred


def test_a_lane_runs_in_the_order_of_acceptance_one_at_a_time(make: Make) -> None:
    world = make()
    world.direct.usual = None
    ids = [world.send().id for _ in range(5)]
    for id_ in ids:
        assert world.held == [id_]
        world.finish(id_)
        world.run()
    assert world.starts == ids
    world.at_rest()


def test_a_retry_keeps_its_place_in_the_lane(make: Make) -> None:
    world = make()
    world.direct.plays["a"] = [FAILED, FAILED, APPLIED]
    world.post(world.envelope("a"), world.envelope("b"))
    world.advance(120)
    assert world.starts == ["a", "a", "a", "b"]
    world.at_rest()


def test_a_waiting_head_blocks_its_lane_and_no_other(make: Make) -> None:
    world = make()
    world.direct.plays["a"] = [deferred(60_000), APPLIED]
    world.post(world.envelope("a", subject="x"), world.envelope("b", subject="x"), world.envelope("c", subject="y"))
    world.run()
    assert world.starts == ["a", "c"]
    world.advance(59.9)
    assert world.starts == ["a", "c"]
    world.advance(0.2)
    assert world.starts == ["a", "c", "a", "b"]
    world.at_rest()


def test_priority_goes_first_among_the_heads_and_never_overtakes_its_own_subject(memory: Make) -> None:
    world = memory(options=Options(guild_running=1))
    world.direct.usual = None
    world.post(world.envelope("running", subject="z"))
    world.run()
    world.post(
        world.envelope("low", subject="x", priority=1),
        world.envelope("urgent behind low", subject="x", priority=10),
        world.envelope("normal", subject="y", priority=5),
        world.envelope("high", subject="w", priority=8),
    )
    _run_all(world)
    assert world.starts == ["running", "high", "normal", "low", "urgent behind low"]


def test_low_priority_is_overtaken_only_by_what_came_less_than_the_aging_bound_after_it(memory: Make) -> None:
    world = memory(options=Options(guild_running=1))
    world.direct.usual = None
    world.post(world.envelope("running", subject="z"))
    world.run()
    world.send("low", subject="low", priority=1)
    bound = 9 * AGING / 1000
    world.advance(bound - 0.001)
    world.send("just in time", subject="x", priority=10)
    world.advance(0.002)
    world.send("too late", subject="y", priority=10)
    _run_all(world)
    assert world.starts == ["running", "just in time", "low", "too late"]


def test_a_delayed_command_enters_its_lane_when_it_is_due(make: Make) -> None:
    world = make()
    world.direct.usual = None
    world.send("delayed", delay=10)
    world.send("now")
    assert world.held == ["now"]
    world.advance(9.9)
    world.send("before it was due")
    world.advance(0.2)
    world.send("after it was due")
    _run_all(world)
    assert world.starts == ["now", "before it was due", "delayed", "after it was due"]
    world.at_rest()


def test_delayed_commands_enter_in_the_order_they_are_due(make: Make) -> None:
    world = make()
    for seconds in (30, 10, 20):
        world.send(f"in {seconds}", delay=seconds)
    world.advance(31)
    assert world.starts == ["in 10", "in 20", "in 30"]
    world.at_rest()


def test_a_delay_does_not_count_as_waiting_so_what_is_due_overtakes_nobody(memory: Make) -> None:
    world = memory(options=Options(guild_running=1))
    world.direct.usual = None
    world.send("delayed", delay=3_600, subject="d", priority=1, expires_in=7_200)
    world.advance(3_599)
    world.send("running", subject="z")
    world.send("urgent", subject="u", priority=10)
    world.advance(2)
    _run_all(world)
    assert world.starts == ["running", "urgent", "delayed"]


def test_order_survives_a_kill_with_attempts_running_waiting_delayed_and_queued(make: Make) -> None:
    idempotent = {"T": Facts("T", idempotent=True)}
    world = make(facts=idempotent)
    world.direct.usual = None
    for n in range(4):
        world.send(f"a{n}", subject="a")
        world.send(f"b{n}", subject="b")
    world.finish("b0", FAILED)
    world.run()
    world.send("late", subject="a", delay=20)
    world = make(after=world)
    world.send("new", subject="a")
    world.advance(60)
    assert [id_ for id_ in dict.fromkeys(world.starts) if id_[0] != "b"] == ["a0", "a1", "a2", "a3", "new", "late"]
    assert [id_ for id_ in dict.fromkeys(world.starts) if id_[0] == "b"] == ["b0", "b1", "b2", "b3"]
    assert world.starts_of("b0") == [(2, "direct")]
    world.at_rest()


def test_q17_after_a_kill_the_old_ones_come_before_newer_ones_whoever_is_first_at_the_door(make: Make) -> None:
    world = make()
    world.direct.usual = None
    for n in range(50):
        world.send(f"{n % 5}-{n}", guild=f"g{n % 5}")
    world = make(after=world, start=False, facts={"T": Facts("T", idempotent=True)})
    world.engine.start()
    world.post(*(world.envelope(f"{n}-new", guild=f"g{n}") for n in range(5)))
    world.advance(60)
    for n in range(5):
        mine = [id_ for id_ in dict.fromkeys(world.starts) if id_.startswith(f"{n}-")]
        assert mine == [*(f"{n}-{i}" for i in range(n, 50, 5)), f"{n}-new"]
    world.at_rest()


def test_a_replayed_dead_letter_takes_its_turn_at_the_tail_of_its_lane(make: Make) -> None:
    world = make(facts={"T": Facts("T", attempts=1)})
    world.direct.plays = {"a": [FAILED], "b": [FAILED]}
    world.post(world.envelope("a"), world.envelope("b"))
    world.run()
    assert [letter.id for letter in world.letters()] == ["a", "b"]
    world.direct.usual = None
    world.send("c")
    world.send("d")
    assert world.replay().ids == ["a", "b"]
    world.send("e")
    _run_all(world)
    assert world.starts == ["a", "b", "c", "d", "a", "b", "e"]
    world.at_rest()


def test_q14_other_lanes_and_other_guilds_run_while_one_waits_for_its_retry(make: Make) -> None:
    world = make()
    world.direct.plays["a"] = [FAILED, APPLIED]
    world.send("a")
    same = world.send("behind a")
    other = world.send("elsewhere", subject="other")
    guild = world.send("abroad", guild="other")
    assert (same.status, other.status, guild.status) == ("", "ok", "ok")
    world.advance(3)
    assert world.starts[-2:] == ["a", "behind a"]


def test_when_a_command_dies_the_rest_of_its_lane_goes_on(make: Make) -> None:
    world = make(facts={"T": Facts("T", attempts=2)})
    world.direct.plays["a"] = [FAILED, FAILED]
    a, b = world.post(world.envelope("a"), world.envelope("b"))
    world.advance(10)
    assert (a.status, b.status) == ("dead", "ok")
    world.at_rest()


def test_when_a_command_dies_its_lane_can_be_paused_for_an_operator_before_the_next_starts(make: Make) -> None:
    world = make(facts={"T": Facts("T", attempts=1, on_exhausted=OnExhausted.PAUSE)})
    world.direct.plays["a"] = [FAILED]
    a, b, other = world.post(world.envelope("a"), world.envelope("b"), world.envelope("o", subject="other"))
    world.advance(10)
    assert (a.status, b.status, other.status) == ("dead", "", "ok")
    assert world.backend.paused() == {"lane:g/s"}
    world = make(after=world)
    world.advance(10)
    assert not world.starts
    world.engine.pause("lane:g/s", False).get(5)
    world.run()
    assert world.starts == ["b"]
    world.at_rest()


def test_when_a_command_dies_the_rest_of_its_lane_can_be_buried_with_it_in_order(make: Make) -> None:
    world = make(facts={"T": Facts("T", attempts=1, on_exhausted=OnExhausted.BURY)})
    world.direct.plays["a"] = [FAILED]
    lane = world.post(*(world.envelope(name) for name in "abc"))
    (other,) = world.post(world.envelope("o", subject="other"))
    world.run()
    assert [sender.status for sender in lane] == ["dead"] * 3
    assert other.status == "ok"
    assert [(letter.id, letter.reason) for letter in world.letters()] == [
        ("a", "handler_error"),
        ("b", "lane_buried"),
        ("c", "lane_buried"),
    ]
    assert world.starts == ["a", "o"]
    world.replay()
    assert world.starts == ["a", "o", "a", "b", "c"]
    world.at_rest()


def test_lanes_of_one_guild_run_side_by_side_up_to_the_guilds_bound(memory: Make) -> None:
    world = memory(options=Options(guild_running=3))
    world.direct.usual = None
    world.post(*(world.envelope(f"{n}", subject=f"{n}") for n in range(5)))
    world.run()
    assert world.held == ["0", "1", "2"]
    world.finish("1")
    world.run()
    assert world.held == ["0", "2", "3"]
    _run_all(world)
    world.at_rest()


def test_a_due_retry_that_finds_its_guild_full_does_not_spin(memory: Make) -> None:
    world = memory(options=Options(guild_running=1))
    world.direct.plays["a"] = [deferred(1_000), APPLIED]
    world.send("a", subject="a")
    world.direct.usual = None
    world.send("b", subject="b")
    assert world.held == ["b"]
    world.advance(5)  # raises if an actor is busy without end
    assert world.starts == ["a", "b"]
    world.finish("b")
    world.run()
    assert world.starts == ["a", "b", "a"]
    world.at_rest()


@pytest.mark.parametrize("kind", ["router", "queue"])
def test_a_slot_that_becomes_free_goes_to_somebody_who_can_use_it(memory: Make, kind: str) -> None:
    bounds = Options(max_running=1) if kind == "router" else Options(queues={"q": QueueOptions(concurrency=1)})
    world = memory(options=bounds)
    world.direct.usual = None
    senders = [world.send(f"{n}", guild=f"g{n}") for n in range(4)]
    assert world.held == ["0"]
    assert world.engine.cancel("1").get(5)
    assert world.engine.cancel("2").get(5)
    world.run()
    world.finish("0")
    world.run()
    assert world.held == ["3"], "the guilds that were woken had nothing to start, and nobody else was woken"
    world.finish("3")
    world.run()
    assert [sender.status for sender in senders] == ["ok", "cancelled", "cancelled", "ok"]
    world.at_rest()


def test_a_queues_free_slot_is_passed_on_by_a_guild_that_started_something_else(memory: Make) -> None:
    world = memory(options=Options(queues={"q": QueueOptions(concurrency=1)}, guild_running=1))
    world.direct.usual = None
    world.send("holder", guild="a")
    world.send("waits in q", guild="b", subject="1")
    world.send("also waits in q", guild="c")
    assert world.engine.cancel("waits in q").get(5)
    world.post(world.envelope("elsewhere", guild="b", subject="2", queue="free"))
    world.finish("holder")
    world.run()
    assert set(world.held) == {"elsewhere", "also waits in q"}


def _run_all(world: World) -> None:
    for _ in range(100):
        world.run()
        if not world.held:
            return
        world.finish(world.held[0])
    raise AssertionError("never at rest")
