"""Queues: look, put in, pause, resume, purge. The paths and fields are those of the fourth and fifth seed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import Field

from router.bodies import Body, CommandBody, Given, IdText, Ms, Priority
from router.http.access import BODY, QueueName, RequestId, TheRouter, problems
from router.http.auth import ANYONE, Anyone, Caller, Operator
from router.http.body import StrictRoute
from router.http.events import publish
from router.http.models import AcceptedBody, Answered, EventAnswer
from router.http.problems import HttpProblem
from router.http.sending import message_of, options_of
from router.http.views import accepted_body
from router.messages.canonical import STRING
from router.messages.fields import Word
from router.queues import QueueView
from router.router import Router

Message = Annotated[str, Field(max_length=STRING)]
routes = APIRouter(prefix="/api/queue", tags=["queues"], route_class=StrictRoute)


class QueueHealth(Body):
    """Whether messages can be stored now."""

    healthy: bool
    provider: str = Field(description="memory, sqlite or redis")
    timestamp: int


class QueueStatsBody(Body):
    """All queues together, or one."""

    total_messages: int
    pending_messages: int
    processing_messages: int
    completed_messages: int
    failed_messages: int
    avg_processing_time: float = Field(description="ms, of all attempts since the start")
    queues: list[str]
    provider: str
    healthy: bool


class QueueState(Body):
    """One queue. Counts are since the store was made; ``waiting`` and ``active`` are now."""

    name: str
    waiting: int
    active: int
    completed: int
    failed: int
    dead: int = Field(description="in the dead letters now")
    oldest: int | None = Field(default=None, description="when the oldest waiting one was accepted")
    paused: bool


class QueueStatusBody(Body):
    """Every queue that holds or held something."""

    healthy: bool
    timestamp: int
    queues: list[QueueState]


class QueueSize(Body):
    """What waits."""

    queue_name: str
    size: int


class EnqueueBody(CommandBody):
    """A message of the queue's own types; ``type`` may be left out where there is only one."""

    type: Annotated[str, Field(max_length=128)] = ""


class ChatBody(Given):
    """A chat message that waits to be processed."""

    user_id: IdText
    conversation_id: IdText
    message: Message
    force_agent: Word | None = None
    priority: Priority | None = None


class ProactiveBody(Given):
    """Something an agent does unasked."""

    action_type: Word
    agent_type: Word
    message: Message
    user_id: IdText
    conversation_id: IdText
    timing: Literal["immediate", "delayed"] = "immediate"
    delay_ms: Ms | None = None
    priority: Priority | None = None


class DemoBody(Given):
    """Whose conversation to fill with examples."""

    user_id: IdText
    conversation_id: IdText


class DemoAnswer(Body):
    """What was put in, by queue."""

    success: bool = True
    messages: list[AcceptedBody]


class PurgeBody(Body):
    """How many will not be executed."""

    success: bool = True
    queue_name: str
    purged: int


# ------------------------------------------------------------------------ looking


@routes.get("/health", dependencies=ANYONE, response_model=QueueHealth, responses=problems())
async def health(router: TheRouter) -> QueueHealth:
    """Whether the store takes messages."""
    found = await router.ahealth()
    return QueueHealth(healthy=found["store"]["healthy"], provider=provider(router), timestamp=found["timestamp"])


@routes.get("/stats", dependencies=ANYONE, response_model=QueueStatsBody, responses=problems(422))
async def stats(
    router: TheRouter, queue_name: Annotated[str, Query(alias="queueName", max_length=128)] = ""
) -> QueueStatsBody:
    """Counts of all queues together, or of one."""
    found = await router.queues.astats(queue_name)
    views = list(found.values())
    figures = await router.ametrics()
    waiting, processing = _sum(views, "waiting"), _sum(views, "processing")
    completed, failed = _sum(views, "completed"), _sum(views, "failed")
    return QueueStatsBody(
        total_messages=waiting + processing + completed + failed,
        pending_messages=waiting,
        processing_messages=processing,
        completed_messages=completed,
        failed_messages=failed,
        avg_processing_time=figures["averageProcessingTime"],
        queues=sorted(found),
        provider=provider(router),
        healthy=True,  # the store has just answered
    )


@routes.get("/status", dependencies=ANYONE, response_model=QueueStatusBody, responses=problems())
async def status(router: TheRouter) -> QueueStatusBody:
    """Each queue by itself."""
    found = await router.ahealth()
    views = await router.queues.astats()
    states = [_state(view) for view in views.values()]
    return QueueStatusBody(healthy=found["store"]["healthy"], timestamp=found["timestamp"], queues=states)


@routes.get("/size/{queue}", dependencies=ANYONE, response_model=QueueSize, responses=problems(422))
async def size(queue: QueueName, router: TheRouter) -> QueueSize:
    """What waits in a queue; 0 for one that nobody used yet."""
    return QueueSize(queue_name=queue, size=await router.queues.asize(queue))


# ------------------------------------------------------------------------ putting in


@routes.post("/enqueue/chat", status_code=202, response_model=AcceptedBody, responses=problems(409, 429, *BODY))
async def enqueue_chat(
    body: ChatBody, request: Request, router: TheRouter, caller: Anyone, request_id: RequestId
) -> AcceptedBody:
    """A chat message into `chat_messages`."""
    command = _command("CHAT_MESSAGE", body)
    return await _send(command, request, router, caller, request_id)


