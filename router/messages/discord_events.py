"""What happened on Discord: members, messages, channels, roles."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Le, MaxLen, MinLen

from router.messages.base import Event
from router.messages.fields import Bits, Count, Flag, Id, Int, LongText, Millis, Name, Word, acting_user
from router.messages.layout import Payload

Ids = Annotated[tuple[Id, ...], MaxLen(1_000)]


class DiscordEvent(Event, queue="discord:events"):
    """Something that happened in one guild."""


# ---------------------------------------------------------------- members


class LeavingUser(Payload):
    id: Id
    username: Name
    discriminator: Name
    avatar: Name | None = None


class JoiningUser(LeavingUser):
    bot: Flag


class LeftMembership(Payload):
    joined_at: Millis
    roles: Ids
    nickname: Name | None = None


class Membership(LeftMembership):
    pending: Flag


class NicknameChange(Payload):
    old: Name | None = None
    new: Name | None = None


class RolesChange(Payload):
    added: Ids
    removed: Ids


class TimeoutChange(Payload):
    old: Millis | None = None
    new: Millis | None = None


class MemberChanges(Payload):
    nickname: NicknameChange | None = None
    roles: RolesChange | None = None
    timeout: TimeoutChange | None = None


class MemberJoined(DiscordEvent, type="MEMBER_JOINED", subject="user:{user.id}"):
    """A user joined the guild."""

    user: JoiningUser
    member: Membership
    invite_code: Name | None = None


class MemberLeft(DiscordEvent, type="MEMBER_LEFT", subject="user:{user.id}"):
    """A user left the guild, or had to."""

    user: LeavingUser
    member: LeftMembership
    reason: Literal["LEFT", "KICKED", "BANNED"]


class MemberUpdated(DiscordEvent, type="MEMBER_UPDATED", subject="user:{user_id}"):
    """A member's nickname, roles or timeout changed."""

    user_id: Id
    changes: MemberChanges


# ---------------------------------------------------------------- messages


class MessageDeleted(
    DiscordEvent, type="MESSAGE_DELETED", subject="channel:{channel_id}", actor="deleted_by", sensitive=("content",)
):
    """A message was deleted; author and content are known if it was cached."""

    message_id: Id
    channel_id: Id
    author_id: Id | None = None
    content: LongText | None = None
    deleted_by: Id | None = None
    timestamp: Millis


class MessageEdited(
    DiscordEvent,
    type="MESSAGE_EDITED",
    subject="channel:{channel_id}",
    actor="author_id",
    sensitive=("old_content", "new_content"),
):
    """A message was edited."""

    message_id: Id
    channel_id: Id
    author_id: Id = acting_user()
    old_content: LongText | None = None
    new_content: LongText
    edited_at: Millis


class MessageBulkDeleted(DiscordEvent, type="MESSAGE_BULK_DELETED", subject="channel:{channel_id}", actor="deleted_by"):
    """Several messages were deleted at once."""

    message_ids: Annotated[tuple[Id, ...], MinLen(1), MaxLen(1_000)]
    channel_id: Id
    deleted_by: Id | None = None
    count: Count


# ---------------------------------------------------------------- the server


class Channel(Payload):
    id: Id
    name: Name
    type: Annotated[Count, Le(255)] | Word
    position: Int
    parent_id: Id | None = None


class Role(Payload):
    id: Id
    name: Name
    color: Annotated[Count, Le(0xFFFFFF)]
    position: Int
    permissions: Bits
    mentionable: Flag
    hoist: Flag


class ChannelCreated(DiscordEvent, type="CHANNEL_CREATED", subject="channel:{channel.id}", actor="created_by"):
    """A channel was created; its type is Discord's number or its name."""

    channel: Channel
    created_by: Id | None = None


class RoleCreated(DiscordEvent, type="ROLE_CREATED", subject="role:{role.id}", actor="created_by"):
    """A role was created."""

    role: Role
    created_by: Id | None = None
