"""Each command is the request that Discord documents, and its answer is what the sender needs."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pytest

from actors.codec import unpack
from actors.outcome import Verdict
from router.messages.communication import AddReaction, BulkDeleteMessages, EditMessage, RemoveReaction, SendMessage
from router.messages.discord import DiscordAttachment, DiscordEmbed, EmbedFooter, MessageReply
from router.messages.moderation import BanUser, BulkBan, TimeoutUser
from router.messages.registry import catalog
from router.protocols.discord.commands import COMMANDS
from router.protocols.discord.undo import FINAL, UNDO
from tests.discord.benches import ALL, DiscordBench, code_of, ready
from tests.fakes import discord as fakes
from tests.fakes.discord import BOT, CHANNEL, DIRECT, GUILD, MESSAGE, MODERATOR, OWNER, ROLE, TOKEN, USER, Discord

UNTIL = "2023-11-14T22:23:20+00:00"
REQUESTS: dict[str, tuple[str, str, Any]] = {
    "BAN_USER": ("PUT", f"/guilds/{GUILD}/bans/{USER}", {"delete_message_seconds": 86_400}),
    "BULK_BAN": ("POST", f"/guilds/{GUILD}/bulk-ban", {"user_ids": [OWNER, USER]}),
    "UNBAN_USER": ("DELETE", f"/guilds/{GUILD}/bans/{USER}", None),
    "KICK_USER": ("DELETE", f"/guilds/{GUILD}/members/{USER}", None),
    "TIMEOUT_USER": ("PATCH", f"/guilds/{GUILD}/members/{USER}", {"communication_disabled_until": UNTIL}),
    "UNTIMEOUT_USER": ("PATCH", f"/guilds/{GUILD}/members/{USER}", {"communication_disabled_until": None}),
    "SEND_MESSAGE": ("POST", f"/channels/{CHANNEL}/messages", {"content": "hello", "enforce_nonce": True}),
    "SEND_DM": ("POST", f"/channels/{DIRECT}/messages", {"content": "psst", "enforce_nonce": True}),
    "EDIT_MESSAGE": ("PATCH", f"/channels/{CHANNEL}/messages/{MESSAGE}", {"content": "new"}),
    "DELETE_MESSAGE": ("DELETE", f"/channels/{CHANNEL}/messages/{MESSAGE}", None),
    "BULK_DELETE_MESSAGES": ("POST", f"/channels/{CHANNEL}/messages/bulk-delete", {"messages": [MESSAGE, ROLE]}),
    "ADD_ROLE": ("PUT", f"/guilds/{GUILD}/members/{USER}/roles/{ROLE}", None),
    "REMOVE_ROLE": ("DELETE", f"/guilds/{GUILD}/members/{USER}/roles/{ROLE}", None),
    "ADD_REACTION": ("PUT", f"/channels/{CHANNEL}/messages/{MESSAGE}/reactions/%F0%9F%91%8D/@me", None),
    "REMOVE_REACTION": ("DELETE", f"/channels/{CHANNEL}/messages/{MESSAGE}/reactions/%F0%9F%91%8D/@me", None),
}
EFFECTS: dict[str, tuple[str, ...]] = {
    "BAN_USER": ("ban", USER),
    "BULK_BAN": ("ban", USER),
    "UNBAN_USER": ("unban", USER),
    "KICK_USER": ("kick", USER),
    "TIMEOUT_USER": ("timeout", USER, UNTIL),
    "UNTIMEOUT_USER": ("timeout", USER, "None"),
    "SEND_MESSAGE": ("send", CHANNEL, "hello"),
    "SEND_DM": ("send", DIRECT, "psst"),
    "EDIT_MESSAGE": ("edit", MESSAGE, "new"),
    "DELETE_MESSAGE": ("delete", MESSAGE),
    "BULK_DELETE_MESSAGES": ("delete", MESSAGE),
    "ADD_ROLE": ("role", USER, ROLE),
    "REMOVE_ROLE": ("no role", USER, ROLE),
    "ADD_REACTION": ("react", MESSAGE, "👍"),
    "REMOVE_REACTION": ("unreact", MESSAGE, "👍"),
}
REASONS = {
    "BAN_USER": f"spam (by {MODERATOR})",
    "BULK_BAN": f"raid (by {MODERATOR})",
    "UNBAN_USER": f"appeal (by {MODERATOR})",
    "KICK_USER": f"spam (by {MODERATOR})",
    "TIMEOUT_USER": f"calm (by {MODERATOR})",
    "UNTIMEOUT_USER": f"calm again (by {MODERATOR})",
    "DELETE_MESSAGE": "old",
    "BULK_DELETE_MESSAGES": "raid",
    "ADD_ROLE": "team",
    "REMOVE_ROLE": "REMOVE_ROLE",
}


def test_every_command_of_the_table_is_tried_here() -> None:
    assert set(COMMANDS) == set(ALL) == set(REQUESTS) == set(EFFECTS)


@pytest.mark.parametrize("name", ALL)
def test_a_command_is_its_request_and_has_its_effect(name: str) -> None:
    with ready(Discord(), name) as discord, DiscordBench(discord) as bench:
        outcome = bench.run(ALL[name])
        assert outcome.verdict is Verdict.APPLIED, outcome
        assert discord.ledger == [EFFECTS[name]]
        method, path, headers, body = discord.requests[-1]
        if body and "nonce" in body:
            assert 20 <= len(body.pop("nonce")) <= 25
        assert (method, path, body) == REQUESTS[name]
        assert headers["Authorization"] == f"Bot {TOKEN}"
        assert headers["User-Agent"] == "DiscordBot (x, 1)"
        assert unquote(headers.get("X-Audit-Log-Reason", "")) == REASONS.get(name, "")


def test_results_name_what_later_commands_need() -> None:
    with Discord() as discord, DiscordBench(discord) as bench:
        sent = unpack(bench.run(ALL["SEND_MESSAGE"]).data)
        assert sent["channelId"] == CHANNEL
        assert sent["messageId"] in discord.messages
        assert unpack(bench.run(ALL["SEND_DM"]).data)["channelId"] == DIRECT
        assert unpack(bench.run(ALL["BAN_USER"]).data) == {"guildId": GUILD, "userId": USER}
        assert unpack(bench.run(ALL["EDIT_MESSAGE"]).data) == {"channelId": CHANNEL, "messageId": MESSAGE}


def test_of_many_bans_each_user_is_told_of() -> None:
    with Discord() as discord, DiscordBench(discord) as bench:
        told = {"guildId": GUILD, "bannedUsers": [USER], "failedUsers": [OWNER]}
        assert unpack(bench.run(ALL["BULK_BAN"]).data) == told
        assert unpack(bench.run(ALL["BULK_BAN"]).data) == told, "nobody was banned now, and who is was looked up"
        discord.bans.clear()
        outcome = bench.run(BulkBan(guild_id=GUILD, user_ids=(OWNER, BOT), moderator_id=MODERATOR, reason="coup"))
        assert (outcome.verdict, code_of(outcome)) == (Verdict.REJECTED, "discord_nobody_could_be_banned")
        discord.faults = [fakes.fails_before(500)]
        discord.calm = {f"/guilds/{GUILD}/bulk-ban"}
        lost = bench.run(BulkBan(guild_id=GUILD, user_ids=(OWNER,), moderator_id=MODERATOR, reason="coup"))
        assert (lost.verdict, lost.executed) == (Verdict.DEFERRED, False)


def test_what_stands_already_is_a_noop() -> None:
    with Discord() as discord, DiscordBench(discord) as bench:
        del discord.members[USER]
        del discord.messages[MESSAGE]
        for name in ("UNBAN_USER", "KICK_USER", "DELETE_MESSAGE", "REMOVE_REACTION"):
            outcome = bench.run(ALL[name])
            assert (outcome.verdict, outcome.noop) == (Verdict.APPLIED, True), name
        assert discord.ledger == []


@pytest.mark.parametrize("name", ["EDIT_MESSAGE", "ADD_REACTION", "TIMEOUT_USER"])
def test_what_is_gone_is_rejected(name: str) -> None:
    with Discord() as discord, DiscordBench(discord) as bench:
        discord.messages.clear()
        discord.members.pop(USER)
        outcome = bench.run(ALL[name])
        assert outcome.verdict is Verdict.REJECTED
        assert code_of(outcome) in ("discord_unknown_message", "discord_unknown_member")


def test_nobody_above_the_bot_is_banned() -> None:
    with Discord() as discord, DiscordBench(discord) as bench:
        outcome = bench.run(BanUser(guild_id=GUILD, user_id=OWNER, moderator_id=MODERATOR, reason="coup"))
        assert (outcome.verdict, code_of(outcome)) == (Verdict.REJECTED, "discord_missing_permissions")
        assert outcome.fault is not None
        assert "50013" in outcome.fault.message
        assert discord.ledger == []


def test_a_timeout_is_an_instant_that_was_fixed_when_it_was_accepted() -> None:
    with Discord() as discord, DiscordBench(discord) as bench:
        its = bench.ticket(ALL["TIMEOUT_USER"])
        bench.clock.advance(300)
        bench.run(its)
        assert discord.ledger == [("timeout", USER, UNTIL)]


def test_a_timeout_is_cut_to_what_discord_takes_and_not_sent_when_it_is_over() -> None:
    long = TimeoutUser(guild_id=GUILD, user_id=USER, moderator_id=MODERATOR, reason="", duration=28 * 86_400)
    with Discord() as discord, DiscordBench(discord) as bench:
        assert bench.run(long).verdict is Verdict.APPLIED
        assert discord.ledger == [("timeout", USER, "2023-12-12T22:12:20+00:00")]
        its = bench.ticket(ALL["TIMEOUT_USER"])
        bench.clock.advance(601)
        outcome = bench.run(its)
        assert (outcome.verdict, code_of(outcome)) == (Verdict.REJECTED, "over")
        assert len(discord.requests) == 1


def test_a_message_with_everything_is_in_discords_words() -> None:
    embed = DiscordEmbed(title="t", timestamp=1_700_000_000_000, footer=EmbedFooter(text="f", icon_url="https://x/y"))
    message = SendMessage(
        channel_id=CHANNEL,
        embeds=(embed,),
        components=({"type": 1, "components": []},),
        reply=MessageReply(message_id=MESSAGE, fail_if_not_exists=False),
    )
    with Discord() as discord, DiscordBench(discord) as bench:
        assert bench.run(message).verdict is Verdict.APPLIED
        body = discord.requests[-1][3]
        assert body["embeds"] == [
            {"title": "t", "timestamp": "2023-11-14T22:13:20+00:00", "footer": {"text": "f", "icon_url": "https://x/y"}}
        ]
        assert body["components"] == [{"type": 1, "components": []}]
        assert body["message_reference"] == {"message_id": MESSAGE, "fail_if_not_exists": False}
        assert "content" not in body


def test_files_are_for_a_bot() -> None:
    message = SendMessage(channel_id=CHANNEL, files=(DiscordAttachment(filename="a", url="http://169.254.169.254/"),))
    with Discord() as discord, DiscordBench(discord) as bench:
        outcome = bench.run(message)
        assert (outcome.verdict, code_of(outcome)) == (Verdict.REJECTED, "files_unsupported")
        assert discord.requests == []


def test_an_edit_empties_what_is_empty_and_leaves_what_is_not_given() -> None:
    message = EditMessage(channel_id=CHANNEL, message_id=MESSAGE, content="", embeds=())
    with Discord() as discord, DiscordBench(discord) as bench:
        bench.run(message)
        assert discord.requests[-1][3] == {"content": "", "embeds": []}


@pytest.mark.parametrize(
    ("emoji", "path"),
    [
        ("#️⃣", "%23%EF%B8%8F%E2%83%A3"),
        ("blob:81384788765712384", "blob%3A81384788765712384"),
        ("<:blob:81384788765712384>", "blob%3A81384788765712384"),
        ("<a:blob:81384788765712384>", "blob%3A81384788765712384"),
        ("../../bans", "..%2F..%2Fbans"),
        ("?a=1#x", "%3Fa%3D1%23x"),
    ],
)
def test_an_emoji_is_one_part_of_the_path_whatever_it_is(emoji: str, path: str) -> None:
    with Discord() as discord, DiscordBench(discord) as bench:
        bench.run(AddReaction(channel_id=CHANNEL, message_id=MESSAGE, emoji=emoji))
        assert discord.requests[-1][1] == f"/channels/{CHANNEL}/messages/{MESSAGE}/reactions/{path}/@me"


def test_one_message_of_a_bulk_is_deleted_as_one() -> None:
    with Discord() as discord, DiscordBench(discord) as bench:
        outcome = bench.run(BulkDeleteMessages(channel_id=CHANNEL, message_ids=(MESSAGE,)))
        assert unpack(outcome.data) == {"channelId": CHANNEL, "messageIds": [MESSAGE]}
        assert discord.ledger == [("delete", MESSAGE)]
        assert discord.requests[0][0] == "DELETE"


def test_a_users_reaction_is_taken_back_by_the_users_id() -> None:
    with ready(Discord(), "REMOVE_REACTION") as discord, DiscordBench(discord) as bench:
        bench.run(RemoveReaction(channel_id=CHANNEL, message_id=MESSAGE, emoji="👍", user_id=BOT))
        assert discord.requests[-1][1].endswith(f"/{BOT}")


def test_ids_that_are_none_of_discords_never_leave() -> None:
    with Discord() as discord, DiscordBench(discord) as bench:
        outcome = bench.run(SendMessage(channel_id="general", content="x"))
        assert (outcome.verdict, code_of(outcome)) == (Verdict.REJECTED, "invalid_message")
        assert discord.requests == []


def test_only_the_chosen_types_are_executed_here() -> None:
    with Discord() as discord, DiscordBench(discord, types=("BAN_USER", "PLAY_MUSIC")) as bench:
        assert bench.protocol.reaches(bench.ticket(ALL["BAN_USER"]).envelope)
        assert not bench.protocol.reaches(bench.ticket(ALL["KICK_USER"]).envelope)


def test_what_undoes_a_command_is_what_the_catalog_says() -> None:
    assert set(UNDO) | set(FINAL) == set(COMMANDS)
    for name, undo in UNDO.items():
        assert catalog.find(name).__operation__.compensation in (undo.type, "")
        wire = {"guildId"} | set(catalog.find(undo.type).payload_schema()["properties"])
        assert set(undo.fields) <= wire, name
