"""What every frame is: a map with ``op`` and ``correlationId``, camelCase on the wire, times in ms since the epoch."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

#: visible ASCII: it goes into logs and headers as it is
Correlation = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[!-~]+$")]
EnvelopeId = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_.:-]+$")]
TypeName = Annotated[str, Field(min_length=1, max_length=128)]
Name = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_.:-]+$")]
GuildName = Annotated[str, Field(min_length=1, max_length=69, pattern=r"^(user:)?[A-Za-z0-9_-]{1,64}$")]
Short = Annotated[str, Field(max_length=64)]
Long = Annotated[str, Field(max_length=1_024)]
Millis = Annotated[int, Field(ge=0, le=(1 << 53) - 1)]
Verdict = Literal["applied", "not_applied", "rejected", "deferred", "in_doubt"]


class Part(BaseModel):
    """A map inside a frame."""

    model_config = ConfigDict(
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=True,
        hide_input_in_errors=True,
        strict=True,
        ser_json_bytes="base64",
        ser_json_inf_nan="null",
    )


class Frame(Part):
    """``op`` says what it is. An answer has the ``correlationId`` of what it answers."""

    op: Any
    correlation_id: Correlation


class Given(Part):
    """Of a stranger: what is unknown is refused, so that no misspelt field is silently without effect."""

    model_config = ConfigDict(extra="forbid")


class Fault(Part):
    """Why something failed, or did not happen."""

    code: Annotated[str, Field(min_length=1, max_length=64)]  #: stable, such as ``handler_error``
    message: Long = ""
    retryable: bool = False
    retry_after: Millis = 0  #: ms; 0: no advice
