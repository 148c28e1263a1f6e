"""Discord fails in every way it can: no effect happens twice, none is silently missing, and nobody is told a lie.

Each command meets each fault, alone and then in a whole router; the fake's own ledger judges.
"""

from __future__ import annotations

from typing import Any

import pytest

from actors.codec import unpack
from actors.outcome import Verdict
from actors.policy.breaker import Condition
from router import Router
from router.messages.communication import SendMessage
from router.messages.moderation import KickUser
from router.protocols.rehearsal import Outcomes
from tests.discord.benches import ALL, DiscordBench, code_of, ready
from tests.discord.test_commands import EFFECTS
from tests.fakes import discord as fakes
from tests.fakes.discord import CHANNEL, GUILD, MESSAGE, TOKEN, USER, Discord

#: name -> (the fault, whether it happens all the same, what the attempt is)
FAULTS: dict[str, tuple[fakes.Fault, bool, Verdict]] = {
    "500 before": (fakes.fails_before(500), False, Verdict.IN_DOUBT),
    "500 after": (fakes.fails_after(500), True, Verdict.IN_DOUBT),
    "502 before": (fakes.fails_before(502), False, Verdict.IN_DOUBT),
    "502 after": (fakes.fails_after(502), True, Verdict.IN_DOUBT),
    "503 after": (fakes.fails_after(503), True, Verdict.IN_DOUBT),
    "504 after": (fakes.fails_after(504), True, Verdict.IN_DOUBT),
    "520 before": (fakes.fails_before(520), False, Verdict.IN_DOUBT),
    "dropped before": (fakes.drops_before, False, Verdict.IN_DOUBT),
    "dropped after": (fakes.drops_after, True, Verdict.IN_DOUBT),
    "unreadable 200": (fakes.babbles, True, Verdict.APPLIED),
    "user limit": (fakes.limits("user"), False, Verdict.DEFERRED),
    "shared limit": (fakes.limits("shared"), False, Verdict.DEFERRED),
    "global limit": (fakes.limits("global"), False, Verdict.DEFERRED),
    "cloudflare": (fakes.cloudflare(), False, Verdict.DEFERRED),
}
#: those that last, for a router that waits for them by the real clock
SHORT: dict[str, fakes.Fault] = {
    "user limit": fakes.limits("user", 0.02),
    "shared limit": fakes.limits("shared", 0.02),
    "global limit": fakes.limits("global", 0.02),
    "cloudflare": fakes.cloudflare("0.02"),
}
BEFORE: dict[str, int] = {"SEND_DM": 1}  # requests that only prepare


def faulty(name: str, fault: fakes.Fault) -> Discord:
    return ready(Discord(*[None] * BEFORE.get(name, 0), fault), name)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", ALL)
def test_one_attempt_is_one_request_and_says_what_is_known(name: str, fault: str) -> None:
    fault_, happens, verdict = FAULTS[fault]
    with faulty(name, fault_) as discord, DiscordBench(discord) as bench:
        outcome = bench.run(ALL[name])
        assert outcome.verdict is verdict
        assert discord.ledger == ([EFFECTS[name]] if happens else [])
        assert len(discord.requests) == 1 + BEFORE.get(name, 0)
        if verdict is Verdict.DEFERRED:
            assert outcome.retry_after == (60_000 if fault == "cloudflare" else 3_000)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", ALL)
def test_a_router_makes_each_effect_happen_once_or_says_that_it_cannot_tell(name: str, fault: str) -> None:
    with faulty(name, SHORT.get(fault) or FAULTS[fault][0]) as discord:
        settings = {"discord_token": TOKEN, "discord_url": discord.url, "types": {name: {"backoff_ms": 1}}}
        with Router(**settings) as router:
            response = router.request(ALL[name], timeout=60)
        assert response.status in ("ok", "noop"), response
        assert response.method == "rest"
        assert [effect[:2] for effect in discord.ledger] == [EFFECTS[name][:2]]


@pytest.mark.parametrize("name", ALL)
def test_an_answer_that_hangs_is_given_up_and_found_when_it_comes(name: str) -> None:
    with faulty(name, fakes.hangs_after) as discord, DiscordBench(discord) as bench:
        its = bench.ticket(ALL[name])
        first = bench.start(its)
        discord.effects()
        bench.clock.advance(15.1)
        assert (first.one.verdict, code_of(first.one)) == (Verdict.IN_DOUBT, "timeout")
        again = Outcomes()
        bench.protocol.start(its._replace(attempt=2), again)
        discord.release()
        assert again.one.verdict is Verdict.APPLIED
        assert discord.ledger == [EFFECTS[name]]


