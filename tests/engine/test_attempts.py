"""Law 5: only real failures spend attempts."""

from __future__ import annotations

from itertools import pairwise

import pytest

from actors.options import Options, QueueOptions
from actors.outcome import Fault, Outcome, Verdict
from actors.policy.breaker import BreakerSettings
from actors.policy.facts import Backoff, Facts
from tests.engine.conftest import Make
from tests.engine.world import APPLIED, FAILED, UNSENT, deferred


def test_r10_attempts_at_the_limit_make_one_dead_letter_with_all_attempts(make: Make) -> None:
    world = make()
    world.direct.plays["a"] = [FAILED] * 3
    a = world.send("a", guild="home")
    world.advance(120)
    assert a.status == "dead"
    (letter,) = world.letters()
    assert (letter.id, letter.guild, letter.reason, letter.attempts) == ("a", "home", "handler_error", 3)
    assert [attempt.number for attempt in a.answer.attempts] == [1, 2, 3]
    assert len({attempt.at for attempt in a.answer.attempts}) == 3
    assert {attempt.code for attempt in a.answer.attempts} == {"handler_error"}
    world.at_rest()


def test_attempts_are_spaced_by_the_types_backoff(make: Make) -> None:
    world = make(facts={"T": Facts("T", attempts=4, backoff=Backoff(initial=1_000, factor=3.0, cap=5_000, jitter=0.0))})
    world.direct.plays["a"] = [FAILED] * 4
    a = world.send("a")
    world.advance(60)
    starts = [attempt.at for attempt in a.answer.attempts]
    assert [later - earlier for earlier, later in pairwise(starts)] == [1_000, 3_000, 5_000]


def test_retry_after_is_honoured_when_it_is_longer_than_the_backoff(make: Make) -> None:
    world = make()
    slow = Outcome(Verdict.NOT_APPLIED, executed=True, fault=Fault("busy", "", True, 40_000))
    world.direct.plays["a"] = [slow, APPLIED]
    a = world.send("a")
    world.advance(39.9)
    assert not a.answers
    world.advance(0.2)
    assert a.status == "ok"


def test_attempts_without_end_are_never_buried(make: Make) -> None:
    world = make(facts={"T": Facts("T", attempts=0)})
    world.direct.plays["a"] = [FAILED] * 20
    a = world.send("a", expires_in=3_600)
    world.advance(900)
    assert a.status == "ok"
    assert len(a.answer.attempts) == 21
    world.at_rest()


@pytest.mark.parametrize("outcome", [deferred(1_000), deferred(), deferred(2_000, executed=True)])
def test_a_deferral_spends_nothing_however_often(make: Make, outcome: Outcome) -> None:
    world = make(facts={"T": Facts("T", attempts=1)})
    world.direct.plays["a"] = [outcome] * 30
    a = world.send("a")
    world.advance(300)
    assert a.status == "ok"
    assert {number for number, _ in world.starts_of("a")} == {1}
    world.at_rest()


def test_c17_an_open_breaker_parks_and_spends_nothing_and_order_is_kept_when_it_closes(make: Make) -> None:
    world = make(
        facts={"T": Facts("T", attempts=1), "U": Facts("U", attempts=1)},
        breakers=BreakerSettings(failure_threshold=3, recovery_timeout=30_000),
    )
    for n in range(3):
        world.direct.plays[f"bad{n}"] = [UNSENT]
        world.send(f"bad{n}", subject=f"bad{n}")
    senders = [world.send(f"s{n}", subject=f"{n % 2}") for n in range(6)]
    assert not any(sender.answers for sender in senders)
    world.advance(29)
    assert len(world.starts) == 3, "an open breaker does not ask the protocol"
    world.advance(3)
    assert [sender.status for sender in senders] == ["ok"] * 6
    for lane in ("024", "135"):
        assert [id_ for id_ in world.starts if id_[1:] in lane and id_[0] == "s"] == [f"s{n}" for n in lane]
    assert {number for id_ in world.starts for number, _ in world.starts_of(id_)} == {1}
    world.at_rest()


def test_an_executor_that_failed_or_refused_is_not_the_protocols_failure(make: Make) -> None:
    world = make(facts={"T": Facts("T", attempts=1)}, breakers=BreakerSettings(failure_threshold=3))
    for n in range(10):
        world.direct.plays[f"{n}"] = [FAILED]
        world.send(f"{n}", subject=f"{n}")
    assert world.send(subject="last").status == "ok"


def test_nobody_to_execute_spends_nothing_and_whoever_comes_is_found(make: Make) -> None:
    world = make(facts={"T": Facts("T", attempts=1)})
    world.direct.up = False
    a = world.send("a")
    b = world.send("b", guild="other")
    world.advance(600)
    assert not world.starts
    world.direct.up = True
    world.engine.executors_changed()
    world.run()
    assert (a.status, b.status) == ("ok", "ok")
    assert world.starts_of("a") == [(1, "direct")]
    world.at_rest()


