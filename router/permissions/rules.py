"""Discord's rules of permissions, as pure functions (Discord's documentation, topic "Permissions").

The owner has all. Else @everyone and the member's roles together; ADMINISTRATOR has all. Then the channel changes it:
for @everyone, then for all roles together (deny before allow), then for the member. Without VIEW_CHANNEL nothing is
left of a channel. Who is timed out keeps VIEW_CHANNEL and READ_MESSAGE_HISTORY, unless owner or administrator.
"""

from __future__ import annotations

from router.messages.permissions import BITS
from router.permissions.directory import Channel, Guild, Member, Role

ALL = (1 << 64) - 1
ADMINISTRATOR = BITS["ADMINISTRATOR"]
VIEW_CHANNEL = BITS["VIEW_CHANNEL"]
TIMED_OUT = VIEW_CHANNEL | BITS["READ_MESSAGE_HISTORY"]
_BOTTOM = Role("0", 0, -1)


def in_guild(guild: Guild, member: Member, now: int) -> int:
    """The bits a member has in the guild as a whole."""
    bits = _base(guild, member)
    return bits & TIMED_OUT if bits != ALL and member.timed_out_until > now else bits


def in_channel(guild: Guild, member: Member, channel: Channel, now: int) -> int:
    """The bits a member has in one channel."""
    bits = _base(guild, member)
    if bits == ALL:
        return ALL
    everyone = channel.overwrites.get(guild.id)
    if everyone is not None:
        bits = bits & ~everyone.deny | everyone.allow
    deny = allow = 0
    for role in member.roles:
        overwrite = channel.overwrites.get(role)
        if overwrite is not None and role != guild.id:
            deny |= overwrite.deny
            allow |= overwrite.allow
    bits = bits & ~deny | allow
    own = channel.overwrites.get(member.id)
    if own is not None:
        bits = bits & ~own.deny | own.allow
    if member.timed_out_until > now:
        bits &= TIMED_OUT
    return bits if bits & VIEW_CHANNEL else 0


def outranks(guild: Guild, actor: Member, target: Member) -> bool:
    """Whether the actor stands above the target: the owner above all, else by the highest role; equals do not."""
    if target.id == guild.owner:
        return False
    return actor.id == guild.owner or _rank(top_role(guild, actor)) > _rank(top_role(guild, target))


def stands_above(guild: Guild, actor: Member, role: Role) -> bool:
    """Whether the actor may give and take this role: it is below the actor's highest; the owner may all."""
    return actor.id == guild.owner or _rank(top_role(guild, actor)) > _rank(role)


def top_role(guild: Guild, member: Member) -> Role:
    """A member's highest role; that of @everyone is the lowest of all."""
    roles = [role for id_ in member.roles if (role := guild.roles.get(id_)) is not None and id_ != guild.id]
    return max(roles, key=_rank, default=_BOTTOM)


def _base(guild: Guild, member: Member) -> int:
    if member.id == guild.owner:
        return ALL
    bits = 0
    for id_ in (guild.id, *member.roles):
        role = guild.roles.get(id_)
        if role is not None:
            bits |= role.permissions
    return ALL if bits & ADMINISTRATOR else bits


def _rank(role: Role) -> tuple[int, int]:
    # Of two roles at one position the older stands above.
    return role.position, -int(role.id)
