"""A command and what became of it, as JSON between the router and a bot's endpoint. Pure; described in docs/wire.md."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Annotated, Any

from pydantic import Field, ValidationError

from actors.codec import check_envelope, pack, unpack
from actors.envelope import Envelope
from actors.errors import EnvelopeError
from actors.outcome import Fault, Outcome, Verdict
from actors.ports import Ticket
from router.frames.frame import Millis, Part
from router.frames.from_router import Sealed
from router.protocols import results
from router.protocols.rest.http import Answer
from router.protocols.sealing import sealed
from router.strict_json import BadJson, parse_json

DEADLINE = "X-Router-Deadline"  #: ms since the epoch: the router waits no longer
ATTEMPT = "X-Router-Attempt"  #: 1 for the first
KEY = "Idempotency-Key"  #: the envelope's id: executed once, however often it comes

DAY = 86_400_000  # ms; nobody is waited for longer
AGAIN = 1_000  # ms; when somebody asks to come back and does not say when
LATER = frozenset({409, 425, 429})
MOVED = frozenset({301, 302, 307, 308})

# ---------------------------------------------------------------- the command


def command(ticket: Ticket, now: int) -> dict[str, Any]:
    """The request's object, sent ``now``; what is not set is left out. Raises ``EnvelopeError`` for an unfit body."""
    times = {"deadline": ticket.deadline, "startBy": ticket.start_by, "token": ticket.token}
    return {
        "attempt": ticket.attempt,
        "sentAt": now,
        **{name: value for name, value in times.items() if value},
        "sequence": ticket.sequence,
        "envelope": sealed(ticket.envelope).model_dump(by_alias=True, exclude_none=True),
    }


def ticket_of(given: object, now: int) -> Ticket:
    """The attempt out of a request's object. Raises ``EnvelopeError``, whose ``field`` says where.

    Deadlines are moved by what the sender's clock differs from ``now``, ours: what is left of them is what counts.
    """
    try:
        order = Posted.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])[:128] or "body"
        raise EnvelopeError(f"{field}: {first['msg']}", field=field) from None
    its = order.envelope
    moved = now - order.sent_at if order.sent_at else 0
    envelope = Envelope(
        id=its.id,
        type=its.type,
        kind=its.kind,
        guild=its.guild_id,
        subject=its.subject,
        queue=its.queue or "rest",
        priority=its.priority,
        created_at=its.created_at,
        expires_at=its.expires_at,
        fingerprint=bytes(16),
        idempotency_key=its.idempotency_key or "",
        source=its.source or "",
        user=its.user_id or "",
        request_id=its.request_id or "",
        correlation_id=its.correlation_id or "",
        headers=tuple(its.headers.items()),
        body=pack(its.data),
    )
    check_envelope(envelope)
    return Ticket(
        envelope,
        b"",
        attempt=order.attempt,
        deadline=max(1, order.deadline + moved) if order.deadline else 0,
        sequence=order.sequence,
        token=order.token,
        start_by=max(1, order.start_by + moved) if order.start_by else 0,
    )


class Posted(Part):
    """The request's object."""

    attempt: Annotated[int, Field(ge=1, lt=1 << 31)] = 1
    sent_at: Millis = 0
    deadline: Millis = 0
    start_by: Millis = 0
    sequence: Millis = 0
    token: Millis = 0
    envelope: Sealed


# ---------------------------------------------------------------- what became of it

_VERDICTS = frozenset(verdict.value for verdict in Verdict)
ENDS = _VERDICTS - {Verdict.IN_DOUBT.value}  #: with these it is known whether it happened


def result(outcome: Outcome) -> dict[str, Any]:
    """The answer's object: ``outcome``, and what there is of ``noop``, ``data``, ``error``, ``retryAfter``."""
    given: dict[str, Any] = {"outcome": outcome.verdict.value}
    if outcome.noop:
        given["noop"] = True
    if outcome.data:
        given["data"] = unpack(outcome.data)
    if outcome.fault is not None:
        code, message, retryable, _ = outcome.fault
        given["error"] = {"code": code, "message": message, "retryable": retryable}
    if outcome.verdict is Verdict.DEFERRED:
        given["retryAfter"] = outcome.retry_after
        given["started"] = outcome.executed
    return given