def test_a_request_that_hangs_and_never_happened_is_told_from_one_that_did() -> None:
    for name, known in (("KICK_USER", False), ("SEND_MESSAGE", True)):  # asking with the nonce sends it
        with Discord(fakes.hangs_before) as discord, DiscordBench(discord) as bench:
            its, answers = bench.ticket(ALL[name]), Outcomes()
            outcomes = bench.start(its)
            discord.asked()
            bench.clock.advance(15.1)
            assert outcomes.one.verdict is Verdict.IN_DOUBT
            bench.protocol.verify(its.envelope, answers)
            if known:
                assert answers.one is True
            discord.release()
            assert answers.one is (True if known else None)  # it was answered 503 in the end
            assert discord.ledger == ([EFFECTS[name]] if known else [])


def test_a_message_in_doubt_is_asked_for_with_its_nonce_and_not_sent_again() -> None:
    for fault, happens in ((fakes.drops_before, False), (fakes.drops_after, True)):
        with Discord(fault) as discord, DiscordBench(discord) as bench:
            its = bench.ticket(ALL["SEND_MESSAGE"])
            assert bench.run(its).verdict is Verdict.IN_DOUBT
            assert len(discord.ledger) == happens
            assert bench.happened(its) is True
            assert discord.ledger == [EFFECTS["SEND_MESSAGE"]]
            first, second = (body["nonce"] for *_, body in discord.requests)
            assert first == second


def test_a_nonce_is_trusted_for_two_minutes_and_no_longer() -> None:
    with Discord(fakes.drops_after) as discord, DiscordBench(discord) as bench:
        its = bench.ticket(ALL["SEND_MESSAGE"])
        bench.run(its)
        bench.clock.advance(120)
        assert bench.happened(its) is None
        assert len(discord.requests) == 1


def test_after_a_restart_only_what_does_not_depend_on_the_moment_is_said() -> None:
    """A fresh process does not know when it was sent: a nonce is not trusted, who is not there was kicked."""
    with Discord(fakes.drops_after, fakes.drops_after) as discord:
        with DiscordBench(discord) as bench:
            said, kicked = bench.ticket(ALL["SEND_MESSAGE"]), bench.ticket(ALL["KICK_USER"])
            bench.run(said)
            bench.run(kicked)
        with DiscordBench(discord) as bench:
            assert bench.happened(said) is None
            assert bench.happened(kicked) is True
            discord.members[USER] = {"height": 1, "joined_at": "2023-11-14T22:13:19+00:00"}
            assert bench.happened(kicked) is None
            discord.members[USER] = {"height": 1, "joined_at": fakes.JOINED}
            assert bench.happened(kicked) is False
        assert len(discord.ledger) == 2


def test_a_message_found_by_its_nonce_is_answered_with_its_id() -> None:
    with Discord(fakes.drops_after) as discord, Router(discord_token=TOKEN, discord_url=discord.url) as router:
        response = router.request(ALL["SEND_MESSAGE"], timeout=60)
        assert response.status == "ok"
        assert response.data["messageId"] in discord.messages
        assert len(discord.ledger) == 1


def test_a_message_that_was_sent_and_deleted_meanwhile_was_sent() -> None:
    with Discord(fakes.drops_after) as discord, DiscordBench(discord) as bench:
        its = bench.ticket(ALL["SEND_MESSAGE"])
        bench.run(its)
        sent = next(id_ for id_, one in discord.messages.items() if one["content"] == "hello")
        del discord.messages[sent]
        assert bench.happened(its) is True
        assert discord.ledger == [EFFECTS["SEND_MESSAGE"]]


@pytest.mark.parametrize(("seconds", "known"), [(-3_600, False), (3_600, True), (2, None)])
def test_a_kick_is_told_from_a_member_who_came_back(seconds: int, known: bool | None) -> None:
    from router.protocols.discord.commands import iso

    with Discord(fakes.drops_before) as discord, DiscordBench(discord) as bench:
        its = bench.ticket(ALL["KICK_USER"])
        bench.run(its)
        discord.members[USER]["joined_at"] = iso(bench.clock.now() + seconds * 1000)
        assert bench.happened(its) is known


