"""Discord's small print: codes, reasons, nonces."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.outcome import Verdict
from router.messages.moderation import BanUser
from router.protocols.discord.backend import own_name, text_of_errors
from router.protocols.discord.codes import CODES, Meaning, code_of
from router.protocols.discord.nonce import nonce_of
from router.protocols.discord.reason import header_of, shorter_header_of
from tests.discord.benches import DiscordBench
from tests.discord.benches import code_of as fault_code
from tests.fakes.discord import GUILD, MODERATOR, USER, Discord

FINAL = [50_035, 50_006, 50_016, 50_034, 50_109, 50_001, 50_013, 50_005, 50_007, 50_009, 50_021, 50_024, 50_278, 20_009]
FINAL += [60_003, 90_001, 200_000, 240_000, 10_003, 10_004, 10_007, 10_008, 10_011, 10_013, 10_014, 10_062, 10_065]
FINAL += [30_005, 30_010, 30_035, 40_007, 40_032, 40_060, 500_000]
LATER = [20_016, 20_028, 20_029, 30_034, 30_046, 30_040, 40_003, 40_004, 40_006, 40_062, 110_000, 130_000]


def test_which_codes_are_final_and_which_pass() -> None:
    assert all(code_of(number, 400).meaning is Meaning.FINAL for number in FINAL)
    assert all(code_of(number, 403).meaning is Meaning.LATER and CODES[number].wait for number in LATER)
    assert code_of(123_456, 400).meaning is Meaning.FINAL
    assert (code_of(123_456, 400).name, code_of(0, 418).name) == ("123456", "http_418")


def test_names_of_codes_are_distinct() -> None:
    assert len({code.name for code in CODES.values()}) == len(CODES)


@pytest.mark.parametrize(("number", "status"), [(20_016, 429), (30_034, 400), (40_006, 403), (130_000, 503)])
def test_what_passes_is_deferred_over_the_wire(number: int, status: int) -> None:
    async def fault(discord: Discord, request: object, commit: object) -> object:
        content = {"code": number, "message": "not now"} | (
            {"retry_after": 2, "global": False} if status == 429 else {}
        )
        return discord.answer(request, status, content)

    ban = BanUser(guild_id=GUILD, user_id=USER, moderator_id=MODERATOR, reason="x")
    with Discord(fault) as discord, DiscordBench(discord) as bench:
        outcome = bench.run(ban)
        if status == 503:
            assert outcome.verdict is Verdict.IN_DOUBT
        else:
            assert outcome.verdict is Verdict.DEFERRED
            assert outcome.retry_after in (2_000, 2_001, CODES[number].wait)


@given(st.text(max_size=600))
def test_a_reason_is_cut_and_harmless_in_a_header(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    for made in (header_of(text), shorter_header_of(text)):
        assert made.isascii()
        assert made.isprintable()
        assert " " not in made
        assert text.startswith(unquote(made))
    assert len(unquote(header_of(text))) <= 512
    assert len(shorter_header_of(text)) <= 512


def test_a_reason_of_more_than_512_characters_is_cut() -> None:
    assert header_of("x" * 600) == "x" * 512
    assert unquote(header_of("👍" * 600)) == "👍" * 512
    assert unquote(shorter_header_of("👍" * 600)) == "👍" * 42  # twelve characters each


@pytest.mark.parametrize("reason", ["x" * 512, "ä" * 512, "👍" * 512])
def test_a_long_reason_never_costs_the_ban(reason: str) -> None:
    ban = BanUser(guild_id=GUILD, user_id=USER, moderator_id=MODERATOR, reason=reason)
    with Discord() as discord, DiscordBench(discord) as bench:
        assert bench.run(ban).verdict is Verdict.APPLIED
        assert len(discord.requests) == 1
    with Discord() as discord, DiscordBench(discord) as bench:
        discord.longest_header = 512  # should Discord count after the encoding
        assert bench.run(ban).verdict is Verdict.APPLIED
        assert discord.ledger == [("ban", USER)]
        assert len(discord.requests) <= 2


def test_a_form_error_of_something_else_is_not_tried_twice() -> None:
    async def fault(discord: Discord, request: object, commit: object) -> object:
        errors = {"delete_message_seconds": {"_errors": [{"code": "X", "message": "must be less"}]}}
        content = {"code": 50_035, "message": "Invalid Form Body", "errors": errors}
        return discord.answer(request, 400, content)

    ban = BanUser(guild_id=GUILD, user_id=USER, moderator_id=MODERATOR, reason="x")
    with Discord(fault) as discord, DiscordBench(discord) as bench:
        outcome = bench.run(ban)
        assert fault_code(outcome) == "discord_invalid_form"
        assert outcome.fault is not None
        assert "delete_message_seconds: must be less" in outcome.fault.message
        assert len(discord.requests) == 1


def test_a_tag_ends_the_reason_when_wanted() -> None:
    ban = BanUser(guild_id=GUILD, user_id=USER, moderator_id=MODERATOR, reason="x" * 512)
    with Discord() as discord, DiscordBench(discord, tagged=True) as bench:
        its = bench.ticket(ban)
        bench.run(its)
        reason = unquote(discord.requests[0][2]["X-Audit-Log-Reason"])
        assert reason.endswith(f" [r:{its.envelope.id[-12:]}]")
        assert len(reason) == 512


@given(st.text(min_size=1, max_size=128), st.text(min_size=1, max_size=128))
def test_a_nonce_is_short_and_the_envelopes_own(one: str, other: str) -> None:
    one, other = (text.encode("utf-8", "replace").decode() for text in (one, other))
    assert len(nonce_of(one)) == 24
    assert (nonce_of(one) == nonce_of(other)) is (one == other)


def test_errors_of_a_form_are_told_in_one_line_whatever_they_look_like() -> None:
    tree = {
        "embeds": {"0": {"title": {"_errors": [{"message": "too long"}]}}},
        "content": {"_errors": [{"message": "no"}]},
    }
    assert text_of_errors(tree) == "embeds.0.title: too long; content: no"
    deep: dict[str, object] = {}
    for _ in range(100):
        deep = {"a": deep}
    for odd in (None, [], "x", {"_errors": "x"}, {"_errors": [1]}, deep):
        assert text_of_errors(odd) == ""


def test_it_introduces_itself_as_discord_wants() -> None:
    assert own_name().startswith("DiscordBot (https://")
