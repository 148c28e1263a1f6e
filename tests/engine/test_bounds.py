"""Law 9: every bound is kept, and whoever hits one is told so, why, and when to come back."""

from __future__ import annotations

import pytest

from actors.errors import ClockSkew, EngineError, Overloaded, RateLimited
from actors.options import Options
from actors.policy.facts import Facts
from tests.engine.conftest import Make
from tests.engine.world import FAILED, Sender, World


def hold(world: World, count: int, **fields: object) -> list[Sender]:
    """So many that do not end."""
    world.direct.usual = None
    senders = world.post(*(world.envelope(priority=10, **fields) for _ in range(count)))
    world.run()
    return senders


def let_go(world: World) -> None:
    for _ in range(500):
        if not world.held:
            break
        world.finish(world.held[0])
        world.run()
    world.at_rest()


def refused(sender: Sender, kind: type[EngineError]) -> bool:
    return isinstance(sender.refusal, kind) and sender.refusal.retry_after > 0


def test_one_guilds_backlog_is_bounded_and_other_guilds_are_not_affected(make: Make) -> None:
    world = make(options=Options(guild_backlog=5))
    senders = hold(world, 8)
    assert [bool(sender.refusals) for sender in senders] == [False] * 5 + [True] * 3
    assert all(refused(sender, Overloaded) for sender in senders[5:])
    assert world.send(guild="other").accepted
    world.finish(senders[0].id)
    world.run()
    assert world.send().accepted
    let_go(world)


def test_the_routers_backlog_is_bounded_whoever_fills_it(make: Make) -> None:
    world = make(options=Options(max_backlog=20))
    for n in range(4):
        hold(world, 5, guild=f"g{n}")
    late = world.send(guild="late", priority=10)
    assert refused(late, Overloaded)
    world.finish("m1")
    world.run()
    assert world.send(guild="late", priority=10).accepted
    let_go(world)


def test_low_priority_is_shed_first_and_critical_last(make: Make) -> None:
    world = make(options=Options(max_backlog=100))
    accepted: dict[int, int] = {}
    world.direct.usual = None
    for n in range(100):
        for priority in (1, 5, 8, 10):
            sender = world.send(priority=priority, guild=f"g{n}-{priority}")
            if sender.refusals:
                assert refused(sender, Overloaded)
            else:
                accepted[priority] = world.engine.tables.backlog.total
    for priority, most in {1: 70, 5: 85, 8: 95, 10: 100}.items():
        assert most - 4 < accepted[priority] <= most
    let_go(world)


def test_delayed_commands_count_too(make: Make) -> None:
    world = make(options=Options(guild_backlog=3))
    for _ in range(3):
        world.send(delay=60)
    assert refused(world.send(), Overloaded)
    world.advance(61)
    assert world.send().status == "ok"


def test_the_backlog_is_counted_anew_after_a_restart(make: Make) -> None:
    world = make(options=Options(guild_backlog=5), facts={"T": Facts("T", idempotent=True)})
    hold(world, 4)
    world.send(delay=30, priority=10)
    world = make(after=world, options=Options(guild_backlog=5))
    assert world.engine.tables.backlog.of("g") == 5
    assert refused(world.send(), Overloaded)
    world.advance(60)
    world.at_rest()


@pytest.mark.parametrize("name", ["deduplicator", "journal", "intake", "recovery", "guild:g", "scheduler"])
def test_the_backlog_is_right_after_a_crash(make: Make, name: str) -> None:
    world = make()
    hold(world, 5)
    world.post(*(world.envelope() for _ in range(3)))
    world.crash(name)
    world.run()
    world.advance(1)
    unsettled = len(world.backend.pending())
    assert world.engine.tables.backlog.total == world.engine.tables.backlog.of("g") == unsettled
    let_go(world)


def test_duplicates_and_refusals_take_no_room(make: Make) -> None:
    world = make(options=Options(guild_backlog=2))
    world.direct.usual = None
    world.send(idempotency_key="k", payload="a")
    for _ in range(10):
        assert world.send(idempotency_key="k", payload="a").accepted
        assert world.send(idempotency_key="k", payload="b").refusal.code == "idempotency_key_reused"
    assert world.engine.tables.backlog.total == 1
    let_go(world)


