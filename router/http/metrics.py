"""The numbers: as JSON with the seeds' names, and for Prometheus."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import Field

from router.bodies import Body
from router.http.access import TheRouter, problems
from router.http.auth import ANYONE, Anyone
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


class AttemptCount(Body):
    """Attempts over a protocol, by what they came to."""

    protocol: str
    outcome: Literal["applied", "not_applied", "rejected", "deferred", "in_doubt"]
    count: int


class Handover(Body):
    """Ways that went on over another protocol."""

    before: str = Field(alias="from")
    after: str = Field(alias="to")
    count: int


class Bucket(Body):
    """Answers that took no longer than ``leMs``, and longer than the edge before; null: all that took longer."""

    le_ms: int | None
    count: int


class Objective(Body):
    """Response times of one class of priority: from acceptance, or the time it was due, to the answer."""

    objective_ms: int | None = Field(description="null: best effort")
    answered: int
    within_objective: int
    share: float
    mean_ms: float
    histogram: list[Bucket]


class QueueLoad(Body):
    """One queue of commands in this router."""

    backlog: int
    oldest_eligible_age: int = Field(description="ms since the oldest command that is due became so")
    paused: bool = Field(description="an operator holds it: its age says nothing of too few routers")


class Scaling(Body):
    """What an autoscaler needs."""

    load: float = Field(description="1 is full; the highest of the shares")
    load_cause: str
    running: int
    capacity: int
    utilization: float
    queues: dict[str, QueueLoad]


class GuildBacklog(Body):
    """A guild with much waiting."""

    guild_id: str
    backlog: int


class Objectives(Body):
    """By class of priority."""

    critical: Objective
    high: Objective
    normal: Objective
    low: Objective


class MetricsBody(Body):
    """Counters since the start; depths, ages and loads of now. Times are ms."""

    messages_published: int = Field(description="commands accepted")
    messages_consumed: int = Field(description="commands that ended well")
    messages_failed: int = Field(description="commands that ended otherwise")
    messages_retried: int = Field(description="attempts after the first")
    dead_letter_messages: int | None = Field(description="null: the store does not answer")
    average_processing_time: float
    average_waiting_time: float
    started: int = Field(description="ended commands that were attempted at all")
    queue_depths: dict[str, int] | None = Field(description="null: the store does not answer")
    duplicate_operations: int
    idempotency_conflicts: int
    refused: dict[str, int] = Field(description="by code")
    settled: dict[str, int] = Field(description="by status")
    attempts: list[AttemptCount]
    fallbacks: list[Handover] = Field(description="after an attempt over the first")
    diverted: list[Handover] = Field(description="without one, since the breaker of the first was open")
    running: int
    backlog: int
    guilds_live: int
    leaked_threads: int
    objectives: Objectives
    scaling: Scaling
    top_guilds: list[GuildBacklog]
    actor_lag_ms: float


@routes.get("/api/metrics", response_model=MetricsBody, responses=problems())
async def metrics(router: TheRouter, caller: Anyone) -> dict[str, Any]:
    """Counters since the start, depths and ages now, response times by priority, and figures to scale by."""
    found = await router.ametrics()
    return found | {"topGuilds": [guild for guild in found["topGuilds"] if caller.reaches(guild["guildId"])]}


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
    """The same in Prometheus' text format; without what only the store knows, while it does not answer."""
    figures = await router.ametrics()
    loop = getattr(request.app.state, "loop_meter", None)  # absent where the application is served by somebody else
    text = exposition(
        Figures(
            figures, router.cross_protocol_metrics(), router.deduplication_metrics(), router.known_services(),
            memory=router.memory.resident(), memory_limit=router.memory.limit, loop_lag=loop.lag if loop else None,
        )
    )  # fmt: skip
    return Response(text, media_type=CONTENT_TYPE)
