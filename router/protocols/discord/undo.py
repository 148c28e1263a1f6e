"""What undoes what at Discord, and what no command brings back: facts, for whoever compensates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Undo(NamedTuple):
    """``type`` with ``fields`` undoes it: field of the payload -> where its value comes from.

    ``command.NAME`` is a field of the command that is undone, ``result.NAME`` one of its result, ``before.NAME``
    something that must have been kept before it was executed, since nobody can tell afterwards.
    """

    type: str
    fields: Mapping[str, str]
    lost: tuple[str, ...] = ()  #: what stays changed all the same


_USER = {"guildId": "command.guildId", "userId": "command.userId"}
_PLACE = {"channelId": "command.channelId", "messageId": "command.messageId"}

UNDO: Mapping[str, Undo] = {
    "BAN_USER": Undo("UNBAN_USER", _USER, ("membership", "roles", "deleted_messages")),
    "UNBAN_USER": Undo("BAN_USER", _USER | {"until": "before.until"}, ("first_reason",)),
    "TIMEOUT_USER": Undo("UNTIMEOUT_USER", _USER),
    "UNTIMEOUT_USER": Undo("TIMEOUT_USER", _USER | {"until": "before.until"}),
    "ADD_ROLE": Undo("REMOVE_ROLE", _USER | {"roleId": "command.roleId"}),
    "REMOVE_ROLE": Undo("ADD_ROLE", _USER | {"roleId": "command.roleId"}),
    "SEND_MESSAGE": Undo(
        "DELETE_MESSAGE", {"channelId": "result.channelId", "messageId": "result.messageId"}, ("was_seen",)
    ),
    "SEND_DM": Undo(
        "DELETE_MESSAGE", {"channelId": "result.channelId", "messageId": "result.messageId"}, ("was_seen",)
    ),
    "EDIT_MESSAGE": Undo(
        "EDIT_MESSAGE",
        _PLACE | {"content": "before.content", "embeds": "before.embeds", "components": "before.components"},
        ("edited_mark",),
    ),
    "ADD_REACTION": Undo("REMOVE_REACTION", _PLACE | {"emoji": "command.emoji"}),
    "REMOVE_REACTION": Undo("ADD_REACTION", _PLACE | {"emoji": "command.emoji"}, ("reactions_of_others",)),
}

FINAL: Mapping[str, tuple[str, ...]] = {
    "BULK_BAN": ("memberships", "roles", "deleted_messages"),  # each ban by an UNBAN_USER of its own
    "KICK_USER": ("membership", "roles"),
    "DELETE_MESSAGE": ("message", "its_id"),
    "BULK_DELETE_MESSAGES": ("messages", "their_ids"),
}
"""Commands that nothing undoes, and what is lost by them."""
