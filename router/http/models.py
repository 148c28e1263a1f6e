"""What is sent and answered over HTTP: camelCase on the wire, snake_case accepted, times in ms since the epoch."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from router.bodies import Body, CommandBody, Given
from router.response import Response


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
    limit: str | None = None
    position: int | None = None


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
    duplicate: bool = Field(default=False, description="it was published before under this Idempotency-Key")


class Answered(Body):
    """It is done."""

    success: Literal[True] = True