def test_an_executor_that_comes_between_the_look_and_the_wait_is_not_missed(memory: Make) -> None:
    world = memory()
    looks = []

    def reaches(envelope: object) -> bool:
        looks.append(envelope)
        if len(looks) == 1:  # it comes just now, and nobody waits for it yet
            world.engine.executors_changed()
            return False
        return True

    world.direct.reaches = reaches
    assert world.send().status == "ok"


def test_a_queues_rate_is_kept_and_spends_nothing(make: Make) -> None:
    world = make(
        facts={"T": Facts("T", attempts=1)}, options=Options(queues={"q": QueueOptions(rate=2, rate_window=60_000)})
    )
    senders = [world.send(f"{n}", subject=f"{n}") for n in range(5)]
    assert world.starts == ["0", "1"]
    world.advance(29.9)
    assert world.starts == ["0", "1"]
    world.advance(120)
    assert [sender.status for sender in senders] == ["ok"] * 5
    assert world.starts == ["0", "1", "2", "3", "4"]
    world.at_rest()


def test_a_queues_concurrency_is_kept_over_all_guilds_and_other_queues_are_free(make: Make) -> None:
    world = make(options=Options(queues={"q": QueueOptions(concurrency=2)}))
    world.direct.usual = None
    for n in range(4):
        world.send(f"{n}", guild=f"g{n}")
    world.send("free", queue="other", guild="g3", subject="x")
    assert world.held == ["0", "1", "free"]
    world.finish("1")
    world.run()
    assert world.held == ["0", "free", "2"]
    for _ in range(4):
        world.finish(world.held[0])
        world.run()
    world.at_rest()


def test_the_routers_own_bound_on_attempts_is_kept(make: Make) -> None:
    world = make(options=Options(max_running=3))
    world.direct.usual = None
    for n in range(10):
        world.send(f"{n}", guild=f"g{n}")
    seen = []
    while world.held:
        assert len(world.held) <= 3
        seen.append(world.held[0])
        world.finish(world.held[0])
        world.run()
    assert seen == [f"{n}" for n in range(10)]
    world.at_rest()


def test_r12_a_shutdown_hands_back_what_never_started_and_spends_nothing(make: Make) -> None:
    world = make(facts={"T": Facts("T", attempts=1)})
    world.direct.usual = None
    world.send("a")
    world.direct.recallable.add("a")
    world.engine.stop(1)
    world = make(after=world)
    stored = world.stored("a")
    assert stored is not None
    assert (stored.state, stored.attempts) == ("waiting", 0)
    world.advance(1)
    assert world.starts_of("a") == [(1, "direct")]
    world.at_rest()


def test_q6_attempts_are_counted_over_restarts(make: Make) -> None:
    world = make(facts={"T": Facts("T", attempts=3, idempotent=True)})
    world.direct.plays["a"] = [FAILED, None]
    world.send("a")
    world.advance(5)
    assert world.starts_of("a") == [(1, "direct"), (2, "direct")]
    world = make(after=world)
    world.direct.plays["a"] = [FAILED]
    b = world.send("b")
    world.advance(60)
    assert world.starts_of("a") == [(3, "direct")]
    assert [letter.id for letter in world.letters()] == ["a"]
    assert b.status == "ok"


def test_q7_a_command_that_kills_the_process_each_time_is_buried_after_its_attempts(make: Make) -> None:
    world = make(facts={"T": Facts("T", attempts=3, idempotent=True)})
    for _ in range(3):
        world.direct.plays["killer"] = [None]
        if not world.senders and not world.starts and world.stored("killer") is None:
            world.send("killer")
        world.advance(60)
        world = make(after=world)
    world.advance(60)
    after = world.send("after")
    assert [letter.id for letter in world.letters()] == ["killer"]
    assert after.status == "ok"


def test_a_replayed_dead_letter_has_all_its_attempts_again_but_not_without_end(make: Make) -> None:
    world = make(facts={"T": Facts("T", attempts=2)})
    world.direct.plays["a"] = [FAILED] * 8
    world.send("a")
    world.advance(60)
    for _ in range(3):
        assert world.replay().ids == ["a"]
        world.advance(60)
    assert [number for number, _ in world.starts_of("a")] == [1, 2] * 4
    result = world.replay()
    assert (result.ids, result.refused) == ([], ["a"])
    world.at_rest()


def test_a_dry_run_says_what_a_replay_would_do_and_does_nothing(make: Make) -> None:
    world = make(facts={"T": Facts("T", attempts=1)})
    world.direct.plays["a"] = [FAILED]
    world.send("a")
    result = world.engine.replay(lambda store, _: world.letters(), 3, 1_000, dry_run=True).get(5)
    world.run()
    assert (result.ids, result.dry_run) == (["a"], True)
    assert world.starts == ["a"]


def test_q16_two_operators_who_replay_the_same_letter_make_it_run_once(make: Make) -> None:
    world = make(facts={"T": Facts("T", attempts=1)})
    world.direct.plays["a"] = [FAILED]
    world.send("a")
    chosen = world.letters()
    promises = [world.engine.replay(lambda store, _: chosen, 3, 900_000, operator=name) for name in ("x", "y")]
    world.run()
    assert [promise.get(5).ids for promise in promises] == [["a"], []]
    assert world.starts == ["a", "a"]
    world.at_rest()
