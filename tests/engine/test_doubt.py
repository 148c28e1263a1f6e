"""Law 6: after an attempt in doubt nothing is executed a second time unless that is safe."""

from __future__ import annotations

import itertools

import pytest

from actors.outcome import Outcome
from actors.policy.facts import Facts
from tests.engine.conftest import Make
from tests.engine.world import APPLIED, DOUBT, FAILED, REJECTED, UNSENT, World, deferred

TWO = ("websocket", "queue")


def two(make: Make, *, idempotent: bool = False, dedupes: bool = False, attempts: int = 3) -> World:
    """Over two protocols, websocket first."""
    return make(
        protocols=TWO, dedupes=TWO if dedupes else (), facts={"T": Facts("T", idempotent=idempotent, attempts=attempts)}
    )


@pytest.mark.parametrize(("idempotent", "dedupes"), [(True, False), (True, True)])
def test_a_doubt_that_is_safe_to_repeat_goes_on_over_the_next_protocol_at_once(
    make: Make, idempotent: bool, dedupes: bool
) -> None:
    world = two(make, idempotent=idempotent, dedupes=dedupes)
    world.protocols["websocket"].plays["a"] = [DOUBT]
    a = world.send("a")
    assert a.status == "ok"
    assert world.starts_of("a") == [(1, "websocket"), (2, "queue")]
    assert [attempt.verdict for attempt in a.answer.attempts] == ["in_doubt", "applied"]
    assert a.answer.method == "queue"
    world.at_rest()


def test_an_executor_that_declared_the_command_idempotent_makes_repeating_safe(make: Make) -> None:
    world = two(make)
    world.protocols["websocket"].declared.add("T")
    world.protocols["websocket"].plays["a"] = [DOUBT]
    assert world.send("a").status == "ok"
    assert world.starts_of("a") == [(1, "websocket"), (2, "queue")]


@pytest.mark.parametrize(
    ("truth", "status", "starts"),
    [
        (True, "ok", [(1, "websocket")]),
        (None, "in_doubt", [(1, "websocket")]),
        (False, "ok", [(1, "websocket"), (2, "websocket")]),
    ],
)
def test_a_doubt_that_is_not_safe_to_repeat_is_asked_about(
    make: Make, truth: bool | None, status: str, starts: list[tuple[int, str]]
) -> None:
    world = two(make)
    world.protocols["websocket"].plays["a"] = [DOUBT]
    world.protocols["websocket"].truth["a"] = truth
    a = world.send("a")
    world.advance(30)
    assert a.status == status
    assert world.starts_of("a") == starts
    assert world.protocols["websocket"].asked == ["a"]
    world.at_rest()


def test_while_it_is_asked_its_lane_waits_and_no_other(make: Make) -> None:
    world = two(make)
    world.protocols["websocket"].plays["a"] = [DOUBT]
    world.protocols["websocket"].truth["a"] = "silence"
    a = world.send("a")
    behind = world.send("behind")
    other = world.send("other", subject="other")
    world.advance(5)
    assert (a.status, behind.status, other.status) == ("", "", "ok")
    world.advance(10)
    assert (a.status, behind.status) == ("in_doubt", "ok")
    world.at_rest()


def test_a_protocol_that_raises_when_it_is_asked_does_not_know(make: Make) -> None:
    world = two(make)
    world.protocols["websocket"].plays["a"] = [DOUBT]
    world.protocols["websocket"].truth["a"] = RuntimeError("broken")
    assert world.send("a").status == "in_doubt"
    assert world.incarnation("adapter:websocket") == 1
    world.at_rest()


@pytest.mark.parametrize("free", [UNSENT, deferred(5_000)])
def test_fallback_is_free_after_proof_that_nothing_happened(make: Make, free: Outcome) -> None:
    world = two(make, attempts=1)
    world.protocols["websocket"].plays["a"] = [free]
    a = world.send("a")
    assert a.status == "ok"
    assert world.starts_of("a") == [(1, "websocket"), (1, "queue")]
    world.at_rest()


