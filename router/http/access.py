"""What every route needs: the router, the settings, and the request's own id."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Depends, Path, Request

from router.http.models import ProblemBody
from router.router import Router
from router.settings import Settings

_TITLES: Final = {
    400: "The request is not JSON, or a header breaks its rule.",
    401: "No bearer token, or one nobody knows.",
    403: "The token's role or guilds do not allow it, or a page of another site asks.",
    404: "Not known, or none of the caller's business.",
    409: "It contradicts what is already there.",
    413: "The body is too long.",
    415: "The body is not JSON.",
    422: "A field breaks its rule; nothing was stored.",
    429: "A limit is reached; `Retry-After` and `retryAfter` say when to come back.",
    503: "The router is stopping, or its store does not answer.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems a route may answer with, for its description; 401, 403 and 503 can always be."""
    schema = ProblemBody.model_json_schema(by_alias=True)
    content = {"application/problem+json": {"schema": schema}}
    return {
        status: {"description": _TITLES[status], "content": content} for status in sorted({401, 403, 503, *statuses})
    }


BODY: Final = (400, 413, 415, 422)  #: what a route with a body may always refuse


# Async although they wait for nothing: FastAPI would send sync ones to a thread, at a third of a millisecond each.


async def _router(request: Request) -> Router:
    router: Router = request.app.state.router
    return router


async def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


async def _request_id(request: Request) -> str:
    given: str = request.scope["state"]["request_id"]
    return given


TheRouter = Annotated[Router, Depends(_router)]
TheSettings = Annotated[Settings, Depends(_settings)]
RequestId = Annotated[str, Depends(_request_id)]
JobId = Annotated[
    str, Path(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_.:\-]+$", description="as `jobId` said")
]
QueueName = Annotated[
    str,
    Path(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_.:\-]+$", description="a named queue, such as bot:music"),
]
ActorName = Annotated[str, Path(min_length=1, max_length=200, pattern=r"^[!-~]+$", description="as the tree names it")]
