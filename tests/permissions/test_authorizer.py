"""The authorizer by Discord's rules, command by command."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

import pytest

from router.messages import (
    AddReaction,
    AddRole,
    BanUser,
    BulkBan,
    KickUser,
    Message,
    PlayMusic,
    RemoveReaction,
    SendDM,
    SendMessage,
)
from router.messages.permissions import mask
from router.messages.seal import seal
from router.permissions import (
    ALLOWED,
    Channel,
    Decision,
    Denied,
    Guild,
    Member,
    MemoryDirectory,
    Overwrite,
    PermissionAuthorizer,
    Role,
    Unknown,
)
from tests.permissions.worlds import BOT, CHANNEL, GUILD, HELPER, JUNIOR, MODERATOR, NOW, OWNER, STAFF, USER, directory


def ask(command: Message, known: Any = None, *, source: str = "rest", user: str = "", **options: Any) -> Decision:
    authorizer = PermissionAuthorizer(known or directory(), now=lambda: NOW, **options)
    found = authorizer.authorize(command, seal(command, id="x", now=NOW, source=source, user=user))
    assert isinstance(found, tuple)
    return found


def ban(target: str = USER, actor: str = MODERATOR) -> BanUser:
    return BanUser(guild_id=GUILD, user_id=target, moderator_id=actor, reason="spam")


def say(actor: str | None, **fields: Any) -> SendMessage:
    return SendMessage(guild_id=GUILD, channel_id=CHANNEL, actor_id=actor, **({"content": "hi"} | fields))


def test_a_moderator_bans_whoever_stands_below_and_whoever_is_no_member() -> None:
    assert ask(ban()) == ALLOWED
    assert ask(ban(HELPER)) == ALLOWED
    assert ask(ban("19999999999999999")) == ALLOWED
    assert ask(ban(MODERATOR, OWNER)) == ALLOWED


@pytest.mark.parametrize(
    ("target", "actor", "code"),
    [
        (USER, HELPER, "missing_permission"),
        (MODERATOR, MODERATOR, "target_is_self"),
        (OWNER, MODERATOR, "target_is_owner"),
        (BOT, OWNER, "target_is_bot"),
        (USER, "19999999999999999", "not_a_member"),
    ],
)
def test_what_discord_would_not_let_a_human_do_is_denied(target: str, actor: str, code: str) -> None:
    found = ask(ban(target, actor))
    assert isinstance(found, Denied)
    assert found.code == code


def test_of_many_targets_each_must_stand_below() -> None:
    known = directory()
    known.put_role(GUILD, Role(STAFF, mask(("BAN_MEMBERS", "MANAGE_GUILD")), 10))

    def ask_for(*users: str, actor: str = MODERATOR) -> str:
        found = ask(BulkBan(guild_id=GUILD, user_ids=users, moderator_id=actor, reason="raid"), known)
        return found.code if isinstance(found, Denied) else "allowed"

    assert ask_for(USER, HELPER, "19999999999999999") == "allowed"
    assert ask_for(USER, OWNER, HELPER) == "target_is_owner"
    assert ask_for(USER, MODERATOR) == "target_is_self"
    assert ask_for(USER, BOT) == "target_is_bot"
    known.put_member(GUILD, Member("10000000000000009", (STAFF,)))
    assert ask_for(USER, "10000000000000009") == "target_not_below"
    known.put_role(GUILD, Role(STAFF, mask(("BAN_MEMBERS",)), 10))
    assert ask_for(USER) == "missing_permission", "many at once need more than one"


def test_equals_do_not_act_on_each_other() -> None:
    known = directory()
    known.put_member(GUILD, Member("10000000000000009", (STAFF,)))
    found = ask(ban("10000000000000009"), known)
    assert isinstance(found, Denied)
    assert found.code == "target_not_below"


def test_a_deleted_role_gives_nothing_and_an_unknown_one_is_not_guessed() -> None:
    known = directory()
    known.drop_role(GUILD, STAFF)
    assert isinstance(ask(ban(), known), Denied)
    known = directory()
    known.put_member(GUILD, Member(USER, ("29999999999999999",)))
    assert isinstance(ask(ban(), known), Unknown)


def test_what_is_not_loaded_cannot_be_told() -> None:
    assert isinstance(ask(ban(), MemoryDirectory()), Unknown)
    assert isinstance(ask(ban("19999999999999999"), directory(complete=False)), Unknown)
    assert ask(ban(), directory(complete=False)) == ALLOWED


def test_leaving_the_acting_user_out_is_no_way_around() -> None:
    found = ask(say(None))
    assert isinstance(found, Denied)
    assert found.code == "no_actor"
    assert isinstance(ask(say(None), source="schedule"), Denied)
    assert not isinstance(ask(say(None), source="schedule", trusted=["schedule"]), Denied | Unknown)


def test_the_payload_cannot_name_another_than_the_one_who_is_checked() -> None:
    found = ask(ban(USER, HELPER), user=MODERATOR)
    assert isinstance(found, Denied)
    assert found.code == "actor_mismatch"


def test_a_channel_changes_what_a_member_may() -> None:
    known = directory()
    assert ask(say(USER), known) == ALLOWED
    known.put_channel(GUILD, Channel(CHANNEL, {USER: Overwrite(USER, deny=mask(("SEND_MESSAGES",)))}))
    assert isinstance(ask(say(USER), known), Denied)
    known.put_channel(GUILD, Channel(CHANNEL, thread=True))
    found = ask(say(USER), known)
    assert isinstance(found, Denied)
    assert "SEND_MESSAGES_IN_THREADS" in found.message
    known.drop_channel(GUILD, CHANNEL)
    assert ask(say(USER), known) == Denied("no_such_channel", "the guild has no such channel")


def test_a_member_who_is_timed_out_sends_nothing() -> None:
    known = directory()
    known.put_member(GUILD, Member(USER, (), NOW + 60_000))
    assert isinstance(ask(say(USER), known), Denied)


def test_more_in_a_message_needs_more() -> None:
    assert say(USER, embeds=[{"title": "x"}]).required_permissions()[-1] == "EMBED_LINKS"
    assert isinstance(ask(say(USER, embeds=[{"title": "x"}])), Denied)
    fields = {"guild_id": GUILD, "channel_id": CHANNEL, "message_id": USER, "emoji": "x"}
    assert "MANAGE_MESSAGES" not in RemoveReaction(**fields).required_permissions()
    assert "MANAGE_MESSAGES" in RemoveReaction(**fields, user_id=USER).required_permissions()
    assert AddReaction(**fields).required_permissions() == ("READ_MESSAGE_HISTORY", "ADD_REACTIONS")


def test_a_type_that_declares_nothing_is_everybodys() -> None:
    assert ask(SendDM(user_id=USER, content="hi"), MemoryDirectory()) == ALLOWED


def test_music_is_looked_at_in_its_voice_channel_if_it_names_one() -> None:
    known = directory()
    known.put_role(GUILD, Role(JUNIOR, mask(("CONNECT", "SPEAK")), 5))
    play = {"guild_id": GUILD, "requested_by": HELPER, "query": "x"}
    assert ask(PlayMusic(**play), known) == ALLOWED
    known.put_channel(GUILD, Channel(CHANNEL, {JUNIOR: Overwrite(JUNIOR, deny=mask(("SPEAK",)))}))
    assert isinstance(ask(PlayMusic(**play, voice_channel_id=CHANNEL), known), Denied)


def test_nobody_gives_or_takes_a_role_that_is_not_below_their_own() -> None:
    known = directory()
    known.put_role(GUILD, Role(STAFF, mask(("MANAGE_ROLES",)), 10))

    def give(role: str, actor: str) -> Decision:
        return ask(AddRole(guild_id=GUILD, user_id=USER, role_id=role, actor_id=actor), known)

    assert give(JUNIOR, MODERATOR) == ALLOWED
    assert give(STAFF, OWNER) == ALLOWED
    for role, code in ((STAFF, "role_not_below"), ("29999999999999999", "no_such_role")):
        found = give(role, MODERATOR)
        assert isinstance(found, Denied)
        assert found.code == code
    assert isinstance(give(JUNIOR, HELPER), Denied)


def test_a_directory_may_be_a_service() -> None:
    class Service:
        async def view(self, guild: str, users: Collection[str], channel: str) -> Guild | None:
            return directory().view(guild, users, channel)

    authorizer = PermissionAuthorizer(Service(), now=lambda: NOW)
    kick = KickUser(guild_id=GUILD, user_id=USER, moderator_id=HELPER, reason="spam")
    found: Any = authorizer.authorize(kick, seal(kick, id="x", now=NOW, source="rest"))
    assert not authorizer.quick
    assert asyncio.run(found) == ALLOWED


def test_a_full_directory_says_that_it_cannot_tell() -> None:
    known = MemoryDirectory(most_members=1)
    known.put_guild(GUILD, owner=OWNER, complete=True)
    known.put_member(GUILD, Member(MODERATOR))
    known.put_member(GUILD, Member(USER))
    assert known.view(GUILD, [USER], "") is None
    known.drop_member(GUILD, MODERATOR)
    known.put_member(GUILD, Member(USER))
    assert known.view(GUILD, [USER], "") is not None
    known.drop_guild(GUILD)
    assert known.view(GUILD, [USER], "") is None
