"""A directory in memory, fed by a bot from its gateway events."""

from __future__ import annotations

import logging
from collections.abc import Collection
from threading import Lock

from router.permissions.directory import Channel, Guild, Member, Role

logger = logging.getLogger("router.permissions")

MEMBERS = 1_000_000
"""Members of all guilds together, about 300 MB; what does not fit makes its guild incomplete, not wrong."""


DELETED = 1_000
"""Deleted roles remembered per guild; Discord tells of a deleted role, not of each member who had it."""


class _Known:
    """What is known of one guild."""

    __slots__ = ("bot", "channels", "complete", "gone", "id", "members", "owner", "roles")

    def __init__(self, id_: str) -> None:
        self.id = id_
        self.owner = ""
        self.bot = ""
        self.complete = False
        self.roles: dict[str, Role] = {}
        self.members: dict[str, Member] = {}
        self.channels: dict[str, Channel] = {}
        self.gone: dict[str, None] = {}  # roles that are deleted, and may still stand in members

    def member(self, id_: str) -> Member:
        """Without the roles that are deleted."""
        member = self.members[id_]
        if self.gone and not self.gone.keys().isdisjoint(member.roles):
            member = member._replace(roles=[role for role in member.roles if role not in self.gone])
        return member


class MemoryDirectory:
    """Thread-safe. Ids may be given as numbers.

    A guild is known from ``put_guild`` on. ``complete`` says that all its members and channels were put in: only then
    does a missing one mean that there is none; before, nobody can tell, and the command waits.
    """

    quick = True

    def __init__(self, *, most_members: int = MEMBERS) -> None:
        self._guilds: dict[str, _Known] = {}
        self._lock = Lock()
        self._most = most_members
        self._count = 0

    def put_guild(self, guild: str | int, *, owner: str | int, bot: str | int = "", complete: bool = False) -> None:
        """A guild came, or changed its owner; what else is known of it stays."""
        with self._lock:
            known = self._guilds.setdefault(str(guild), _Known(str(guild)))
            known.owner, known.bot, known.complete = str(owner), str(bot), complete

    def drop_guild(self, guild: str | int) -> None:
        """It is gone, or cannot be seen any more."""
        with self._lock:
            known = self._guilds.pop(str(guild), None)
            if known is not None:
                self._count -= len(known.members)

    def put_role(self, guild: str | int, role: Role) -> None:
        """A role came or changed; that of @everyone has the guild's id."""
        with self._lock:
            if (known := self._guilds.get(str(guild))) is not None:
                known.roles[role.id] = role
                known.gone.pop(role.id, None)

    def drop_role(self, guild: str | int, role: str | int) -> None:
        """A role is gone, and with it what it allowed."""
        with self._lock:
            if (known := self._guilds.get(str(guild))) is not None:
                known.roles.pop(str(role), None)
                known.gone[str(role)] = None
                while len(known.gone) > DELETED:
                    del known.gone[next(iter(known.gone))]

    def put_member(self, guild: str | int, member: Member) -> None:
        """A member came or changed."""
        with self._lock:
            known = self._guilds.get(str(guild))
            if known is None:
                return
            if member.id not in known.members:
                if self._count >= self._most:
                    if known.complete:
                        logger.warning("no room for more than %d members: %s is incomplete", self._most, known.id)
                    known.complete = False
                    return
                self._count += 1
            known.members[member.id] = member

    def drop_member(self, guild: str | int, user: str | int) -> None:
        """A member left."""
        with self._lock:
            known = self._guilds.get(str(guild))
            if known is not None and known.members.pop(str(user), None) is not None:
                self._count -= 1

    def put_channel(self, guild: str | int, channel: Channel) -> None:
        """A channel or thread came or changed."""
        with self._lock:
            if (known := self._guilds.get(str(guild))) is not None:
                known.channels[channel.id] = channel

    def drop_channel(self, guild: str | int, channel: str | int) -> None:
        """A channel or thread is gone."""
        with self._lock:
            if (known := self._guilds.get(str(guild))) is not None:
                known.channels.pop(str(channel), None)

    def view(self, guild: str, users: Collection[str], channel: str) -> Guild | None:
        """See ``GuildDirectory``."""
        with self._lock:
            known = self._guilds.get(guild)
            if known is None:
                return None
            members = {user: known.member(user) for user in users if user in known.members}
            channels = {channel: known.channels[channel]} if channel in known.channels else {}
            if not known.complete and (len(members) < len(users) or (channel and not channels)):
                return None
            return Guild(known.id, known.owner, known.bot, dict(known.roles), members, channels)
