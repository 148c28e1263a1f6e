"""Communication commands. The lane is the channel, of a direct message the user it goes to.

Edits, deletions and reactions of one channel share its lane whatever message they concern, so for them no conflict
policy but ``queue`` makes sense.
"""

from __future__ import annotations

from typing import Annotated, Self

from annotated_types import MaxLen, MinLen
from pydantic import ConfigDict, Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from router.messages.base import Command
from router.messages.discord import Components, Embeds, Emoji, Files, MessageReply
from router.messages.fields import Content, Id, Reason
from router.messages.moderation import TARGET

_UNKNOWN_MESSAGE = 10_008


def _empty() -> PydanticCustomError:
    return PydanticCustomError("empty", "must have content, embeds, components or files")


def _one_of(*names: str, least: int) -> ConfigDict:
    """The description of a rule below: one of these is there, and (``least`` 1) not empty."""
    some: dict[str, JsonValue] = {
        "anyOf": [{"type": "string", "minLength": least}, {"type": "array", "minItems": least}]
    }
    return ConfigDict(json_schema_extra={"anyOf": [{"properties": {name: some}, "required": [name]} for name in names]})


class ChannelCommand(Command, queue="bot:commands", subject="channel:{channel_id}", channel="channel_id"):
    """Acts on one channel."""

    channel_id: Id


class SendMessage(
    ChannelCommand,
    type="SEND_MESSAGE",
    permissions=("VIEW_CHANNEL", "SEND_MESSAGES"),
    compensation="DELETE_MESSAGE",
):
    """Send a message to a channel; twice sends it twice."""

    model_config = _one_of("content", "embeds", "components", "files", least=1)

    content: Content | None = None
    embeds: Embeds | None = None
    components: Components | None = None
    files: Files | None = None
    reply: MessageReply | None = None

    def required_permissions(self) -> tuple[str, ...]:
        more = (("EMBED_LINKS",) if self.embeds else ()) + (("ATTACH_FILES",) if self.files else ())
        return super().required_permissions() + more

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not (self.content or self.embeds or self.components or self.files):
            raise _empty()
        return self


class SendDM(
    Command,
    type="SEND_DM",
    queue="bot:commands",
    subject="user:{user_id}",
    owner="user_id",
    compensation="DELETE_MESSAGE",
    sensitive=("content", "embeds"),
):
    """Send a direct message; in the lane of its recipient, so that it goes out before the ban behind it."""

    model_config = _one_of("content", "embeds", least=1)

    user_id: Id = Field(validation_alias=TARGET, serialization_alias="userId", description="the recipient")
    content: Content | None = None
    embeds: Embeds | None = None
    reason: Reason | None = None

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not (self.content or self.embeds):
            raise PydanticCustomError("empty", "must have content or embeds")
        return self


class EditMessage(
    ChannelCommand,
    type="EDIT_MESSAGE",
    key=("channel_id", "message_id", "content", "embeds", "components"),
    opposes=("DELETE_MESSAGE", "EDIT_MESSAGE"),
    idempotent=True,
    permissions=("VIEW_CHANNEL", "MANAGE_MESSAGES"),  # the message is the bot's, not the acting user's
    compensation="EDIT_MESSAGE",
):
    """Change an own message; what is left out stays as it is, an empty text or list removes it."""

    model_config = _one_of("content", "embeds", "components", least=0)

    message_id: Id
    content: Content | None = None
    embeds: Embeds | None = None
    components: Components | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if self.content is None and self.embeds is None and self.components is None:
            raise PydanticCustomError("empty", "must change content, embeds or components")
        return self


class DeleteMessage(
    ChannelCommand,
    type="DELETE_MESSAGE",
    key=("channel_id", "message_id"),
    opposes=("EDIT_MESSAGE", "ADD_REACTION"),
    idempotent=True,
    permissions=("MANAGE_MESSAGES",),
    noop_codes=(_UNKNOWN_MESSAGE,),
):
    """Delete a message."""

    message_id: Id
    reason: Reason | None = None


class BulkDeleteMessages(
    ChannelCommand,
    type="BULK_DELETE_MESSAGES",
    key=("channel_id", "message_ids"),
    idempotent=True,
    permissions=("MANAGE_MESSAGES",),
):
    """Delete up to a hundred messages at once, none of them older than two weeks (Discord's bounds)."""

    message_ids: Annotated[tuple[Id, ...], MinLen(1), MaxLen(100)] = Field(json_schema_extra={"uniqueItems": True})
    reason: Reason | None = None

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.message_ids)) < len(self.message_ids):
            raise PydanticCustomError("distinct", "must not name a message twice")
        return self


class AddReaction(
    ChannelCommand,
    type="ADD_REACTION",
    key=("channel_id", "message_id", "emoji"),
    opposes=("REMOVE_REACTION", "DELETE_MESSAGE"),
    idempotent=True,
    permissions=("READ_MESSAGE_HISTORY", "ADD_REACTIONS"),
    compensation="REMOVE_REACTION",
):
    """React to a message: a Unicode emoji, or ``name:id`` of an own one."""

    message_id: Id
    emoji: Annotated[Emoji, MinLen(1)]


class RemoveReaction(
    ChannelCommand,
    type="REMOVE_REACTION",
    key=("channel_id", "message_id", "emoji", "user_id"),
    opposes=("ADD_REACTION",),
    idempotent=True,
    permissions=("READ_MESSAGE_HISTORY",),
    compensation="ADD_REACTION",
    noop_codes=(_UNKNOWN_MESSAGE,),
):
    """Take a reaction back: the bot's own, or a user's."""

    message_id: Id
    emoji: Annotated[Emoji, MinLen(1)]
    user_id: Id | None = Field(
        default=None, validation_alias=TARGET, serialization_alias="userId", description="none: the bot"
    )

    def required_permissions(self) -> tuple[str, ...]:
        return super().required_permissions() + (("MANAGE_MESSAGES",) if self.user_id else ())
