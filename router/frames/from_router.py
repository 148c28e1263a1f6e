"""What the router says. A reader ignores fields and frames it does not know: a newer router may say more."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

from router.frames.frame import Frame, Part


class Limits(Part):
    """What this connection is held to."""

    frame_bytes: int
    depth: int
    in_flight: int  #: commands without their end; more are refused with ``nack``
    subscriptions: int


class Welcome(Frame):
    """The answer to ``hello``."""

    op: Literal["welcome"] = "welcome"
    connection: str
    role: Literal["bot", "client", "admin"]
    guilds: list[str] | None = None  #: the token is limited to these
    cursor: str  #: of the newest event
    now: int
    ping_interval: int  #: ms between the server's pings
    limits: Limits
    version: str = ""  #: of the router


class Sealed(Part):
    """The command as a bot gets it: the envelope's header, and the payload as ``data``."""

    id: str
    type: str
    kind: str = "command"
    guild_id: str  #: a guild id, ``user:<id>`` or ``global``
    subject: str = ""
    queue: str = ""
    priority: int = 5
    user_id: str | None = None  #: who acts
    created_at: int = 0
    expires_at: int = 0
    idempotency_key: str | None = None
    request_id: str | None = None
    correlation_id: str | None = None  #: its sender's
    source: str | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    data: dict[str, Any] = Field(default_factory=dict)


class Order(Frame):
    """To a bot: do it. ``ack`` on receipt (or ``nack``), ``result`` in the end, both with this ``correlationId``."""

    op: Literal["command"] = "command"
    attempt: int
    deadline: int = 0  #: the result is wanted by then; 0: whenever
    sequence: int = 0  #: the guild's number for it
    token: int = 0  #: fencing token of the router that owns the guild; 0: there is one router
    envelope: Sealed


class AskRecord(Frame):
    """To a bot: what does its dedupe record have of these? Answered ``record``."""

    op: Literal["record"] = "record"
    ids: list[str]
    envelopes: list[Sealed]  #: the same ones, for whoever can only look whether it happened


class Ack(Frame):
    """It is done, or stored; the fields that fit what is answered are there."""

    op: Literal["ack"] = "ack"
    job_id: str | None = None  #: of a command; of a duplicate: the original's
    request_id: str | None = None
    position: int | None = None  #: commands of its guild before it
    sequence: int | None = None
    duplicate: bool | None = None
    original_id: str | None = None
    event_id: str | None = None
    subscription: str | None = None
    cursor: str | None = None  #: a subscription hears what comes after it


class Nack(Frame):
    """Refused; nothing is stored. As a problem of HTTP, without its status."""

    op: Literal["nack"] = "nack"
    code: str
    message: str
    retryable: bool = False
    retry_after: int | None = None  #: ms
    limit: str | None = None  #: which limit was reached, such as ``guild backlog``
    position: int | None = None  #: with a limit: the commands of its guild that are not done yet
    field: str | None = None
    rule: str | None = None
    errors: list[dict[str, Any]] | None = None  #: all that is wrong: field, rule, shape


class Status(Frame):
    """A command that was sent over this connection, or a job that is subscribed to, has moved."""

    op: Literal["status"] = "status"
    job_id: str
    request_id: str | None = None
    state: Literal["queued", "started", "waiting", "delayed", "settled", "dead"]
    name: str  #: of the event, as the installation calls it
    position: int = 0
    sequence: int = 0
    detail: str | None = None


class Result(Frame):
    """The end of a command's way: ``response`` is the one of HTTP."""

    op: Literal["result"] = "result"
    job_id: str
    request_id: str | None = None
    name: str
    response: dict[str, Any]


class Event(Frame):
    """Something happened that is subscribed to. ``cursor`` rises; a replay may repeat what was sent before."""

    op: Literal["event"] = "event"
    cursor: str
    at: int
    kind: str  #: ``accepted``, ``duplicate``, ``conflict``, ``started``, ``attempted``, ``settled``, ``published`` ...
    name: str  #: the same, as the installation calls it
    type: str
    id: str  #: of the command, event or notification
    guild_id: str
    queue: str
    user_id: str | None = None
    request_id: str | None = None
    sequence: int = 0
    detail: str | None = None
    response: dict[str, Any] | None = None  #: of what is settled
    data: dict[str, Any] | None = None  #: of what is published


class Gap(Frame):
    """Events of a subscription are missing here: look anew. What comes after ``cursor`` is complete again."""

    op: Literal["gap"] = "gap"
    subscription: str
    cursor: str
    why: Literal["slow", "too_old", "other_log"]  #: not read in time; forgotten since; the router began anew
    missed: int | None = None


class Ping(Frame):
    """Answered ``pong``."""

    op: Literal["ping"] = "ping"


class Pong(Frame):
    """The answer to ``ping``."""

    op: Literal["pong"] = "pong"


class Goodbye(Frame):
    """The router takes no more commands and is about to close; come again."""

    op: Literal["goodbye"] = "goodbye"
    reason: str = ""
    retry_after: int = 0  #: ms


class Error(Frame):
    """The frame with this ``correlationId`` was no frame, or not allowed (``-``: it could not be read)."""

    op: Literal["error"] = "error"
    code: str
    message: str
    retry_after: int | None = None
    field: str | None = None
    rule: str | None = None


FromRouter: TypeAlias = Annotated[
    Welcome | Order | AskRecord | Ack | Nack | Status | Result | Event | Gap | Ping | Pong | Goodbye | Error,
    Field(discriminator="op"),
]
