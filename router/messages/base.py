"""What every message is: a pydantic model of a payload, with the facts of its type.

A message is built in Python with flat keywords, in snake_case::

    BanUser(guild_id="81384788765712384", user_id="175928847299117063", moderator_id="539082325061", reason="spam")

Here ``user_id`` is a field of the payload: the target. The *acting* user is ``actor_id``, a field of every message;
most payloads name the actor too (``moderator_id``, ``requested_by``, ``updated_by``): then one of the two is enough.
On the wire header and payload are apart, in camelCase (snake_case is accepted)::

    {"type": "BAN_USER", "guildId": "813...", "userId": "539...",
     "data": {"userId": "175...", "moderatorId": "539...", "reason": "spam", ...}}

so there ``userId`` is the acting user and ``data.userId`` the target.

An own type is a subclass with a ``type`` and what the engine should know of it (``operation.Declaration``)::

    class FeedPet(Command, type="FEED_PET", subject="pet:{pet_id}", key=("pet_id", "meal"), idempotent=True):
        pet_id: Id
        meal: Literal["morning", "evening"]

It is in the catalog from then on. A subclass without a type is a base for others, who inherit its declaration.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self, Unpack, cast

from pydantic import BaseModel, ConfigDict, ValidationError

from actors.policy.facts import Facts
from router.errors import BadCatalog
from router.messages import wire
from router.messages.address import actor_of, guild_of, instant_of
from router.messages.fields import Id
from router.messages.layout import Layout, Payload
from router.messages.operation import Declaration, Operation, declare
from router.messages.refusal import refusal
from router.messages.registry import Catalog, catalog


class Message(BaseModel):
    """A message of the catalog; immutable. Subclass ``Command``, ``Event``, ``Notification`` or ``Task`` instead."""

    model_config: ClassVar[ConfigDict] = Payload.model_config

    type: ClassVar[str] = ""  #: such as ``BAN_USER``; "": a base for others
    __kind__: ClassVar[str] = "command"
    __declared__: ClassVar[Declaration] = {}
    __operation__: ClassVar[Operation]
    __layout__: ClassVar[Layout | None] = None

    guild_id: Id | None = None
    actor_id: Id | None = None

    def __init__(self, **fields: Any) -> None:
        """Raises ``InvalidMessage``; its fields are named as in Python."""
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise refusal(error) from None

    # Tells pydantic that ``model_validate`` need not go through this constructor: it raises pydantic's own error.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]  # a function takes any attribute

    def __init_subclass__(cls, *, type: str = "", **declared: Unpack[Declaration]) -> None:
        super().__init_subclass__()

    @classmethod
    def __pydantic_init_subclass__(cls, **declared: Any) -> None:
        super().__pydantic_init_subclass__()
        if cls.__pydantic_generic_metadata__["origin"]:  # a generic one with its parameters given is no type of its own
            return
        name = declared.pop("type", "") or cls.__dict__.get("type", "")
        cls.__declared__ = cast("Declaration", {**cls.__declared__, **declared})
        if not name:
            if cls.type:
                raise BadCatalog(f"{cls.__qualname__} extends {cls.type}: it needs a type of its own")
            return
        cls.type = name
        cls.__layout__ = None
        cls.__operation__ = declare(name, cls.__kind__, cls.__declared__, cls.model_fields)
        chosen: Catalog | None = cls.__declared__.get("catalog", catalog)
        if chosen is not None:
            chosen.add(cls)

    def __repr_args__(self) -> Any:
        """What is sensitive is not shown, wherever a handler logs its command."""
        hidden = self.__operation__.sensitive if self.type else ()
        for name, value in super().__repr_args__():
            yield name, "..." if name in hidden else value

    @classmethod
    def facts(cls) -> Facts:
        """What the engine must know of this type. Raises ``BadCatalog`` for a base without a type."""
        if not cls.type:
            raise BadCatalog(f"{cls.__qualname__} has no type")
        return cls.__operation__.facts()

    @classmethod
    def payload_schema(cls) -> dict[str, Any]:
        """JSON schema of the payload, by wire names."""
        return wire.payload_schema(cls)

    @property
    def guild(self) -> str:
        """The unit of order: its guild, else ``user:<id>`` of its user, else ``global``."""
        return guild_of(self, actor_of(self))

    def required_permissions(self) -> tuple[str, ...]:
        """What its acting user needs: what the type declares, and in some types more for what is in the payload."""
        return self.__operation__.permissions

    def resolved(self, now: int) -> Self:
        """With its duration also as an absolute instant, counted from ``now`` (ms); the same message if it has none."""
        instant = instant_of(self, now)
        return self if instant is None else self.model_copy(update=instant)

    @classmethod
    def from_wire(cls, given: Mapping[str, Any], *, strict: bool = False) -> Self:
        """The message of ``{type, guildId, userId, data, version}`` (a decoded JSON or msgpack object).

        ``strict``: every id must be a Discord snowflake. Raises ``InvalidMessage``, whose fields are named as on the
        wire.
        """
        return wire.read(cls, given, strict=strict)

    def to_wire(self) -> dict[str, Any]:
        """``{type, guildId, userId, data}`` in camelCase, of JSON values; what is not known is left out."""
        return wire.write(self)


class Command(Message):
    """Do it."""

    __kind__ = "command"


QUERY_EXPIRES = 30_000  # ms; nobody waits longer for a look


class Query(Command, read_only=True, idempotent=True, expires=QUERY_EXPIRES):
    """Look, and change nothing.

    Equal queries at one time are one execution, and its answer is given again for ``cache_ttl`` ms, unless a command of
    a type in ``invalidated_by`` is applied in the same guild. Equal are those of one guild with the same ``key``
    fields; a type that names no ``key`` compares the whole payload and the acting user. A query waits for nobody in its
    guild, unless it has a ``subject``: then it comes after the commands before it in that lane, and sees what they did.
    """


class Event(Message):
    """It happened."""

    __kind__ = "event"


class Notification(Message):
    """Somebody should know."""

    __kind__ = "notification"


class Task(Message):
    """Do it when it is due."""

    __kind__ = "task"
