"""Discord's limits are kept from this side, and what cannot go now is handed back with its time."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from actors.outcome import Verdict
from actors.runtime.clock import Timer
from actors.runtime.testing import ManualClock
from router import Router
from router.messages.communication import SendMessage
from router.messages.moderation import BanUser, KickUser
from router.protocols.discord.call import Call, Rejected, call
from router.protocols.discord.limits import NEGATIVE, WINDOW, Ledger, wait_of
from router.protocols.rehearsal import CAP, Outcomes
from tests.discord.benches import ALL, DiscordBench, code_of
from tests.fakes import discord as fakes
from tests.fakes.discord import CHANNEL, GUILD, MODERATOR, OWNER, TOKEN, USER, Discord

OTHER = "9" * 17


def ban(guild: str = GUILD) -> Call:
    return call("PUT", "/guilds/{guild}/bans/{user}", guild=guild, user=USER)


def told(limit: int, remaining: int, after: float, bucket: str = "b") -> dict[str, str]:
    return {
        "x-ratelimit-limit": str(limit),
        "x-ratelimit-remaining": str(remaining),
        "x-ratelimit-reset-after": str(after),
        "x-ratelimit-bucket": bucket,
    }


# ---------------------------------------------------------------- the ledger alone


def test_of_an_unknown_route_one_request_is_under_way_until_its_limit_is_told() -> None:
    ledger = Ledger()
    assert ledger.hold(ban(), 0) is None
    assert ledger.hold(ban(), 0) is not None
    ledger.answered(ban(), 204, told(3, 2, 5), 10)
    assert [ledger.hold(ban(), 10) for _ in range(2)] == [None, None]
    held = ledger.hold(ban(), 10)
    assert held is not None
    assert held.retry_after == 5_000
    assert ledger.hold(ban(OTHER), 10) is None  # counted apart


def test_a_request_that_hangs_does_not_keep_its_place_for_ever() -> None:
    ledger = Ledger()
    assert ledger.hold(ban(), 0) is None
    assert ledger.hold(ban(), 4_999) is not None
    assert ledger.hold(ban(), 5_000) is None
    ledger.answered(ban(), 204, told(2, 1, 1), 5_000)
    for at in (6_000, 12_000):  # two of each window hang, and the next window has its two all the same
        assert [ledger.hold(ban(), at) is None for _ in range(3)] == [True, True, False]


def test_a_bucket_is_full_again_when_its_time_is_over() -> None:
    ledger = Ledger()
    ledger.hold(ban(), 0)
    ledger.answered(ban(), 204, told(2, 0, 1.5), 0)
    held = ledger.hold(ban(), 1_499)
    assert held is not None
    assert held.retry_after == 1
    assert [ledger.hold(ban(), 1_500) for _ in range(2)] == [None, None]
    assert ledger.hold(ban(), 1_500) is not None


def test_routes_of_one_bucket_share_it() -> None:
    ledger = Ledger()
    unban = call("DELETE", "/guilds/{guild}/bans/{user}", guild=GUILD, user=USER)
    for one in (ban(), unban):
        ledger.hold(one, 0)
    ledger.answered(ban(), 204, told(2, 1, 5), 0)
    ledger.answered(unban, 204, told(2, 0, 5), 0)
    assert ledger.hold(ban(), 0) is not None


def test_answers_that_overtake_each_other_do_not_give_tokens_back() -> None:
    ledger = Ledger()
    ledger.hold(ban(), 0)
    ledger.answered(ban(), 204, told(5, 4, 5), 0)
    for _ in range(2):
        assert ledger.hold(ban(), 0) is None
    ledger.answered(ban(), 204, told(5, 2, 5), 1)
    ledger.answered(ban(), 204, told(5, 3, 5), 1)
    assert [ledger.hold(ban(), 1) is None for _ in range(3)] == [True, True, False]


def test_a_request_without_an_answer_is_counted_as_one_that_was() -> None:
    ledger = Ledger()
    ledger.hold(ban(), 0)
    ledger.answered(ban(), 204, told(2, 1, 5), 0)
    assert ledger.hold(ban(), 0) is None
    ledger.unanswered(ban())
    assert ledger.hold(ban(), 0) is not None


@given(st.lists(st.integers(0, 3_000), min_size=1, max_size=300))
def test_in_no_second_go_more_than_fifty(gaps: list[int]) -> None:
    ledger = Ledger(per_second=50)
    now, gone = 0, []
    for number, gap in enumerate(gaps):
        now += gap // 50
        if ledger.hold(ban(str(10**16 + number)), now) is None:
            gone.append(now)
    for begin in gone:
        assert sum(begin <= at < begin + 1_000 for at in gone) <= 50


def test_refusals_are_counted_for_ten_minutes_and_shared_limits_are_not() -> None:
    ledger = Ledger(budget=3)
    for status, scope in ((403, ""), (404, ""), (429, "shared"), (429, "user"), (500, "")):
        ledger.answered(ban(), status, {"x-ratelimit-scope": scope}, 0)
    assert ledger.refusals(0) == 2
    ledger.answered(ban(), 403, {}, 20_000)
    held = ledger.hold(ban(), 20_000)
    assert held is not None
    assert (held.code, held.retry_after) == ("invalid_request_budget", WINDOW - 20_000)
    assert ledger.hold(ban(), WINDOW) is None
    assert ledger.refusals(WINDOW) == 1


def test_what_was_refused_is_believed_for_a_while() -> None:
    ledger = Ledger()
    rejected = Rejected(403, 50_013, "no")
    ledger.refused(("a",), rejected, 0)
    assert ledger.refusal(("a",), NEGATIVE - 1) == rejected
    assert ledger.refusal(("b",), 0) is None
    assert ledger.refusal(("a",), NEGATIVE) is None


def test_memory_is_bounded() -> None:
    ledger = Ledger(per_second=1_000_000, budget=1_000_000)
    for number in range(12_000):
        one = ban(str(10**16 + number))
        assert ledger.hold(one, number) is None
        ledger.answered(one, 403, told(5, 4, 1), number)
        ledger.refused((str(number),), Rejected(403, 50_013, ""), number)
    assert len(ledger._buckets) <= 10_000
    assert len(ledger._refused) <= 10_000
    assert len(ledger._refusals) <= 61


@pytest.mark.parametrize(
    ("body", "headers", "wait"),
    [
        ({"retry_after": 1.337}, {}, 1_337),
        ({"retry_after": 0}, {}, 1),
        ({"retry_after": -1}, {"retry-after": "2"}, 2_000),
        ({"retry_after": 1e12}, {}, 7),
        ({"retry_after": "3"}, {}, 7),
        ({"retry_after": True}, {}, 7),
        (None, {"retry-after": "2"}, 2_000),
        ([], {}, 7),
    ],
)
def test_how_long_a_429_asks_to_wait(body: Any, headers: dict[str, str], wait: int) -> None:
    assert wait_of(body, headers, 0, 7) in (wait, wait + 1)


# ---------------------------------------------------------------- over sockets


def test_a_used_up_bucket_is_waited_for_without_a_429() -> None:
    with Discord() as discord, DiscordBench(discord) as bench:
        outcomes = [bench.run(ALL["SEND_MESSAGE"]) for _ in range(7)]
        assert [outcome.verdict for outcome in outcomes] == [Verdict.APPLIED] * 5 + [Verdict.DEFERRED] * 2
        assert 0 < outcomes[5].retry_after <= 2_000
        assert not outcomes[5].executed  # nothing was sent: another way may be tried
        assert len(discord.requests) == 5
        bench.clock.advance(2)
        discord.reset()
        assert bench.run(ALL["SEND_MESSAGE"]).verdict is Verdict.APPLIED


class AskedClock(ManualClock):
    """Says when somebody waits for a part of a second."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = Event()

    def call_later(self, delay_seconds: float, callback: Callable[[], None]) -> Timer:
        timer = super().call_later(delay_seconds, callback)
        if 0 < delay_seconds < 1:
            self.asked.set()
        return timer


