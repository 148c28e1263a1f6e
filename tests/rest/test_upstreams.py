"""Commands to bots' endpoints over real sockets, through everything that can go wrong on the way."""

from __future__ import annotations

import json
import ssl
from typing import Any

import pytest
import trustme

from actors.codec import unpack
from actors.outcome import Outcome, Verdict
from actors.policy.balancing import Balance
from actors.policy.breaker import Condition
from router.protocols.rehearsal import Outcomes, ban, say
from tests.fakes import bot as bots
from tests.fakes.bot import Bot
from tests.protocols.tickets import ticket
from tests.rest.benches import RestBench
from tests.servers.ports import free_port


def run(bench: RestBench, its: Any) -> Outcome:
    outcomes = Outcomes()
    bench.protocol.start(its, outcomes)
    return outcomes.one


def happened(bench: RestBench, envelope: Any) -> Any:
    answers = Outcomes()
    bench.protocol.verify(envelope, answers)
    return answers.one


def nobody() -> str:
    """An address where nobody listens."""
    return f"http://127.0.0.1:{free_port()}/commands"


def test_a_command_is_posted_once_with_its_id_its_deadline_and_the_secret() -> None:
    with Bot() as bot, RestBench(bot.url, secret="s3cret") as bench:
        its = ticket(bench, ban(), attempt=2)
        outcome = run(bench, its)
        assert outcome.verdict is Verdict.APPLIED
        assert unpack(outcome.data) == {"id": its.envelope.id}
        ((method, path, headers, body),) = bot.requests
        assert (method, path) == ("POST", "/commands")
        assert headers["Authorization"] == "Bearer s3cret"
        assert headers["Idempotency-Key"] == its.envelope.id
        assert headers["X-Router-Attempt"] == "2"
        assert headers["X-Router-Deadline"] == str(bench.now() + 15_000)
        given = json.loads(body)
        assert given["envelope"]["data"]["userId"] == "2" * 17
        assert (given["envelope"]["type"], given["envelope"]["guildId"], given["attempt"]) == ("BAN_USER", "1" * 17, 2)


@pytest.mark.parametrize(
    ("step", "verdict", "code", "executed"),
    [
        (bots.answer(200, {"outcome": "applied", "noop": True}, execute=True), Verdict.APPLIED, "", 1),
        (bots.answer(200, {"anything": "else"}, execute=True), Verdict.APPLIED, "", 1),
        (bots.answer(204, execute=True), Verdict.APPLIED, "", 1),
        (bots.half_an_answer, Verdict.APPLIED, "", 1),
        (bots.answer(200, {"outcome": "rejected", "error": {"code": "hierarchy"}}), Verdict.REJECTED, "hierarchy", 0),
        (bots.answer(200, {"outcome": "not_applied", "error": {"code": "x"}}), Verdict.NOT_APPLIED, "x", 0),
        (bots.answer(400, {"code": "bad", "detail": "no"}), Verdict.REJECTED, "bad", 0),
        (bots.answer(401), Verdict.REJECTED, "http_401", 0),
        (bots.answer(404), Verdict.REJECTED, "http_404", 0),
        (bots.answer(422), Verdict.REJECTED, "http_422", 0),
        (bots.answer(500), Verdict.IN_DOUBT, "http_500", 0),
        (bots.answer(502, execute=True), Verdict.IN_DOUBT, "http_502", 1),
        (bots.answer(503, Retry_After="3"), Verdict.IN_DOUBT, "http_503", 0),
        (bots.answer(302, Location="http://127.0.0.1:1/"), Verdict.REJECTED, "redirected", 0),
        (bots.drop_before, Verdict.IN_DOUBT, "connection_lost", 0),
        (bots.drop_after, Verdict.IN_DOUBT, "connection_lost", 1),
    ],
)
def test_each_answer_has_its_meaning_and_is_asked_for_once(
    step: Any, verdict: Verdict, code: str, executed: int
) -> None:
    with Bot(step) as bot, RestBench(bot.url) as bench:
        outcome = run(bench, ticket(bench, say()))
        assert (outcome.verdict, outcome.fault.code if outcome.fault else "") == (verdict, code)
        assert len(bot.requests) == 1
        assert len(bot.ledger) == executed


