"""Commands that are executed in another process than the one that asks."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Thread
from typing import Any

import pytest

from actors.codec import unpack
from actors.outcome import Verdict
from actors.tables.deliveries import Subscription
from router.messages.communication import SendMessage
from router.messages.moderation import BanUser
from router.protocols.handlers import Handlers
from router.protocols.rehearsal import CAP, Outcomes, ban, say
from router.protocols.signals import Reject, RetryLater
from tests.protocols.tickets import ticket
from tests.workers.desks import QUEUE, Asker, World


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


def ask(asker: Asker, its: Any) -> Outcomes:
    outcomes = Outcomes()
    asker.protocol.start(its, outcomes)
    return outcomes


def answered(world: World, outcomes: Outcomes, seconds: float = 30.0) -> Any:
    world.until(lambda: bool(outcomes.all), seconds)
    return outcomes.one


def verified(world: World, asker: Asker, envelope: Any) -> Any:
    answers = Outcomes()
    asker.protocol.verify(envelope, answers)
    world.until(lambda: bool(answers.all))
    return answers.one


# ---------------------------------------------------------------- who is reached


def test_a_router_without_handlers_reaches_what_a_living_worker_handles(world: World) -> None:
    asker = world.asker()
    its = ticket(asker, ban())
    assert not asker.protocol.reaches(its.envelope)
    worker = world.worker(BanUser, world.calls.by("w"))
    world.pass_time(1.5)
    assert asker.protocol.reaches(its.envelope)
    assert not asker.protocol.reaches(ticket(asker, say()).envelope), "of that type nobody has a handler"
    assert asker.reached
    worker.stop()
    world.workers.remove(worker)
    world.pass_time(1.5)
    assert not asker.protocol.reaches(its.envelope)


def test_a_worker_that_was_killed_is_not_reached_for_long(world: World) -> None:
    asker = world.asker()
    worker = world.worker(BanUser, world.calls.by("w"))
    world.pass_time(1.5)
    world.kill(worker)
    world.pass_time(6)
    assert not asker.protocol.reaches(ticket(asker, ban()).envelope)


def test_what_nobody_reaches_is_deferred_at_once(world: World) -> None:
    asker = world.asker()
    outcome = ask(asker, ticket(asker, ban())).one
    assert (outcome.verdict, outcome.fault.code) == (Verdict.DEFERRED, "no_consumer")


def test_a_queue_with_subscribers_here_is_theirs_whoever_works_elsewhere(world: World) -> None:
    asker = world.asker()
    world.worker(BanUser, world.calls.by("w"))
    world.pass_time(1.5)
    asker.desk.subscribe(Subscription(QUEUE, lambda _: None))
    assert not asker.protocol.reaches(ticket(asker, ban()).envelope)


# ---------------------------------------------------------------- outcomes


def test_a_worker_executes_and_the_router_that_asked_hears_of_it(world: World) -> None:
    asker, other = world.asker("r1"), world.asker("r2")
    world.worker(BanUser, world.calls.by("w"))
    world.pass_time(1.5)
    its = ticket(asker, ban())
    outcomes, others = ask(asker, its), ask(other, ticket(other, ban()))
    first, second = answered(world, outcomes), answered(world, others)
    assert (first.verdict, unpack(first.data)) == (Verdict.APPLIED, {"by": "w"})
    assert second.verdict is Verdict.APPLIED
    assert len(world.calls.all) == 2
    world.pass_time(1)
    stats = world.shared.store.queue_stats()[QUEUE]
    assert (stats.completed, stats.waiting, stats.claimed) == (2, 0, 0)
    assert world.shared.store.answers("r1", [QUEUE]) == [], "what was heard is taken away"


def test_the_handler_sees_the_attempt_as_the_router_numbered_it(world: World) -> None:
    seen: list[Any] = []
    world.worker(BanUser, lambda command, ctx: seen.append((ctx.attempt, ctx.sequence, ctx.fencing_token)))
    asker = world.asker()
    world.pass_time(1.5)
    answered(world, ask(asker, ticket(asker, ban(), attempt=3)))
    assert seen == [(3, 7, 3)]


def test_refusals_and_failures_come_back_as_they_are(world: World) -> None:
    said: list[Exception] = [Reject("hierarchy", "above the bot"), RetryLater(2.5), ValueError("no such user")]

    def body(command: Any, ctx: Any) -> None:
        raise said.pop(0)

    world.worker(SendMessage, body)
    asker = world.asker()
    world.pass_time(1.5)
    verdicts = [answered(world, ask(asker, ticket(asker, say()))) for _ in range(3)]
    assert [each.verdict for each in verdicts] == [Verdict.REJECTED, Verdict.DEFERRED, Verdict.NOT_APPLIED]
    assert verdicts[0].fault.code == "hierarchy"
    assert verdicts[1].retry_after == 2_500
    assert verdicts[2].fault.message == "ValueError: no such user"


def test_a_failed_attempt_is_tried_again_by_the_router_not_by_the_queue(world: World) -> None:
    def body(command: Any, ctx: Any) -> str:
        world.calls.note("w", ctx)
        if ctx.attempt == 1:
            raise RuntimeError("not yet")
        return "done"

    world.worker(SendMessage, body)
    asker = world.asker()
    world.pass_time(1.5)
    its = ticket(asker, say())
    assert answered(world, ask(asker, its)).verdict is Verdict.NOT_APPLIED
    world.pass_time(5)
    assert len(world.calls.all) == 1
    assert answered(world, ask(asker, its._replace(attempt=2))).verdict is Verdict.APPLIED


def test_what_was_applied_is_answered_from_the_record_whoever_is_asked(world: World) -> None:
    asker, other = world.asker("r1"), world.asker("r2")
    world.worker(SendMessage, world.calls.by("w1"))
    world.pass_time(1.5)
    its = ticket(asker, say())
    first = answered(world, ask(asker, its))
    world.worker(SendMessage, world.calls.by("w2"))
    for attempt in (2, 3, 4):
        assert answered(world, ask(other, its._replace(attempt=attempt))) == first
    assert len(world.calls.all) == 1
    assert verified(world, other, its.envelope) is True


def test_commands_of_two_workers_are_executed_once_each(world: World) -> None:
    asker = world.asker()
    world.worker(SendMessage, world.calls.by("w1"), concurrency=2)
    world.worker(SendMessage, world.calls.by("w2"), concurrency=2)
    world.pass_time(1.5)
    tickets = [ticket(asker, say(str(number))) for number in range(60)]
    sinks = [ask(asker, its) for its in tickets]
    world.until(lambda: all(sink.all for sink in sinks), 60)
    assert {sink.one.verdict for sink in sinks} == {Verdict.APPLIED}
    assert sorted(id_ for _, id_, _ in world.calls.all) == sorted(its.envelope.id for its in tickets)


def test_a_router_executes_for_another_router(world: World) -> None:
    handlers = Handlers()
    handlers.handler(BanUser)(world.calls.by("r2"))
    asker = world.asker("r1")
    world.asker("r2", handlers)
    world.pass_time(1.5)
    outcome = answered(world, ask(asker, ticket(asker, ban())))
    assert unpack(outcome.data) == {"by": "r2"}


def test_a_router_with_handlers_hears_of_its_own_at_once(world: World) -> None:
    handlers = Handlers()
    handlers.handler(BanUser)(world.calls.by("r1"))
    asker = world.asker("r1", handlers)
    assert ask(asker, ticket(asker, ban())).one.verdict is Verdict.APPLIED
    assert world.shared.store.answers("r1", [QUEUE]) == []


def test_a_worker_without_a_handler_for_it_leaves_it_to_one_that_has(world: World) -> None:
    asker = world.asker()
    world.worker(SendMessage, world.calls.by("w1"), queues=[QUEUE])
    world.worker(BanUser, world.calls.by("w2"))
    world.pass_time(1.5)
    for _ in range(4):
        assert unpack(answered(world, ask(asker, ticket(asker, ban()))).data) == {"by": "w2"}


# ---------------------------------------------------------------- taking back


def test_what_nobody_claims_in_time_is_taken_back_at_no_cost(world: World) -> None:
    asker = world.asker()
    world.worker(BanUser, world.calls.by("w"))
    world.pass_time(1.5)
    world.shared.store.pause(QUEUE, True)
    outcomes = ask(asker, ticket(asker, ban(), deadline=asker.now() + 2_000))
    outcome = answered(world, outcomes)
    assert (outcome.verdict, outcome.fault.code) == (Verdict.DEFERRED, "not_claimed")
    world.shared.store.pause(QUEUE, False)
    world.pass_time(3)
    assert world.calls.all == []


def test_a_recall_takes_back_what_is_unclaimed_and_says_so(world: World) -> None:
    asker = world.asker()
    world.worker(BanUser, world.calls.by("w"))
    world.pass_time(1.5)
    world.shared.store.pause(QUEUE, True)
    its = ticket(asker, ban())
    outcomes = ask(asker, its)
    world.settle()
    assert not asker.protocol.recall(its.envelope.id), "only the store knows, and it was not asked yet"
    assert answered(world, outcomes, 0.5).fault.code == "recalled"
    world.shared.store.pause(QUEUE, False)
    world.pass_time(3)
    assert world.calls.all == []


def test_an_entry_nobody_claimed_is_proof_for_whoever_owns_the_guild_next(world: World) -> None:
    asker = world.asker("r1")
    world.worker(SendMessage, world.calls.by("w"))
    world.pass_time(1.5)
    its = ticket(asker, say())
    world.shared.store.pause(its.envelope.queue, True)
    ask(asker, its)
    world.settle()
    asker.handle.cut = True
    heir = world.asker("r2")
    assert verified(world, heir, its.envelope) is False
    world.shared.store.pause(its.envelope.queue, False)
    world.pass_time(3)
    assert world.calls.all == []


def test_whoever_asks_while_it_is_executed_waits_for_its_end(world: World) -> None:
    asker = world.asker("r1")
    world.worker(SendMessage, world.calls.blocking("w"))
    world.pass_time(1.5)
    its = ticket(asker, say())
    ask(asker, its)
    world.begun()
    heir = world.asker("r2")
    answers = Outcomes()
    heir.protocol.verify(its.envelope, answers)
    world.pass_time(3)
    assert answers.all == []
    world.calls.release.set()
    world.until(lambda: bool(answers.all))
    assert answers.one is True


# ---------------------------------------------------------------- workers that die


def test_a_command_whose_worker_was_killed_before_it_began_is_executed_elsewhere(world: World) -> None:
    asker = world.asker()
    first = world.worker(SendMessage, world.calls.by("w1"))
    world.pass_time(1.5)
    world.handle(first).dies_at = "begin"
    its = ticket(asker, say())
    outcomes = ask(asker, its)
    world.until(lambda: world.handle(first).cut)
    world.kill(first)
    assert world.shared.store.queue_stats()[its.envelope.queue].claimed == 1
    world.worker(SendMessage, world.calls.by("w2"))
    outcome = answered(world, outcomes)
    assert (outcome.verdict, unpack(outcome.data)) == (Verdict.APPLIED, {"by": "w2"})
    assert [who for who, _, _ in world.calls.all] == ["w2"]


def test_an_idempotent_command_whose_worker_was_killed_is_finished_by_another_as_its_next_attempt(
    world: World,
) -> None:
    asker = world.asker()
    first = world.worker(SendMessage, world.calls.blocking("w1"), idempotent=True)
    world.pass_time(1.5)
    its = ticket(asker, say())
    outcomes = ask(asker, its)
    world.begun()
    world.kill(first)
    world.worker(SendMessage, world.calls.by("w2"), idempotent=True)
    lost = answered(world, outcomes)
    assert (lost.verdict, lost.fault.code) == (Verdict.IN_DOUBT, "worker_lost")
    outcome = answered(world, ask(asker, its._replace(attempt=2)))
    assert (outcome.verdict, unpack(outcome.data)) == (Verdict.APPLIED, {"by": "w2"})
    assert [(who, attempt) for who, _, attempt in world.calls.all] == [("w1", 1), ("w2", 2)]


def test_any_other_command_is_in_doubt_and_not_executed_a_second_time(world: World) -> None:
    asker = world.asker()
    first = world.worker(SendMessage, world.calls.blocking("w1"))
    world.pass_time(1.5)
    its = ticket(asker, say())
    outcomes = ask(asker, its)
    world.begun()
    world.kill(first)
    world.worker(SendMessage, world.calls.by("w2"))
    outcome = answered(world, outcomes)
    assert (outcome.verdict, outcome.fault.code) == (Verdict.IN_DOUBT, "worker_lost")
    assert verified(world, asker, its.envelope) is None
    assert answered(world, ask(asker, its._replace(attempt=2))).verdict is Verdict.IN_DOUBT
    assert [who for who, _, _ in world.calls.all] == ["w1"]


@pytest.mark.parametrize(
    ("happened", "verdict", "calls"),
    [(True, Verdict.APPLIED, [("w1", 1)]), (False, Verdict.NOT_APPLIED, [("w1", 1), ("w2", 2)])],
)
def test_the_verify_hook_decides_when_nobody_knows(
    world: World, happened: bool, verdict: Verdict, calls: list[tuple[str, int]]
) -> None:
    asker = world.asker()
    first = world.worker(SendMessage, world.calls.blocking("w1"))
    world.pass_time(1.5)
    its = ticket(asker, say())
    outcomes = ask(asker, its)
    world.begun()
    world.kill(first)
    world.worker(SendMessage, world.calls.by("w2"), verify=lambda command, ctx: happened)
    assert answered(world, outcomes).verdict is verdict
    assert answered(world, ask(asker, its._replace(attempt=2))).verdict is Verdict.APPLIED
    assert [(who, attempt) for who, _, attempt in world.calls.all] == calls


def test_an_attempt_that_kills_its_worker_is_given_back_to_its_router_and_never_begun_again(world: World) -> None:
    asker = world.asker()
    its = ticket(asker, say())
    for number in (1, 2):
        worker = world.worker(SendMessage, world.calls.blocking(f"w{number}"), idempotent=True)
        world.pass_time(1.5)
        outcomes = ask(asker, its._replace(attempt=number))
        world.begun(number)
        world.kill(worker)
        bystander = world.worker(SendMessage, world.calls.by("bystander"), idempotent=True)
        outcome = answered(world, outcomes)
        assert (outcome.verdict, outcome.fault.code) == (Verdict.IN_DOUBT, "worker_lost")
        world.workers.remove(bystander)
        bystander.stop()
    assert [(who, attempt) for who, _, attempt in world.calls.all] == [("w1", 1), ("w2", 2)]


def test_an_attempt_left_behind_by_an_earlier_owner_of_its_guild_is_not_executed_after_a_later_ones(
    world: World,
) -> None:
    asker, heir = world.asker("r1"), world.asker("r2")
    first = world.worker(SendMessage, world.calls.blocking("w1"), idempotent=True, lease=10.0)
    world.pass_time(1.5)
    world.handle(first).dies_at = "begin"
    its = ticket(asker, say())
    left = ask(asker, its)
    world.until(lambda: world.handle(first).cut)
    world.kill(first)
    world.worker(SendMessage, world.calls.by("w2"), idempotent=True)
    outcome = answered(world, ask(heir, its._replace(attempt=2, token=its.token + 1)), 5)
    assert unpack(outcome.data) == {"by": "w2"}
    assert answered(world, left) == outcome, "what a later one came to is known"
    assert [(who, attempt) for who, _, attempt in world.calls.all] == [("w2", 2)]


def test_an_attempt_that_could_not_be_begun_costs_nothing_and_is_not_taken_for_begun(world: World) -> None:
    asker = world.asker()
    worker = world.worker(SendMessage, world.calls.by("w1"))
    world.pass_time(1.5)
    world.handle(worker).lost_reply = "begin"
    its = ticket(asker, say())
    outcome = answered(world, ask(asker, its))
    assert (outcome.verdict, outcome.fault.code) == (Verdict.DEFERRED, "store_unavailable")
    assert world.calls.all == []
    assert answered(world, ask(asker, its)).verdict is Verdict.APPLIED
    assert [attempt for _, _, attempt in world.calls.all] == [1]


def test_who_was_only_cut_off_changes_nothing_when_it_comes_back(world: World) -> None:
    asker = world.asker()
    first = world.worker(SendMessage, world.calls.blocking("w1"), idempotent=True)
    world.pass_time(1.5)
    its = ticket(asker, say())
    outcomes = ask(asker, its)
    world.begun()
    world.kill(first)
    world.worker(SendMessage, world.calls.by("w2"), idempotent=True)
    answered(world, outcomes)
    outcome = answered(world, ask(asker, its._replace(attempt=2)))
    world.handle(first).cut = False
    world.calls.release.set()
    world.pass_time(3)
    (known,) = world.shared.store.executions(its.envelope.queue, [its.envelope.id])
    assert known.worker == world.workers[0].id
    assert len(outcomes.all) == 1
    assert unpack(outcome.data) == {"by": "w2"}


def test_the_truth_about_a_command_that_was_called_in_doubt_is_known_when_its_handler_ends(world: World) -> None:
    asker = world.asker()
    world.worker(SendMessage, world.calls.blocking("w"), timeout=1)
    world.pass_time(1.5)
    its = ticket(asker, say())
    outcomes = ask(asker, its)
    world.begun()
    outcome = answered(world, outcomes)
    assert (outcome.verdict, outcome.fault.code) == (Verdict.IN_DOUBT, "timeout")
    answers = Outcomes()
    asker.protocol.verify(its.envelope, answers)
    world.pass_time(1)
    world.calls.release.set()
    world.until(lambda: bool(answers.all))
    assert answers.one is True


def test_a_handler_that_runs_for_many_leases_keeps_its_claim(world: World) -> None:
    asker = world.asker()
    world.worker(SendMessage, world.calls.blocking("w1"), lease=1.0)
    world.worker(SendMessage, world.calls.blocking("w2"), lease=1.0)
    world.pass_time(1.5)
    outcomes = ask(asker, ticket(asker, say()))
    world.until(lambda: bool(world.calls.all))
    world.pass_time(10)
    assert len(world.calls.all) == 1
    world.calls.release.set()
    assert answered(world, outcomes).verdict is Verdict.APPLIED


# ---------------------------------------------------------------- workers that stop


def test_a_stopping_worker_lets_running_commands_end_and_gives_the_rest_back(world: World) -> None:
    asker = world.asker()
    worker = world.worker(SendMessage, world.calls.blocking("w1"), concurrency=1)
    world.pass_time(1.5)
    sinks = [ask(asker, ticket(asker, say(str(number)))) for number in range(3)]
    world.begun()
    world.workers.remove(worker)
    world.calls.release.set()
    worker.stop(5)
    assert len(world.calls.all) == 1
    world.worker(SendMessage, world.calls.by("w2"))
    world.until(lambda: all(sink.all for sink in sinks))
    assert [sink.one.verdict for sink in sinks] == [Verdict.APPLIED] * 3
    assert [(who, attempt) for who, _, attempt in world.calls.all] == [("w1", 1), ("w2", 1), ("w2", 1)]


def test_what_still_runs_after_the_drain_is_repeated_elsewhere_if_that_does_no_harm(world: World) -> None:
    asker = world.asker()
    worker = world.worker(SendMessage, world.calls.blocking("w1"), idempotent=True)
    world.pass_time(1.5)
    its = ticket(asker, say())
    outcomes = ask(asker, its)
    world.begun()
    world.workers.remove(worker)
    worker.stop(0)
    assert answered(world, outcomes, 1).fault.code == "worker_lost", "which is repeated at once, as the next attempt"
    world.worker(SendMessage, world.calls.by("w2"), idempotent=True)
    world.pass_time(1)
    outcome = answered(world, ask(asker, its._replace(attempt=2)), 3)
    assert unpack(outcome.data) == {"by": "w2"}
    (stats,) = [world.shared.store.queue_stats()[ticket(asker, say()).envelope.queue]]
    assert stats.completed == 1


def test_what_still_runs_after_the_drain_is_in_doubt_if_repeating_it_would_show(world: World) -> None:
    asker = world.asker()
    worker = world.worker(SendMessage, world.calls.blocking("w1"))
    world.pass_time(1.5)
    outcomes = ask(asker, ticket(asker, say()))
    world.begun()
    world.workers.remove(worker)
    worker.stop(0)
    world.worker(SendMessage, world.calls.by("w2"))
    assert answered(world, outcomes, 3).verdict is Verdict.IN_DOUBT
    assert len(world.calls.all) == 1


# ---------------------------------------------------------------- routers that stop


def test_a_stopping_router_lets_the_commands_of_others_end_and_gives_the_rest_back(world: World) -> None:
    handlers = Handlers()
    handlers.handler(SendMessage)(world.calls.blocking("r2"))
    asker, other = world.asker("r1"), world.asker("r2", handlers, workers=1)
    world.pass_time(1.5)
    running = ask(asker, ticket(asker, say("first")))
    world.begun()
    waiting = ask(asker, ticket(asker, say("second")))
    world.calls.waiting += 1  # for the one thread
    world.until(lambda: len(other.executor.workshop) == 2)
    retreat = Thread(target=other.protocol.retreat, args=[CAP])
    retreat.start()
    world.until(lambda: len(other.executor.workshop) == 1)
    world.calls.waiting -= 1
    outcome = answered(world, waiting)
    assert (outcome.verdict, outcome.fault.code, outcome.executed) == (Verdict.DEFERRED, "shutting_down", False)
    assert retreat.is_alive()
    assert not running.all
    assert ask(asker, ticket(asker, say())).one.fault.code == "no_consumer"
    world.calls.release.set()
    retreat.join(CAP)
    assert not retreat.is_alive()
    assert answered(world, running).verdict is Verdict.APPLIED


def test_a_stopping_router_does_not_wait_for_others_longer_than_it_was_told_nor_for_itself(world: World) -> None:
    handlers = Handlers()
    handlers.handler(SendMessage)(world.calls.blocking("r2"))
    router = world.asker("r2", handlers)
    own = ask(router, ticket(router, say()))
    world.begun()
    router.protocol.retreat(1_000_000)  # its own are the engine's to wait for
    assert not own.all
    asker = world.asker("r1")
    router.protocol.open()
    world.pass_time(1.5)
    theirs = ask(asker, ticket(asker, say()))
    world.begun(2)
    router.protocol.retreat(0)
    assert not theirs.all


# ---------------------------------------------------------------- the store away


def test_an_outcome_found_while_the_store_was_away_is_told_when_it_is_back(world: World) -> None:
    asker = world.asker()
    worker = world.worker(SendMessage, world.calls.blocking("w"))
    world.pass_time(1.5)
    outcomes = ask(asker, ticket(asker, say()))
    world.begun()
    world.handle(worker).cut = True
    world.calls.release.set()
    world.pass_time(0.5)
    assert outcomes.all == []
    world.handle(worker).cut = False
    assert answered(world, outcomes).verdict is Verdict.APPLIED


def test_a_router_cut_off_after_it_asked_hears_the_outcome_when_it_is_back(world: World) -> None:
    asker = world.asker()
    world.worker(SendMessage, world.calls.by("w"))
    world.pass_time(1.5)
    outcomes = ask(asker, ticket(asker, say()))
    world.settle()
    asker.handle.cut = True
    world.pass_time(40)
    asker.handle.cut = False
    assert answered(world, outcomes).verdict is Verdict.APPLIED
    assert len(world.calls.all) == 1
