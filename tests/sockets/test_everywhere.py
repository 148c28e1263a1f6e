"""A bot is connected to one router, and executes for all of them: once, and nothing is lost in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from threading import Thread
from typing import Any

import pytest

from actors.codec import unpack
from actors.entries import Entry
from actors.outcome import Fault, Outcome, Verdict
from router.protocols.rehearsal import CAP
from router.protocols.websocket.letters import RULES, attempt_name, queue_of, worker_name
from tests.sockets.towns import FakeBot, House, Town

A_SECOND = 1.0


@pytest.fixture(params=["memory", "redis"])
def found(request: pytest.FixtureRequest) -> Iterator[Callable[..., Town]]:
    with ExitStack() as stack:

        def found(**options: Any) -> Town:
            town = Town(request.param, **options)
            stack.callback(town.close)
            return town

        yield found


@pytest.fixture
def town(found: Callable[..., Town]) -> Town:
    return found()


def code(outcome: Any) -> str:
    return outcome.fault.code if outcome.fault else ""


def reached(town: Town, house: House, its: Any) -> None:
    town.until(lambda: house.protocol.reaches(its.envelope))


def handed(town: Town, house: House, bot: FakeBot, its: Any) -> Any:
    """An attempt that ``house`` has started, once ``bot`` has it: what is said of it."""
    reached(town, house, its)
    outcomes = house.start(its)
    town.until(lambda: bot.waiting)
    return outcomes


def executions(house: House, place: int, id_: str) -> Any:
    return house.handle.executions(queue_of(place), [id_])[0]


# ---------------------------------------------------------------- the way there and back


def test_a_bot_of_another_router_is_reached_and_executes(town: Town) -> None:
    a, b = town.house("a"), town.house("b")
    its = town.ticket()
    assert not b.protocol.reaches(its.envelope)
    bot = FakeBot().connect(a)
    reached(town, b, its)
    assert b.changes, "whoever waits for a bot is told"
    outcomes = b.start(its)
    town.until(lambda: bot.waiting)
    (order,) = bot.waiting
    assert (order.envelope.id, order.attempt, order.sequence, order.token) == (its.envelope.id, 1, 7, 3)
    bot.execute()
    outcome = town.answered(outcomes)
    assert (outcome.verdict, unpack(outcome.data)) == (Verdict.APPLIED, {"by": "bot"})
    assert bot.order == [its.envelope.id]


def test_a_bot_of_this_router_is_preferred_and_the_store_is_not_asked(town: Town) -> None:
    a, b = town.house("a"), town.house("b")
    FakeBot("far").connect(a)
    near = FakeBot("near").connect(b)
    its = town.ticket()
    town.pass_time(A_SECOND)
    b.handle.cut = True
    outcomes = b.start(its)
    near.flush()
    near.execute()
    assert outcomes.one.verdict is Verdict.APPLIED


def test_what_finds_the_bots_of_this_router_full_goes_to_another(town: Town) -> None:
    a, b = town.house("a"), town.house("b")
    far = FakeBot("far").connect(a)
    near = FakeBot("near", capacity=1).connect(b)
    town.pass_time(A_SECOND)
    b.start(town.ticket())
    outcomes = b.start(town.ticket())
    town.until(lambda: far.waiting)
    assert len(near.waiting) == 1
    far.execute()
    assert unpack(town.answered(outcomes).data) == {"by": "far"}


def test_whoever_has_the_shard_is_preferred_to_a_bot_nearby_without_shards(town: Town) -> None:
    a, b = town.house("a"), town.house("b")
    guild = str(5 << 22)  # shard 1 of 2
    FakeBot("near").connect(b)
    FakeBot("other shard", shards=frozenset([0]), shard_count=2).connect(b)
    its_own = FakeBot("its shard", shards=frozenset([1]), shard_count=2).connect(a)
    town.pass_time(A_SECOND)
    outcomes = b.start(town.ticket(guild=guild))
    town.until(lambda: its_own.waiting)
    its_own.execute()
    assert unpack(town.answered(outcomes).data) == {"by": "its shard"}


def test_a_bot_that_goes_is_reached_no_more_and_whoever_waits_is_told(town: Town) -> None:
    a, b = town.house("a"), town.house("b")
    its = town.ticket()
    bot = FakeBot().connect(a)
    reached(town, b, its)
    changes = b.changes
    bot.leave()
    town.until(lambda: not b.protocol.reaches(its.envelope))
    assert b.changes > changes


def test_what_the_bot_says_is_what_the_asker_hears(town: Town) -> None:
    a, b = town.house("a"), town.house("b")
    bot = FakeBot().connect(a)
    reached(town, b, town.ticket())
    for said, verdict in (("rejected", Verdict.REJECTED), ("not_applied", Verdict.NOT_APPLIED)):
        outcomes = b.start(town.ticket())
        town.until(lambda: bot.waiting)
        bot.execute(said)
        assert town.answered(outcomes).verdict is verdict
    outcomes = b.start(town.ticket())
    town.until(lambda: bot.waiting)
    bot.refuse()
    outcome = town.answered(outcomes)
    assert (outcome.verdict, outcome.retry_after, outcome.executed) == (Verdict.DEFERRED, 100, False)


def test_asking_twice_while_it_is_under_way_executes_once_and_answers_both(town: Town) -> None:
    a, b = town.house("a"), town.house("b")
    bot = FakeBot().connect(a)
    its = town.ticket()
    reached(town, b, its)
    first, second = b.start(its), b.start(its._replace(attempt=2))
    town.until(lambda: bot.waiting)
    bot.execute()
    assert town.answered(first) == town.answered(second)
    assert len(bot.order) == 1


def test_the_guard_of_the_router_that_has_the_bot_is_asked_too(town: Town) -> None:
    a, b = town.house("a"), town.house("b")
    bot = FakeBot().connect(a)
    a.refusal = Outcome(Verdict.REJECTED, fault=Fault("hierarchy", "not any more"))
    reached(town, b, town.ticket())
    outcome = town.answered(b.start(town.ticket()))
    assert (outcome.verdict, code(outcome)) == (Verdict.REJECTED, "hierarchy")
    assert not bot.waiting


# ---------------------------------------------------------------- bounds


def test_what_its_router_does_not_claim_in_time_is_taken_back_and_never_executed(town: Town) -> None:
    a, b = town.house("a"), town.house("b")
    bot = FakeBot().connect(a)
    reached(town, b, town.ticket())
    a.handle.cut = True  # it lives, and cannot be reached
    outcomes = b.start(town.ticket(start_by=town.clock.now() + 1_000))
    outcome = town.answered(outcomes)
    assert (outcome.verdict, code(outcome)) == (Verdict.DEFERRED, "not_claimed")
    a.handle.cut = False
    town.pass_time(2 * A_SECOND)
    assert not bot.waiting


def test_what_nobody_claimed_can_be_recalled(town: Town) -> None:
    a, b = town.house("a"), town.house("b")
    FakeBot().connect(a)
    its = town.ticket()
    reached(town, b, its)
    a.handle.cut = True
    outcomes = b.start(its)
    town.settle()
    assert not b.protocol.recall(its.envelope.id), "only the store can tell"
    assert code(town.answered(outcomes)) == "recalled"


def test_what_waits_for_room_at_its_router_can_be_recalled(town: Town) -> None:
    a, b = town.house("a"), town.house("b")
    bot = FakeBot(capacity=1).connect(a)
    handed(town, b, bot, town.ticket())
    its = town.ticket()
    outcomes = b.start(its)
    town.pass_time(A_SECOND)
    assert not b.protocol.recall(its.envelope.id)
    assert code(town.answered(outcomes)) == "recalled"
    bot.execute()
    town.pass_time(A_SECOND)
    assert not bot.waiting


def test_what_its_bot_has_cannot_be_recalled(town: Town) -> None:
    a, b = town.house("a"), town.house("b")
    bot = FakeBot().connect(a)
    its = town.ticket()
    outcomes = handed(town, b, bot, its)
    assert not b.protocol.recall(its.envelope.id)
    town.pass_time(A_SECOND)
    assert not outcomes.all
    bot.execute()
    assert town.answered(outcomes).verdict is Verdict.APPLIED


def test_a_full_queue_puts_off_and_says_for_how_long(found: Callable[..., Town]) -> None:
    town = found(rules=RULES.__class__(**(_fields(RULES) | {"depth": 2})))
    a, b = town.house("a"), town.house("b")
    FakeBot().connect(a)
    reached(town, b, town.ticket())
    a.handle.cut = True
    waiting = [b.start(town.ticket()) for _ in range(2)]
    outcome = town.answered(b.start(town.ticket()))
    assert (outcome.verdict, outcome.retry_after > 0) == (Verdict.DEFERRED, True)
    assert not any(outcomes.all for outcomes in waiting)


def _fields(rules: Any) -> dict[str, Any]:
    return {name: getattr(rules, name) for name in rules.__dataclass_fields__}


def test_what_waits_for_room_is_given_up_at_its_deadline_and_not_sent(town: Town) -> None:
    a, b = town.house("a"), town.house("b")
    bot = FakeBot(capacity=1).connect(a)
    handed(town, b, bot, town.ticket())
    outcomes = b.start(town.ticket(start_by=town.clock.now() + 2_000))
    assert town.answered(outcomes).verdict is Verdict.DEFERRED
    bot.execute()
    town.pass_time(A_SECOND)
    assert not bot.waiting


def test_a_bot_that_gives_no_answer_in_time_leaves_a_doubt(town: Town) -> None:
    a, b = town.house("a"), town.house("b")
    bot = FakeBot().connect(a)
    outcomes = handed(town, b, bot, town.ticket(deadline=town.clock.now() + 2_000))
    outcome = town.answered(outcomes)
    assert (outcome.verdict, code(outcome)) == (Verdict.IN_DOUBT, "timeout")


# ---------------------------------------------------------------- other bots, other routers


@pytest.mark.parametrize("where", ["at the same router", "elsewhere"])
def test_what_had_not_left_when_its_bot_went_away_goes_to_another_and_costs_nothing(town: Town, where: str) -> None:
    a, b, c = town.house("a"), town.house("b"), town.house("c")
    gone, other = FakeBot("gone"), FakeBot("other")
    gone.holding = True
    gone.connect(a)
    its = town.ticket()
    reached(town, b, its)
    outcomes = b.start(its)
    town.until(lambda: gone.outbox)
    other.connect(a if where == "at the same router" else c)
    town.pass_time(A_SECOND)
    gone.leave()
    town.until(lambda: other.waiting)
    assert [order.attempt for order in other.waiting] == [1]
    other.execute()
    assert town.answered(outcomes).verdict is Verdict.APPLIED


def test_a_router_that_has_no_bot_for_it_after_all_is_passed_over(town: Town) -> None:
    a, b, c = town.house("a"), town.house("b"), town.house("c")
    FakeBot("wrong guild").connect(a, allowed=frozenset(["9" * 17]))
    a.told = {"offers": a.protocol.about()["offers"]}
    right = FakeBot("right").connect(c)
    a.told = {"offers": c.protocol.about()["offers"]}  # coarse: it reaches less than it says
    town.pass_time(A_SECOND)
    sent = [b.start(town.ticket()) for _ in range(4)]
    for _ in sent:
        town.until(lambda: right.waiting)
        right.execute()
    assert {town.answered(outcomes).verdict for outcomes in sent} == {Verdict.APPLIED}


def test_when_nobody_has_a_bot_after_all_it_is_put_off(town: Town) -> None:
    a, b = town.house("a"), town.house("b")
    bot = FakeBot().connect(a)
    its = town.ticket()
    reached(town, b, its)
    a.told = {"offers": a.protocol.about()["offers"]}
    bot.leave()
    outcome = town.answered(b.start(its))
    assert (outcome.verdict, code(outcome)) == (Verdict.DEFERRED, "no_bot")


# ---------------------------------------------------------------- a router dies


def test_what_a_dead_router_had_not_begun_goes_to_another_and_costs_nothing(town: Town) -> None:
    a, b, c = town.house("a"), town.house("b"), town.house("c")
    first, second = FakeBot("first", capacity=1).connect(a), FakeBot("second")
    handed(town, b, first, town.ticket())
    claimed = b.start(town.ticket("claimed"))  # waits for room
    town.pass_time(A_SECOND)
    a.handle.cut = True
    unclaimed = b.start(town.ticket("unclaimed"))
    second.connect(c)
    town.pass_time(0.3)
    a.kill()
    for _ in range(2):
        town.until(lambda: second.waiting)
        assert second.waiting[0].attempt == 1
        second.execute()
    assert town.answered(claimed).verdict is Verdict.APPLIED
    assert town.answered(unclaimed).verdict is Verdict.APPLIED


def test_what_a_dead_router_had_sent_is_in_doubt_soon(town: Town) -> None:
    a, b = town.house("a"), town.house("b")
    bot = FakeBot().connect(a)
    its = town.ticket()
    outcomes = handed(town, b, bot, its)
    a.kill()
    outcome = town.answered(outcomes, 3)
    assert (outcome.verdict, code(outcome)) == (Verdict.IN_DOUBT, "connection_lost")
    assert "bot bot" in outcome.fault.message


def lost(town: Town, a: House, b: House, bot: FakeBot) -> Any:
    """An attempt of ``b`` that ``bot`` at ``a`` has, after ``a`` was killed; in doubt."""
    its = town.ticket()
    reached(town, b, its)
    outcomes = b.start(its)
    town.until(lambda: bot.waiting or bot.outbox)
    a.kill()
    assert town.answered(outcomes).verdict is Verdict.IN_DOUBT
    return its


@pytest.mark.parametrize("where", ["the asker", "a third router"])
def test_a_bot_that_did_it_says_so_wherever_it_comes_back(town: Town, where: str) -> None:
    a, b, c = town.house("a"), town.house("b"), town.house("c")
    bot = FakeBot().connect(a)
    its = lost(town, a, b, bot)
    bot.execute(say=False)
    answers = b.verify(its.envelope)
    town.pass_time(A_SECOND)
    assert answers.all == []
    bot.connect(b if where == "the asker" else c)
    assert town.answered(answers, 3) is True


def test_a_bot_that_is_still_at_it_says_what_came_of_it_when_it_has_ended(town: Town) -> None:
    a, b, c = town.house("a"), town.house("b"), town.house("c")
    bot = FakeBot().connect(a)
    its = lost(town, a, b, bot)
    answers = b.verify(its.envelope)
    bot.connect(c)
    town.pass_time(2 * A_SECOND)
    assert answers.all == []
    bot.execute()
    assert town.answered(answers, 3) is True
    assert len(bot.order) == 1


def test_a_bot_that_never_got_it_proves_that_it_did_not_happen(town: Town) -> None:
    a, b, c = town.house("a"), town.house("b"), town.house("c")
    bot = FakeBot()
    bot.holding = True
    bot.connect(a)
    its = lost(town, a, b, bot)
    bot.connect(c)
    assert town.answered(b.verify(its.envelope), 3) is False
    bot.holding = False
    outcomes = b.start(its._replace(attempt=2))
    town.until(lambda: bot.waiting)
    bot.execute()
    assert town.answered(outcomes).verdict is Verdict.APPLIED


def test_a_bot_whose_record_is_gone_cannot_tell_and_nobody_waits_for_it(town: Town) -> None:
    a, b, c = town.house("a"), town.house("b"), town.house("c")
    its = lost(town, a, b, FakeBot().connect(a))
    FakeBot(instance="i2").connect(c)
    answers = b.verify(its.envelope)
    assert town.answered(answers, 3) is None


def test_what_is_known_here_at_once_is_asked_of_nobody_else(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b, c = town.house("a"), town.house("b"), town.house("c")
    bot = FakeBot().connect(a)
    its = lost(town, a, b, bot)
    FakeBot("another").connect(c)
    bot.execute(say=False)
    bot.connect(b)
    town.pass_time(A_SECOND)
    asked: list[str] = []
    verify = c.bots.verify
    monkeypatch.setattr(c.bots, "verify", lambda its, *rest: (asked.append(its.id), verify(its, *rest)))
    assert town.answered(b.verify(its.envelope)) is True
    town.pass_time(A_SECOND)
    assert asked == []


def test_a_bot_that_does_not_come_back_is_waited_for_and_then_nobody_knows(town: Town) -> None:
    a, b, c = town.house("a"), town.house("b"), town.house("c")
    its = lost(town, a, b, FakeBot().connect(a))
    FakeBot("another").connect(c)
    answers = b.verify(its.envelope)
    town.pass_time(8)
    assert answers.all == []
    town.pass_time(2)
    assert answers.one is None


def test_the_next_attempt_goes_to_the_bot_that_may_be_at_it_and_its_record_answers(town: Town) -> None:
    a, b, c = town.house("a"), town.house("b"), town.house("c")
    bot = FakeBot().connect(a)
    its = town.ban(deadline=town.clock.now() + 1_000)
    outcomes = handed(town, b, bot, its)
    assert town.answered(outcomes).verdict is Verdict.IN_DOUBT
    FakeBot("another").connect(c)
    town.pass_time(A_SECOND)
    second = b.start(its._replace(attempt=2, deadline=0))
    bot.execute()
    town.until(lambda: second.all)
    assert second.one.verdict is Verdict.APPLIED
    assert len(bot.order) == 1


# ---------------------------------------------------------------- the owner dies


def test_the_next_owner_of_a_guild_finds_out_what_the_former_one_had_sent(town: Town) -> None:
    a, b, c = town.house("a"), town.house("b"), town.house("c")
    bot = FakeBot().connect(a)
    its = town.ticket()
    handed(town, b, bot, its)
    b.kill()
    answers = c.verify(its.envelope)
    town.pass_time(A_SECOND)
    assert answers.all == []
    bot.execute()
    assert town.answered(answers, 3) is True
    assert town.answered(c.verify(its.envelope), 3) is True, "and it is remembered"


def test_the_next_owner_takes_back_what_the_former_one_left_unclaimed(town: Town) -> None:
    a, b, c = town.house("a"), town.house("b"), town.house("c")
    bot = FakeBot().connect(a)
    its = town.ticket()
    reached(town, b, its)
    a.handle.cut = True
    b.start(its)
    town.settle()
    b.kill()
    assert town.answered(c.verify(its.envelope), 3) is False
    a.handle.cut = False
    town.pass_time(2 * A_SECOND)
    assert not bot.waiting


def test_the_same_attempt_left_by_a_former_owner_is_answered_to_the_next_one(town: Town) -> None:
    a, b, c = town.house("a"), town.house("b"), town.house("c")
    bot = FakeBot().connect(a)
    its = town.ticket()
    reached(town, b, its)
    a.handle.cut = True
    b.start(its)
    town.settle()
    b.kill()
    outcomes = c.start(its)
    town.settle()
    a.handle.cut = False
    town.until(lambda: bot.waiting)
    bot.execute()
    assert town.answered(outcomes).verdict is Verdict.APPLIED
    assert len(bot.order) == 1


def test_what_a_former_owner_left_is_not_sent_after_the_next_one_has_begun_it(town: Town) -> None:
    a, b, c = town.house("a"), town.house("b"), town.house("c")
    bot = FakeBot().connect(a)
    its = town.ticket(attempt=1, token=3)
    reached(town, b, its)
    reached(town, c, its)
    newer = its._replace(attempt=2, token=4)
    done = c.start(newer)
    town.until(lambda: bot.waiting)
    bot.leave()  # it has it, and says nothing of it
    assert town.answered(done).verdict is Verdict.IN_DOUBT
    other = FakeBot("other").connect(a)
    town.pass_time(A_SECOND)
    outcome = town.answered(b.start(its))
    assert (outcome.verdict, code(outcome)) == (Verdict.IN_DOUBT, "outdated")
    assert not other.waiting


# ---------------------------------------------------------------- claims that are lost


def test_a_router_that_lost_its_claim_before_it_sent_does_not_send(town: Town) -> None:
    a, b = town.house("a"), town.house("b")
    bot = FakeBot()
    bot.holding = True
    bot.connect(a)
    its = town.ticket()
    reached(town, b, its)
    outcomes = b.start(its)
    town.until(lambda: bot.outbox)
    a.handle.cut = a.away = True
    assert town.answered(outcomes).verdict is Verdict.IN_DOUBT
    bot.flush()
    assert not bot.waiting


def test_a_claim_that_is_lost_and_got_again_gives_nothing_to_a_second_bot(town: Town) -> None:
    a, b = town.house("a"), town.house("b")
    first = FakeBot("first").connect(a)
    its = town.ticket()
    outcomes = handed(town, b, first, its)
    a.handle.cut = True
    first.leave()
    town.pass_time(A_SECOND)
    second = FakeBot("second").connect(a)
    a.handle.cut = False
    assert town.answered(outcomes).verdict is Verdict.IN_DOUBT
    assert not second.waiting


def test_a_claim_that_is_lost_and_got_again_while_the_bot_is_at_it_is_answered_by_it(town: Town) -> None:
    a, b = town.house("a"), town.house("b")
    bot = FakeBot().connect(a)
    its = town.ticket()
    outcomes = handed(town, b, bot, its)
    a.handle.cut = True
    town.pass_time(A_SECOND)
    a.handle.cut = False
    town.pass_time(A_SECOND)
    bot.execute()
    assert town.answered(outcomes).verdict is Verdict.APPLIED
    assert len(bot.order) == 1


def test_an_attempt_whose_append_was_not_answered_is_executed_once(town: Town) -> None:
    a, b = town.house("a"), town.house("b")
    bot = FakeBot().connect(a)
    its = town.ticket()
    reached(town, b, its)
    b.handle.silent = "append"
    outcomes = b.start(its)
    town.until(lambda: bot.waiting)
    bot.execute()
    town.pass_time(A_SECOND)
    b.handle.silent = ""
    assert town.answered(outcomes).verdict is Verdict.APPLIED
    town.pass_time(A_SECOND)
    assert not bot.waiting


# ---------------------------------------------------------------- places


def test_routers_that_begin_at_once_come_to_have_places_of_their_own(town: Town) -> None:
    houses = [town.found(name, away=True) for name in ("c", "a", "b")]
    bots = [FakeBot(house.name).connect(house) for house in houses]
    town.pass_time(0.3)
    assert {house.protocol.about()["place"] for house in houses} == {0}
    for house in houses:
        house.away = False
    town.pass_time(A_SECOND)
    assert sorted(house.protocol.about()["place"] for house in houses) == [0, 1, 2]
    bots[1].leave()
    bots[2].leave()
    town.pass_time(A_SECOND)
    outcomes = houses[1].start(town.ticket())
    town.until(lambda: bots[0].waiting)
    bots[0].execute()
    assert town.answered(outcomes).verdict is Verdict.APPLIED


def test_whoever_takes_the_place_of_a_dead_router_says_what_is_in_doubt_and_executes_the_rest(town: Town) -> None:
    a, b = town.house("a"), town.house("b")
    bot = FakeBot("first", capacity=1).connect(a)
    begun, waits = town.ticket("begun"), town.ticket("waits")
    first = handed(town, b, bot, begun)
    b.away = True  # it cannot close the queue of a dead one in these few moments
    second = b.start(waits)
    town.pass_time(0.3)
    b.handle.cut = True
    a.kill()
    c = town.house("c")
    other = FakeBot("other").connect(c)
    town.pass_time(0.2)
    assert c.protocol.about()["place"] == 0
    town.until(lambda: other.waiting)
    assert [order.envelope.id for order in other.waiting] == [waits.envelope.id]
    other.execute()
    b.handle.cut = b.away = False
    assert town.answered(first).verdict is Verdict.IN_DOUBT
    assert town.answered(second).verdict is Verdict.APPLIED


def test_a_router_without_bots_takes_no_place_and_what_a_dead_one_had_is_in_doubt_soon(town: Town) -> None:
    a, b = town.house("a"), town.house("b")
    bot = FakeBot().connect(a)
    its = town.ticket()
    outcomes = handed(town, b, bot, its)
    a.kill()
    c = town.found("c")
    assert town.answered(outcomes, 3).verdict is Verdict.IN_DOUBT
    assert c.protocol.about()["place"] == -1


# ---------------------------------------------------------------- what the store knows


def test_the_store_knows_which_bot_has_it_before_it_has_left(town: Town) -> None:
    a, b = town.house("a"), town.house("b")
    bot = FakeBot()
    bot.holding = True
    bot.connect(a)
    its = town.ticket()
    reached(town, b, its)
    b.start(its)
    town.until(lambda: bot.outbox)
    known = executions(b, 0, its.envelope.id)
    assert (known.worker, known.attempt, known.owner, known.ended_at) == (worker_name("a", "bot", "i1"), 1, 3, 0)
    assert known.entry == attempt_name(its.envelope.id, 1, queue_of(0))


def test_what_is_no_attempt_is_thrown_out_and_the_rest_goes_on(town: Town) -> None:
    a, b = town.house("a"), town.house("b")
    bot = FakeBot().connect(a)
    reached(town, b, town.ticket())
    b.handle.append([Entry("attempt/x:1@0", queue_of(0), b"\xc1", 5, 0), Entry("record/x", queue_of(0), b"", 5, 0)], 1)
    outcomes = b.start(town.ticket())
    town.until(lambda: bot.waiting)
    bot.execute()
    assert town.answered(outcomes).verdict is Verdict.APPLIED
    town.pass_time(A_SECOND)
    stats = b.handle.queue_stats()[queue_of(0)]
    assert (stats.waiting, stats.claimed, stats.dead) == (0, 0, 0)


# ---------------------------------------------------------------- closing


def test_close_hands_back_what_nobody_claimed_and_calls_in_doubt_what_runs(town: Town) -> None:
    a, b = town.house("a"), town.house("b")
    bot = FakeBot().connect(a)
    running = handed(town, b, bot, town.ticket())
    a.handle.cut = True
    unclaimed = b.start(town.ticket())
    town.settle()
    b.protocol.close(0.5)
    assert code(unclaimed.one) == "shutting_down"
    assert unclaimed.one.verdict is Verdict.DEFERRED
    assert running.one.verdict is Verdict.IN_DOUBT


def test_a_router_that_retreats_ends_what_its_bots_have_and_hands_back_the_rest(town: Town) -> None:
    a, b, c = town.house("a"), town.house("b"), town.house("c")
    first = FakeBot("first", capacity=1).connect(a)
    reached(town, b, town.ticket())
    has, waits = b.start(town.ticket()), b.start(town.ticket())
    town.until(lambda: first.waiting)
    town.pass_time(A_SECOND)
    second = FakeBot("second").connect(c)
    town.pass_time(A_SECOND)
    retreat = Thread(target=a.protocol.retreat, args=[CAP])
    retreat.start()
    town.until(lambda: second.waiting)
    second.execute()
    assert town.answered(waits).verdict is Verdict.APPLIED
    assert not has.all
    assert retreat.is_alive()
    first.execute()
    retreat.join(CAP)
    assert not retreat.is_alive()
    assert town.answered(has).verdict is Verdict.APPLIED
    assert a.protocol.about()["offers"] == b"", "and nobody asks it any more"


def test_what_comes_to_a_router_that_retreats_goes_elsewhere_at_once(town: Town) -> None:
    a, b, c = town.house("a"), town.house("b"), town.house("c")
    first = FakeBot("first").connect(a)
    handed(town, b, first, town.ticket())
    second = FakeBot("second").connect(c)
    town.pass_time(A_SECOND)
    sent = [b.start(town.ticket()) for _ in range(2)]
    town.settle()
    a.protocol.retreat(0)
    sent += [b.start(town.ticket()) for _ in range(2)]
    town.pass_time(2 * A_SECOND)
    for bot in (first, second):
        while bot.waiting:
            bot.execute()
    assert {town.answered(outcomes, 1).verdict for outcomes in sent} == {Verdict.APPLIED}
    assert len(first.order) + len(second.order) == 5


def test_a_router_that_closes_hands_back_what_it_has_and_others_go_elsewhere(town: Town) -> None:
    a, b, c = town.house("a"), town.house("b"), town.house("c")
    first = FakeBot("first", capacity=1).connect(a)
    handed(town, b, first, town.ticket())
    waits = b.start(town.ticket())
    town.pass_time(A_SECOND)
    second = FakeBot("second").connect(c)
    town.pass_time(A_SECOND)
    a.protocol.close(0)
    town.until(lambda: second.waiting)
    second.execute()
    assert town.answered(waits).verdict is Verdict.APPLIED
