"""Dead letters: look at them, replay them under guard, forget them."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from router.bodies import Body, Given
from router.dead_letters import DeadLetterView
from router.http.access import BODY, TheRouter, problems
from router.http.auth import Admin, Caller, Operator
from router.http.body import StrictRoute
from router.http.problems import HttpProblem

routes = APIRouter(prefix="/api/dead-letters", tags=["dead letters"], route_class=StrictRoute)
LATEST = 253_402_300_799_999  #: the last millisecond of the year 9999
Name = Annotated[str, Field(max_length=128)]
NameQuery = Annotated[str, Query(max_length=128)]


class DeadLetterList(Body):
    """Oldest first, in the order of their lanes. Payloads are shown, redacted, by a command's `explain`."""

    dead_letters: list[DeadLetterView]


class ReplayBody(Given):
    """Which dead letters live again; what is not given does not filter."""

    ids: Annotated[list[Annotated[str, Field(max_length=128)]], Field(min_length=1, max_length=1_000)] | None = None
    guild_id: Name = ""
    queue: Name = ""
    type: Name = ""
    before: Annotated[int, Field(ge=0, le=LATEST)] = 0
    limit: Annotated[int, Field(ge=1, le=10_000)] = 100
    everything: bool = Field(default=False, alias="all", description="required when nothing above is given but limit")
    dry_run: bool = Field(default=False, description="say which, change nothing")
    max_replays: Annotated[int, Field(ge=1, le=1_000)] | None = Field(
        default=None, description="leave alone what lived so often"
    )


class ReplayAnswer(Body):
    """What lives again, or would."""

    success: Literal[True] = True
    dry_run: bool
    replayed: list[str] = Field(description="in the order in which they live again")
    refused: list[str] = Field(description="replayed too often already")


class PurgeAnswer(Body):
    """How many are forgotten."""

    purged: int


@routes.get("", response_model=DeadLetterList, responses=problems(422))
async def list_dead_letters(
    *,
    router: TheRouter,
    caller: Admin,
    guild_id: Annotated[str, Query(alias="guildId", max_length=128)] = "",
    queue: NameQuery = "",
    type: NameQuery = "",
    before: Annotated[int, Query(ge=0, le=LATEST, description="died before, ms since the epoch")] = 0,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
) -> DeadLetterList:
    """What failed for good."""
    guild = guild_for(caller, guild_id)
    found = await router.dead_letters.alist(guild=guild, queue=queue, type=type, before=before, limit=limit)
    return DeadLetterList(dead_letters=found)


@routes.post("/replay", response_model=ReplayAnswer, responses=problems(*BODY))
async def replay(body: ReplayBody, router: TheRouter, caller: Operator) -> ReplayAnswer:
    """Send dead letters on their way again: same ids, in their old order, at the tails of their lanes.

    Needs ids, a filter, or `all`.
    """
    require_choice(body.ids, body.guild_id, body.queue, body.type, body.before, everything=body.everything)
    replayed = await router.dead_letters.areplay(
        body.ids,
        guild=body.guild_id,
        queue=body.queue,
        type=body.type,
        before=body.before,
        limit=body.limit,
        dry_run=body.dry_run,
        max_replays=body.max_replays,
        operator=caller.who,
    )
    return ReplayAnswer(dry_run=replayed.dry_run, replayed=replayed.ids, refused=replayed.refused)


@routes.delete("", response_model=PurgeAnswer, responses=problems(422))
async def purge(
    *,
    router: TheRouter,
    caller: Admin,
    id: Annotated[str, Query(max_length=128)] = "",
    guild_id: Annotated[str, Query(alias="guildId", max_length=128)] = "",
    queue: NameQuery = "",
    type: NameQuery = "",
    before: Annotated[int, Query(ge=0, le=LATEST, description="died before, ms since the epoch")] = 0,
    everything: Annotated[bool, Query(alias="all", description="required when there is no filter")] = False,
    limit: Annotated[int, Query(ge=1, le=100_000)] = 10_000,
) -> PurgeAnswer:
    """Forget dead letters for good. Needs a filter, or `all=true`."""
    require_choice(id, guild_id, queue, type, before, everything=everything)
    guild = guild_for(caller, guild_id)
    purged = await router.dead_letters.apurge(
        id=id, guild=guild, queue=queue, type=type, before=before, limit=limit, operator=caller.who
    )
    return PurgeAnswer(purged=purged)


def require_choice(*filters: object, everything: bool) -> None:
    """Refuse what would reach every dead letter without saying so."""
    if not everything and not any(filters):
        rule = "must be true when no filter is given"
        raise HttpProblem(422, "invalid_message", f"all {rule}.", field="all", rule=rule, retryable=False)


def guild_for(caller: Caller, asked: str) -> str:
    """The guild to filter by: the one asked for, else the only one the caller has; "": all."""
    if asked:
        caller.enter(asked)
        return asked
    if len(caller.guilds) > 1:
        raise HttpProblem(
            403, "other_guild", "This token is limited to guilds: name one with guildId.", retryable=False
        )
    return next(iter(caller.guilds), "")