def test_a_short_wait_is_waited_for_here() -> None:
    clock = AskedClock()
    with Discord() as discord, DiscordBench(discord, clock=clock) as bench:
        for _ in range(5):
            bench.run(ALL["SEND_MESSAGE"])
        clock.advance(1.5)  # half a second is left
        outcomes = bench.start(bench.ticket(ALL["SEND_MESSAGE"]))
        assert clock.asked.wait(CAP)
        assert len(discord.requests) == 5
        discord.reset()
        clock.advance(0.6)
        assert outcomes.one.verdict is Verdict.APPLIED
        assert len(discord.requests) == 6


def test_the_limit_of_one_channel_holds_no_ban_back() -> None:
    with Discord(fakes.limits("user", 60)) as discord, DiscordBench(discord) as bench:
        assert bench.run(ALL["SEND_MESSAGE"]).verdict is Verdict.DEFERRED
        assert bench.run(ALL["BAN_USER"]).verdict is Verdict.APPLIED
        assert bench.run(ALL["SEND_MESSAGE"]).verdict is Verdict.DEFERRED
        assert len(discord.requests) == 2


@pytest.mark.parametrize("fault", [fakes.limits("global", 60), fakes.cloudflare("60"), fakes.cloudflare()])
def test_a_limit_of_everything_holds_everything_back(fault: fakes.Fault) -> None:
    with Discord(fault) as discord, DiscordBench(discord) as bench:
        for name in ("SEND_MESSAGE", "BAN_USER", "KICK_USER"):
            outcome = bench.run(ALL[name])
            assert outcome.verdict is Verdict.DEFERRED
            assert 59_000 < outcome.retry_after <= 60_000
        assert len(discord.requests) == 1
        bench.clock.advance(60.1)
        assert bench.run(ALL["BAN_USER"]).verdict is Verdict.APPLIED