@pytest.mark.parametrize("name", [name for name in ALL if name not in ("SEND_DM", "BULK_BAN", "BULK_DELETE_MESSAGES")])
def test_a_look_tells_whether_it_happened(name: str) -> None:
    for fault, happens in ((fakes.drops_after, True), (fakes.drops_before, False)):
        with faulty(name, fault) as discord, DiscordBench(discord) as bench:
            its = bench.ticket(ALL[name])
            bench.run(its)
            expected = True if name == "SEND_MESSAGE" else happens
            assert bench.happened(its) is expected


def test_a_look_that_fails_tells_nothing() -> None:
    with Discord(fakes.drops_after, fakes.fails_before(500)) as discord, DiscordBench(discord) as bench:
        its = bench.ticket(ALL["KICK_USER"])
        bench.run(its)
        assert bench.happened(its) is None


def test_direct_messages_that_cannot_be_opened_prove_that_none_was_sent() -> None:
    for fault in (fakes.fails_after(500), fakes.drops_after):
        with Discord(fault) as discord, DiscordBench(discord) as bench:
            assert bench.run(ALL["SEND_DM"]).verdict is Verdict.NOT_APPLIED
            assert discord.ledger == []


def test_the_channel_of_direct_messages_is_opened_once() -> None:
    with Discord() as discord, DiscordBench(discord) as bench:
        for _ in range(3):
            bench.run(ALL["SEND_DM"])
        assert [path for _, path, *_ in discord.requests].count("/users/@me/channels") == 1


def test_discord_that_cannot_be_reached_has_done_nothing() -> None:
    with Discord() as discord, DiscordBench(discord) as bench:
        bench.backend._base = "http://127.0.0.1:1"
        outcome = bench.run(ALL["KICK_USER"])
        assert (outcome.verdict, code_of(outcome)) == (Verdict.NOT_APPLIED, "discord_unreachable")


def test_failures_open_the_breaker_and_limits_and_refusals_do_not() -> None:
    limited = [fakes.limits("shared", 0.001)] * 3
    with Discord(*limited, *[fakes.fails_before(500)] * 3) as discord, DiscordBench(discord, failures=3) as bench:
        breaker = bench.breakers.get("rest:discord")
        discord.allowed = False
        for _ in range(3):
            bench.run(ALL["SEND_MESSAGE"])
            bench.clock.advance(5)
        bench.run(ALL["BAN_USER"])
        assert breaker.condition is Condition.CLOSED
        for _ in range(3):
            bench.run(ALL["EDIT_MESSAGE"])
        assert breaker.condition is Condition.OPEN
        assert code_of(bench.run(ALL["EDIT_MESSAGE"])) == "breaker_open"


def test_what_a_router_answers_names_the_message_it_sent() -> None:
    with Discord() as discord, Router(discord_token=TOKEN, discord_url=discord.url) as router:
        message = SendMessage(guild_id=GUILD, channel_id=CHANNEL, content="hi")
        response = router.request(message, timeout=60)
        assert response.data["messageId"] in discord.messages
        assert response.attempts[0].protocol == "rest"


def test_a_rejected_command_shows_discords_code_and_spends_one_attempt() -> None:
    with Discord() as discord, Router(discord_token=TOKEN, discord_url=discord.url) as router:
        discord.allowed = False
        kick = KickUser(guild_id=GUILD, user_id=USER, moderator_id="5" * 17, reason="x")
        response = router.request(kick, timeout=60)
        assert (response.status, response.error and response.error.code) == ("rejected", "discord_missing_permissions")
        assert len(discord.requests) == 1


def test_the_token_is_shown_nowhere(caplog: Any) -> None:
    with Discord(fakes.drops_after) as discord, caplog.at_level("DEBUG"):
        discord.token = "another"
        router = Router(discord_token="hush-hush", discord_url=discord.url)
        with router:
            reply = router.send(ALL["KICK_USER"], expires_in=0.5)
            response = reply.result(timeout=60)
            shown = [repr(router.settings), str(router.settings.public()), str(router.explain(reply.id)), str(response)]
        assert not any("hush-hush" in text for text in (*shown, caplog.text))


def test_unpack_is_what_results_are_read_with() -> None:
    with Discord() as discord, DiscordBench(discord) as bench:
        assert unpack(bench.run(ALL["DELETE_MESSAGE"]).data) == {"channelId": CHANNEL, "messageId": MESSAGE}
