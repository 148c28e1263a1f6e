"""What an authorizer must know of a guild, and the port it learns it by."""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Mapping
from typing import NamedTuple, Protocol


class Role(NamedTuple):
    """A role; that of @everyone has the guild's own id."""

    id: str
    permissions: int  #: Discord's bit field
    position: int = 0  #: a higher one stands above; of equal ones the older (lower id)


class Member(NamedTuple):
    """A user in a guild."""

    id: str
    roles: Collection[str] = ()  #: ids, without that of @everyone
    timed_out_until: int = 0  #: ms since the epoch


class Overwrite(NamedTuple):
    """What a channel changes for a role or a member."""

    id: str  #: of the role (the guild's: @everyone) or member
    allow: int = 0
    deny: int = 0


class Channel(NamedTuple):
    """A channel; of a thread, the overwrites are its parent's."""

    id: str
    overwrites: Mapping[str, Overwrite] = {}
    thread: bool = False


class Guild(NamedTuple):
    """A guild, as far as one question needs it. Who was asked about and is not in ``members`` is no member."""

    id: str
    owner: str
    bot: str = ""  #: the user that our own bot is; "": not known
    roles: Mapping[str, Role] = {}
    members: Mapping[str, Member] = {}
    channels: Mapping[str, Channel] = {}


class GuildDirectory(Protocol):
    """Knows guilds: a bot's own cache, a table it feeds, a service. ``quick = True``: ``view`` never waits."""

    def view(self, guild: str, users: Collection[str], channel: str) -> Guild | Awaitable[Guild | None] | None:
        """The guild with these users and, unless it is "", this channel; sync or async.

        ``None``: it cannot be told now, which holds as well when only one of the users may be missing from what is
        known. A user who is surely no member, or a channel that surely does not exist, is left out of the answer.
        """
