"""What a client or a bot says.

::

    both        hello first; then ping, pong, subscribe, unsubscribe, credit, command, cancel, event, goodbye
    a bot       announce; ack, result or nack for each command it is given; record when it is asked
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import ConfigDict, Field, SecretStr

from router.bodies import CommandBody, MessageBody
from router.frames.frame import (
    Correlation,
    EnvelopeId,
    Fault,
    Frame,
    Given,
    GuildName,
    Millis,
    Name,
    Short,
    TypeName,
    Verdict,
)

SHARDS = 16_384
GUILDS = 5_000
TYPES = 1_000
FILTERS = 100


class Hello(Frame, Given):
    """The first frame. ``token`` only where it could not be given with the request (a page in a browser)."""

    op: Literal["hello"] = "hello"
    token: Annotated[SecretStr, Field(max_length=512)] | None = None
    name: Name | None = None  #: of a bot: the same after every reconnect, and nobody else's
    instance: Name | None = None  #: of a bot: chosen at random at each start of its process
    software: Short = ""  #: for people, such as ``my-bot/1.2``


class Announce(Frame, Given):
    """What a bot is good for, from now on; replaces what it announced before. Answered ``ack``."""

    op: Literal["announce"] = "announce"
    handles: Annotated[list[TypeName], Field(max_length=TYPES)]
    shards: Annotated[list[Annotated[int, Field(ge=0, lt=SHARDS)]], Field(max_length=SHARDS)] | None = None
    shard_count: Annotated[int, Field(ge=1, le=SHARDS)] | None = None  #: with ``shards``: of the whole bot
    guilds: Annotated[list[GuildName], Field(max_length=GUILDS)] | None = None  #: only these; absent: any
    capacity: Annotated[int, Field(ge=1, le=10_000)] = 10  #: commands it wants to have at once
    weight: Annotated[float, Field(ge=0.01, le=1_000, strict=False)] = 1.0
    #: types that may be executed twice
    idempotent: Annotated[list[TypeName], Field(max_length=TYPES, default_factory=list)]


class Taken(Frame, Given):
    """A bot has a command, and will say what came of it."""

    op: Literal["ack"] = "ack"
    id: EnvelopeId
    attempt: Annotated[int, Field(ge=1)]


class Executed(Frame, Given):
    """What came of an attempt. ``not_applied``: it ran and failed, and nothing happened."""

    op: Literal["result"] = "result"
    id: EnvelopeId
    attempt: Annotated[int, Field(ge=1)]
    outcome: Verdict
    noop: bool = False  #: with ``applied``: there was nothing to do
    data: Any = None
    error: Fault | None = None
    retry_after: Millis = 0  #: with ``deferred``


class Refused(Frame, Given):
    """Proof that an attempt was not started. With ``retryAfter`` it is put off, at no cost."""

    op: Literal["nack"] = "nack"
    id: EnvelopeId
    attempt: Annotated[int, Field(ge=1)]
    error: Fault


class RecordLine(Given):
    """What a bot's dedupe record has of one envelope."""

    id: EnvelopeId
    state: Literal["done", "running", "never", "unknown"]
    """``never``: proof, because the record reaches back to the start of the process and has nothing of it."""
    attempt: Annotated[int, Field(ge=0)] = 0
    outcome: Verdict | None = None  #: with ``done``
    noop: bool = False
    data: Any = None
    error: Fault | None = None
    retry_after: Millis = 0


class Recorded(Frame, Given):
    """The answer to ``record``: a line for each id that was asked for."""

    op: Literal["record"] = "record"
    entries: Annotated[list[RecordLine], Field(max_length=1_000)]


class Command(Frame, CommandBody):
    """Do it: as ``POST /api/commands``. ``ack`` when it is stored or ``nack``; then ``status``; ``result`` in the end.

    ``correlationId`` is also the command's own.
    """

    model_config = ConfigDict(extra="forbid")

    op: Literal["command"] = "command"
    correlation_id: Correlation
    follow: bool = True  #: whether ``status`` and ``result`` are sent


class Cancel(Frame, Given):
    """Take a command back that has not started; ``ack`` or ``nack``."""

    op: Literal["cancel"] = "cancel"
    job_id: EnvelopeId


class Emit(Frame, MessageBody):
    """An event or a notification for whoever subscribes: as ``POST /api/events``; ``ack`` when it is stored."""

    model_config = ConfigDict(extra="forbid")

    op: Literal["event"] = "event"
    correlation_id: Correlation


class Subscribe(Frame, Given):
    """Hear of what happens; replaces the subscription of the same name. ``ack`` with the cursor it begins at.

    A filter that is absent lets everything pass; all that are there must let an event pass. ``users`` and ``roles``
    choose among notifications: those for these users, and broadcasts to one of these roles or to everybody.
    """

    op: Literal["subscribe"] = "subscribe"
    subscription: Name
    guilds: Annotated[list[GuildName], Field(min_length=1, max_length=FILTERS)] | None = None
    types: Annotated[list[TypeName], Field(min_length=1, max_length=FILTERS)] | None = None
    kinds: Annotated[list[Short], Field(min_length=1, max_length=FILTERS)] | None = None
    users: Annotated[list[Short], Field(min_length=1, max_length=FILTERS)] | None = None
    roles: Annotated[list[Short], Field(min_length=1, max_length=FILTERS)] | None = None
    jobs: Annotated[list[EnvelopeId], Field(min_length=1, max_length=FILTERS)] | None = None
    after: Annotated[str, Field(min_length=1, max_length=64)] | None = None  #: a cursor; absent: from now on
    credit: Annotated[int, Field(ge=1, le=1_000_000)] | None = None  #: events until ``credit`` comes; absent: no bound


class Unsubscribe(Frame, Given):
    """Hear no more of it; ``ack``."""

    op: Literal["unsubscribe"] = "unsubscribe"
    subscription: Name


class Credit(Frame, Given):
    """So many more events of a subscription are welcome. Not answered."""

    op: Literal["credit"] = "credit"
    subscription: Name
    credit: Annotated[int, Field(ge=1, le=1_000_000)]


class Ping(Frame, Given):
    """Answered ``pong``."""

    op: Literal["ping"] = "ping"


class Pong(Frame, Given):
    """The answer to ``ping``."""

    op: Literal["pong"] = "pong"


class Goodbye(Frame, Given):
    """A bot drains: it wants no more commands, and what it has may end. Then it closes."""

    op: Literal["goodbye"] = "goodbye"
    reason: Short = ""


ToRouter: TypeAlias = Annotated[
    Hello
    | Announce
    | Taken
    | Executed
    | Refused
    | Recorded
    | Command
    | Cancel
    | Emit
    | Subscribe
    | Unsubscribe
    | Credit
    | Ping
    | Pong
    | Goodbye,
    Field(discriminator="op"),
]
