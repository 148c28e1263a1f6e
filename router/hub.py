"""What happens in the router, for whoever wants to look on: dashboards, streams, tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from actors.hub import Listeners
from actors.messages import Published
from router.response import Response

Callback = Callable[[str, dict[str, Any]], None]


class EventHub:
    """``router.hub``. Payloads are shown by ``explain``; the stream carries none, so nothing secret leaves here."""

    def __init__(self, listeners: Listeners) -> None:
        self._listeners = listeners

    def subscribe(self, callback: Callback) -> Callable[[], None]:
        """Call ``callback(kind, payload)`` from now on; call the result to stop.

        Kinds: ``accepted``, ``duplicate``, ``conflict``, ``started``, ``attempted``, ``settled``. The callback runs on
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
    if event.answer is not None:
        payload["sequence"] = event.answer.sequence
        payload["response"] = Response.of(event.answer).model_dump(mode="json", by_alias=True)
    return payload
