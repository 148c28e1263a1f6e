"""For operators: the supervision tree."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter

from router.http.access import ActorName, TheRouter, problems
from router.http.auth import OPERATOR
from router.http.body import StrictRoute
from router.http.models import Answered
from router.http.problems import HttpProblem

routes = APIRouter(prefix="/api/admin", tags=["operators"], route_class=StrictRoute)


@routes.get("/tree", dependencies=OPERATOR, responses=problems())
async def tree(router: TheRouter) -> dict[str, Any]:
    """Every actor: its state, restarts, mailbox and last error."""
    return router.tree()


@routes.post(
    "/actors/{name:path}/restart", dependencies=OPERATOR, response_model=Answered, responses=problems(404, 422)
)
async def restart(name: ActorName, router: TheRouter) -> Answered:
    """Restart an actor, as its supervisor would after a crash; nothing that was accepted is lost."""
    if not await asyncio.to_thread(router.restart_actor, name):
        raise HttpProblem(404, "unknown_actor", "No actor has this name.", retryable=False)
    return Answered()
