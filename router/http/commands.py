"""Commands: send, ask after, take back, explain."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from actors.errors import EngineError
from router.bodies import CommandBody
from router.errors import RouterError
from router.http.access import BODY, JobId, RequestId, TheRouter, TheSettings, problems
from router.http.auth import Anyone, Caller
from router.http.body import StrictRoute
from router.http.models import (
    AcceptedBody,
    BatchAnswer,
    BatchBody,
    BatchItem,
    CancelBody,
    CommandResponse,
    ProblemBody,
    StatusBody,
    Unfit,
)
from router.http.problems import HttpProblem, problem_of
from router.http.sending import message_of, options_of
from router.http.views import accepted_body, camel, response_body, status_body
from router.messages.base import Message
from router.reply import Reply
from router.router import Router
from router.status import StatusView

routes = APIRouter(prefix="/api/commands", tags=["commands"], route_class=StrictRoute)
Pair = tuple[Message, dict[str, Any]]
Wait = Annotated[int | None, Query(ge=0, le=3_600_000, description="ms to wait for the end of the command's way")]


@routes.post(
    "",
    status_code=202,
    responses={
        200: {"model": CommandResponse, "description": "With `wait`: the command's way ended in that time."},
        202: {"model": AcceptedBody, "description": "Stored; with `wait`: not ended in that time."},
        **problems(409, 429, *BODY),
    },
)
async def send(
    *,
    body: CommandBody,
    request: Request,
    router: TheRouter,
    settings: TheSettings,
    caller: Anyone,
    request_id: RequestId,
    wait: Wait = None,
) -> JSONResponse:
    """Send one command.

    The answer comes when the command is stored. Equal operations in flight or just finished are one: the answer then
    says `duplicate`, and `originalId` names the command that stands for both. Headers: `Idempotency-Key` (1 to 128
    visible ASCII characters), `X-Request-Id`, `traceparent`.
    """
    message = message_of(body, router, caller, "command", "task")
    reply = router.send(message, **options_of(body, request))
    acceptance = await reply.acceptance
    accepted = accepted_body(acceptance, body.request_id or request_id)
    if wait:
        response = await _within(reply, min(wait, settings.max_wait_ms), accepted.request_id)
        if response is not None:
            return answer(response, 200)
    return answer(accepted, 202, {"Location": accepted.status_url})


@routes.post("/batch", status_code=202, response_model=BatchAnswer, responses=problems(429, *BODY))
async def send_batch(
    *, body: BatchBody, request: Request, router: TheRouter, caller: Anyone, request_id: RequestId
) -> BatchAnswer:
    """Send up to 1,000 commands, stored together as far as each is accepted; every one is answered for itself.

    `Idempotency-Key` is refused here: each command has its own `idempotencyKey`.
    """
    if "idempotency-key" in request.headers:
        text = "Idempotency-Key cannot stand for a whole batch: give each command its idempotencyKey."
        raise HttpProblem(400, "bad_header", text, field="Idempotency-Key", retryable=False)
    items: list[BatchItem | None] = [None] * len(body.commands)
    messages: list[Pair] = []
    places: list[int] = []
    for index, command in enumerate(body.commands):
        own_id = command.request_id or request_id
        if isinstance(command, Unfit):
            items[index] = _refused(index, RequestValidationError(command.errors), own_id)
            continue
        try:
            message = message_of(command, router, caller, "command", "task")
            messages.append((message, options_of(command, request)))
            places.append(index)
        except (HttpProblem, RouterError, EngineError) as error:
            items[index] = _refused(index, error, own_id)
    outcomes = await asyncio.gather(*(_accepted(reply) for reply in _sent(router, messages)))
    for index, outcome in zip(places, outcomes, strict=True):
        own_id = body.commands[index].request_id or request_id
        items[index] = (
            _refused(index, outcome, own_id)
            if isinstance(outcome, EngineError | RouterError)
            else BatchItem(index=index, accepted=accepted_body(outcome, own_id))
        )
    results = [item for item in items if item is not None]
    accepted = sum(item.accepted is not None for item in results)
    refused = len(results) - accepted
    return BatchAnswer(success=not refused, accepted=accepted, refused=refused, results=results)


@routes.get("/{job_id}", response_model=StatusBody, responses=problems(404, 422))
async def status(job_id: JobId, router: TheRouter, caller: Anyone) -> StatusBody:
    """Where a command is: its state, its position among its guild's, and its result once it has one."""
    return status_body(await _find(job_id, router, caller))


@routes.delete("/{job_id}", response_model=CancelBody, responses=problems(404, 409, 422))
async def cancel(job_id: JobId, router: TheRouter, caller: Anyone) -> CancelBody:
    """Take a command back, if it has not started."""
    await take_back(job_id, router, caller)
    return CancelBody(job_id=job_id)


@routes.get("/{job_id}/explain", responses=problems(404, 422))
async def explain(job_id: JobId, router: TheRouter, caller: Anyone) -> dict[str, Any]:
    """The causal record: who asked, what it met, each attempt, each decision; in `waits` why it does not run now."""
    await _find(job_id, router, caller)
    explained: dict[str, Any] = camel(await router.aexplain(job_id))
    return explained


async def take_back(job_id: str, router: Router, caller: Caller) -> None:
    """Take a command back, if it is the caller's business and has not started; else a problem."""
    view = await _find(job_id, router, caller)
    if not await router.acancel(job_id, operator=caller.who):
        text = f"The command is {view.state} and cannot be taken back."
        raise HttpProblem(409, "not_cancellable", text, retryable=False, state=view.state)


def answer(body: CommandResponse | AcceptedBody, status: int, headers: dict[str, str] | None = None) -> JSONResponse:
    """A model as it is sent."""
    return JSONResponse(body.model_dump(mode="json", by_alias=True), status, headers)


async def _find(job_id: str, router: Router, caller: Caller) -> StatusView:
    view = await router.afind(job_id)
    # Whose guild it is not is told what a stranger is told: other tenants' ids are nobody's business.
    if view is None or not caller.reaches(view.guild):
        raise HttpProblem(404, "unknown_command", "No command has this id, or it is forgotten.", retryable=False)
    return view


async def _within(reply: Reply, wait: int, request_id: str) -> CommandResponse | None:
    try:
        async with asyncio.timeout(wait / 1_000):
            return response_body(await reply, request_id)
    except TimeoutError:
        return None


def _sent(router: Router, messages: list[Pair]) -> list[Reply | EngineError | RouterError]:
    try:
        return [*router.send_many(messages)]
    except (EngineError, RouterError) as error:
        if len(messages) == 1:
            return [error]
    # None was sent, because one is unfit: each by itself.
    return [outcome for message in messages for outcome in _sent(router, [message])]


async def _accepted(reply: Reply | EngineError | RouterError) -> Any:
    if not isinstance(reply, Reply):
        return reply
    try:
        return await reply.acceptance
    except (EngineError, RouterError) as error:
        return error


def _refused(index: int, error: Exception, request_id: str) -> BatchItem:
    return BatchItem(index=index, problem=ProblemBody.model_validate(problem_of(error).body(request_id)))
