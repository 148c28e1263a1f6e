"""Where a command stands, and everything that is known of how it got there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from actors.answers import decode_answer
from actors.codec import decode, unpack
from actors.engine import Engine
from actors.envelope import Envelope
from actors.outcome import Attempt
from actors.places import read_trail
from actors.ports import Stored
from actors.runtime.promise import Promise
from actors.waits import Explained
from router.response import Response, line

PATIENCE = 30.0
"""Seconds a synchronous question to the router waits for its answer."""

LIBRARY = "library"
"""Who ordered it, in the audit trail, when the program that embeds the router does not say."""

State = Literal["delayed", "queued", "waiting", "started", "settled", "dead"]


class StatusView(BaseModel):
    """One command, from outside; camelCase on the wire."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)

    id: str
    type: str
    guild: str
    user: str | None = None
    request_id: str | None = None  #: as the sender called its request
    state: State
    sequence: int
    position: int = 0  #: commands of its guild before it; 0 when it runs or has ended
    attempts: int = 0
    accepted_at: int  #: ms since the epoch, like all times
    not_before: int | None = None  #: it waits for this time
    expires_at: int
    settled_at: int | None = None
    response: Response | None = None


def find(engine: Engine, id: str) -> Promise[StatusView | None]:
    """Where a command stands; ``None``: not known (any more)."""

    def view(found: tuple[Stored | None, int]) -> StatusView | None:
        stored, ahead = found
        return view_of(stored, ahead) if stored else None

    return engine.find(id).map(view)


def view_of(stored: Stored, ahead: int) -> StatusView:
    """The store's record as it is shown."""
    envelope = decode(stored.frame, trusted=True)
    return StatusView(
        id=envelope.id,
        type=envelope.type,
        guild=envelope.guild,
        user=envelope.user or None,
        request_id=envelope.request_id or None,
        state=_state(stored.state),
        sequence=stored.sequence,
        position=ahead,
        attempts=stored.attempts,
        accepted_at=stored.accepted_at,
        not_before=stored.until or (envelope.due_at if stored.state == "delayed" else 0) or None,
        expires_at=envelope.expires_at,
        settled_at=stored.settled_at or None,
        response=Response.of(decode_answer(stored.answer)) if stored.answer else None,
    )


def explanation_of(known: Explained, redact: Any, hide: Callable[[Envelope], Callable[[Any], Any]]) -> dict[str, Any]:
    """The causal record: who asked, over what, when; what it met; each attempt; the answer; what operators did.

    While it does not run, ``waits`` says why: ``actors.waits`` has the words.

    ``redact(envelope) -> dict`` gives the payload without what may not be shown, ``hide(envelope)(value)`` anything
    else without what it repeats of that.
    """
    stored, notes, waits = known
    envelope = decode(stored.frame, trusted=True)
    waits = hide(envelope)(waits)
    history, events = read_trail(stored.trail)
    answer = decode_answer(stored.answer) if stored.answer else None
    attempts = list(answer.attempts) if answer is not None and answer.attempts else history
    story: list[dict[str, Any]] = [
        {"at": stored.accepted_at, "event": "accepted", "detail": f"over {envelope.source or 'library'}"}
    ]
    story += [{"at": at, "event": what, "detail": detail} for at, what, detail in events]
    story += [_attempted(attempt) for attempt in attempts]
    if stored.state == "started":
        story.append({"at": None, "event": "running", "detail": f"attempt {stored.attempts} over {stored.protocol}"})
    if waits is not None:
        story.append({"at": None, "event": "waits", "detail": _told(waits)})
    for note in notes:
        if note.kind != "settled":
            story.append({"at": note.at, "event": note.kind, "detail": _shown(note.detail)})
    if answer is not None:
        detail = answer.status.value + (f": {answer.fault.code}: {answer.fault.message}" if answer.fault else "")
        story.append({"at": stored.settled_at, "event": "answered", "detail": detail})
    story.sort(key=lambda step: (step["at"] is None, step["at"] or 0))
    return {
        "id": envelope.id,
        "type": envelope.type,
        "guildId": envelope.guild,
        "subject": envelope.subject,
        "queue": envelope.queue,
        "priority": envelope.priority,
        "userId": envelope.user or None,
        "source": envelope.source or "library",
        "requestId": envelope.request_id or None,
        "correlationId": envelope.correlation_id or None,
        "idempotencyKey": envelope.idempotency_key or None,
        "operationKey": envelope.key.hex() or None,
        "sequence": stored.sequence,
        "position": stored.position or None,
        "state": stored.state,
        "waits": waits,
        "createdAt": envelope.created_at,
        "acceptedAt": stored.accepted_at,
        "dueAt": envelope.due_at or None,
        "expiresAt": envelope.expires_at,
        "settledAt": stored.settled_at or None,
        "replays": stored.replays,
        "payload": redact(envelope),
        "attempts": [line(attempt).model_dump(mode="json", by_alias=True) for attempt in attempts],
        "response": hide(envelope)(Response.of(answer).model_dump(mode="json", by_alias=True)) if answer else None,
        "story": story,
    }


def _attempted(attempt: Attempt) -> dict[str, Any]:
    why = f": {attempt.code}: {attempt.message}" if attempt.code else ""
    detail = f"{attempt.number} over {attempt.protocol}, {attempt.ms} ms, {attempt.verdict}{why}"
    return {"at": attempt.at + attempt.ms, "event": "attempt", "detail": detail}


def _told(waits: dict[str, Any]) -> str:
    until = f" until {waits['until']}" if waits["until"] else ""
    first = waits.get("wait")
    return f"{waits['reason']}{until}: {waits['text']}" + (f"; {_told(first)}" if first else "")


def _shown(detail: bytes) -> Any:
    return unpack(detail) if detail else None


def _state(state: str) -> State:
    match state:
        case "delayed" | "queued" | "waiting" | "started" | "settled" | "dead":
            return state
        case _:
            raise ValueError(f"the store knows a state that is none: {state}")
