"""What the sender of a command gets in the end."""

from __future__ import annotations

import logging
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from pydantic_core import to_jsonable_python

from actors.codec import unpack
from actors.errors import EnvelopeError
from actors.outcome import Answer, Attempt, Fault

logger = logging.getLogger("guild_router.router")

StatusName = Literal[
    "ok", "noop", "rejected", "failed", "expired", "superseded", "annihilated", "dead", "in_doubt", "cancelled"
]


class _Shown(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)


class ResponseError(_Shown):
    """Why it did not succeed."""

    code: str  #: stable, such as ``handler_error``
    message: str
    retryable: bool = False  #: sending it again may help
    retry_after: int = 0  #: ms; 0: no advice


class AttemptLine(_Shown):
    """One try over one protocol."""

    number: int  #: 1 for the first; a fallback that cost nothing keeps the number
    protocol: str
    outcome: str  #: applied, not_applied, rejected, deferred or in_doubt
    ms: int
    error: ResponseError | None = None
    at: int = 0  #: when it began, ms since the epoch


class Response(_Shown):
    """The final word on one command; camelCase on the wire (``model_dump(by_alias=True)``)."""

    success: bool
    status: StatusName
    request_id: str  #: the command's id
    data: Any = None  #: what the handler returned
    error: ResponseError | None = None
    method: str | None = None  #: the protocol that executed it
    attempts: list[AttemptLine] = []
    duplicate: bool = False  #: the answer of an earlier command of the same operation
    original: str | None = None  #: with ``duplicate``: that command's id
    sequence: int = 0  #: its guild's number for it
    execution_time: int = 0  #: ms spent in attempts
    timestamp: int = 0  #: when it ended, ms since the epoch

    @classmethod
    def of(cls, answer: Answer) -> Response:
        """From the engine's answer."""
        # Checked in one go, and by the names that are looked for first: it is made for every command.
        return cls.__pydantic_validator__.validate_python(  # type: ignore[no-any-return]  # pydantic's own
            {
                "success": answer.success,
                "status": answer.status.value,
                "requestId": answer.id,
                "data": _data(answer),
                "error": _error(answer.fault),
                "method": answer.method or None,
                "attempts": [_line(attempt) for attempt in answer.attempts],
                "duplicate": answer.duplicate,
                "original": answer.original or None,
                "sequence": answer.sequence,
                "executionTime": sum([attempt.ms for attempt in answer.attempts]),
                "timestamp": answer.settled_at,
            }
        )


def line(attempt: Attempt) -> AttemptLine:
    """One attempt as it is shown."""
    return AttemptLine(**_line(attempt))


def _line(attempt: Attempt) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "protocol": attempt.protocol,
        "outcome": attempt.verdict,
        "ms": attempt.ms,
        "error": ResponseError(code=attempt.code, message=attempt.message) if attempt.code else None,
        "at": attempt.at,
    }


def _data(answer: Answer) -> Any:
    # Older stores and other executors hold what JSON has no word for; one such row must not hide the page it is on.
    if not answer.data:
        return None
    try:
        value = unpack(answer.data)
        return to_jsonable_python(value, bytes_mode="base64", inf_nan_mode="null", serialize_unknown=True)
    except (EnvelopeError, ValueError) as error:  # nested too deep for JSON, or no msgpack at all
        logger.warning("the data of %s cannot be shown: %s", answer.id, type(error).__name__)
        return None


def _error(fault: Fault | None) -> ResponseError | None:
    if fault is None:
        return None
    return ResponseError(
        code=fault.code, message=fault.message, retryable=fault.retryable, retry_after=fault.retry_after
    )