@routes.post("/enqueue/proactive", status_code=202, response_model=AcceptedBody, responses=problems(409, 429, *BODY))
async def enqueue_proactive(
    body: ProactiveBody, request: Request, router: TheRouter, caller: Anyone, request_id: RequestId
) -> AcceptedBody:
    """A proactive action into `proactive_actions`; with `delayMs` it is due so much later."""
    command = _command("PROACTIVE_ACTION", body)
    return await _send(command, request, router, caller, request_id)


@routes.post(
    "/enqueue/{queue}",
    status_code=202,
    response_model=AcceptedBody | EventAnswer,
    responses=problems(404, 409, 429, *BODY),
)
async def enqueue(
    *, queue: QueueName, body: EnqueueBody, request: Request, router: TheRouter, caller: Anyone, request_id: RequestId
) -> AcceptedBody | EventAnswer:
    """A command into the queue its type belongs to; an event or notification of the queue is published."""
    types = [name for name in router.catalog if router.facts(name).queue == queue]
    if not types:
        raise HttpProblem(404, "unknown_queue", "No type of the catalog belongs to this queue.", retryable=False)
    if not body.type and len(types) > 1:
        rule = f"is required: this queue has {len(types)} types"
        raise HttpProblem(422, "invalid_message", f"type {rule}", field="type", rule=rule, retryable=False)
    chosen = body if body.type else body.model_copy(update={"type": types[0]})
    if chosen.type not in types:
        router.catalog.find(chosen.type)
        rule = f"must be of the queue {queue}; {chosen.type} belongs to {router.facts(chosen.type).queue}"
        raise HttpProblem(422, "invalid_message", f"type {rule}", field="type", rule=rule, retryable=False)
    if router.catalog.find(chosen.type).__kind__ in ("event", "notification"):
        return await publish(body=chosen, request=request, router=router, caller=caller, request_id=request_id)
    return await _send(chosen, request, router, caller, request_id)


@routes.post("/demo", status_code=202, response_model=DemoAnswer, responses=problems(409, 429, *BODY))
async def demo(
    body: DemoBody, request: Request, router: TheRouter, caller: Anyone, request_id: RequestId
) -> DemoAnswer:
    """Put examples in: chat messages of two priorities, and a proactive action now and one in five seconds."""
    who = {"userId": body.user_id, "conversationId": body.conversation_id}
    action = {"actionType": "greeting", "agentType": "general", "message": "Welcome!", **who}
    later = {"actionType": "reminder", "agentType": "general", "message": "Don't forget!", "timing": "delayed", **who}
    commands = [
        CommandBody(type="CHAT_MESSAGE", data={"message": "Hello world!", **who}),
        CommandBody(type="CHAT_MESSAGE", data={"message": "This one is urgent.", **who}, priority=9),
        CommandBody(type="PROACTIVE_ACTION", data=action),
        CommandBody(type="PROACTIVE_ACTION", data=later | {"delayMs": 5_000}),
    ]
    return DemoAnswer(messages=[await _send(command, request, router, caller, request_id) for command in commands])


# ------------------------------------------------------------------------ operating


@routes.post("/pause/{queue}", response_model=Answered, responses=problems(422))
async def pause(queue: QueueName, router: TheRouter, caller: Operator) -> Answered:
    """Start nothing of it any more; what runs may end. Survives a restart."""
    await router.queues.apause(queue, operator=caller.who)
    return Answered()


@routes.post("/resume/{queue}", response_model=Answered, responses=problems(422))
async def resume(queue: QueueName, router: TheRouter, caller: Operator) -> Answered:
    """Go on."""
    await router.queues.aresume(queue, operator=caller.who)
    return Answered()


@routes.delete("/purge/{queue}", response_model=PurgeBody, responses=problems(422))
async def purge(queue: QueueName, router: TheRouter, caller: Operator) -> PurgeBody:
    """Take back every command of it that has not started, and drop every entry nobody claimed."""
    return PurgeBody(queue_name=queue, purged=await router.queues.apurge(queue, operator=caller.who))


# ------------------------------------------------------------------------ inside


def provider(router: Router) -> str:
    """The kind of store, as the seeds call it."""
    scheme = router.settings.store.partition("://")[0]
    return "redis" if scheme.startswith("redis") else scheme


async def _send(body: CommandBody, request: Request, router: Router, caller: Caller, request_id: str) -> AcceptedBody:
    message = message_of(body, router, caller, "command", "task")
    reply = router.send(message, **options_of(body, request))
    return accepted_body(await reply.acceptance, body.request_id or request_id)


def _command(type_: str, body: ChatBody | ProactiveBody) -> CommandBody:
    data = body.model_dump(by_alias=True, exclude_none=True, exclude={"priority"})
    return CommandBody(type=type_, data=data, priority=body.priority)


def _state(view: QueueView) -> QueueState:
    given: dict[str, Any] = view.model_dump()
    return QueueState(**given | {"active": given.pop("processing")})


def _sum(views: list[QueueView], field: str) -> int:
    return sum(getattr(view, field) for view in views)
