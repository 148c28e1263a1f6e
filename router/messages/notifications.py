"""Notifications: for one user, or for everybody who looks at a guild."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import MaxLen

from router.messages.base import Notification
from router.messages.fields import Flag, Id, Link, LongText, Millis, Name, Text, Word
from router.messages.layout import Payload

Title = Annotated[Text, MaxLen(256)]


class Notice(Payload):
    id: Word
    type: Literal["SUCCESS", "INFO", "WARNING", "ERROR"]
    title: Title
    message: LongText
    action_url: Link | None = None
    action_text: Name | None = None
    persistent: Flag
    expires_at: Millis | None = None


class Broadcast(Payload):
    type: Literal["ANNOUNCEMENT", "MAINTENANCE", "UPDATE"]
    title: Title
    message: LongText
    priority: Literal["LOW", "NORMAL", "HIGH"]
    channels: Annotated[tuple[Literal["DASHBOARD", "DISCORD"], ...], MaxLen(2)] | None = None


class UserNotification(
    Notification,
    type="USER_NOTIFICATION",
    queue="notifications",
    subject="user:{target_user_id}",
    owner="target_user_id",
    sensitive=("notification",),
):
    """Tell one user."""

    target_user_id: Id
    notification: Notice


class BroadcastNotification(
    Notification,
    type="BROADCAST_NOTIFICATION",
    queue="notifications",
    subject="broadcast",
    tenant="target_guild_id",
):
    """Tell everybody connected for a guild, or for any (``target_guild_id`` left out)."""

    target_guild_id: Id | None = None
    target_roles: Annotated[tuple[Id, ...], MaxLen(250)] | None = None
    notification: Broadcast
