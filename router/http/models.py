"""What is sent and answered over HTTP: camelCase on the wire, snake_case accepted, times in ms since the epoch."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
)
from pydantic.alias_generators import to_camel

from router.errors import InvalidMessage
from router.messages.fields import ID_PATTERN
from router.messages.priority import priority_of
from router.response import Response

Ms = Annotated[int, Field(ge=0, le=366 * 86_400_000)]
Span = Annotated[int, Field(ge=1, le=366 * 86_400_000)]
Instant = Annotated[int, Field(ge=0, le=253_402_300_799_999)]  # the last millisecond of the year 9999
Text = Annotated[str, Field(max_length=128)]
#: only described here: the message itself checks its ids, and says their rule
IdText = Annotated[str, WithJsonSchema({"type": "string", "pattern": ID_PATTERN, "maxLength": 64})]


def _priority(value: Any) -> int | None:
    try:
        return None if value is None else priority_of(value)
    except InvalidMessage as error:
        raise ValueError(error.problems[0].rule) from error


#: always a number once it is read; the names are for the description
Priority = Annotated[
    Annotated[int, Field(ge=1, le=10)] | Literal["critical", "high", "normal", "low"], BeforeValidator(_priority)
]


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
    headers: Annotated[dict[Text, Annotated[str, Field(max_length=1_024)]], Field(max_length=32)] = Field(
        default_factory=dict
    )
    idempotency_key: Annotated[str, Field(min_length=1, max_length=128)] | None = Field(
        default=None, description="as the header Idempotency-Key"
    )
    request_id: Text | None = Field(default=None, description="as the header X-Request-Id")

    def wire(self) -> dict[str, Any]:
        """The part that is the message itself."""
        given = {"type": self.type, "guildId": self.guild_id, "userId": self.user_id, "version": self.version}
        return {name: value for name, value in given.items() if value is not None} | {"data": self.data}


class CommandBody(MessageBody):
    """A command and how it is to be carried."""

    requires_real_time: bool = Field(default=False, description="the fastest protocol first, and a short deadline")
    requires_reliability: bool = Field(
        default=False, description="the most durable protocol first, and a long deadline"
    )
    protocols: tuple[Literal["websocket", "queue", "rest", "direct"], ...] | None = Field(
        default=None,
        description="the protocols to try, in order, instead of the router's plan",
        strict=False,  # JSON has no tuples
    )
    sender_id: Text | None = Field(default=None, description="with senderSequence: who numbers its messages")
    sender_sequence: Annotated[int, Field(ge=1, le=2**62)] | None = Field(
        default=None, description="1, 2, 3 ... per senderId"
    )


class Unfit:
    """A command of a batch that breaks the rules above: what is wrong, and what its sender called it."""

    def __init__(self, given: Any, error: ValidationError) -> None:
        self.errors = [one | {"loc": ("command", *one["loc"])} for one in error.errors(include_url=False)]
        named = (given.get("requestId") or given.get("request_id")) if isinstance(given, dict) else None
        self.request_id: str | None = named if isinstance(named, str) and len(named) <= 128 else None


def _singly(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    # One command that is unfit is answered for itself and does not refuse the others.
    try:
        return read(value)
    except ValidationError as error:
        return Unfit(value, error)


class BatchBody(Given):
    """Up to 1,000 commands, stored together."""

    commands: Annotated[list[Annotated[CommandBody, WrapValidator(_singly)]], Field(min_length=1, max_length=1_000)]


class CommandResponse(Response):
    """The end of a command's way; ``requestId`` is its sender's, ``jobId`` the command's own id."""

    job_id: str


class AcceptedBody(Body):
    """The command is stored."""

    success: Literal[True] = True
    job_id: str
    request_id: str
    position: int = Field(description="unsettled commands of its guild before it")
    sequence: int = Field(description="its guild's number for it")
    duplicate: bool = Field(default=False, description="the operation is known; the original's answer is yours too")
    original_id: str | None = Field(default=None, description="with duplicate: the command that stands for this one")
    status_url: str


class ProblemBody(Body):
    """RFC 9457, with ``code`` and ``retryAfter`` (ms)."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    code: str
    retry_after: int | None = None
    request_id: str | None = None
    field: str | None = None
    rule: str | None = None
    shape: str | None = None


class BatchItem(Body):
    """What became of one command of a batch: ``accepted`` or ``problem``."""

    index: int
    accepted: AcceptedBody | None = None
    problem: ProblemBody | None = None


class BatchAnswer(Body):
    """In the order of the batch."""

    success: bool = Field(description="whether all were accepted")
    accepted: int
    refused: int
    results: list[BatchItem]


class StatusBody(Body):
    """Where a command is."""

    job_id: str
    request_id: str | None = None
    type: str
    guild_id: str = Field(description="the unit of order: its guild, else `user:<id>`, else `global`")
    user_id: str | None = None
    state: Literal["delayed", "queued", "waiting", "started", "settled", "dead"]
    position: int = Field(description="unsettled commands of its guild before it; 0 when it is settled")
    sequence: int
    attempts: int
    accepted_at: int
    settled_at: int | None = None
    result: CommandResponse | None = None


class CancelBody(Body):
    """It will not be executed."""

    success: Literal[True] = True
    job_id: str


class EventAnswer(Body):
    """The event is stored."""

    success: Literal[True] = True
    event_id: str
    request_id: str


class Answered(Body):
    """It is done."""

    success: Literal[True] = True
