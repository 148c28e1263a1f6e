"""For operators: the supervision tree."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query

from router.http.access import ActorName, TheRouter, problems
from router.http.auth import OPERATOR, Operator
from router.http.body import StrictRoute
from router.http.models import Answered
from router.http.problems import HttpProblem

routes = APIRouter(prefix="/api/admin", tags=["operators"], route_class=StrictRoute)


@routes.get("/tree", dependencies=OPERATOR, responses=problems())
async def tree(router: TheRouter) -> dict[str, Any]:
    """Every actor: its state, restarts, mailbox and last error."""
    return router.tree()


@routes.post("/actors/{name:path}/restart", response_model=Answered, responses=problems(404, 422))
async def restart(
    name: ActorName,
    router: TheRouter,
    caller: Operator,
    kill: Annotated[bool, Query(description="as a crash, in the middle of its work: for one that hangs")] = False,
) -> Answered:
    """Stop an actor in good order and start it again; what was accepted waits in its mailbox or in the store."""
    if not await asyncio.to_thread(router.restart_actor, name, kill=kill, operator=caller.who):
        raise HttpProblem(404, "unknown_actor", "No running actor has this name.", retryable=False)
    return Answered()
