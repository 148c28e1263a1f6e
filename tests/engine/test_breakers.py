"""Breakers in the engine: who waits for one, who is woken, what is told of it, and what a restart leaves of it."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from actors.codec import unpack
from actors.envelope import Envelope
from actors.messages import Published
from actors.options import Options
from actors.policy.breaker import Breaker, BreakerSettings, Condition, Snapshot, Transition
from actors.policy.facts import Facts
from actors.tables.breakers import Breakers, read_snapshot, write_snapshot
from tests.engine.conftest import Make
from tests.engine.world import APPLIED, UNSENT, World

TWO = ("websocket", "queue")
QUICK = BreakerSettings(failure_threshold=3, recovery_timeout=30_000)
ONCE = {"T": Facts("T", attempts=1)}


def opened(world: World, protocol: str = "direct") -> None:
    """Three failures, each of another lane, that nobody will repeat."""
    for n in range(3):
        id_ = f"bad{n}"
        world.protocols[protocol].plays[id_] = [UNSENT]
        world.send(id_, subject=id_, protocols=(protocol,))
    assert condition(world, protocol) is Condition.OPEN


def condition(world: World, name: str) -> Condition:
    breaker = world.engine.breakers.find(name)
    assert breaker is not None
    return breaker.condition


def transitions(world: World) -> list[tuple[str, str, str]]:
    """As the audit trail has them, oldest first."""
    lines = [unpack(line.detail) for line in world.audit(id="breaker")]
    return [(line["breaker"], line["before"], line["after"]) for line in lines]


# ------------------------------------------------------------------------ C17


def test_c17_while_it_is_open_nothing_is_asked_written_or_spent_however_many_wait(memory: Make) -> None:
    world = memory(facts=ONCE, breakers=QUICK)
    opened(world)
    senders = [world.send(f"s{n}", guild=f"g{n % 5}", subject=f"{n % 20}") for n in range(100)]
    written = len(world.store.batches)
    world.advance(29)
    begun = [write for batch in world.store.batches[written:] for write in batch if type(write).__name__ == "Begin"]
    assert (len(world.starts), begun) == (3, []), "waiting costs neither an attempt nor a write"
    world.advance(2)
    assert [sender.status for sender in senders] == ["ok"] * 100
    assert {number for id_ in world.starts for number, _ in world.starts_of(id_)} == {1}
    for lane in range(20):
        ids = [f"s{n}" for n in range(lane, 100, 20)]
        assert [id_ for id_ in world.starts if id_ in ids] == ids, "order is kept"
    world.at_rest()


def test_c17_while_a_probe_hangs_the_others_wait_and_do_not_ask(memory: Make) -> None:
    world = memory(facts=ONCE, breakers=QUICK)
    opened(world)
    senders = [world.send(f"s{n}", guild=f"g{n}") for n in range(50)]
    world.direct.usual = None
    world.advance(31)
    assert len(world.held) == 1, "one guild probes"
    written = len(world.store.batches)
    world.advance(20)
    assert len(world.starts) == 4
    assert not [w for batch in world.store.batches[written:] for w in batch if type(w).__name__ == "Begin"]
    world.direct.usual = APPLIED
    world.finish(world.held[0])
    world.run()
    assert [sender.status for sender in senders] == ["ok"] * 50
    world.at_rest()


def test_c17_whoever_expires_while_it_waits_for_a_breaker_is_told_and_was_never_tried(memory: Make) -> None:
    world = memory(facts=ONCE, breakers=QUICK)
    opened(world)
    sender = world.send("late", expires_in=5)
    world.advance(6)
    assert (sender.status, sender.answer.attempts) == ("expired", ())


def test_when_the_guild_that_should_probe_has_nothing_left_the_next_one_does(memory: Make) -> None:
    world = memory(facts=ONCE, breakers=QUICK)
    opened(world)
    gone = [world.send(f"gone{n}", guild=f"gone{n}", expires_in=10) for n in range(3)]
    sender = world.send("s", guild="home")
    world.advance(29)
    assert {each.status for each in gone} == {"expired"}
    world.advance(6)
    assert sender.status == "ok"
    world.at_rest()


def test_an_open_breaker_leaves_its_commands_to_the_next_protocol_and_the_story_says_so(memory: Make) -> None:
    world = memory(protocols=TWO, facts=ONCE, breakers=QUICK)
    opened(world, "websocket")
    sender = world.send("s", realtime=True)
    assert (sender.status, sender.answer.method) == ("ok", "queue")
    assert world.starts_of("s") == [(1, "queue")]
    assert world.engine.breakers.diverted == {("websocket", "queue"): 1}
    stored = world.stored("s")
    assert stored is not None
    assert b"its breaker is open" in stored.trail


def test_an_executor_that_comes_wakes_those_who_wait_for_another_protocols_breaker(memory: Make) -> None:
    world = memory(protocols=TWO, facts=ONCE, breakers=QUICK)
    world.protocols["queue"].up = False
    opened(world, "websocket")
    sender = world.send("s")
    assert not sender.answers
    world.protocols["queue"].up = True
    world.engine.executors_changed()
    world.run()
    assert (sender.status, sender.answer.method) == ("ok", "queue")


def test_c13_an_operators_order_holds_until_the_reset_which_wakes_everybody(memory: Make) -> None:
    world = memory(facts=ONCE, breakers=QUICK)
    breaker = world.engine.breakers.find("direct")
    assert breaker is not None
    breaker.force_open(world.clock.now())
    senders = [world.send(f"s{n}", guild=f"g{n}") for n in range(10)]
    world.advance(600)
    assert not world.starts
    breaker.reset(world.clock.now())
    world.run()
    assert [sender.status for sender in senders] == ["ok"] * 10


# ------------------------------------------------------------------------ C14


def test_c14_each_transition_is_one_event_and_one_line_of_the_trail_in_order(make: Make) -> None:
    world = make(facts=ONCE, breakers=QUICK)
    heard: list[Published] = []
    world.engine.tables.listeners.add(heard.append)
    opened(world)
    world.direct.plays["probe"] = [UNSENT, APPLIED]
    world.facts["P"] = Facts("P", attempts=2)
    world.send("probe", type="P")
    world.advance(200)
    expected = [
        ("direct", "closed", "open"),
        ("direct", "open", "half_open"),
        ("direct", "half_open", "open"),
        ("direct", "open", "half_open"),
        ("direct", "half_open", "closed"),
    ]
    assert transitions(world) == expected
    events = [event for event in heard if event.kind == "breaker"]
    assert [event.detail.split()[:2] for event in events] == [list(each[1:]) for each in expected]
    assert {(event.envelope.type, event.envelope.subject) for event in events} == {("BREAKER_CHANGED", "direct")}
    assert len({event.envelope.id for event in events}) == 5


def test_c14_a_monitor_that_crashes_tells_what_happened_meanwhile_and_rings_in_time(memory: Make) -> None:
    world = memory(facts=ONCE, breakers=QUICK)
    opened(world)
    sender = world.send("s")
    world.crash("health")
    world.run()
    assert world.incarnation("health") == 2
    world.advance(32)
    assert sender.status == "ok"
    assert [after for _, _, after in transitions(world)] == ["open", "half_open", "closed"]


# ------------------------------------------------------------------------ C16


class Targets:
    """The target of an envelope is its subject."""

    def __init__(self, name: str) -> None:
        self.name = name

    def target(self, envelope: Envelope) -> str:
        return envelope.subject


def test_c16_a_protocol_with_targets_has_a_breaker_for_each_and_one_that_is_open_stops_no_other(memory: Make) -> None:
    world = memory(facts=ONCE, breakers=QUICK)
    world.engine.breakers.serve([Targets("direct")])
    for n in range(3):
        world.direct.plays[f"bad{n}"] = [UNSENT]
        world.send(f"bad{n}", guild=f"g{n}", subject="ill")
    waits, goes = world.send("waits", subject="ill"), world.send("goes", subject="fit")
    assert (waits.status, goes.status) == ("", "ok")
    assert condition(world, "direct:ill") is Condition.OPEN
    assert condition(world, "direct:fit") is Condition.CLOSED
    assert condition(world, "direct") is Condition.CLOSED
    world.advance(32)
    assert waits.status == "ok"
    world.at_rest()


def test_c20_targets_that_users_name_are_bounded_and_share_one_breaker_beyond(memory: Make) -> None:
    world = memory(facts=ONCE, breakers=Breakers(QUICK, max_names=10))
    world.engine.breakers.serve([Targets("direct")])
    for n in range(200):
        world.send(subject=f"user{n}")
    assert len(world.engine.breakers.snapshots()) <= 12
    for n in range(11):
        for m in range(3):
            id_ = f"bad{n}.{m}"
            world.direct.plays[id_] = [UNSENT]
            world.send(id_, guild=f"g{m}", subject=f"ill{n}")
    snapshots = world.engine.breakers.snapshots()
    assert len(snapshots) == 12, "ten of their own, the shared one, and the protocol's"
    assert condition(world, "*") is Condition.OPEN
    assert world.send("more", subject="new").status == "", "who shares the open one waits with it"
    world.advance(40)
    world.at_rest()


# ------------------------------------------------------------------------ C19


def test_c19_a_restart_goes_on_where_the_breaker_was_and_probes_with_one(make: Make) -> None:
    world = make(facts=ONCE, breakers=QUICK)
    opened(world)
    ids = [f"s{n}" for n in range(20)]
    for n, id_ in enumerate(ids):
        world.send(id_, guild=f"g{n}")
    world.advance(10)
    world = make(after=world, breakers=QUICK)
    world.run()
    assert condition(world, "direct") is Condition.OPEN
    assert not world.starts, "what is recovered finds it open"
    world.direct.usual = None
    world.advance(21)
    assert len(world.starts) == 1, "no herd: one probe"
    world.direct.usual = APPLIED
    world.finish(world.held[0])
    world.run()
    assert sorted(world.starts) == sorted(ids)
    world.at_rest()


def test_c19_one_that_had_closed_before_the_restart_is_closed(make: Make) -> None:
    world = make(facts=ONCE, breakers=QUICK)
    opened(world)
    world.send("s")
    world.advance(31)
    assert condition(world, "direct") is Condition.CLOSED
    world = make(after=world, breakers=QUICK)
    assert condition(world, "direct") is Condition.CLOSED
    assert world.send("t").status == "ok"


def test_c19_an_operators_order_survives_a_restart(make: Make) -> None:
    world = make(facts=ONCE, breakers=QUICK)
    breaker = world.engine.breakers.find("direct")
    assert breaker is not None
    breaker.force_open(world.clock.now())
    world.run()
    world = make(after=world, breakers=QUICK)
    assert condition(world, "direct") is Condition.FORCED_OPEN


def test_c19_a_restart_of_the_monitor_alone_does_not_bring_an_old_state_back(make: Make) -> None:
    world = make(facts=ONCE, breakers=QUICK)
    opened(world)
    breaker = world.engine.breakers.find("direct")
    assert breaker is not None
    world.store.down = True  # so that the trail still says open
    breaker.reset(world.clock.now())
    world.crash("health")
    world.store.down = False
    world.run()
    assert condition(world, "direct") is Condition.CLOSED


# ------------------------------------------------------------------------ the table


def test_what_is_written_of_a_breaker_can_be_read_again() -> None:
    snapshot = Snapshot("rest:api", Condition.OPEN, until=7, timeout=3)
    transition = Transition("rest:api", Condition.CLOSED, Condition.OPEN, 4, "failures")
    assert read_snapshot(write_snapshot(snapshot, transition)) == snapshot


def test_news_of_another_router_make_a_closed_one_rest_and_leave_others_alone(memory: Make) -> None:
    world, other = memory(breakers=QUICK), memory(breakers=QUICK)
    opened(world)
    now = other.clock.now()
    (line,) = world.audit(id="breaker")
    other.engine.breakers.heard(line.detail, now)
    assert condition(other, "direct") is Condition.CLOSED, "those are its own handlers"
    transition = Transition("rest:api", Condition.CLOSED, Condition.OPEN, now, "failures")
    detail = write_snapshot(Snapshot("rest:api", Condition.OPEN, now + 5_000, 5_000), transition)
    other.engine.breakers.heard(detail, now)
    assert condition(other, "rest:api") is Condition.OPEN
    other.engine.breakers.get("rest:api").force_open(now)
    other.engine.breakers.heard(detail, now)
    assert condition(other, "rest:api") is Condition.FORCED_OPEN
    other.engine.breakers.heard(b"\x93\x01\x02\x03", now)  # of a version that says it otherwise
    other.run()


def test_what_a_protocol_asks_its_own_targets_breakers_is_seen_of_each_target(memory: Make) -> None:
    world = memory(breakers=QUICK)
    now = world.clock.now()
    for ms, name in ((40, "rest:near"), (4_000, "rest:far")):
        breaker = world.engine.breakers.get(name)
        for _ in range(3):
            permit: Any = breaker.permit(now)
            breaker.succeed(permit, now, ms)
            breaker.succeed(permit, now, ms)  # a permit counts once
        failed: Any = breaker.permit(now)
        breaker.fail(failed, now)
    views = world.engine.tables.services.views(now)
    assert [(views[name].calls.calls, views[name].calls.failed) for name in ("rest:near", "rest:far")] == [(4, 1)] * 2
    assert (views["rest:near"].calls.p95, views["rest:far"].calls.p95) == (40, 4_350)
    services = world.engine.tables.services
    assert services.failures == 2
    services.called("rest", now, 5, False)  # the protocol says of itself what it said of its targets
    services.called("rest", now, 5, False)
    assert services.failures == 2
    services.called("websocket", now, 5, False)
    assert services.failures == 3


def test_who_listens_hears_of_every_transition_once_however_many_threads_cause_them() -> None:
    breakers = Breakers(BreakerSettings(failure_threshold=1, recovery_timeout=1, reset_cap=1))
    each = [breakers.get(f"b{n}") for n in range(8)]

    def work(breaker: Breaker) -> None:
        for n in range(200):
            permit: Any = breaker.permit(10 * n)
            breaker.fail(permit, 10 * n)

    threads = [threading.Thread(target=work, args=(breaker,)) for breaker in each]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    news = breakers.news()
    for breaker in each:
        mine = [(one.before, one.after) for one in news if one.name == breaker.name]
        first, *rest = mine
        assert first == (Condition.CLOSED, Condition.OPEN)
        assert rest == [(Condition.OPEN, Condition.HALF_OPEN), (Condition.HALF_OPEN, Condition.OPEN)] * 199
    assert set(breakers.resting) == {breaker.name for breaker in each}
    assert breakers.news() == []


@pytest.mark.parametrize("lag", [0, 5_000])
def test_the_monitor_runs_on_through_a_long_silence(memory: Make, lag: int) -> None:
    world = memory(options=Options(probe_every=60_000))
    world.advance(600 + lag / 1000)
    view = world.engine.tables.services.view("store", world.clock.now())
    assert view is not None
    assert view.sign is not None
    assert (view.sign.well, view.availability) == (True, 1.0)
    assert world.clock.now() - view.looked_at <= 60_000
