"""What a message class declares about itself, and the engine's facts made of it."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, TypedDict

from actors.policy.facts import Backoff, ConflictPolicy, Facts, OnExhausted
from router.errors import BadCatalog
from router.messages.deadlines import RELIABLE
from router.messages.priority import Priority
from router.messages.queues import queue_spec

if TYPE_CHECKING:
    from router.messages.registry import Catalog

_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,63}")
PLACE = re.compile(r"\{([a-z_][a-zA-Z0-9_.]*)\}")
_QUEUE = re.compile(r"[A-Za-z0-9_.:-]{1,128}")


class Declaration(TypedDict, total=False):
    """The keywords of a message class; a class inherits those of its base."""

    queue: str  #: named queue
    priority: Priority | int
    subject: str  #: what it acts on, such as ``user:{user_id}`` or ``music``; "": the guild as a whole
    key: tuple[str, ...]  #: fields that, with type and guild, make it the same operation; (): repetition is meant
    actor: str  #: payload field that names the acting user
    owner: str  #: payload field of the user it belongs to when neither guild nor acting user is known
    tenant: str  #: payload field of its guild when ``guild_id`` is not set
    opposes: tuple[str, ...]  #: types that undo or contradict it; itself, when another value does
    conflict: ConflictPolicy
    idempotent: bool  #: the same command twice leaves the same state
    window: int  #: ms a finished operation answers its duplicates
    attempts: int  #: default: the queue's
    backoff: Backoff  #: default: the queue's
    on_exhausted: OnExhausted
    timeout: int  #: ms one attempt may take; 0: the protocol's own
    expires: int  #: ms it may wait for its start; 0: by priority and wishes
    resolves: tuple[str, str, int]  #: (duration field, instant field, ms of the duration's unit)
    delay: str  #: payload field with the ms it wants to wait
    permissions: tuple[str, ...]  #: Discord permissions the acting user needs
    channel: str  #: payload field of the channel they are needed in; "": the guild
    target: str  #: payload field of whom it acts on, one or several, above whom the acting user must stand
    role: str  #: payload field of the role it gives or takes, above which the acting user must stand
    compensation: str  #: type that undoes it
    noop_codes: tuple[int, ...]  #: Discord error codes that mean "it stands already"
    read_only: bool  #: it changes nothing; see ``Query``
    cache_ttl: int  #: ms the answer of a query may be given again; 0: only to who asks meanwhile
    invalidated_by: tuple[str, ...]  #: types that, once applied in the same guild, end the answers of a query
    sensitive: tuple[str, ...]  #: fields that logs, audit and metrics must not show
    version: int  #: of its payload; older ones are understood
    payload_guild: bool  #: the payload names the guild too
    catalog: Catalog | None  #: where it is listed; None: nowhere


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """The complete declaration of one message class."""

    type: str
    kind: str = "command"
    queue: str = "bot:commands"
    priority: int = int(Priority.NORMAL)
    subject: str = ""
    key: tuple[str, ...] = ()
    actor: str = ""
    owner: str = ""
    tenant: str = ""
    opposes: tuple[str, ...] = ()
    conflict: ConflictPolicy = ConflictPolicy.QUEUE
    idempotent: bool = False
    window: int = 300_000
    attempts: int | None = None
    backoff: Backoff | None = None
    on_exhausted: OnExhausted = OnExhausted.CONTINUE
    timeout: int = 0
    expires: int = 0
    resolves: tuple[str, str, int] | None = None
    delay: str = ""
    permissions: tuple[str, ...] = ()
    channel: str = ""
    target: str = ""
    role: str = ""
    compensation: str = ""
    noop_codes: tuple[int, ...] = ()
    read_only: bool = False
    cache_ttl: int = 0
    invalidated_by: tuple[str, ...] = ()
    sensitive: tuple[str, ...] = ()
    version: int = 1
    payload_guild: bool = False

    def facts(self) -> Facts:
        """What the engine must know of it."""
        spec = queue_spec(self.queue)
        return Facts(
            type=self.type,
            kind=self.kind,
            queue=self.queue,
            priority=self.priority,
            idempotent=self.idempotent,
            window=self.window,
            opposes=frozenset(self.opposes),
            conflict=self.conflict,
            attempts=spec.attempts if self.attempts is None else self.attempts,
            backoff=self.backoff or spec.backoff,
            on_exhausted=self.on_exhausted,
            timeout=self.timeout,
            retention_done=spec.retention_done,
            retention_failed=spec.retention_failed,
        )


KINDS: dict[str, Declaration] = {
    "command": {},
    "event": {"expires": RELIABLE},
    "notification": {"expires": RELIABLE},
    "task": {"expires": RELIABLE},
}
"""The kinds of message and what each changes: what tells of the past does not get worthless in a quarter of an hour."""

_OPTIONS = {field.name for field in fields(Operation)} - {"type", "kind"}
_RESERVED = frozenset(
    {"type", "guild", "facts", "resolved", "required_permissions", "payload_schema", "from_wire", "to_wire"}
)
_FIELD_OPTIONS = ("actor", "owner", "tenant", "delay", "channel", "target", "role")


def subject_fields(form: str) -> list[str]:
    """The payload fields a subject is made of."""
    return [place.partition(".")[0] for place in PLACE.findall(form)]


def declare(name: str, kind: str, declared: Declaration, known: Collection[str]) -> Operation:
    """The declaration of type ``name``, whose class has the fields ``known``, checked. Raises ``BadCatalog``."""

    def wrong(text: str) -> BadCatalog:
        return BadCatalog(f"{name}: {text}")

    options: dict[str, object] = {**KINDS[kind], **declared}
    options.pop("catalog", None)
    options["conflict"] = ConflictPolicy(declared.get("conflict", ConflictPolicy.QUEUE))
    options["on_exhausted"] = OnExhausted(declared.get("on_exhausted", OnExhausted.CONTINUE))
    options["priority"] = int(declared.get("priority", Priority.NORMAL))
    if unknown := sorted(set(options) - _OPTIONS):
        raise wrong(f"no such option: {', '.join(unknown)}")
    if not _TYPE.fullmatch(name):
        raise wrong("a type is a letter and at most 63 more of A-Z a-z 0-9 _ . : -")
    if taken := sorted(_RESERVED & set(known)):
        raise wrong(f"{taken[0]} is a word of every message; give the field another name and this as its alias")
    for option in ("key", "opposes", "permissions", "noop_codes", "sensitive", "invalidated_by"):
        if not isinstance(options.get(option, ()), tuple):
            raise wrong(f"{option} is a tuple, such as ('user_id',)")
    operation = Operation(type=name, kind=kind, **options)  # type: ignore[arg-type]  # a dict of the options above
    if not _QUEUE.fullmatch(operation.queue):
        raise wrong("a queue's name is 1 to 128 of A-Z a-z 0-9 _ . : -")
    if not 1 <= operation.priority <= 10:
        raise wrong("priority is a number from 1 to 10")
    for option in ("window", "timeout", "expires", "cache_ttl"):
        if getattr(operation, option) < 0:
            raise wrong(f"{option} is a number of milliseconds")
    named = [value for option in _FIELD_OPTIONS if (value := getattr(operation, option))]
    named += [*operation.key, *operation.sensitive, *(operation.resolves or ())[:2]]
    named += subject_fields(operation.subject)
    if missing := [field for field in named if field not in known]:
        raise wrong(f"no such field: {', '.join(missing)}")
    if operation.conflict is ConflictPolicy.ANNIHILATE and name in operation.opposes:
        raise wrong("annihilate would drop two different wishes of one type; use supersede")
    if fault := _contradiction(operation):
        raise wrong(fault)
    return operation


def _contradiction(operation: Operation) -> str:
    """What cannot be, or does not go together; "": nothing."""
    if (operation.attempts or 0) < 0 or operation.version < 1:
        return "attempts is 0 (without end) or more, version 1 or more"
    if not operation.read_only and (operation.cache_ttl or operation.invalidated_by):
        return "only a query has a cache_ttl and is invalidated_by something"
    if operation.read_only and (operation.opposes or operation.compensation):
        return "a query changes nothing: it opposes nothing and has no compensation"
    return ""