def test_a_429_that_did_not_come_through_discords_gateway_is_cloudflares() -> None:
    async def fault(discord: Discord, request: web.Request, commit: fakes.Commit) -> web.Response:
        return web.json_response({"retry_after": 60, "message": "x"}, status=429)

    with Discord(fault) as discord, DiscordBench(discord) as bench:
        bench.run(ALL["SEND_MESSAGE"])
        assert bench.run(ALL["BAN_USER"]).verdict is Verdict.DEFERRED
        assert len(discord.requests) == 1


def test_a_shared_limit_is_no_refusal_of_ours() -> None:
    with Discord(fakes.limits("shared"), fakes.limits("user")) as discord, DiscordBench(discord) as bench:
        bench.run(ALL["SEND_MESSAGE"])
        assert bench.ledger.refusals(bench.clock.now()) == 0
        bench.run(ALL["BAN_USER"])
        assert bench.ledger.refusals(bench.clock.now()) == 1


def test_a_wrong_token_stops_everything_after_one_request() -> None:
    with Discord() as discord, DiscordBench(discord, token="wrong") as bench:
        for name in ("SEND_MESSAGE", "BAN_USER", "KICK_USER"):
            outcome = bench.run(ALL[name])
            assert (outcome.verdict, code_of(outcome)) == (Verdict.DEFERRED, "discord_unauthorized")
            assert not outcome.executed
        assert len(discord.requests) == 1


def test_a_wrong_token_holds_until_an_operator_resets_the_breaker() -> None:
    with Discord() as discord, DiscordBench(discord) as bench:
        discord.token = "another"
        bench.run(ALL["BAN_USER"])
        discord.token = TOKEN
        bench.clock.advance(3_600)
        assert bench.run(ALL["BAN_USER"]).verdict is Verdict.DEFERRED
        bench.protocol.reset("rest:somebody")
        assert bench.run(ALL["BAN_USER"]).verdict is Verdict.DEFERRED
        bench.protocol.reset("rest:discord")
        assert bench.run(ALL["BAN_USER"]).verdict is Verdict.APPLIED
        assert len(discord.requests) == 2


def test_a_router_goes_on_after_a_wrong_token_without_a_restart() -> None:
    with Discord() as discord:
        discord.calm.add("/users/@me")  # where the health monitor looks
        discord.token = "another"
        with Router(discord_token=TOKEN, discord_url=discord.url) as router:
            tried = Event()
            router.hub.subscribe(lambda kind, _: tried.set() if kind == "attempted" else None)
            held = router.send(ALL["BAN_USER"])
            assert tried.wait(CAP)
            discord.token = TOKEN
            assert not router.reset_breaker("rest:nobody")
            assert router.reset_breaker("rest:discord")
            assert router.request(ALL["SEND_MESSAGE"], timeout=CAP).status == "ok"
            assert held.cancel(), "it waits for its next attempt, and no attempt was spent"


def test_whoever_is_barred_by_cloudflare_waits_and_counts_it_at_the_breaker() -> None:
    faults = fakes.cloudflare(), fakes.limits("global", 3), fakes.cloudflare("5")
    with Discord(*faults) as discord, DiscordBench(discord) as bench:
        failed = []
        for seconds in (60.1, 3.1, 5.1):
            outcome = bench.run(ALL["BAN_USER"])
            assert (outcome.verdict, outcome.executed) == (Verdict.DEFERRED, True)
            assert not bench.run(ALL["KICK_USER"]).executed, "held, and counted nowhere"
            failed.append(bench.breakers.get("rest:discord").snapshot().failed)
            bench.clock.advance(seconds)
        assert failed == [1, 1, 2], "a limit of Discord's own is no failure"
        assert bench.run(ALL["BAN_USER"]).verdict is Verdict.APPLIED


