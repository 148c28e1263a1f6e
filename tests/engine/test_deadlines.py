"""Law 7: what did not start in time is answered so, and never executed late."""

from __future__ import annotations

from actors.policy.facts import Facts
from tests.engine.conftest import Make
from tests.engine.world import DOUBT, FAILED, deferred


def test_what_comes_after_its_deadline_is_answered_expired_and_not_stored(make: Make) -> None:
    world = make()
    sender = world.send(expires_in=-1)
    assert (sender.status, sender.refusal.code) == ("expired", "expired")
    assert world.stored(sender.id) is None
    world.at_rest()


def test_what_waits_behind_a_blocked_head_expires_on_time(make: Make) -> None:
    world = make()
    world.direct.usual = None
    world.send("head")
    behind = world.send("behind", expires_in=5)
    world.advance(4.9)
    assert not behind.answers
    world.advance(0.2)
    assert behind.status == "expired"
    world.finish("head")
    world.run()
    assert world.starts == ["head"]
    world.at_rest()


def test_the_deadline_is_to_the_millisecond_and_who_starts_in_time_is_not_disturbed(make: Make) -> None:
    world = make()
    world.direct.usual = None
    world.send("head")
    behind = world.send("behind", expires_in=5)
    world.advance(4.999)
    world.finish("head")
    world.run()
    assert world.held == ["behind"]
    world.advance(60)
    assert not behind.answers
    world.finish("behind")
    world.run()
    assert behind.status == "ok"


def test_a_retry_that_could_only_start_after_the_deadline_is_not_waited_for(make: Make) -> None:
    world = make()
    world.direct.plays["a"] = [FAILED]
    a = world.send("a", expires_in=0.05)
    assert a.status == "failed"
    assert a.answer.fault is not None
    assert a.answer.fault.code == "handler_error"
    world.at_rest()


def test_a_wait_that_costs_nothing_ends_at_the_deadline_with_expired(make: Make) -> None:
    world = make()
    world.direct.plays["a"] = [deferred(60_000)]
    a = world.send("a", expires_in=10)
    world.advance(9.9)
    assert not a.answers
    world.advance(0.2)
    assert a.status == "expired"
    assert world.starts == ["a"]


def test_what_failed_and_waits_for_its_retry_is_answered_failed_not_expired(make: Make) -> None:
    world = make()
    world.direct.plays["a"] = [FAILED, deferred(60_000)]
    a = world.send("a", expires_in=10)
    world.advance(11)
    assert a.status == "failed"


def test_what_was_in_doubt_and_runs_out_of_time_is_answered_in_doubt(make: Make) -> None:
    world = make(facts={"T": Facts("T", idempotent=True)})
    world.direct.plays["a"] = [DOUBT, deferred(60_000)]
    a = world.send("a", expires_in=10)
    world.advance(11)
    assert a.status == "in_doubt"


def test_a_delayed_command_may_expire_before_its_turn_comes(make: Make) -> None:
    world = make()
    world.direct.usual = None
    world.send("head")
    delayed = world.send("delayed", delay=5, expires_in=8)
    world.advance(7)
    assert not delayed.answers
    world.advance(2)
    assert delayed.status == "expired"


def test_whom_nobody_can_execute_expires_on_time(make: Make) -> None:
    world = make()
    world.direct.up = False
    sender = world.send(expires_in=5)
    world.advance(6)
    assert sender.status == "expired"
    world.at_rest()


def test_what_expired_while_the_router_was_down_is_never_started(make: Make) -> None:
    world = make()
    world.direct.usual = None
    world.send("head")
    world.send("behind", expires_in=5)
    world.kill()
    world.clock.advance(10)
    world = make(after=world)
    world.advance(1)
    assert "behind" not in world.starts
    assert world.settled_answer("behind").status == "expired"


def test_a_paused_lane_does_not_hold_up_a_deadline(make: Make) -> None:
    world = make()
    world.engine.pause("q", True).get(5)
    sender = world.send(expires_in=5)
    world.advance(6)
    assert sender.status == "expired"


def test_a_replayed_dead_letter_has_a_deadline_of_its_own(make: Make) -> None:
    world = make(facts={"T": Facts("T", attempts=1)})
    world.direct.plays["a"] = [FAILED]
    world.send("a", expires_in=10)
    world.advance(100)
    world.direct.usual = None
    world.replay()
    assert world.held == ["a"]
    world = make(after=world, facts={"T": Facts("T", idempotent=True)})
    world.advance(60)
    assert world.settled_answer("a").status == "ok"
