"""A message and its options as the body that the router's doors take."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from router.errors import InvalidMessage, shape
from router.messages.base import Message

_SAME: Final = {
    "idempotency_key": "idempotencyKey",
    "priority": "priority",
    "correlation_id": "correlationId",
    "request_id": "requestId",
    "reply_to": "replyTo",
    "requires_realtime": "requiresRealTime",
    "requires_reliability": "requiresReliability",
    "sender": "senderId",
    "sender_sequence": "senderSequence",
    "created_at": "timestamp",
    "id": "id",
}


def body_of(message: Message, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options are those of ``Router.send``, but ``source``, which the door knows best; ``None``: not given."""
    if not isinstance(message, Message):
        raise InvalidMessage("message", "must be a message of the catalog", shape(message))
    body: dict[str, Any] = message.to_wire()
    for name, value in options.items():
        if value is None or value is False:
            continue
        if name in _SAME:
            body[_SAME[name]] = int(value) if name == "priority" and not isinstance(value, str) else value
        elif name == "actor":
            body["userId"] = str(value)
        elif name == "protocols":
            body["protocols"] = list(value)
        elif name == "headers":
            body["headers"] = dict(value)
        elif name == "delay":
            body["delayMs"] = _ms(name, value)
        elif name == "expires_in":
            body["ttlMs"] = _ms(name, value)
        elif name == "at":
            body["at"] = round(value.timestamp() * 1_000) if isinstance(value, datetime) else value
        else:
            raise TypeError(f"send() has no option {name}")
    return body


def _ms(name: str, seconds: Any) -> int:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < 1e9:
        raise InvalidMessage(name, "must be seconds, 0 or more", shape(seconds))
    return round(seconds * 1_000)