def test_the_budget_of_refusals_stops_everything_before_discord_does() -> None:
    with Discord() as discord, DiscordBench(discord, budget=3) as bench:
        discord.allowed = False
        for number in range(5):
            message = KickUser(guild_id=GUILD, user_id=str(10**17 + number), moderator_id=MODERATOR, reason="x")
            outcome = bench.run(message)
        assert (outcome.verdict, code_of(outcome)) == (Verdict.DEFERRED, "discord_invalid_request_budget")
        assert outcome.retry_after > 500_000
        assert len(discord.requests) == 3


def test_a_refusal_for_a_user_is_remembered_for_this_user_alone_and_for_thirty_seconds() -> None:
    coup = BanUser(guild_id=GUILD, user_id=OWNER, moderator_id=MODERATOR, reason="coup")
    with Discord() as discord, DiscordBench(discord) as bench:
        first, second = bench.run(coup), bench.run(coup)
        assert first == second
        assert first.verdict is Verdict.REJECTED
        assert len(discord.requests) == 1
        assert bench.run(ALL["BAN_USER"]).verdict is Verdict.APPLIED
        bench.clock.advance(30.1)
        bench.run(coup)
        assert len(discord.requests) == 3


def test_a_channel_without_access_is_remembered_for_all_its_messages() -> None:
    with Discord() as discord, DiscordBench(discord) as bench:
        discord.allowed = False
        for text in ("a", "b", "c"):
            outcome = bench.run(SendMessage(channel_id=CHANNEL, content=text))
            assert code_of(outcome) == "discord_missing_access"
        assert len(discord.requests) == 1
        assert bench.run(SendMessage(channel_id=OTHER, content="x")).verdict is Verdict.REJECTED
        assert len(discord.requests) == 2


def test_what_would_come_too_late_is_not_sent() -> None:
    with Discord() as discord, DiscordBench(discord) as bench:
        its = bench.ticket(ALL["BAN_USER"])._replace(start_by=bench.clock.now())
        outcomes = Outcomes()
        bench.protocol.start(its, outcomes)
        assert outcomes.one.verdict is Verdict.DEFERRED
        assert discord.requests == []


def test_what_another_router_may_own_by_now_is_not_sent_after_a_wait() -> None:
    clock = AskedClock()
    lapsed = [False]
    with Discord() as discord, DiscordBench(discord, clock=clock) as bench:
        for _ in range(5):
            bench.run(ALL["SEND_MESSAGE"])
        clock.advance(1.5)
        outcomes = bench.start(bench.ticket(ALL["SEND_MESSAGE"])._replace(lapsed=lambda: lapsed[0]))
        assert clock.asked.wait(CAP)
        lapsed[0] = True
        discord.reset()
        clock.advance(0.6)
        assert (outcomes.one.verdict, code_of(outcomes.one)) == (Verdict.DEFERRED, "discord_lease_lapsed")
        assert len(discord.requests) == 5


def test_a_wait_that_ends_after_the_deadline_is_not_begun() -> None:
    with Discord() as discord, DiscordBench(discord) as bench:
        for _ in range(5):
            bench.run(ALL["SEND_MESSAGE"])
        bench.clock.advance(1.5)
        its = bench.ticket(ALL["SEND_MESSAGE"])._replace(deadline=bench.clock.now() + 100)
        assert bench.run(its).verdict is Verdict.DEFERRED
        assert len(discord.requests) == 5


def test_a_look_at_discord_says_how_it_is_and_limits_are_no_illness() -> None:
    with Discord(None, fakes.fails_before(500), fakes.limits("global")) as discord, DiscordBench(discord) as bench:
        (probe,) = bench.protocol.probes()
        found = []
        for _ in range(3):
            signs = Outcomes()
            probe.probe(signs)
            found.append(signs.one.well)
        assert found == [True, False, True]
        assert probe.service == "rest:discord"
    with Discord() as discord, DiscordBench(discord, token="wrong") as bench:
        (probe,) = bench.protocol.probes()
        for _ in range(2):
            signs = Outcomes()
            probe.probe(signs)
            assert not signs.one.well
        assert len(discord.requests) == 1