def test_when_no_protocol_is_left_a_refusal_spends_the_attempt_and_a_deferral_does_not(make: Make) -> None:
    world = two(make, attempts=2)
    for script in world.protocols.values():
        script.plays["unsent"] = [UNSENT]
        script.plays["deferred"] = [deferred(1_000)]
    unsent, put_off = world.send("unsent", subject="1"), world.send("deferred", subject="2")
    world.advance(30)
    assert (unsent.status, put_off.status) == ("ok", "ok")
    assert world.starts_of("unsent") == [(1, "websocket"), (1, "queue"), (2, "websocket")]
    assert world.starts_of("deferred") == [(1, "websocket"), (1, "queue"), (1, "websocket")]


def test_an_executor_that_ran_and_failed_is_not_asked_elsewhere_at_once(make: Make) -> None:
    world = two(make)
    world.protocols["websocket"].plays["a"] = [FAILED]
    world.send("a")
    world.advance(30)
    assert world.starts_of("a") == [(1, "websocket"), (2, "websocket")]


def test_a_rejection_is_final(make: Make) -> None:
    world = two(make)
    world.protocols["websocket"].plays["a"] = [REJECTED]
    a = world.send("a")
    world.advance(600)
    assert a.status == "rejected"
    assert world.starts_of("a") == [(1, "websocket")]
    assert a.answer.fault == REJECTED.fault


def test_a_dedupe_record_vouches_for_nothing_that_ran_before_the_router_was_killed(make: Make) -> None:
    world = two(make, dedupes=True)
    world.protocols["websocket"].usual = None
    world.send("a")
    world = make(after=world, protocols=TWO, dedupes=TWO)
    world.advance(60)
    assert world.starts_of("a") == []
    assert world.settled_answer("a").status == "in_doubt"
    assert world.protocols["websocket"].asked == ["a"]
    world.at_rest()


@pytest.mark.parametrize(("truth", "status"), [(True, "ok"), (False, "ok"), (None, "in_doubt")])
def test_what_ran_when_the_router_was_killed_is_asked_about(make: Make, truth: bool | None, status: str) -> None:
    world = two(make)
    world.protocols["websocket"].usual = None
    world.send("a")
    behind = "behind"
    world.send(behind)
    world = make(after=world, protocols=TWO, start=False)
    world.protocols["websocket"].truth["a"] = truth
    world.engine.start()
    world.advance(60)
    assert world.settled_answer("a").status == status
    assert world.starts_of("a") == ([(2, "websocket")] if truth is False else [])
    assert world.settled_answer(behind).status == "ok"
    world.at_rest()


def test_an_outcome_that_comes_after_the_watch_called_it_in_doubt_changes_nothing(make: Make) -> None:
    world = make(facts={"T": Facts("T", timeout=5_000)})
    world.direct.usual = None
    a = world.send("a")
    late = world.take("a")
    world.advance(10)
    assert a.status == "in_doubt"
    world.finish(late, APPLIED)
    world.run()
    assert a.status == "in_doubt"
    world.at_rest()


def test_an_outcome_told_twice_counts_once(make: Make) -> None:
    world = make()
    world.direct.usual = None
    a, b = world.send("a"), world.send("b")
    attempt = world.take("a")
    world.finish(attempt, FAILED)
    attempt.done(APPLIED)
    world.run()
    assert a.status == ""
    attempt.done(APPLIED)
    world.advance(3)
    assert (a.status, world.held) == ("", ["a"])
    attempt.done(APPLIED)
    world.run()
    assert world.held == ["a"]
    world.finish("a")
    world.run()
    assert (a.status, b.status, len(a.answer.attempts)) == ("ok", "", 2)
    world.finish("b")
    world.run()
    world.at_rest()


def test_whatever_two_protocols_answer_nothing_unsafe_is_executed_twice(memory: Make) -> None:
    outcomes = [APPLIED, FAILED, UNSENT, REJECTED, DOUBT, deferred(1_000)]
    world = memory(protocols=TWO, facts={"T": Facts("T")})
    for number, plays in enumerate(itertools.product(outcomes, repeat=3)):
        first, second, third = plays
        id_ = f"x{number}"
        world.protocols["websocket"].plays[id_] = [first, third]
        world.protocols["queue"].plays[id_] = [second]
        sender = world.send(id_, subject=id_)
        world.advance(60)
        world.advance(60)
        assert sender.answers, plays
        verdicts = [attempt.verdict for attempt in sender.answer.attempts]
        effects = sum(verdict in ("applied", "in_doubt") for verdict in verdicts)
        assert effects <= 1, (plays, sender.answer)
    world.at_rest()
