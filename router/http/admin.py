"""For operators: the supervision tree."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query

from actors.runtime.errors import NoSuchActor
from router.http.access import ActorName, TheRouter, problems
from router.http.auth import OPERATOR
from router.http.body import StrictRoute
from router.http.models import Answered
from router.http.problems import HttpProblem
from router.router import Router

routes = APIRouter(prefix="/api/admin", tags=["operators"], route_class=StrictRoute)


@routes.get("/tree", dependencies=OPERATOR, responses=problems())
async def tree(router: TheRouter) -> dict[str, Any]:
    """Every actor: its state, restarts, mailbox and last error."""
    return router.tree()


@routes.post(
    "/actors/{name:path}/restart", dependencies=OPERATOR, response_model=Answered, responses=problems(404, 422)
)
async def restart(
    name: ActorName,
    router: TheRouter,
    kill: Annotated[bool, Query(description="as a crash, in the middle of its work: for one that hangs")] = False,
) -> Answered:
    """Stop an actor in good order and start it again; what was accepted waits in its mailbox or in the store."""
    if not await asyncio.to_thread(_kill if kill else Router.restart_actor, router, name):
        raise HttpProblem(404, "unknown_actor", "No running actor has this name.", retryable=False)
    return Answered()


def _kill(router: Router, name: str) -> bool:
    try:
        return router.engine.runtime.ref(name).kill()
    except NoSuchActor:
        return False
