"""The audit trail."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from router.audit import AuditView
from router.bodies import Body
from router.http.access import TheRouter, problems
from router.http.auth import Admin
from router.http.body import StrictRoute
from router.http.dead_letters import LATEST, guild_for

routes = APIRouter(prefix="/api/audit", tags=["audit"], route_class=StrictRoute)


class AuditBody(Body):
    """Newest first."""

    entries: list[AuditView]


@routes.get("", response_model=AuditBody, responses=problems(422))
async def search(
    *,
    router: TheRouter,
    caller: Admin,
    id: Annotated[str, Query(max_length=128)] = "",
    guild_id: Annotated[str, Query(alias="guildId", max_length=128)] = "",
    user_id: Annotated[str, Query(alias="userId", max_length=128)] = "",
    type: Annotated[str, Query(max_length=128)] = "",
    since: Annotated[int, Query(ge=0, le=LATEST)] = 0,
    until: Annotated[int, Query(ge=0, le=LATEST)] = 0,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
) -> AuditBody:
    """What happened to whom, by whom, and when; what is not given does not filter."""
    guild = guild_for(caller, guild_id)
    found = await router.audit.asearch(
        id=id, guild_id=guild, user_id=user_id, type=type, since=since, until=until, limit=limit
    )
    return AuditBody(entries=found)
