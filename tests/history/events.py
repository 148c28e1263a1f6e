"""The lines of a history: who saw what, and when.

One JSON object a line. ``at`` is CLOCK_MONOTONIC in nanoseconds, so the lines of all processes of one machine compare.
``by`` names the writer: a client, one life of a router process (a restarted one is another), or the nemesis.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import ClassVar, TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What all lines have."""

    event: ClassVar[str]
    at: int
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoke(Line):
    """A client is about to send. One operation may be sent by several calls: they share ``key``."""

    event: ClassVar[str] = "invoke"
    call: str  #: unique
    key: str  #: the operation as the client means it; travels in the payload and as idempotency key
    payload: str  #: hash of the payload
    guild: str
    subject: str
    probe: bool = False  #: sent after the faults, to see whether the guild still works
    delayed: bool = False  #: enters its lane later, so acceptance says nothing of its order
    note: str = ""  #: for the client itself, such as what it needs to send it again


@dataclass(frozen=True, slots=True, kw_only=True)
class Ok(Line):
    """The router said: accepted. ``answer`` is ``new`` or ``duplicate``; ``id`` is then the original's."""

    event: ClassVar[str] = "ok"
    call: str
    id: str
    sequence: int = 0  #: its guild's number for it; 0: not told
    answer: str = "new"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail(Line):
    """The router said no: nothing is stored. ``code`` is ``conflict`` when the key belongs to another payload."""

    event: ClassVar[str] = "fail"
    call: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown(Line):
    """No answer came: a timeout, a cut connection."""

    event: ClassVar[str] = "unknown"
    call: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin(Line):
    """A handler starts."""

    event: ClassVar[str] = "begin"
    run: str  #: unique: this one execution
    id: str
    key: str
    payload: str
    guild: str
    subject: str
    attempt: int
    sequence: int
    token: int = 0  #: of the owner; 0: it is alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect(Line):
    """The ledger has it: what the outside world sees of a run."""

    event: ClassVar[str] = "effect"
    run: str
    id: str
    key: str
    payload: str
    guild: str
    subject: str
    token: int = 0
    idempotent: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat(Line):
    """A run of an idempotent command found its key in the ledger and left it alone."""

    event: ClassVar[str] = "repeat"
    run: str
    id: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class End(Line):
    """The handler is through: ``applied``, ``failed`` or ``deferred``."""

    event: ClassVar[str] = "end"
    run: str
    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner(Line):
    """A router and a guild: ``acquire``, ``renew`` or ``lose``."""

    event: ClassVar[str] = "owner"
    action: str
    guild: str
    token: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit(Line):
    """An owner's writes to the store in one step, of one partition: so many were ``done``, so many refused.

    ``asked`` before, and ``at`` after the store answered; ``token`` 0: it knew itself that it owns this no more.
    """

    event: ClassVar[str] = "commit"
    partition: int
    token: int
    asked: int
    done: int
    lost: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Nemesis(Line):
    """A fault: ``kill``, ``stop``, ``cont``, ``cut``, ``mend``; or ``start``, when ``target`` is ready.

    ``takeover``: the writer has become the owner of the guilds of some partitions, ``target`` is such as ``3,7/16``;
    of starts under way there nobody will hear.
    """

    event: ClassVar[str] = "nemesis"
    action: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator(Line):
    """Somebody intervened: ``replay`` (a dead letter lives again, at the tail) or ``cancel``."""

    event: ClassVar[str] = "operator"
    action: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Final(Line):
    """At rest: the last word on one envelope, as the router tells it (``actors.outcome.Status``)."""

    event: ClassVar[str] = "final"
    id: str
    status: str
    attempts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest(Line):
    """At rest: counts as one ``source`` gives them.

    ``accepted`` since the store was made, ``done``, ``dead`` and ``cancelled`` of them; ``queued`` and ``running`` now.
    Source ``store`` must be there; others may give part of the names.
    """

    event: ClassVar[str] = "rest"
    source: str
    counts: Mapping[str, int] = field(default_factory=dict)


Event: TypeAlias = (
    Invoke | Ok | Fail | Unknown | Begin | Effect | Repeat | End | Owner | Commit | Nemesis | Operator | Final | Rest
)

KINDS: Mapping[str, type[Event]] = {
    kind.event: kind
    for kind in (Invoke, Ok, Fail, Unknown, Begin, Effect, Repeat, End, Owner, Commit, Nemesis, Operator, Final, Rest)
}


def dump(event: Event) -> bytes:
    """One line, newline included."""
    return json.dumps({"event": event.event, **asdict(event)}, separators=(",", ":")).encode() + b"\n"


def load(line: bytes) -> Event:
    """The event of a line; ``ValueError`` or ``TypeError`` when it is none."""
    fields = json.loads(line)
    kind = KINDS.get(fields.pop("event", ""))
    if kind is None:
        raise ValueError(f"not a line of a history: {line[:80]!r}")
    return kind(**fields)