@pytest.mark.parametrize(
    ("status", "headers", "wait", "executed"),
    [
        (429, {"Retry_After": "2.5"}, 2_500, False),
        (429, {}, 1_000, False),
        (425, {"Retry_After": "junk"}, 1_000, False),
        (409, {"Retry_After": "7"}, 7_000, True),
        (429, {"Retry_After": "1e99"}, 1_000, False),
    ],
)
def test_come_back_later_is_deferred_and_no_failure_of_the_upstream(
    status: int, headers: dict[str, str], wait: int, executed: bool
) -> None:
    with Bot(*[bots.answer(status, **headers)] * 5) as bot, RestBench(bot.url) as bench:
        for _ in range(5):
            outcome = run(bench, ticket(bench, ban()))
            assert (outcome.verdict, outcome.retry_after, outcome.executed) == (Verdict.DEFERRED, wait, executed)
        assert bench.breakers.get("rest:a").condition is Condition.CLOSED


def test_a_refused_connection_and_an_unknown_name_prove_that_nothing_happened() -> None:
    with RestBench(nobody()) as bench:
        outcome = run(bench, ticket(bench, say()))
        assert (outcome.verdict, outcome.executed) == (Verdict.NOT_APPLIED, False)
        assert outcome.fault is not None
        assert (outcome.fault.code, outcome.fault.retryable) == ("unreachable", True)
    with RestBench("http://no-such-host.invalid/commands") as bench:
        assert run(bench, ticket(bench, say())).verdict is Verdict.NOT_APPLIED


def test_whoever_cannot_be_reached_is_followed_by_the_next_at_once() -> None:
    with Bot() as bot, RestBench(nobody(), bot.url) as bench:
        verdicts = [run(bench, ticket(bench, say())).verdict for _ in range(6)]
        assert verdicts == [Verdict.APPLIED] * 6
        assert len(bot.ledger) == 6
        assert bench.breakers.get("rest:a").condition is Condition.OPEN
        assert bench.breakers.get("rest:b").condition is Condition.CLOSED


def test_an_answer_in_doubt_is_never_followed_by_another_upstream() -> None:
    with Bot(bots.drop_after) as first, Bot() as second, RestBench(first.url, second.url) as bench:
        outcome = run(bench, ticket(bench, say()))
        assert outcome.verdict is Verdict.IN_DOUBT
        assert outcome.executed  # the upstream's fault, not the protocol's
        assert len(first.ledger) + len(second.ledger) == 1


def test_a_sick_upstream_rests_and_its_command_waits_without_being_sent() -> None:
    with Bot(bots.answer(500), bots.answer(500)) as bot, RestBench(bot.url) as bench:
        for _ in range(2):
            assert run(bench, ticket(bench, ban())).verdict is Verdict.IN_DOUBT
        outcome = run(bench, ticket(bench, ban()))
        assert outcome.verdict is Verdict.DEFERRED
        assert outcome.fault is not None
        assert outcome.fault.code == "breaker_open"
        assert 0 < outcome.retry_after <= 30_000
        assert len(bot.requests) == 2
        bench.advance(30.1)
        assert run(bench, ticket(bench, ban())).verdict is Verdict.APPLIED
        assert bench.breakers.get("rest:a").condition is Condition.CLOSED


def test_a_late_answer_is_recorded_and_answers_the_next_attempt() -> None:
    with Bot(bots.hang_after) as bot, RestBench(bot.url) as bench:
        its = ticket(bench, say())
        first, second = Outcomes(), Outcomes()
        bench.protocol.start(its, first)
        bot.executed()
        bench.advance(15.1)
        assert first.one.verdict is Verdict.IN_DOUBT
        assert first.one.fault.code == "timeout"
        bench.protocol.start(its._replace(attempt=2), second)
        bot.release()
        assert second.one.verdict is Verdict.APPLIED
        assert unpack(second.one.data) == "late"
        assert run(bench, its._replace(attempt=3)) == second.one
        assert len(bot.ledger) == len(bot.requests) == 1


