"""Schedules: commands that are sent again and again."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request
from pydantic import Field

from router.bodies import Body, CommandBody, Span
from router.http.access import BODY, TheRouter, problems
from router.http.auth import Admin, Caller, Operator
from router.http.body import StrictRoute
from router.http.models import Answered
from router.http.problems import HttpProblem
from router.http.sending import message_of, options_of
from router.schedules import ScheduleView

routes = APIRouter(prefix="/api/schedules", tags=["schedules"], route_class=StrictRoute)
ScheduleId = Annotated[str, Path(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.\-]+$")]
_UNKNOWN = "No schedule has this id."
_NOT_HERE = {
    "idempotency_key": "idempotencyKey",
    "delay": "delayMs",
    "sender": "senderId",
    "sender_sequence": "senderSequence",
}
_PER_TICK = ("id", "request_id", "created_at", "at")


class ScheduleBody(CommandBody):
    """A command, and when it is sent: exactly one of `cron`, `everyMs` and `at`."""

    id: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(
        default=None, description="replaces the schedule of this id; without one it is made of what the schedule is"
    )
    cron: Annotated[str, Field(max_length=128)] | None = Field(
        default=None, description="five fields, or six with seconds in front, or @hourly, @daily, @weekly ..."
    )
    timezone: Annotated[str, Field(max_length=64)] = Field(default="UTC", description="of `cron`")
    every_ms: Span | None = None
    overlap: Literal["skip", "queue", "buffer_one", "allow"] = Field(
        default="skip", description="what a tick does while the command of an earlier one is not done"
    )
    catch_up_ms: Annotated[int, Field(ge=0, le=86_400_000)] = Field(default=60_000, description="a tick may be late so")


class ScheduleList(Body):
    """All, by id."""

    schedules: list[ScheduleView]


@routes.get("", response_model=ScheduleList, responses=problems())
async def list_schedules(router: TheRouter, caller: Admin) -> ScheduleList:
    """What is sent again and again; a caller limited to guilds sees theirs."""
    found = await router.schedules.alist()
    return ScheduleList(schedules=[each for each in found if _is_ones_business(caller, each)])


@routes.post("", status_code=201, response_model=ScheduleView, responses=problems(*BODY))
async def make(*, body: ScheduleBody, request: Request, router: TheRouter, caller: Operator) -> ScheduleView:
    """Make a schedule, or replace the one of its id. Durable when it is answered."""
    message = message_of(body, router, caller, "command", "task")
    options: dict[str, Any] = options_of(body, request)
    options["headers"] = body.headers or None  # not this request's trace: each tick is a beginning of its own
    for name, field in _NOT_HERE.items():
        if options.get(name):
            rule = "is made anew for each tick, and cannot be given"
            raise HttpProblem(422, "invalid_message", f"{field} {rule}.", field=field, rule=rule, retryable=False)
    schedule = await router.aschedule(
        message,
        cron=body.cron,
        timezone=body.timezone,
        every=None if body.every_ms is None else body.every_ms / 1000,
        at=body.at,
        overlap=body.overlap,
        catch_up=body.catch_up_ms / 1000,
        id=body.id,
        operator=caller.role,
        **{name: value for name, value in options.items() if name not in _PER_TICK},
    )
    view = await schedule.aview()
    if view is None:
        raise HttpProblem(404, "unknown_schedule", _UNKNOWN, retryable=False)
    return view


@routes.delete("/{id}", response_model=Answered, responses=problems(404, 422))
async def remove(id: ScheduleId, router: TheRouter, caller: Operator) -> Answered:
    """It sends nothing more; what it sent goes on."""
    return _answered(await router.schedules.aremove(id, operator=caller.role))


@routes.post("/{id}/pause", response_model=Answered, responses=problems(404, 422))
async def pause(id: ScheduleId, router: TheRouter, caller: Operator) -> Answered:
    """It sends nothing until it is resumed; durable."""
    return _answered(await router.schedules.apause(id, operator=caller.role))


@routes.post("/{id}/resume", response_model=Answered, responses=problems(404, 422))
async def resume(id: ScheduleId, router: TheRouter, caller: Operator) -> Answered:
    """It goes on with the next tick that comes; what passed meanwhile is not made up for."""
    return _answered(await router.schedules.aresume(id, operator=caller.role))


def _answered(found: bool) -> Answered:
    if not found:
        raise HttpProblem(404, "unknown_schedule", _UNKNOWN, retryable=False)
    return Answered()


def _is_ones_business(caller: Caller, view: ScheduleView) -> bool:
    return not caller.guilds or view.guild in caller.guilds