def test_a_store_that_was_away_takes_no_room_for_good(make: Make) -> None:
    world = make(options=Options(guild_backlog=5))
    world.store.down = True
    for _ in range(20):
        world.send()
    world.store.down = False
    assert world.send().status == "ok"


def test_one_users_rate_is_bounded_over_all_guilds_and_others_are_not_affected(make: Make) -> None:
    world = make(options=Options(user_rate=3))
    senders = [world.send(guild=f"g{n}", user="u") for n in range(5)]
    assert [sender.fate for sender in senders] == ["ok"] * 3 + ["rate_limited"] * 2
    assert refused(senders[3], RateLimited)
    assert world.send(user="other").status == "ok"
    world.advance(senders[3].refusal.retry_after / 1000)
    assert world.send(user="u").status == "ok"


def test_one_guilds_rate_is_bounded(make: Make) -> None:
    world = make(options=Options(guild_rate=2))
    assert [world.send(user=f"{n}").fate for n in range(3)] == ["ok", "ok", "rate_limited"]
    assert world.send(guild="other").status == "ok"
    world.advance(1)
    assert world.send().status == "ok"


@pytest.mark.parametrize("seconds", [-301, 301])
def test_a_clock_that_is_too_far_off_is_refused_and_nothing_is_stored(make: Make, seconds: int) -> None:
    world = make()
    envelope = world.envelope()
    (sender,) = world.post(envelope._replace(created_at=envelope.created_at + seconds * 1000))
    world.run()
    assert isinstance(sender.refusal, ClockSkew)
    assert world.stored(sender.id) is None


def test_a_flood_of_refusals_is_counted_in_full_and_noted_in_part(make: Make) -> None:
    world = make(options=Options(guild_backlog=1))
    hold(world, 501)
    world.run()
    assert world.engine.tables.counters.refused == {"overloaded": 500}
    notes = [line for line in world.audit() if line.kind == "refused"]
    assert len(notes) == 100


def test_a_door_that_is_full_refuses_and_says_when_to_come_back(memory: Make) -> None:
    world = memory()
    room = world.engine.runtime.ref("intake")._cell.mailbox.capacity
    senders = world.post(world.envelope())  # not run: it waits in the mailbox
    for _ in range(room + 5):
        senders += world.post(world.envelope(subject="x"))
    assert sum(bool(sender.refusals) for sender in senders) == 6
    assert all(refused(sender, Overloaded) for sender in senders if sender.refusals)


def test_a_slow_listener_loses_events_and_nobody_loses_anything_else(memory: Make) -> None:
    world = memory()
    world.engine.tables.listeners.add(lambda _: None)
    world.send("warm")
    mailbox = world.engine.runtime.ref("hub")._cell.mailbox
    mailbox.capacity = 0
    assert world.send().status == "ok"
    assert world.engine.tables.listeners.dropped > 0
    assert world.incarnation("guild:g") == world.incarnation("deduplicator") == 1
    world.at_rest()


def test_a_long_pause_with_many_wakes_leaves_nothing_behind(memory: Make) -> None:
    world = memory()
    world.engine.pause("q", True).get(5)
    for n in range(20):
        world.send(subject=f"{n}", expires_in=80_000)
    guild = world.engine.runtime.ref("guild:g")._cell.incarnation.actor
    for n in range(200):
        world.send(queue="free", subject="free")
        world.engine.pause(f"lane:{n}", True).get(5)
        world.engine.pause(f"lane:{n}", False).get(5)
        world.run()
    lanes = guild._lanes
    assert len(lanes._waiting) < 50
    assert len(lanes._heap) < 100
    assert len(guild._parked) == 20
    world.engine.pause("q", False).get(5)
    world.run()
    world.at_rest()


def test_a_dead_letters_bound_of_replays_is_per_letter(make: Make) -> None:
    world = make(facts={"T": Facts("T", attempts=1)})
    world.direct.plays = {"a": [FAILED] * 9, "b": [FAILED] * 9}
    world.send("a", subject="a")
    for _ in range(3):
        world.replay(id="a")
    world.send("b", subject="b")
    result = world.replay()
    assert (result.ids, result.refused) == (["b"], ["a"])
