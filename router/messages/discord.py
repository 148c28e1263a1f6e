"""The parts of a Discord message, with Discord's limits."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Le, MaxLen
from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from router.messages.fields import Count, Flag, Id, JsonObject, Line, Millis, Name, Text, Url, Word
from router.messages.layout import Payload

EMBED_CHARACTERS = 6_000  # over all embeds of a message

Title = Annotated[Text, MaxLen(256)]


class EmbedFooter(Payload):
    text: Annotated[Text, MaxLen(2_048)]
    icon_url: Url | None = None


class EmbedMedia(Payload):
    """An image, thumbnail or video."""

    url: Url
    width: Count | None = None
    height: Count | None = None


class EmbedAuthor(Payload):
    name: Title
    url: Url | None = None
    icon_url: Url | None = None


class EmbedField(Payload):
    name: Title
    value: Annotated[Text, MaxLen(1_024)]
    inline: Flag | None = None


class DiscordEmbed(Payload):
    title: Title | None = None
    description: Annotated[Text, MaxLen(4_096)] | None = None
    url: Url | None = None
    color: Annotated[Count, Le(0xFFFFFF)] | None = None
    timestamp: Millis | None = None
    footer: EmbedFooter | None = None
    image: EmbedMedia | None = None
    thumbnail: EmbedMedia | None = None
    author: EmbedAuthor | None = None
    fields: Annotated[tuple[EmbedField, ...], MaxLen(25)] | None = None

    @property
    def characters(self) -> int:
        """How much of the message's allowance it takes."""
        texts = [self.title, self.description, self.footer and self.footer.text, self.author and self.author.name]
        for field in self.fields or ():
            texts += [field.name, field.value]
        return sum(len(text) for text in texts if text)


class DiscordAttachment(Payload):
    """A file by its address: a command is no place for its bytes."""

    filename: Word
    url: Url
    description: Annotated[Text, MaxLen(1_024)] | None = None
    content_type: Name | None = None
    size: Count | None = None
    spoiler: Flag | None = None


class MessageReply(Payload):
    message_id: Id
    fail_if_not_exists: Flag | None = None


def _within(embeds: tuple[DiscordEmbed, ...]) -> tuple[DiscordEmbed, ...]:
    if sum(embed.characters for embed in embeds) > EMBED_CHARACTERS:
        raise PydanticCustomError("embeds", "must hold at most 6000 characters together")
    return embeds


Embeds = Annotated[tuple[DiscordEmbed, ...], MaxLen(10), AfterValidator(_within)]
Components = Annotated[tuple[JsonObject, ...], MaxLen(40)]
"""Rows of buttons and menus as Discord has them; they change too often to be modelled."""
Files = Annotated[tuple[DiscordAttachment, ...], MaxLen(10)]
Emoji = Annotated[Line, MaxLen(100)]
