"""Guilds for the tests of permissions."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from router.messages.permissions import BITS, mask
from router.permissions import Channel, Guild, Member, MemoryDirectory, Overwrite, Role

GUILD = "81384788765712384"
OWNER = "10000000000000001"
BOT = "10000000000000002"
MODERATOR = "10000000000000003"
HELPER = "10000000000000004"
USER = "10000000000000005"
STAFF, JUNIOR = "20000000000000001", "20000000000000002"
CHANNEL = "30000000000000001"
NOW = 1_700_000_000_000


def directory(*, complete: bool = True) -> MemoryDirectory:
    """An owner, a bot, a moderator who may all, a helper below, a user with no role, one channel."""
    known = MemoryDirectory()
    known.put_guild(GUILD, owner=OWNER, bot=BOT, complete=complete)
    known.put_role(GUILD, Role(GUILD, mask(("VIEW_CHANNEL", "SEND_MESSAGES"))))
    known.put_role(GUILD, Role(STAFF, mask(("BAN_MEMBERS", "KICK_MEMBERS", "MODERATE_MEMBERS")), 10))
    known.put_role(GUILD, Role(JUNIOR, mask(("KICK_MEMBERS",)), 5))
    for user, roles in ((OWNER, ()), (BOT, (STAFF,)), (MODERATOR, (STAFF,)), (HELPER, (JUNIOR,)), (USER, ())):
        known.put_member(GUILD, Member(user, roles))
    known.put_channel(GUILD, Channel(CHANNEL))
    return known


bits = st.sets(st.sampled_from(sorted(BITS))).map(lambda names: mask(tuple(names)))
roles = ["21000000000000001", "21000000000000002", "21000000000000003"]


@st.composite
def guilds(draw: Any, *, administrators: bool = True) -> Guild:
    """A guild with three roles and three members."""

    def powers() -> int:
        drawn: int = draw(bits)
        return drawn if administrators else drawn & ~BITS["ADMINISTRATOR"]

    every = {GUILD: Role(GUILD, powers())}
    every |= {role: Role(role, powers(), draw(st.integers(0, 3))) for role in roles}
    members = {
        user: Member(user, draw(st.lists(st.sampled_from(roles), unique=True)), draw(st.sampled_from([0, NOW + 1])))
        for user in (OWNER, MODERATOR, USER)
    }
    holders = [GUILD, *roles, MODERATOR, USER, OWNER]
    overwrites = {id_: Overwrite(id_, draw(bits), draw(bits)) for id_ in draw(st.sets(st.sampled_from(holders)))}
    return Guild(GUILD, OWNER, BOT, every, members, {CHANNEL: Channel(CHANNEL, overwrites)})
