"""An authorizer by Discord's rules: Discord checks only the bot, so whoever commands it is checked here.

The acting user must have the permissions the command's type declares (``permissions``), in the channel it names
(``channel``) or else in the guild, must stand above the role it gives or takes (``role``), and above the member or each
of the members it acts on (``target``), who is neither the owner, nor the bot, nor the acting user. A type that declares
none of this is everybody's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import TYPE_CHECKING, NamedTuple

from actors.envelope import Envelope
from router.messages.permissions import BITS
from router.permissions.decision import ALLOWED, Allowed, Decision, Denied, Unknown
from router.permissions.directory import Guild, GuildDirectory
from router.permissions.rules import in_channel, in_guild, outranks, stands_above

if TYPE_CHECKING:
    from router.messages.base import Message

UNLOADED = Unknown(1_000, "the guild's members and roles are not known yet")


class Needs(NamedTuple):
    """What one command asks of its acting user."""

    user: str
    guild: str
    permissions: tuple[str, ...]
    channel: str  #: "": in the guild as a whole
    targets: tuple[str, ...]
    role: str  #: that is given or taken; "": none


class PermissionAuthorizer:
    """``now()``: ms since the epoch, for timeouts of members.

    ``trusted``: sources, such as ``schedule``, whose commands may come without an acting user. A command of any other
    source that needs a permission and names nobody is denied, or leaving the name out would be the way around.
    """

    def __init__(self, directory: GuildDirectory, *, now: Callable[[], int], trusted: Collection[str] = ()) -> None:
        self._directory = directory
        self._now = now
        self._trusted = frozenset(trusted)
        self.quick = bool(getattr(directory, "quick", False))

    def authorize(self, command: Message, envelope: Envelope) -> Decision | Awaitable[Decision]:
        """See ``Authorizer``."""
        needs = needs_of(command, envelope)
        early = self._without_looking(command, needs, envelope)
        if early is not None:
            return early
        users = {needs.user, *needs.targets} - {""}
        found = self._directory.view(needs.guild, users, needs.channel)
        if isinstance(found, Awaitable):
            return self._later(found, needs)
        return self._judged(found, needs)

    def cache_key(self, command: Message, envelope: Envelope) -> object:
        """Equal needs have equal answers."""
        return needs_of(command, envelope), envelope.source in self._trusted

    def _without_looking(self, command: Message, needs: Needs, envelope: Envelope) -> Decision | None:
        if not (needs.permissions or needs.targets or needs.role):
            return ALLOWED
        field = command.__operation__.actor
        named = getattr(command, field) if field else None
        if named is not None and named != needs.user:
            return Denied("actor_mismatch", "the payload names another acting user than the one who is checked")
        if not needs.user:
            if envelope.source in self._trusted:
                return Allowed(f"trusted source {envelope.source}")
            return Denied("no_actor", "it names no acting user, whose permissions could be checked")
        if needs.guild == "global" or needs.guild.startswith("user:"):
            return Denied("no_guild", "it belongs to no guild, where the acting user could have permissions")
        return None

    async def _later(self, found: Awaitable[Guild | None], needs: Needs) -> Decision:
        return self._judged(await found, needs)

    def _judged(self, guild: Guild | None, needs: Needs) -> Decision:
        return UNLOADED if guild is None else judge(guild, needs, self._now())


def needs_of(command: Message, envelope: Envelope) -> Needs:
    """Read from the command and the declaration of its type."""
    operation = command.__operation__
    channel = getattr(command, operation.channel) if operation.channel else None
    target = (getattr(command, operation.target) if operation.target else None) or ()
    targets = target if isinstance(target, tuple) else (target,)
    role = getattr(command, operation.role) if operation.role else None
    return Needs(envelope.user, envelope.guild, command.required_permissions(), channel or "", targets, role or "")


def judge(guild: Guild, needs: Needs, now: int) -> Decision:
    """Whether the guild, as it is known, lets the acting user do it."""
    actor = guild.members.get(needs.user)
    for member in guild.members.values():
        # A role nobody knows may be the highest of all.
        if any(role not in guild.roles for role in member.roles):
            return UNLOADED
    if actor is None:
        return Denied("not_a_member", "the acting user is no member of the guild")
    wanted = needs.permissions
    if needs.channel:
        channel = guild.channels.get(needs.channel)
        if channel is None:
            return Denied("no_such_channel", "the guild has no such channel")
        bits = in_channel(guild, actor, channel, now)
        if channel.thread:
            wanted = tuple("SEND_MESSAGES_IN_THREADS" if name == "SEND_MESSAGES" else name for name in wanted)
    else:
        bits = in_guild(guild, actor, now)
    missing = [name for name in wanted if not bits & BITS.get(name, 0)]  # nobody has one that Discord has not
    if missing:
        return Denied("missing_permission", f"the acting user lacks {', '.join(missing)}")
    if needs.role:
        role = guild.roles.get(needs.role)
        if role is None:
            return Denied("no_such_role", "the guild has no such role")
        if not stands_above(guild, actor, role):
            return Denied("role_not_below", "the acting user's highest role is not above this one")
    return next((no for target in needs.targets if (no := _not_above(guild, needs.user, target))), ALLOWED)


def _not_above(guild: Guild, user: str, named: str) -> Denied | None:
    if named == user:
        return Denied("target_is_self", "nobody does this to themselves")
    if named == guild.owner:
        return Denied("target_is_owner", "nobody does this to the guild's owner")
    if named == guild.bot:
        return Denied("target_is_bot", "the bot does not do this to itself")
    target = guild.members.get(named)
    if target is not None and not outranks(guild, guild.members[user], target):
        return Denied("target_not_below", "the acting user's highest role is not above the target's")
    return None
