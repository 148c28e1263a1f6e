"""The commands that Discord's REST interface can execute, and how: one table, ``COMMANDS``.

Music needs the voice gateway and configuration is the bot's own, so they are not here. A file is named by its address
in a command and would have to be fetched first: a message with files is for a bot.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from router.messages.communication import (
    AddReaction,
    BulkDeleteMessages,
    DeleteMessage,
    EditMessage,
    RemoveReaction,
    SendDM,
    SendMessage,
)
from router.messages.discord import DiscordEmbed
from router.messages.members import AddRole, RemoveRole
from router.messages.moderation import BanUser, BulkBan, TimeoutUser, UntimeoutUser
from router.protocols.discord.call import Applied, Call, Rejected, Reply, call
from router.protocols.discord.nonce import nonce_of
from router.protocols.rest.target import Sent
from router.protocols.signals import Reject

DAY = 86_400
LONGEST_TIMEOUT = 28 * DAY * 1000 - 60_000  # ms; Discord takes less than 28 days, by its own clock
SKEW = 5_000  # ms our clock and Discord's may differ
UNKNOWN_MEMBER, UNKNOWN_MESSAGE, UNKNOWN_BAN = 10_007, 10_008, 10_026
NOBODY_BANNED = 500_000


class At(NamedTuple):
    """One attempt, as the table needs it. ``now`` in ms since the epoch."""

    id: str  #: the envelope's
    now: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Spec:
    """How one type is executed."""

    call: Callable[[Any, At], Call]  #: may raise ``Reject`` or ``Noop``: nothing is sent then
    #: what its sender gets as data, of the answer's JSON
    result: Callable[[Any, Mapping[str, Any]], dict[str, Any]]
    ids: tuple[str, ...]  #: fields that must be Discord's ids
    noop: frozenset[int] = frozenset()  #: codes that say that it stands already
    target: str = ""  #: field of whom or what it acts on, beside the place
    #: a look at whether it happened, and what to make of it: ``(message, reply, when it was sent)``
    look: Callable[[Any], Call] | None = None
    judge: Callable[[Any, Reply, Sent], bool | None] | None = None
    direct: bool = False  #: into the channel that is opened with ``target`` first
    #: codes after which each of several is looked up: a refusal may mean that they are as they should be already
    unclear: frozenset[int] = frozenset()
    nonce: bool = False  #: sending it again within two minutes sends nothing


# ---------------------------------------------------------------- moderation

_BAN = "/guilds/{guild}/bans/{user}"
_MEMBER = "/guilds/{guild}/members/{user}"
_ROLE = "/guilds/{guild}/members/{user}/roles/{role}"


def _on_user(method: str, route: str, message: Any, reason: str = "", json: Any = None) -> Call:
    return call(method, route, guild=message.guild_id, user=message.user_id, reason=reason, json=json)


def _ban(message: BanUser, at: At) -> Call:
    if message.until is not None and message.until <= at.now:
        raise Reject("over", "the ban would have ended already")
    seconds = message.delete_message_days * DAY
    return _on_user("PUT", _BAN, message, at.reason, {"delete_message_seconds": seconds} if seconds else {})


def _ban_many(message: BulkBan, at: At) -> Call:
    json: dict[str, Any] = {"user_ids": list(message.user_ids)}
    if message.delete_message_days:
        json["delete_message_seconds"] = message.delete_message_days * DAY
    return call("POST", "/guilds/{guild}/bulk-ban", guild=message.guild_id, reason=at.reason, json=json)


def look_at_ban(message: BulkBan, user: str) -> Call:
    """Whether one of many is banned."""
    return call("GET", _BAN, guild=message.guild_id, user=user)


def _timeout(message: TimeoutUser, at: At) -> Call:
    until = message.until if message.until is not None else at.now + message.duration * 1000
    if until <= at.now:
        raise Reject("over", "the timeout would have ended already")
    until = min(until, at.now + LONGEST_TIMEOUT)
    return _on_user("PATCH", _MEMBER, message, at.reason, {"communication_disabled_until": iso(until)})


def _untimeout(message: UntimeoutUser, at: At) -> Call:
    return _on_user("PATCH", _MEMBER, message, at.reason, {"communication_disabled_until": None})


def _role(method: str) -> Callable[[AddRole | RemoveRole, At], Call]:
    def made(message: AddRole | RemoveRole, at: At) -> Call:
        return call(method, _ROLE, guild=message.guild_id, user=message.user_id, role=message.role_id, reason=at.reason)

    return made


def _has_role(message: AddRole | RemoveRole, reply: Reply, _sent: Sent) -> bool | None:
    roles = _data(reply).get("roles")
    if not isinstance(roles, list):
        return None
    return (message.role_id in roles) is isinstance(message, AddRole)


def _member(message: Any) -> Call:
    return _on_user("GET", _MEMBER, message)


def _there(_message: Any, reply: Reply, _sent: Sent) -> bool | None:
    """The thing that was asked for is there."""
    return True if isinstance(reply, Applied) else False if _absent(reply) else None


def _not_there(_message: Any, reply: Reply, _sent: Sent) -> bool | None:
    return True if _absent(reply) else False if isinstance(reply, Applied) else None


def _left(_message: Any, reply: Reply, sent: Sent) -> bool | None:
    """Not a member: kicked. A member since before it was sent: not. One that came since: kicked, and back."""
    if _absent(reply):
        return True
    joined = _time(_data(reply).get("joined_at"))
    if joined is None or sent.earliest - SKEW <= joined <= sent.latest + SKEW:
        return None
    return joined > sent.latest


def _silenced(message: TimeoutUser, reply: Reply, sent: Sent) -> bool | None:
    if not isinstance(reply, Applied):
        return None
    until = _time(_data(reply).get("communication_disabled_until"))
    wanted = message.until if message.until is not None else sent.latest + message.duration * 1000
    # Longer than 28 days was cut when it was sent.
    return until is not None and (abs(until - wanted) <= SKEW or wanted > until > sent.earliest + LONGEST_TIMEOUT - DAY)


def _not_silenced(_message: Any, reply: Reply, sent: Sent) -> bool | None:
    if not isinstance(reply, Applied):
        return None
    until = _time(_data(reply).get("communication_disabled_until"))
    return until is None or until <= sent.earliest


# ---------------------------------------------------------------- messages

_MESSAGES = "/channels/{channel}/messages"
_MESSAGE = "/channels/{channel}/messages/{message}"
_OWN_REACTION = "/channels/{channel}/messages/{message}/reactions/{emoji}/@me"
_REACTION = "/channels/{channel}/messages/{message}/reactions/{emoji}/{user}"


def _send(message: SendMessage, at: At) -> Call:
    if message.files:
        raise Reject("files_unsupported", "files are not sent over REST: a bot can")
    json = _content(message)
    if message.reply is not None:
        reference: dict[str, Any] = {"message_id": message.reply.message_id}
        if message.reply.fail_if_not_exists is not None:
            reference["fail_if_not_exists"] = message.reply.fail_if_not_exists
        json["message_reference"] = reference
    json |= {"nonce": nonce_of(at.id), "enforce_nonce": True}
    return call("POST", _MESSAGES, channel=message.channel_id, json=json)


def open_direct(message: SendDM) -> Call:
    """The channel of direct messages with a user: gives the one there is, or makes it."""
    return call("POST", "/users/@me/channels", json={"recipient_id": message.user_id})


def send_direct(message: SendDM, at: At, channel: str) -> Call:
    """Into the channel that was opened."""
    json = _content(message) | {"nonce": nonce_of(at.id), "enforce_nonce": True}
    return call("POST", _MESSAGES, channel=channel, json=json)


def _edit(message: EditMessage, _at: At) -> Call:
    return call(
        "PATCH", _MESSAGE, channel=message.channel_id, message=message.message_id, json=_content(message, empty=True)
    )


def _delete(message: DeleteMessage, at: At) -> Call:
    return call("DELETE", _MESSAGE, channel=message.channel_id, message=message.message_id, reason=at.reason)


def _delete_many(message: BulkDeleteMessages, at: At) -> Call:
    """Discord takes two or more at once, and knows nothing of those that are gone already."""
    channel, ids = message.channel_id, message.message_ids
    if len(ids) == 1:
        return call("DELETE", _MESSAGE, channel=channel, message=ids[0], reason=at.reason)
    return call("POST", _MESSAGES + "/bulk-delete", channel=channel, reason=at.reason, json={"messages": list(ids)})


def _message(message: Any) -> Call:
    return call("GET", _MESSAGE, channel=message.channel_id, message=message.message_id)


def _reacts(message: AddReaction, _at: At) -> Call:
    return call(
        "PUT", _OWN_REACTION, channel=message.channel_id, message=message.message_id, emoji=emoji_of(message.emoji)
    )


def _reacts_no_more(message: RemoveReaction, _at: At) -> Call:
    channel, about, emoji = message.channel_id, message.message_id, emoji_of(message.emoji)
    if message.user_id is None:
        return call("DELETE", _OWN_REACTION, channel=channel, message=about, emoji=emoji)
    return call("DELETE", _REACTION, channel=channel, message=about, emoji=emoji, user=message.user_id)


def _edited(message: EditMessage, reply: Reply, _sent: Sent) -> bool | None:
    if not isinstance(reply, Applied) or message.content is None or message.embeds or message.components:
        return None  # Discord fills embeds and components up, so they cannot be compared
    return bool(_data(reply).get("content") == message.content)


def _own_reaction(message: Any, reply: Reply, _sent: Sent) -> bool | None:
    reactions = _data(reply).get("reactions", []) if isinstance(reply, Applied) else None
    if not isinstance(reactions, list) or getattr(message, "user_id", None) is not None:
        return None
    name = emoji_of(message.emoji).partition(":")[0]
    mine = any(
        isinstance(one, dict) and one.get("me") is True and (one.get("emoji") or {}).get("name") == name
        for one in reactions
    )
    return mine is isinstance(message, AddReaction)


def _content(message: Any, *, empty: bool = False) -> dict[str, Any]:
    """The parts that are given; ``empty``: also those that are emptied."""
    json: dict[str, Any] = {}
    if message.content or (empty and message.content is not None):
        json["content"] = message.content
    if message.embeds or (empty and message.embeds is not None):
        json["embeds"] = [embed_of(embed) for embed in message.embeds]
    components = getattr(message, "components", None)
    if components or (empty and components is not None):
        json["components"] = list(components)
    return json


def embed_of(embed: DiscordEmbed) -> dict[str, Any]:
    """As Discord has it: snake_case, its time in ISO 8601."""
    found = embed.model_dump(mode="json", by_alias=False, exclude_none=True)
    if embed.timestamp is not None:
        found["timestamp"] = iso(embed.timestamp)
    return found


def emoji_of(emoji: str) -> str:
    """A Unicode emoji as it is, an own one as ``name:id``; also taken as Discord shows it, ``<a:name:id>``."""
    return emoji.removeprefix("<").removesuffix(">").removeprefix("a:").removeprefix(":") if "<" in emoji else emoji


# ---------------------------------------------------------------- results


def _user_result(message: Any, _data: Mapping[str, Any]) -> dict[str, Any]:
    return {"guildId": message.guild_id, "userId": message.user_id}


def _ban_result(message: BanUser, data: Mapping[str, Any]) -> dict[str, Any]:
    # Discord knows no end of a ban: whoever asked lifts it then.
    return _user_result(message, data) | ({} if message.until is None else {"until": message.until})


def _bans_result(message: BulkBan, data: Mapping[str, Any]) -> dict[str, Any]:
    banned, failed = data.get("banned_users"), data.get("failed_users")
    return {
        "guildId": message.guild_id,
        "bannedUsers": banned if isinstance(banned, list) else [],
        "failedUsers": failed if isinstance(failed, list) else [],
    }


def _timeout_result(message: TimeoutUser, data: Mapping[str, Any]) -> dict[str, Any]:
    until = _time(data.get("communication_disabled_until"))
    return _user_result(message, data) | {"until": message.until if until is None else until}


def _role_result(message: Any, data: Mapping[str, Any]) -> dict[str, Any]:
    return _user_result(message, data) | {"roleId": message.role_id}


def _many_result(message: BulkDeleteMessages, _data: Mapping[str, Any]) -> dict[str, Any]:
    return {"channelId": message.channel_id, "messageIds": list(message.message_ids)}


def _message_result(message: Any, data: Mapping[str, Any]) -> dict[str, Any]:
    """The ids that later commands need."""
    channel = data.get("channel_id") or getattr(message, "channel_id", None)
    found = {"channelId": channel, "messageId": data.get("id") or getattr(message, "message_id", None)}
    return {name: value for name, value in found.items() if isinstance(value, str)}


# ---------------------------------------------------------------- the table

_USER = ("guild_id", "user_id")
_ONE = ("channel_id", "message_id")

COMMANDS: Mapping[str, Spec] = {
    "BAN_USER": Spec(_ban, _ban_result, _USER, target="user_id", look=lambda m: _on_user("GET", _BAN, m), judge=_there),
    "BULK_BAN": Spec(_ban_many, _bans_result, ("guild_id", "user_ids"), unclear=frozenset({NOBODY_BANNED})),
    "UNBAN_USER": Spec(
        lambda m, at: _on_user("DELETE", _BAN, m, at.reason),
        _user_result,
        _USER,
        noop=frozenset({UNKNOWN_BAN}),
        target="user_id",
        look=lambda m: _on_user("GET", _BAN, m),
        judge=_not_there,
    ),
    "KICK_USER": Spec(
        lambda m, at: _on_user("DELETE", _MEMBER, m, at.reason),
        _user_result,
        _USER,
        noop=frozenset({UNKNOWN_MEMBER}),
        target="user_id",
        look=_member,
        judge=_left,
    ),
    "TIMEOUT_USER": Spec(_timeout, _timeout_result, _USER, target="user_id", look=_member, judge=_silenced),
    "UNTIMEOUT_USER": Spec(_untimeout, _user_result, _USER, target="user_id", look=_member, judge=_not_silenced),
    "ADD_ROLE": Spec(_role("PUT"), _role_result, (*_USER, "role_id"), target="user_id", look=_member, judge=_has_role),
    "REMOVE_ROLE": Spec(
        _role("DELETE"), _role_result, (*_USER, "role_id"), target="user_id", look=_member, judge=_has_role
    ),
    # An own message that is gone again was there.
    "SEND_MESSAGE": Spec(_send, _message_result, ("channel_id",), noop=frozenset({UNKNOWN_MESSAGE}), nonce=True),
    "SEND_DM": Spec(
        lambda m, _: open_direct(m),
        _message_result,
        ("user_id",),
        noop=frozenset({UNKNOWN_MESSAGE}),
        target="user_id",
        direct=True,
        nonce=True,
    ),
    "EDIT_MESSAGE": Spec(_edit, _message_result, _ONE, target="message_id", look=_message, judge=_edited),
    "DELETE_MESSAGE": Spec(
        _delete,
        _message_result,
        _ONE,
        noop=frozenset({UNKNOWN_MESSAGE}),
        target="message_id",
        look=_message,
        judge=_not_there,
    ),
    "BULK_DELETE_MESSAGES": Spec(
        _delete_many, _many_result, ("channel_id", "message_ids"), noop=frozenset({UNKNOWN_MESSAGE})
    ),
    "ADD_REACTION": Spec(_reacts, _message_result, _ONE, target="message_id", look=_message, judge=_own_reaction),
    "REMOVE_REACTION": Spec(
        _reacts_no_more,
        _message_result,
        _ONE,
        noop=frozenset({UNKNOWN_MESSAGE}),
        target="message_id",
        look=_message,
        judge=_own_reaction,
    ),
}

# ---------------------------------------------------------------- small things


def iso(ms: int) -> str:
    """ISO 8601 in UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat()


def _time(value: object) -> int | None:
    """ms since the epoch out of ISO 8601."""
    if not isinstance(value, str):
        return None
    try:
        return round(datetime.fromisoformat(value).timestamp() * 1000)
    except ValueError:
        return None


def _data(reply: Reply) -> Mapping[str, Any]:
    return reply.data if isinstance(reply, Applied) and isinstance(reply.data, dict) else {}


def _absent(reply: Reply) -> bool:
    return isinstance(reply, Rejected) and reply.code in (UNKNOWN_MEMBER, UNKNOWN_MESSAGE, UNKNOWN_BAN)
