"""Moderation commands."""

from __future__ import annotations

from typing import Annotated, Self

from annotated_types import Le, MaxLen, MinLen
from pydantic import AliasChoices, Field, model_validator
from pydantic_core import PydanticCustomError

from router.messages.base import Command
from router.messages.fields import Count, Flag, Id, Millis, Positive, Reason, Word, acting_user
from router.messages.priority import Priority

HOUR = 3_600_000
TARGET = AliasChoices("userId", "targetUserId", "target_user_id")
LONGEST_TIMEOUT = 28 * 24 * 3_600  # seconds; Discord takes no later instant
LONGEST_BAN = 10 * 366 * 24  # hours
SHORT_WINDOW = 60_000  # ms; covers every retry, and a member who came back may be kicked again


class ModerationCommand(
    Command,
    queue="bot:moderation",
    priority=Priority.HIGH,
    subject="user:{user_id}",
    actor="moderator_id",
    target="user_id",
):
    """Acts on one user of one guild; the lane is the user."""

    guild_id: Id
    user_id: Id = Field(validation_alias=TARGET, serialization_alias="userId", description="the target")
    reason: Reason
    moderator_id: Id = acting_user()
    case_id: Word | None = Field(default=None, description="the moderation case it belongs to")
    notify_user: Flag = False


class BanUser(
    ModerationCommand,
    type="BAN_USER",
    key=("user_id", "duration", "until"),
    opposes=("UNBAN_USER", "KICK_USER", "TIMEOUT_USER", "UNTIMEOUT_USER", "BAN_USER"),
    idempotent=True,
    permissions=("BAN_MEMBERS",),
    compensation="UNBAN_USER",
    resolves=("duration", "until", HOUR),
):
    """Ban a user, for good or for a number of hours."""

    delete_message_days: Annotated[Count, Le(7)] = 0
    duration: Annotated[Positive, Le(LONGEST_BAN)] | None = Field(default=None, description="hours; none: for good")
    until: Millis | None = Field(default=None, description="when it ends; made of the duration at acceptance")
    create_case: Flag = False


class BulkBan(
    Command,
    type="BULK_BAN",
    queue="bot:moderation",
    priority=Priority.HIGH,
    subject="bulk_ban",
    actor="moderator_id",
    target="user_ids",
    key=("user_ids",),
    idempotent=True,
    permissions=("BAN_MEMBERS", "MANAGE_GUILD"),
):
    """Ban up to 200 users at once, for good, as against a raid.

    It has a lane of its own: among what is sent for one of these users it keeps no order.
    """

    guild_id: Id
    user_ids: Annotated[tuple[Id, ...], MinLen(1), MaxLen(200)] = Field(json_schema_extra={"uniqueItems": True})
    reason: Reason
    moderator_id: Id = acting_user()
    delete_message_days: Annotated[Count, Le(7)] = 0
    case_id: Word | None = Field(default=None, description="the moderation case it belongs to")

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.user_ids)) < len(self.user_ids):
            raise PydanticCustomError("distinct", "must not name a user twice")
        return self


class KickUser(
    ModerationCommand,
    type="KICK_USER",
    key=("user_id",),
    opposes=("BAN_USER",),
    window=SHORT_WINDOW,
    permissions=("KICK_MEMBERS",),
    noop_codes=(10_007,),
):
    """Remove a member, who may come back: repeating it later is another kick."""

    create_case: Flag = False


# A ban opposes a timeout, but not the reverse: where the newest wins, a timeout must not cost a waiting ban.
class TimeoutUser(
    ModerationCommand,
    type="TIMEOUT_USER",
    key=("user_id", "duration", "until"),
    opposes=("UNTIMEOUT_USER", "TIMEOUT_USER"),
    window=SHORT_WINDOW,
    idempotent=True,
    permissions=("MODERATE_MEMBERS",),
    compensation="UNTIMEOUT_USER",
    resolves=("duration", "until", 1_000),
):
    """Silence a member for at most 28 days."""

    duration: Annotated[Positive, Le(LONGEST_TIMEOUT)] = Field(description="seconds")
    until: Millis | None = Field(default=None, description="when it ends; made of the duration at acceptance")
    create_case: Flag = False


class UnbanUser(
    ModerationCommand,
    type="UNBAN_USER",
    key=("user_id",),
    opposes=("BAN_USER",),
    idempotent=True,
    permissions=("BAN_MEMBERS",),
    compensation="BAN_USER",
    noop_codes=(10_026,),
):
    """Lift a ban."""


class UntimeoutUser(
    ModerationCommand,
    type="UNTIMEOUT_USER",
    key=("user_id",),
    opposes=("TIMEOUT_USER",),
    idempotent=True,
    permissions=("MODERATE_MEMBERS",),
    compensation="TIMEOUT_USER",
):
    """End a timeout early."""
