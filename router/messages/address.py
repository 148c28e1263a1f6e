"""Where a message belongs: its acting user, its guild, its lane, its absolute times."""

from __future__ import annotations

from typing import TYPE_CHECKING

from router.messages.layout import layout_of

if TYPE_CHECKING:
    from router.messages.base import Message

GLOBAL = "global"


def actor_of(message: Message) -> str:
    """The acting user: ``actor_id``, else the payload's own field for it; "" when nobody is known."""
    if message.actor_id is not None:
        return message.actor_id
    field = message.__operation__.actor
    return (message.__dict__[field] or "") if field else ""


def guild_of(message: Message, actor: str) -> str:
    """The unit of order: its guild, else ``user:<id>`` of the acting user or its owner, else ``global``."""
    if message.guild_id is not None:
        return message.guild_id
    operation = message.__operation__
    if operation.tenant and (guild := message.__dict__[operation.tenant]):
        return str(guild)
    user = actor or (operation.owner and message.__dict__[operation.owner])
    return f"user:{user}" if user else GLOBAL


def subject_of(message: Message) -> str:
    """What it acts on inside its guild."""
    return layout_of(type(message)).subject(message)


def instant_of(message: Message, now: int) -> dict[str, int] | None:
    """The instant its duration leads to from ``now`` (ms), by its field; ``None``: there is nothing to add."""
    resolves = message.__operation__.resolves
    if resolves is None:
        return None
    duration, instant, unit = resolves
    if message.__dict__[instant] is not None or (length := message.__dict__[duration]) is None:
        return None
    return {instant: now + length * unit}
