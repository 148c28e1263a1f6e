"""Whether all is well, and the numbers."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import ConfigDict

from router.bodies import Body
from router.http.access import TheRouter, problems
from router.http.auth import ANYONE
from router.http.body import StrictRoute

routes = APIRouter(tags=["health"], route_class=StrictRoute)
_PATIENCE = 2.0  # seconds a probe waits for the store; a load balancer's own limit is usually above


class ProtocolHealth(Body):
    """One way to execute; one that is not configured does not count."""

    model_config = ConfigDict(extra="allow")

    healthy: bool
    configured: bool
    breaker: str | None = None


class SystemHealth(Body):
    """``overall`` is the store, the tree and every configured protocol together."""

    model_config = ConfigDict(extra="allow")

    overall: bool
    protocols: dict[str, ProtocolHealth]
    overloaded: bool
    timestamp: int


class Alive(Body):
    """A probe's answer."""

    ok: bool


@routes.get("/api/health", dependencies=ANYONE, response_model=SystemHealth, responses=problems())
async def health(router: TheRouter) -> dict[str, Any]:
    """The state of the store, the tree and each protocol, as of now."""
    return await router.ahealth()


@routes.get("/livez", response_model=Alive)
async def live() -> Alive:
    """The process answers."""
    return Alive(ok=True)


@routes.get("/readyz", response_model=Alive, responses={503: {"model": Alive, "description": "Not now."}})
async def ready(request: Request, router: TheRouter) -> JSONResponse:
    """The router takes commands: it is not stopping and its store answers."""
    return JSONResponse({"ok": (ok := await is_ready(request, router))}, 200 if ok else 503)


async def is_ready(request: Request, router: TheRouter) -> bool:
    """Whether a command sent now could be accepted."""
    if request.app.state.draining:
        return False
    try:
        async with asyncio.timeout(_PATIENCE):
            found = await router.ahealth()
    except TimeoutError:
        return False
    return bool(found["store"]["healthy"] and not found["overloaded"])


@routes.get("/api/metrics", dependencies=ANYONE, responses=problems())
async def metrics(router: TheRouter) -> dict[str, Any]:
    """Counters since the start, and depths now."""
    return await router.ametrics()
