"""Whether all is well, what is wrong if not, and operators' orders to breakers."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse
from pydantic import ConfigDict, Field

from router.bodies import Body
from router.http.access import TheRouter, problems
from router.http.auth import ANYONE, OPERATOR, Operator
from router.http.body import StrictRoute
from router.http.models import Answered
from router.http.problems import HttpProblem

routes = APIRouter(tags=["health"], route_class=StrictRoute)
_PATIENCE = 2.0  # seconds a probe waits for the store; a load balancer's own limit is usually above
BreakerName = Annotated[
    str, Path(min_length=1, max_length=200, pattern=r"^[!-~]+$", description="a protocol, or PROTOCOL:TARGET")
]


class Latency(Body):
    """Of the last minute's attempts that were carried, ms; each at most a quarter too high."""

    p50: int
    p95: int
    p99: int


class HealthStatus(Body):
    """One service; one that is not configured does not count."""

    model_config = ConfigDict(extra="allow")

    healthy: bool = Field(description="its breaker lets calls through, and the latest look at it went well")
    configured: bool
    breaker: Literal["closed", "open", "half_open", "forced_open"] | None = None
    retry_after: int | None = Field(default=None, description="ms until an open breaker lets a probe through")
    error_rate: float = Field(default=0.0, description="share of the last minute's attempts that it did not carry")
    calls: int = Field(default=0, description="attempts of the last minute")
    latency: Latency | None = None
    latency_ms: float | None = Field(default=None, description="of the latest look")
    availability: float = Field(default=1.0, description="share of the latest 60 looks that went well")
    last_check: int | None = None
    error: str | None = None


class Protocols(Body):
    """The four of the seed are always there; others as they are set up."""

    model_config = ConfigDict(extra="allow")

    redis: HealthStatus
    discord: HealthStatus
    websocket: HealthStatus
    queue: HealthStatus


class SystemHealth(Body):
    """``overall`` is the store, the tree and every configured protocol together."""

    model_config = ConfigDict(extra="allow")

    overall: bool
    protocols: Protocols
    overloaded: bool = Field(description="commands of the lowest priority, at least, are turned away")
    timestamp: int


class ProtocolsHealth(Body):
    """The ways to execute."""

    protocols: Protocols
    timestamp: int


class BreakerBody(Body):
    """One breaker, and what it has counted since the start."""

    name: str
    state: Literal["closed", "open", "half_open", "forced_open"]
    retry_after: int | None = Field(description="ms until an open one lets a probe through")
    failures: int = Field(description="in a row")
    permitted: int
    rejected: int
    succeeded: int
    failed: int
    opened: int


class ServicesHealth(Body):
    """Everything the router depends on."""

    services: dict[str, HealthStatus]
    breakers: list[BreakerBody]
    tree: dict[str, Any]
    timestamp: int


class AlertBody(Body):
    """One thing that is wrong now."""

    code: str
    severity: Literal["critical", "warning"]
    about: str = Field(description="a service, a breaker, a queue, a class of priority ...")
    text: str


class AlertsBody(Body):
    """The worst first; empty when nothing is wrong."""

    alerts: list[AlertBody]
    timestamp: int


class Alive(Body):
    """A probe's answer."""

    ok: bool


@routes.get("/api/health", dependencies=ANYONE, response_model=SystemHealth, responses=problems())
async def health(router: TheRouter) -> dict[str, Any]:
    """The state of the store, the tree and each protocol."""
    return await router.ahealth()


@routes.get("/api/health/protocols", dependencies=ANYONE, response_model=ProtocolsHealth, responses=problems())
async def protocols(router: TheRouter) -> dict[str, Any]:
    """Each way to execute: breaker, error rate, latency, availability."""
    return await router.aprotocols()


@routes.get("/api/health/services", dependencies=ANYONE, response_model=ServicesHealth, responses=problems())
async def services(router: TheRouter) -> dict[str, Any]:
    """Everything the router depends on, and every breaker."""
    return await router.aservices()


@routes.get("/api/alerts", dependencies=ANYONE, response_model=AlertsBody, responses=problems())
async def alerts(router: TheRouter) -> AlertsBody:
    """What is wrong now. Asks nobody, so it answers when the store does not."""
    found = [AlertBody.model_validate(alert) for alert in router.alerts()]
    return AlertsBody(alerts=found, timestamp=router.clock.now())


@routes.post(
    "/api/admin/circuit-breaker/reset/{service}",
    dependencies=OPERATOR,
    tags=["operators"],
    response_model=Answered,
    responses=problems(404, 422),
)
async def reset(service: BreakerName, router: TheRouter, caller: Operator) -> Answered:
    """Close a breaker at once; whoever waits for it goes on. Audited."""
    if not await router.areset_breaker(service, operator=caller.who):
        raise HttpProblem(404, "unknown_breaker", "There is no breaker of this name.", retryable=False)
    return Answered()


@routes.get("/livez", response_model=Alive)
async def live() -> Alive:
    """The process answers."""
    return Alive(ok=True)


@routes.get("/readyz", response_model=Alive, responses={503: {"model": Alive, "description": "Not now."}})
async def ready(request: Request, router: TheRouter) -> JSONResponse:
    """The router takes commands: it is not stopping, not full, and its store answers."""
    return JSONResponse({"ok": (ok := await is_ready(request, router))}, 200 if ok else 503)


async def is_ready(request: Request, router: TheRouter) -> bool:
    """Whether a command sent now could be accepted."""
    if request.app.state.draining or router.engine.load >= 1.0:
        return False
    try:
        async with asyncio.timeout(_PATIENCE):
            found = await router.ahealth()
    except TimeoutError:
        return False
    return bool(found["store"]["healthy"] and found["tree"]["state"] == "running")
