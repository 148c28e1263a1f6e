"""What happens in the router, for whoever wants to look on: dashboards, streams, tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic_core import to_jsonable_python

from actors.hub import Listener, Listeners
from actors.messages import Published
from router.event_log import CAPACITY, EventLog
from router.messages.body import unpack_body
from router.response import Response

Callback = Callable[[str, dict[str, Any]], None]


class EventHub:
    """``router.hub``. Payloads of commands are shown by ``explain``; the stream carries none of theirs.

    What is published is meant to be read: its payload is in its event, as ``data``.
    """

    def __init__(self, listeners: Listeners, now: Callable[[], int]) -> None:
        self._listeners = listeners
        self._now = now
        self._log: EventLog | None = None

    def log(self, capacity: int = CAPACITY) -> EventLog:
        """What happened lately, to be read with cursors; kept from the first call on, with its ``capacity``."""
        if self._log is None:
            self._log = EventLog(_payload, self._now, capacity=capacity)
            self._listeners.add(self._log.append)
        return self._log

    def listen(self, listener: Listener) -> Callable[[], None]:
        """As ``subscribe``, for those who want the engine's own event and work out themselves what to show."""
        return self._listeners.add(listener)

    def subscribe(self, callback: Callback) -> Callable[[], None]:
        """Call ``callback(kind, payload)`` from now on; call the result to stop.

        Kinds: ``accepted``, ``duplicate``, ``conflict``, ``started``, ``attempted``, ``settled`` of commands, and
        ``published`` of events and notifications, ``breaker`` of breakers that changed. The callback runs on
        the hub's thread and must be quick; one that raises is logged and goes on being called.
        """
        return self._listeners.add(lambda event: callback(event.kind, _payload(event)))


def _payload(event: Published) -> dict[str, Any]:
    envelope = event.envelope
    payload: dict[str, Any] = {
        "id": envelope.id,
        "type": envelope.type,
        "guildId": envelope.guild,
        "queue": envelope.queue,
        "userId": envelope.user or None,
        "requestId": envelope.request_id or None,
        "correlationId": envelope.correlation_id or None,
        "replyTo": envelope.reply_to or None,
        "sequence": event.sequence,
        "detail": event.detail or None,
    }
    if event.kind in ("published", "breaker"):
        payload["data"] = to_jsonable_python(unpack_body(envelope.body), bytes_mode="base64", inf_nan_mode="null")
    if event.answer is not None:
        payload["sequence"] = event.answer.sequence
        payload["response"] = Response.of(event.answer).model_dump(mode="json", by_alias=True)
    return payload
