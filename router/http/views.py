"""What the router answers, in the words of the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic.alias_generators import to_camel

from router.http.models import AcceptedBody, CommandResponse, StatusBody
from router.reply import Acceptance
from router.response import Response
from router.status import StatusView


def accepted_body(acceptance: Acceptance, request_id: str) -> AcceptedBody:
    """What a sender is told at once; of a duplicate only the original exists, so that is its job."""
    job_id = acceptance.original or acceptance.id
    return AcceptedBody(
        job_id=job_id,
        request_id=request_id,
        position=acceptance.position,
        sequence=acceptance.sequence,
        duplicate=acceptance.duplicate,
        original_id=acceptance.original or None,
        status_url=f"/api/commands/{job_id}",
    )


def response_body(response: Response, request_id: str | None) -> CommandResponse:
    """The end of a command's way."""
    given = response.model_dump()
    job_id = response.original or response.request_id
    return CommandResponse(**given | {"job_id": job_id, "request_id": request_id or response.request_id})


def status_body(view: StatusView) -> StatusBody:
    """Where a command is."""
    return StatusBody(
        job_id=view.id,
        request_id=view.request_id,
        type=view.type,
        guild_id=view.guild,
        user_id=view.user,
        state=view.state,
        position=view.position,
        sequence=view.sequence,
        attempts=view.attempts,
        accepted_at=view.accepted_at,
        settled_at=view.settled_at,
        result=None if view.response is None else response_body(view.response, view.request_id),
    )


def camel(value: Any) -> Any:
    """The same with camelCase keys where they are Python names; names of guilds, queues and actors stay as they are."""
    if isinstance(value, Mapping):
        return {to_camel(key) if _is_word(key) else key: camel(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [camel(inner) for inner in value]
    return value


def _is_word(key: object) -> bool:
    return isinstance(key, str) and "_" in key and key.isidentifier() and key == key.lower()
