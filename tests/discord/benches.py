"""``rest`` with Discord behind it: the real client, a fake Discord, a clock the test turns."""

from __future__ import annotations

from itertools import count
from typing import Any

from pydantic import SecretStr

from actors.codec import encode
from actors.outcome import Outcome, Verdict
from actors.policy.breaker import BreakerSettings
from actors.policy.breaker_box import BreakerBox
from actors.ports import Ticket
from actors.runtime.testing import ManualClock
from router.messages.base import Message
from router.messages.communication import (
    AddReaction,
    BulkDeleteMessages,
    DeleteMessage,
    EditMessage,
    RemoveReaction,
    SendDM,
    SendMessage,
)
from router.messages.members import AddRole, RemoveRole
from router.messages.moderation import BanUser, BulkBan, KickUser, TimeoutUser, UnbanUser, UntimeoutUser
from router.messages.seal import seal, unseal
from router.protocols.discord.backend import HttpBackend
from router.protocols.discord.limits import Ledger
from router.protocols.discord.target import DiscordTarget
from router.protocols.rehearsal import Outcomes
from router.protocols.rest.protocol import RestProtocol
from tests.fakes.discord import CHANNEL, GUILD, MESSAGE, MODERATOR, OWNER, ROLE, TOKEN, USER, Discord

WAIT = 15_000  # ms
_numbers = count(1)


class DiscordBench:
    """The protocol, its ledger, and the clock."""

    def __init__(
        self,
        discord: Discord,
        *,
        token: str = TOKEN,
        tagged: bool = False,
        types: tuple[str, ...] = (),
        clock: ManualClock | None = None,
        failures: int = 100,
        **ledger: int,
    ) -> None:
        self.clock = clock or ManualClock()
        self.discord = discord
        self.breakers = BreakerBox(BreakerSettings(failure_threshold=failures))
        self.ledger = Ledger(**ledger)
        self.backend = HttpBackend(
            SecretStr(token), clock=self.clock, base=discord.url, user_agent="DiscordBot (x, 1)", ledger=self.ledger
        )
        target = DiscordTarget(self.backend, self.ledger, clock=self.clock, decode=unseal, types=types, tagged=tagged)
        self.protocol = RestProtocol([target], clock=self.clock, breakers=self.breakers.get, wait_ms=WAIT)
        self.protocol.open()

    def __enter__(self) -> DiscordBench:
        return self

    def __exit__(self, *_: object) -> None:
        self.protocol.close(0)

    def ticket(self, message: Message, attempt: int = 1) -> Ticket:
        envelope = seal(message, id=f"d{next(_numbers)}", now=self.clock.now(), source="library")
        return Ticket(envelope, encode(envelope), attempt, 0, sequence=1, token=0)

    def start(self, ticket: Ticket) -> Outcomes:
        outcomes = Outcomes()
        self.protocol.start(ticket, outcomes)
        return outcomes

    def run(self, message: Message | Ticket) -> Outcome:
        its = message if isinstance(message, Ticket) else self.ticket(message)
        outcome = self.start(its).one
        assert isinstance(outcome, Outcome)
        return outcome

    def happened(self, ticket: Ticket) -> Any:
        answers = Outcomes()
        self.protocol.verify(ticket.envelope, answers)
        return answers.one


def code_of(outcome: Outcome) -> str:
    return outcome.fault.code if outcome.fault else ""


_BY: dict[str, Any] = {"guild_id": GUILD, "user_id": USER, "moderator_id": MODERATOR}
ALL: dict[str, Message] = {
    "BAN_USER": BanUser(**_BY, reason="spam", delete_message_days=1),
    "BULK_BAN": BulkBan(guild_id=GUILD, user_ids=(OWNER, USER), moderator_id=MODERATOR, reason="raid"),
    "UNBAN_USER": UnbanUser(**_BY, reason="appeal"),
    "KICK_USER": KickUser(**_BY, reason="spam"),
    "TIMEOUT_USER": TimeoutUser(**_BY, reason="calm", duration=600),
    "UNTIMEOUT_USER": UntimeoutUser(**_BY, reason="calm again"),
    "SEND_MESSAGE": SendMessage(guild_id=GUILD, channel_id=CHANNEL, content="hello"),
    "SEND_DM": SendDM(guild_id=GUILD, user_id=USER, content="psst"),
    "EDIT_MESSAGE": EditMessage(guild_id=GUILD, channel_id=CHANNEL, message_id=MESSAGE, content="new"),
    "DELETE_MESSAGE": DeleteMessage(guild_id=GUILD, channel_id=CHANNEL, message_id=MESSAGE, reason="old"),
    "BULK_DELETE_MESSAGES": BulkDeleteMessages(
        guild_id=GUILD, channel_id=CHANNEL, message_ids=(MESSAGE, ROLE), reason="raid"
    ),
    "ADD_ROLE": AddRole(guild_id=GUILD, user_id=USER, role_id=ROLE, reason="team"),
    "REMOVE_ROLE": RemoveRole(guild_id=GUILD, user_id=USER, role_id=ROLE),
    "ADD_REACTION": AddReaction(guild_id=GUILD, channel_id=CHANNEL, message_id=MESSAGE, emoji="👍"),
    "REMOVE_REACTION": RemoveReaction(guild_id=GUILD, channel_id=CHANNEL, message_id=MESSAGE, emoji="👍"),
}
"""One command of each type that Discord can execute."""


def ready(discord: Discord, name: str) -> Discord:
    """With the world in a state in which the command has something to do."""
    if name == "UNBAN_USER":
        discord.bans.add(USER)
    if name == "UNTIMEOUT_USER":
        discord.members[USER]["communication_disabled_until"] = "2030-01-01T00:00:00+00:00"
    if name == "REMOVE_ROLE":
        discord.members[USER]["roles"].append(ROLE)
    if name == "REMOVE_REACTION":
        discord.messages[MESSAGE]["reactions"].append({"emoji": {"name": "👍"}, "me": True, "count": 1})
    return discord


DOUBT = Verdict.IN_DOUBT
