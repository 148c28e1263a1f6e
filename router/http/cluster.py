"""The routers that share the store."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import Field

from router.bodies import Body
from router.http.access import TheRouter, problems
from router.http.auth import OPERATOR
from router.http.body import StrictRoute

routes = APIRouter(tags=["operators"], route_class=StrictRoute)


class Member(Body):
    """A router that lives."""

    router: str = Field(description="made at random at each start")
    name: str = Field(description="host:pid")
    me: bool = Field(description="the one that answers")
    seen_at: int = Field(description="its last sign of life, by the store's clock")
    partitions: int = Field(description="it owns so many")
    backlog: int | None = Field(default=None, description="unsettled commands in it")
    running: int | None = Field(default=None, description="attempts under way in it")
    load: float | None = Field(default=None, description="1.0 is all it can bear")
    lag_ms: float | None = Field(default=None, description="how late its actors are")
    version: str | None = None
    bots: int | None = Field(default=None, description="connected to it over a WebSocket")


class Partition(Body):
    """A slice of the guilds."""

    partition: int
    router: str | None = Field(description="its owner; null: nobody")
    token: int = Field(description="rises with every change of hands")
    left_ms: int = Field(description="until others may take it")
    stage: Literal["won", "taking", "open", "leaving"] | None = Field(
        default=None, description="how far the one that answers is with it, if it is its own"
    )


class ClusterView(Body):
    """As the router that answers saw it last."""

    shared: bool = Field(description="false: the store is this router's alone")
    router: str
    name: str
    seen_at: int | None
    age_ms: int | None = Field(description="how old all this is: more than a second while the store does not answer")
    members: list[Member]
    partitions: list[Partition]


@routes.get("/api/cluster", dependencies=OPERATOR, response_model=ClusterView, responses=problems())
async def cluster(router: TheRouter) -> ClusterView:
    """Who lives, who owns what, and how busy each is."""
    return ClusterView.model_validate(router.cluster())