def outcome_of(answer: Answer, now: int) -> Outcome:
    """What an answer to a command means; the table stands in docs/wire.md. ``now`` in ms since the epoch."""
    status = answer.status
    said = json_of(answer)
    if 200 <= status < 300:
        return _of_success(said, answer, now)
    fault = _fault(said, f"http_{status}", f"the endpoint answered {status}")
    if status in LATER:
        wait = _retry_after(said, answer.headers, now)
        fault = fault._replace(retryable=True, retry_after=wait)
        # 409: it is executed there right now, so no other way may be tried meanwhile.
        return Outcome(Verdict.DEFERRED, executed=status == 409, fault=fault, retry_after=wait)
    if status in MOVED:
        return Outcome(Verdict.REJECTED, fault=Fault("redirected", f"the endpoint answered {status}: mend its url"))
    if 400 <= status < 500:
        return Outcome(Verdict.REJECTED, fault=fault._replace(retryable=False))
    return Outcome(Verdict.IN_DOUBT, fault=fault._replace(retryable=True))


def _of_success(said: Any, answer: Answer, now: int) -> Outcome:
    word = said.get("outcome") if isinstance(said, dict) else None
    if not isinstance(word, str) or word not in _VERDICTS:
        return results.of_value(said)  # of somebody who knows nothing of us: what it says is the data
    match Verdict(word):
        case Verdict.APPLIED:
            return results.of_value(said.get("data"))._replace(noop=said.get("noop") is True)
        case Verdict.REJECTED:
            return Outcome(Verdict.REJECTED, fault=_fault(said, "rejected", "the bot rejected it"))
        case Verdict.DEFERRED:
            wait = _retry_after(said, answer.headers, now)
            fault = _fault(said, "retry_later", "the bot deferred it")._replace(retryable=True, retry_after=wait)
            return Outcome(Verdict.DEFERRED, executed=said.get("started") is not False, fault=fault, retry_after=wait)
        case Verdict.NOT_APPLIED:
            fault = _fault(said, "handler_error", "the bot failed")._replace(retryable=True)
            return Outcome(Verdict.NOT_APPLIED, executed=True, fault=fault)
        case Verdict.IN_DOUBT:
            fault = _fault(said, "in_doubt", "the bot cannot tell")._replace(retryable=True)
            return Outcome(Verdict.IN_DOUBT, executed=True, fault=fault)


def json_of(answer: Answer) -> Any:
    """The JSON of an answer; ``None``: it has none that can be read."""
    if not answer.whole or not answer.body:
        return None
    try:
        return parse_json(answer.body)
    except BadJson:
        return None


def _fault(said: Any, code: str, message: str) -> Fault:
    error = said.get("error") if isinstance(said, dict) else None
    if not isinstance(error, dict):
        error = said if isinstance(said, dict) else {}  # a problem (RFC 9457) has its code at the top
    text = error.get("message") or error.get("detail") or error.get("title")
    own = error.get("code")
    return Fault(
        results.clean(own, results.CODE) if isinstance(own, str) and own else code,
        results.clean(text) if isinstance(text, str) and text else message,
        error.get("retryable") is True,
    )


def _retry_after(said: Any, headers: Mapping[str, str], now: int) -> int:
    """ms: ``retryAfter`` of the body (ms), else the header (seconds or a date), else a second; at most a day."""
    own = said.get("retryAfter") if isinstance(said, dict) else None
    if isinstance(own, int | float) and not isinstance(own, bool) and 0 <= own <= DAY:  # NaN compares false
        return round(own)
    return min(DAY, retry_after_of(headers.get("retry-after", ""), now) or AGAIN)


def retry_after_of(text: str, now: int) -> int:
    """ms out of a ``Retry-After`` header; 0: it says nothing. A date counts from ``now`` (RFC 9110, 10.2.3)."""
    try:
        seconds = float(text)
    except ValueError:
        try:
            at = parsedate_to_datetime(text)
        except ValueError:
            return 0
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        return max(0, round(at.timestamp() * 1000) - now)
    return round(seconds * 1000) if 0 <= seconds <= DAY / 1000 else 0


def dump(given: Mapping[str, Any]) -> bytes:
    """An object's bytes: UTF-8, no spaces, in the order of its fields."""
    return json.dumps(given, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
