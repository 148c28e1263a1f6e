"""Discord's rules of permissions."""

from __future__ import annotations

from hypothesis import given

from router.messages.permissions import BITS, mask
from router.permissions import Channel, Guild, Member, Overwrite, Role
from router.permissions.rules import ALL, TIMED_OUT, in_channel, in_guild, outranks
from tests.permissions.worlds import CHANNEL, GUILD, MODERATOR, NOW, OWNER, USER, guilds

VIEW, SEND, READ, BAN = (
    BITS[name] for name in ("VIEW_CHANNEL", "SEND_MESSAGES", "READ_MESSAGE_HISTORY", "BAN_MEMBERS")
)
A, B = "21000000000000001", "21000000000000002"


def world(member: Member, *roles: Role, everyone: int = 0, **overwrites: Overwrite) -> Guild:
    every = {role.id: role for role in (Role(GUILD, everyone), *roles)}
    channel = Channel(CHANNEL, {one.id: one for one in overwrites.values()})
    return Guild(GUILD, OWNER, "", every, {member.id: member}, {CHANNEL: channel})


def seen(guild: Guild, user: str = USER) -> int:
    return in_channel(guild, guild.members[user], guild.channels[CHANNEL], NOW)


@given(guilds())
def test_the_owner_may_all_everywhere_even_when_timed_out_and_denied(guild: Guild) -> None:
    owner = guild.members[OWNER]
    assert in_guild(guild, owner, NOW) == ALL
    assert seen(guild, OWNER) == ALL


@given(guilds())
def test_an_administrator_may_all_whatever_a_channel_denies(guild: Guild) -> None:
    for member in guild.members.values():
        held = guild.roles[GUILD].permissions
        for role in member.roles:
            held |= guild.roles[role].permissions
        if held & BITS["ADMINISTRATOR"]:
            assert in_guild(guild, member, NOW) == seen(guild, member.id) == ALL


@given(guilds(administrators=False))
def test_in_the_guild_a_member_has_what_everyone_and_its_roles_have_and_no_more(guild: Guild) -> None:
    for user in (MODERATOR, USER):
        member = guild.members[user]
        held = guild.roles[GUILD].permissions
        for role in member.roles:
            held |= guild.roles[role].permissions
        assert in_guild(guild, member._replace(timed_out_until=NOW), NOW) == held


@given(guilds(administrators=False))
def test_who_is_timed_out_can_look_and_nothing_else(guild: Guild) -> None:
    member = guild.members[USER]._replace(timed_out_until=NOW + 1)
    assert in_guild(guild, member, NOW) & ~TIMED_OUT == 0
    assert in_channel(guild, member, guild.channels[CHANNEL], NOW) & ~TIMED_OUT == 0


@given(guilds(administrators=False))
def test_who_cannot_see_a_channel_can_do_nothing_in_it(guild: Guild) -> None:
    for user in (MODERATOR, USER):
        bits = seen(guild, user)
        assert bits == 0 or bits & VIEW


@given(guilds(administrators=False))
def test_the_members_own_overwrite_has_the_last_word(guild: Guild) -> None:
    own = guild.channels[CHANNEL].overwrites.get(USER)
    if own is None or guild.members[USER].timed_out_until > NOW:
        return
    bits = seen(guild)
    if bits:
        assert bits & own.allow == own.allow
        assert bits & own.deny & ~own.allow == 0


def test_of_several_roles_in_a_channel_one_that_allows_is_enough() -> None:
    member = Member(USER, (A, B))
    guild = world(
        member, Role(A, 0, 1), Role(B, 0, 2), everyone=VIEW, a=Overwrite(A, deny=SEND), b=Overwrite(B, allow=SEND)
    )
    assert seen(guild) & SEND


def test_a_roles_overwrite_beats_everyones_and_the_members_beats_both() -> None:
    member = Member(USER, (A,))
    both = VIEW | SEND
    guild = world(
        member,
        Role(A, 0),
        everyone=both,
        e=Overwrite(GUILD, deny=SEND),
        a=Overwrite(A, allow=SEND),
        u=Overwrite(USER, deny=SEND),
    )
    assert seen(guild) & both == VIEW


def test_a_timeout_that_is_over_counts_no_more() -> None:
    guild = world(Member(USER, (), NOW), everyone=VIEW | SEND | READ)
    assert seen(guild) == VIEW | SEND | READ


@given(guilds())
def test_rank_is_strict_and_the_owner_is_above_all(guild: Guild) -> None:
    members = list(guild.members.values())
    for one in members:
        assert not outranks(guild, one, one)
        assert one.id == OWNER or outranks(guild, guild.members[OWNER], one)
        for other in members:
            assert not (outranks(guild, one, other) and outranks(guild, other, one))


def test_of_two_roles_at_one_position_the_older_stands_above() -> None:
    older, younger = Member(USER, (A,)), Member(MODERATOR, (B,))
    guild = world(older, Role(A, 0, 3), Role(B, 0, 3))
    assert outranks(guild, older, younger)
    assert not outranks(guild, younger, older)


def test_a_bit_has_discords_value() -> None:
    # Discord's documentation, topic "Permissions".
    known = {"KICK_MEMBERS": 0x2, "BAN_MEMBERS": 0x4, "ADMINISTRATOR": 0x8, "MANAGE_GUILD": 0x20}
    known |= {"SEND_MESSAGES": 0x800, "MANAGE_MESSAGES": 0x2000, "READ_MESSAGE_HISTORY": 0x10000}
    known |= {"CONNECT": 0x100000, "SPEAK": 0x200000, "MANAGE_ROLES": 0x10000000}
    known |= {"SEND_MESSAGES_IN_THREADS": 0x4000000000, "MODERATE_MEMBERS": 0x10000000000}
    assert {name: BITS[name] for name in known} == known
    assert mask(("BAN_MEMBERS", "KICK_MEMBERS")) == 0x6