def test_who_asks_whether_it_happened_hears_the_late_answer() -> None:
    with Bot(bots.hang_after) as bot, RestBench(bot.url) as bench:
        its = ticket(bench, say())
        outcomes, answers = Outcomes(), Outcomes()
        bench.protocol.start(its, outcomes)
        bot.executed()
        bench.advance(15.1)
        assert outcomes.one.verdict is Verdict.IN_DOUBT
        bench.protocol.verify(its.envelope, answers)
        bot.release()
        assert answers.one is True


@pytest.mark.parametrize(
    ("record", "known"),
    [
        ((200, {"state": "done", "outcome": "applied"}), True),
        ((200, {"state": "done", "outcome": "applied", "noop": True}), True),
        ((200, {"state": "done", "outcome": "rejected"}), False),
        ((200, {"state": "done", "outcome": "not_applied"}), False),
        ((200, {"state": "done", "outcome": "in_doubt"}), None),
        ((200, ["what"]), None),
        ((404, {}), False),
        ((404, {"completeForMs": 1 << 40}), False),
        ((404, {"completeForMs": 0}), None),
        ((500, {}), None),
        ((403, {}), None),
    ],
)
def test_an_upstream_with_records_is_asked_by_id(record: tuple[int, Any], known: bool | None) -> None:
    with Bot(bots.drop_after) as bot, RestBench(bot.url, records=True, secret="s3cret") as bench:
        its = ticket(bench, say())
        assert run(bench, its).verdict is Verdict.IN_DOUBT
        bot.records[its.envelope.id] = record
        assert happened(bench, its.envelope) is known
        method, path, headers, _ = bot.requests[-1]
        assert (method, path) == ("GET", f"/commands/{its.envelope.id}")
        assert headers["Authorization"] == "Bearer s3cret"


def test_an_upstream_without_records_cannot_be_asked() -> None:
    with Bot(bots.drop_after) as bot, RestBench(bot.url) as bench:
        its = ticket(bench, say())
        run(bench, its)
        assert happened(bench, its.envelope) is None
        assert len(bot.requests) == 1


def test_only_the_upstream_it_was_sent_to_is_asked() -> None:
    with Bot(bots.drop_after) as first, Bot() as second, RestBench(first.url, second.url, records=True) as bench:
        its = ticket(bench, say())
        run(bench, its)
        had, other = (first, second) if first.requests else (second, first)
        had.records[its.envelope.id] = (200, {"state": "done", "outcome": "applied"})
        assert happened(bench, its.envelope) is True
        assert other.requests == []


def test_a_reused_connection_that_dies_is_not_sent_on_twice() -> None:
    with Bot(bots.ok, bots.drop_after) as bot, RestBench(bot.url) as bench:
        assert run(bench, ticket(bench, say())).verdict is Verdict.APPLIED
        assert run(bench, ticket(bench, say())).verdict is Verdict.IN_DOUBT
        assert len(bot.requests) == 2


def test_an_answer_larger_than_the_bound_is_applied_without_its_data() -> None:
    with Bot(bots.huge(3 << 20)) as bot, RestBench(bot.url) as bench:
        outcome = run(bench, ticket(bench, say()))
        assert (outcome.verdict, outcome.data) == (Verdict.APPLIED, b"")
        assert len(bot.ledger) == 1


def test_an_upstream_gets_no_more_at_once_than_it_may_also_of_those_nobody_waits_for() -> None:
    with Bot(*[bots.hang_after] * 3) as bot, RestBench(bot.url, capacity=2) as bench:
        waiting = [Outcomes() for _ in range(2)]
        for sink in waiting:
            bench.protocol.start(ticket(bench, say()), sink)
        bot.executed(2)
        bench.advance(15.1)
        outcome = run(bench, ticket(bench, say()))
        assert outcome.verdict is Verdict.DEFERRED
        assert outcome.fault is not None
        assert outcome.fault.code == "busy"
        bot.release()


