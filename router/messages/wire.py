"""Messages as JSON or msgpack objects: ``{type, guildId, userId, data}``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from router.errors import InvalidMessage, shape, shown
from router.messages.address import actor_of
from router.messages.canonical import Unfit, invalid
from router.messages.fields import ON_WIRE
from router.messages.layout import HEADER, layout_of, wire_name
from router.messages.refusal import refusal
from router.messages.strict import check_snowflakes

if TYPE_CHECKING:
    from router.messages.base import Message

M = TypeVar("M", bound="Message")

_ENVELOPE = {"type": "type", "guildId": "guildId", "guild_id": "guildId", "userId": "userId", "user_id": "userId"}
_ENVELOPE |= {"data": "data", "version": "version"}
_GUILD = frozenset({"guildId", "guild_id"})
_HEADER_NAMES = _GUILD | {"actorId", "actor_id"}
_CONTEXT = {ON_WIRE: True}


def read(cls: type[M], given: Mapping[str, Any], *, strict: bool = False) -> M:
    """The message of an object; see ``Message.from_wire``."""
    if not isinstance(given, Mapping):
        raise InvalidMessage("", "must be an object", shape(given))
    header: dict[str, Any] = {}
    for key, value in given.items():
        name = _ENVELOPE.get(key)
        if name is None:
            raise InvalidMessage(shown(key), "is not a field here")
        if name in header:
            raise InvalidMessage(name, "is given twice")
        header[name] = value
    if header.get("type", cls.type) != cls.type:
        raise InvalidMessage("type", f"must be {cls.type}", shape(header["type"]))
    newest = cls.__operation__.version
    version = header.get("version", newest)
    if type(version) is not int or not 1 <= version <= newest:
        raise InvalidMessage("version", f"must be 1 to {newest}", shape(version))
    data = header.get("data", {})
    return read_payload(cls, data, guild_id=header.get("guildId"), actor_id=header.get("userId"), strict=strict)


def read_payload(
    cls: type[M], data: object, *, guild_id: object = None, actor_id: object = None, strict: bool = False
) -> M:
    """The message of a payload by wire names and its header. Raises ``InvalidMessage``."""
    if not isinstance(data, dict):
        raise InvalidMessage("data", "must be an object", shape(data))
    for key in data:
        if type(key) is not str:
            raise InvalidMessage("data", "must have strings as names", shape(key))
    operation = cls.__operation__
    given = dict(data)
    if not _HEADER_NAMES.isdisjoint(given):  # seldom
        _check_header_names(given, guild_id, payload_guild=operation.payload_guild)
    if guild_id is not None:
        given["guildId"] = guild_id
    if actor_id is not None and given.get(layout_of(cls).actor, given.get(operation.actor)) != actor_id:
        given["actorId"] = actor_id
    try:
        message: M = cls.__pydantic_validator__.validate_python(given, context=_CONTEXT)
    except ValidationError as error:
        raise refusal(error, _names(cls), "data.") from None
    if "actorId" in given and operation.actor and message.__dict__[operation.actor] == message.actor_id:
        message = message.model_copy(update={"actor_id": None})  # it filled the payload's field
    if strict:
        check_snowflakes(message)
    return message


def _check_header_names(given: dict[str, Any], guild_id: object, *, payload_guild: bool) -> None:
    """What stands beside the payload is in it: an error, or the guild once more, which is taken out."""
    misplaced = _HEADER_NAMES & given.keys()
    if payload_guild:
        misplaced -= _GUILD
    if misplaced:
        raise InvalidMessage(f"data.{min(misplaced)}", "belongs beside data, not into it")
    if guild_id is not None:
        stated = [given.pop(name) for name in _GUILD & given.keys()]
        if any(guild not in (None, guild_id) for guild in stated):
            raise InvalidMessage("data.guildId", "must be the same as guildId", shape(stated[0]))


def write(message: Message) -> dict[str, Any]:
    """The object of a message; see ``Message.to_wire``."""
    given: dict[str, Any] = {"type": message.type}
    if message.guild_id is not None:
        given["guildId"] = message.guild_id
    if actor := actor_of(message):
        given["userId"] = actor
    given["data"] = payload(message)
    return given


def payload(message: Message) -> dict[str, object]:
    """The canonical payload by wire names. Raises ``InvalidMessage`` for what no wire can carry."""
    try:
        return layout_of(type(message)).payload(message)
    except Unfit as error:
        raise invalid("data", error) from None


def payload_schema(cls: type[Message]) -> dict[str, Any]:
    """JSON schema of the payload, by wire names."""
    schema = cls.model_json_schema(by_alias=True)
    for name in HEADER:
        if name == "guild_id" and cls.__operation__.payload_guild:
            continue
        wire = wire_name(name, cls.model_fields[name])
        schema["properties"].pop(wire, None)
        if wire in schema.get("required", ()):
            schema["required"].remove(wire)
    return schema


def _names(cls: type[Message]) -> dict[str, str]:
    """Where each field stands on the wire."""
    names = {name: f"data.{wire_name(name, field)}" for name, field in cls.model_fields.items()}
    return names | {"guild_id": "guildId", "actor_id": "userId"}
