"""The options of ``Router.send``, as a caller gives them, in the words of ``seal``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from router.errors import InvalidMessage, shape

PROTOCOLS = ("websocket", "queue", "rest", "direct")

_RENAMED = {
    "requires_realtime": "realtime",
    "requires_reliability": "reliable",
    "actor": "user",
}
_SAME = frozenset(
    (
        "idempotency_key",
        "priority",
        "protocols",
        "correlation_id",
        "request_id",
        "reply_to",
        "headers",
        "source",
        "sender",
        "sender_sequence",
        "created_at",
    )
)


def seal_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of ``send`` in the words of ``seal``; ``None`` is "not given"; an unknown one is a ``TypeError``."""
    known: dict[str, Any] = {}
    for name, value in options.items():
        if value is None or name == "id":
            continue
        if name in _SAME:
            known[name] = value
        elif name in _RENAMED:
            known[_RENAMED[name]] = value
        elif name == "delay":
            known["delay_ms"] = _milliseconds(name, value)
        elif name == "expires_in":
            known["expires_in_ms"] = _milliseconds(name, value)
        elif name == "at":
            known["at"] = _instant(value)
        else:
            raise TypeError(f"send() has no option {name}")
    if isinstance(known.get("user"), int):
        known["user"] = str(known["user"])
    protocols = known.get("protocols", ())
    if isinstance(protocols, str) or any(name not in PROTOCOLS for name in protocols):
        raise InvalidMessage("protocols", f"must be a list of {', '.join(PROTOCOLS)}", shape(protocols))
    if not isinstance(known.get("headers", {}), Mapping):
        raise InvalidMessage("headers", "must be a mapping of names to values", shape(known["headers"]))
    return known


def _milliseconds(name: str, seconds: Any) -> int:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < 1e11:
        raise InvalidMessage(name, "must be seconds, 0 or more", shape(seconds))
    return round(seconds * 1000)


def _instant(at: Any) -> int:
    if isinstance(at, datetime) and at.tzinfo is not None:
        return round(at.timestamp() * 1000)
    if isinstance(at, bool) or not isinstance(at, int):
        raise InvalidMessage("at", "must be milliseconds since the epoch, or a datetime with a time zone", shape(at))
    return at
