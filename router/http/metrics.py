"""The numbers: as JSON with the seeds' names, and for Prometheus."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from router.bodies import Body
from router.http.access import TheRouter, problems
from router.http.auth import ANYONE
from router.http.body import StrictRoute
from router.http.prometheus import CONTENT_TYPE, Figures, exposition

routes = APIRouter(tags=["metrics"], route_class=StrictRoute)


class CrossProtocolMetrics(Body):
    """The first seed's; ``docs/metrics.md`` says what each counts. Delays are means in ms."""

    rest_requests: int
    websocket_messages: int
    queue_jobs: int
    rest_to_web_socket_delay: float
    queue_to_web_socket_delay: float
    duplicate_operations: int
    total_protocol_failures: int
    websocket_fallback_to_queue: int
    queue_fallback_to_web_socket: int


class ConflictCounts(Body):
    """Commands that a conflict ended."""

    superseded: int
    annihilated: int
    rejected: int


class DeduplicationMetrics(Body):
    """Operations that were asked for more than once, or against each other; since the start."""

    duplicate_operations: int
    duplicate_share: float
    idempotency_conflicts: int
    conflicts: ConflictCounts
    waiting: int
    accepted: int


@routes.get("/api/metrics", dependencies=ANYONE, responses=problems())
async def metrics(router: TheRouter) -> dict[str, Any]:
    """Counters since the start, depths and ages now, response times by priority, and figures to scale by."""
    return await router.ametrics()


@routes.get("/api/metrics/cross-protocol", dependencies=ANYONE, responses=problems())
async def cross_protocol(router: TheRouter) -> CrossProtocolMetrics:
    """What went over which protocol, and from one to another."""
    return CrossProtocolMetrics.model_validate(router.cross_protocol_metrics())


@routes.get("/api/metrics/deduplication", dependencies=ANYONE, responses=problems())
async def deduplication(router: TheRouter) -> DeduplicationMetrics:
    """Duplicates that were not executed, and conflicts that were decided."""
    return DeduplicationMetrics.model_validate(router.deduplication_metrics())


@routes.get("/metrics", dependencies=ANYONE, responses=problems() | {200: {"content": {CONTENT_TYPE: {}}}})
async def prometheus(request: Request, router: TheRouter) -> Response:
    """The same in Prometheus' text format."""
    figures = await router.ametrics()
    loop = getattr(request.app.state, "loop_meter", None)  # absent where the application is served by somebody else
    text = exposition(
        Figures(
            figures, router.cross_protocol_metrics(), router.deduplication_metrics(), await router.aservices(),
            memory=router.memory.resident(), memory_limit=router.memory.limit, loop_lag=loop.lag if loop else None,
        )
    )  # fmt: skip
    return Response(text, media_type=CONTENT_TYPE)
