"""A message as it is sent: camelCase on the wire, snake_case accepted, times in ms since the epoch. Over every door."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, WithJsonSchema
from pydantic.alias_generators import to_camel

from router.errors import InvalidMessage
from router.messages.fields import ID_PATTERN, LINE_PATTERN
from router.messages.priority import priority_of

Ms = Annotated[int, Field(ge=0, le=366 * 86_400_000)]
Span = Annotated[int, Field(ge=1, le=366 * 86_400_000)]
Instant = Annotated[int, Field(ge=0, le=253_402_300_799_999)]  # the last millisecond of the year 9999
# Only described here: the message and its envelope check these, and say their rules.
IdText = Annotated[str, WithJsonSchema({"type": "string", "pattern": ID_PATTERN, "maxLength": 64})]


def _line(least: int, most: int) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "minLength": least, "maxLength": most, "pattern": LINE_PATTERN})


Text = Annotated[str, Field(max_length=128), _line(0, 128)]
Key = Annotated[str, Field(min_length=1, max_length=128), _line(1, 128)]
Headers = Annotated[
    dict[Key, Annotated[str, Field(max_length=1_024)]],
    Field(max_length=32),
    WithJsonSchema(
        {
            "type": "object",
            "maxProperties": 32,
            "propertyNames": {"minLength": 1, "maxLength": 128, "pattern": LINE_PATTERN},
            "additionalProperties": {"type": "string", "maxLength": 1_024, "pattern": LINE_PATTERN},
        }
    ),
]


def _priority(value: Any) -> int | None:
    try:
        return None if value is None else priority_of(value)
    except InvalidMessage as error:
        raise ValueError(error.problems[0].rule) from error


#: always a number once it is read; the names are for the description
Priority = Annotated[
    Annotated[int, Field(ge=1, le=10)] | Literal["critical", "high", "normal", "low"], BeforeValidator(_priority)
]


_ONE_TIME: dict[str, JsonValue] = {
    "anyOf": [{"properties": {"at": {"type": "null"}}}, {"properties": {"delayMs": {"enum": [0, None]}}}],
}
_NUMBERED: dict[str, JsonValue] = {
    "anyOf": [
        {"properties": {"senderSequence": {"type": "null"}}},
        {"properties": {"senderId": {"type": "string", "minLength": 1}}, "required": ["senderId"]},
    ],
}


class Body(BaseModel):
    """A JSON object."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        hide_input_in_errors=True,
        json_schema_serialization_defaults_required=True,
    )


class Given(Body):
    """A JSON object that somebody sends: unknown fields and values of another type are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


# ------------------------------------------------------------------------ messages


class MessageBody(Given):
    """A message of the catalog. ``userId`` is who acts; whom it concerns is a field of ``data``."""

    model_config = ConfigDict(json_schema_extra={"allOf": [_ONE_TIME]})

    type: Annotated[str, Field(min_length=1, max_length=128)]
    guild_id: IdText | None = None
    user_id: IdText | None = None
    data: dict[str, Any] = Field(default_factory=dict)
    version: int | None = Field(default=None, description="of the payload; default: the newest")
    source: Literal["rest", "websocket", "queue"] | None = Field(
        default=None, description="accepted for senders of the seeds; the door we came through is what is recorded"
    )
    priority: Priority | None = Field(default=None, description="1 to 10, or critical 10, high 8, normal 5, low 2")
    delay_ms: Ms | None = Field(default=None, description="enters its lane so much later")
    at: Instant | None = Field(default=None, description="enters its lane then")
    ttl_ms: Span | None = Field(default=None, description="not started after so long: expired")
    timestamp: Instant | None = Field(default=None, description="when it was made, by the sender's clock")
    correlation_id: Text | None = None
    reply_to: Text | None = None
    headers: Headers = Field(default_factory=dict)
    idempotency_key: Key | None = Field(default=None, description="as the header Idempotency-Key")
    request_id: Text | None = Field(default=None, description="as the header X-Request-Id")

    def wire(self) -> dict[str, Any]:
        """The part that is the message itself."""
        given = {"type": self.type, "guildId": self.guild_id, "userId": self.user_id, "version": self.version}
        return {name: value for name, value in given.items() if value is not None} | {"data": self.data}


class CommandBody(MessageBody):
    """A command and how it is to be carried."""

    model_config = ConfigDict(json_schema_extra={"allOf": [_ONE_TIME, _NUMBERED]})

    id: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_.:-]+$")] | None = Field(
        default=None, description="its own id, chosen by its sender: sent again under it, it is the same command"
    )
    requires_real_time: bool = Field(default=False, description="the fastest protocol first, and a short deadline")
    requires_reliability: bool = Field(
        default=False, description="the most durable protocol first, and a long deadline"
    )
    protocols: tuple[Literal["websocket", "queue", "rest", "direct"], ...] | None = Field(
        default=None,
        max_length=8,
        description="the protocols to try, in order, instead of the router's plan",
        strict=False,  # JSON has no tuples
    )
    sender_id: Text | None = Field(default=None, description="with senderSequence: who numbers its messages")
    sender_sequence: Annotated[int, Field(ge=1, lt=2**52)] | None = Field(
        default=None, description="1, 2, 3 ... per senderId"
    )
