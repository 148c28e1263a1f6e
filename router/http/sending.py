"""From a body to a message and the options it is sent with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from fastapi import Request

from router.bodies import CommandBody, MessageBody
from router.http.auth import Caller
from router.http.problems import HttpProblem
from router.messages.base import Message
from router.router import Router

_KEY: Final = re.compile(r"[!-~]{1,128}")
_TRACE: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.{0,64})?")


def message_of(body: MessageBody, router: Router, caller: Caller, *kinds: str) -> Message:
    """The message of a body, if it is one of these kinds and of a guild that is the caller's business."""
    cls = router.catalog.find(body.type)
    if cls.__kind__ not in kinds:
        rule = f"must be a type of {' or '.join(kinds)}; {body.type} is one of {cls.__kind__}"
        raise HttpProblem(422, "wrong_kind", f"type {rule}.", field="type", rule=rule, retryable=False)
    message = cls.from_wire(body.wire())
    caller.enter(message.guild)
    return message


def options_of(body: MessageBody, request: Request) -> dict[str, Any]:
    """The options of ``Router.send`` that a body and its request's headers ask for."""
    return body_options(
        body,
        source="rest",
        request_id=request.scope["state"]["request_id"],
        idempotency_key=_idempotency_key(body, request),
        headers=_trace(request),
    )


def body_options(
    body: MessageBody, *, source: str, request_id: str, idempotency_key: str | None, headers: Mapping[str, str]
) -> dict[str, Any]:
    """The options of ``Router.send`` that a body asks for, whatever door it came through."""
    options: dict[str, Any] = {
        "priority": body.priority,
        "delay": None if body.delay_ms is None else body.delay_ms / 1_000,
        "at": body.at,
        "expires_in": None if body.ttl_ms is None else body.ttl_ms / 1_000,
        "correlation_id": body.correlation_id,
        "reply_to": body.reply_to,
        "idempotency_key": idempotency_key,
        "headers": {**body.headers, **headers},
        "created_at": body.timestamp,
        "request_id": body.request_id or request_id,
        "source": source,
    }
    if isinstance(body, CommandBody):
        options |= {
            "id": body.id,
            "requires_realtime": body.requires_real_time,
            "requires_reliability": body.requires_reliability,
            "protocols": body.protocols,
            "sender": body.sender_id,
            "sender_sequence": body.sender_sequence,
        }
    return {name: value for name, value in options.items() if value is not None and value is not False and value != {}}


def _idempotency_key(body: MessageBody, request: Request) -> str | None:
    given = request.headers.get("idempotency-key")
    if given is None:
        return body.idempotency_key
    if not _KEY.fullmatch(given):
        text = "Idempotency-Key must be 1 to 128 visible ASCII characters."
        raise HttpProblem(400, "bad_header", text, field="Idempotency-Key", retryable=False)
    if body.idempotency_key not in (None, given):
        text = "Idempotency-Key and idempotencyKey must be the same when both are given."
        raise HttpProblem(400, "bad_header", text, field="Idempotency-Key", retryable=False)
    return given


def _trace(request: Request) -> dict[str, str]:
    # A broken traceparent is to be ignored, says its standard.
    given = request.headers.get("traceparent", "")
    return {"traceparent": given} if _TRACE.fullmatch(given) else {}
