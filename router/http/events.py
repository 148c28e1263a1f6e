"""Events and notifications: publish."""

from __future__ import annotations

from fastapi import APIRouter, Request

from router.bodies import MessageBody
from router.http.access import BODY, RequestId, TheRouter, problems
from router.http.auth import Anyone
from router.http.body import StrictRoute
from router.http.models import EventAnswer
from router.http.sending import message_of, options_of

routes = APIRouter(prefix="/api/events", tags=["events"], route_class=StrictRoute)


@routes.post("", status_code=202, response_model=EventAnswer, responses=problems(409, 429, *BODY))
async def publish(
    *, body: MessageBody, request: Request, router: TheRouter, caller: Anyone, request_id: RequestId
) -> EventAnswer:
    """Publish an event or a notification into its queue; stored when it is answered.

    With `Idempotency-Key` a repeat publishes nothing: it is answered with the same `eventId` and `duplicate`.
    """
    message = message_of(body, router, caller, "event", "notification")
    published = await router.publication(message, **options_of(body, request))
    return EventAnswer(event_id=published.id, request_id=body.request_id or request_id, duplicate=published.duplicate)