def test_guilds_and_types_say_whom_an_upstream_serves() -> None:
    with Bot() as bot, RestBench(bot.url, guilds=["1" * 17], types=["BAN_USER"]) as bench:
        assert bench.protocol.reaches(ticket(bench, ban()).envelope)
        assert not bench.protocol.reaches(ticket(bench, say()).envelope)
        other = ticket(bench, ban())
        elsewhere = other._replace(envelope=other.envelope._replace(guild="9" * 17))
        assert not bench.protocol.reaches(elsewhere.envelope)
        assert run(bench, elsewhere).verdict is Verdict.DEFERRED
        assert bot.requests == []


def test_the_load_is_shared_in_turns() -> None:
    with Bot() as first, Bot() as second, RestBench(first.url, second.url, balance=Balance.ROUND_ROBIN) as bench:
        for _ in range(10):
            run(bench, ticket(bench, ban()))
        assert (len(first.ledger), len(second.ledger)) == (5, 5)


def test_what_is_due_to_start_before_it_can_be_sent_is_not_sent() -> None:
    with Bot() as bot, RestBench(bot.url) as bench:
        for its in (
            ticket(bench, ban())._replace(start_by=bench.now()),
            ticket(bench, ban())._replace(deadline=bench.now() - 1),
            ticket(bench, ban())._replace(lapsed=lambda: True),
        ):
            assert run(bench, its).verdict is Verdict.DEFERRED
        assert bot.requests == []


def test_close_calls_what_is_without_an_answer_in_doubt_and_leaves_nothing_behind() -> None:
    with Bot(bots.hang_after) as bot:
        bench = RestBench(bot.url)
        outcomes, late = Outcomes(), Outcomes()
        bench.protocol.start(ticket(bench, say()), outcomes)
        bot.executed()
        bench.protocol.close(0)
        assert outcomes.one.verdict is Verdict.IN_DOUBT
        bench.protocol.start(ticket(bench, say()), late)
        assert late.one.verdict is Verdict.DEFERRED
        bench.protocol.open()
        assert run(bench, ticket(bench, say())).verdict is Verdict.APPLIED
        bench.close()


@pytest.mark.parametrize(
    ("status", "well"), [(200, True), (404, True), (405, True), (401, False), (403, False), (500, False)]
)
def test_a_look_at_an_upstream_says_how_it_is(status: int, well: bool) -> None:
    with Bot() as bot, RestBench(bot.url, secret="s3cret") as bench:
        bot.records["commands"] = (status, {})
        (probe,) = bench.protocol.probes()
        signs = Outcomes()
        probe.probe(signs)
        assert probe.service == "rest:a"
        assert (signs.one.well, signs.one.counts) == (well, True)
        assert "s3cret" not in signs.one.detail
        assert [method for method, *_ in bot.requests] == ["GET"]


def test_a_look_at_an_upstream_that_is_not_there_and_at_a_stopped_one() -> None:
    bench = RestBench(nobody())
    (probe,) = bench.protocol.probes()
    away, stopped = Outcomes(), Outcomes()
    probe.probe(away)
    assert not away.one.well
    bench.close()
    probe.probe(stopped)
    assert (stopped.one.well, stopped.one.counts) == (False, False)


def test_a_certificate_that_nobody_vouches_for_proves_that_nothing_was_sent() -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    bot = Bot()
    bot.served.secure(context)
    with bot, RestBench(bot.url.replace("http:", "https:")) as bench:
        outcome = run(bench, ticket(bench, say()))
        assert (outcome.verdict, outcome.fault and outcome.fault.code) == (Verdict.NOT_APPLIED, "unreachable")
        assert bot.requests == []
