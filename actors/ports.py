"""What the engine needs from outside: a store, protocols.

A store's named queues stand in ``actors.entries``, what is executed elsewhere in ``actors.workers``, schedules in
``actors.schedules``; ``Backend`` is all of it.

Everything here is bytes, ids and milliseconds; ``now`` is always an argument. An implementation raises
``actors.errors.StoreUnavailable`` (and nothing else) when it cannot answer, and has then written nothing of the batch
or all of it, and its ``doubt`` says when it cannot tell which; every write may be repeated with the same content and
then changes nothing and answers the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol, TypeAlias

from actors.entries import WorkedQueues
from actors.envelope import Envelope
from actors.outcome import Outcome
from actors.schedules import Schedules

# ---------------------------------------------------------------- writes of the message store
#
# ``guild``, where there is one, is that of the envelope: a store of several slices finds it by that.


class Accept(NamedTuple):
    """Store an envelope, unless its operation is known.

    Rule, in this order, atomic with the write:

    1. The id is known: the answer it got the first time (repeat of a write), or ``KeyReused`` if guild, type or
       fingerprint are not those of the envelope that has it.
    2. ``key`` is empty: new.
    3. No operation of this key lives (in flight, or finished less than ``window`` ms ago): new, and this envelope
       becomes the operation of the key.
    4. The envelope has an idempotency key and its fingerprint differs from the operation's: ``KeyReused``.
    5. An envelope of a type in ``opposes`` that was accepted later than the operation is still in flight in the same
       lane (guild, subject), or was applied since: the operation is over; new, and this envelope takes the key. Does
       not apply to operations made by an idempotency key.
    6. ``Duplicate``.

    A new envelope gets the next sequence number of its guild (1, 2, 3 ..., never reused) and, unless it is delayed, the
    store's next position (one strictly rising number over all guilds: the order of acceptance).
    """

    envelope: Envelope
    frame: bytes  #: the encoded envelope, stored as it is
    window: int  #: ms
    opposes: Collection[str] = ()


class Enter(NamedTuple):
    """A delayed envelope is due: it takes the store's next position, at the tail of its lane. No-op if it has one."""

    id: str
    guild: str = ""


class Begin(NamedTuple):
    """Attempt ``attempt`` over ``protocol`` is about to start. Written before it starts, so a crash is counted."""

    id: str
    attempt: int
    protocol: str
    guild: str = ""


class Defer(NamedTuple):
    """The attempt ended without an end of the envelope's way; it keeps its place, not started before ``until``."""

    id: str
    until: int  #: ms since the epoch; 0: at once
    attempts: int  #: attempts spent so far
    trail: bytes  #: opaque; replaces the trail stored so far
    reason: str = ""
    guild: str = ""


class Settle(NamedTuple):
    """The end of an envelope's way.

    Keeps ``answer`` for duplicates until the operation's window ends, and for ``get``. ``applied`` ends, in the same
    lane, the windows of finished operations whose type is in ``opposes``. A status of ``NOTHING_CAME_OF_IT`` ends the
    operation's own window at once. An idempotency key's window is never ended early.
    """

    id: str
    status: str
    answer: bytes  #: opaque
    trail: bytes  #: opaque
    applied: bool = False
    opposes: Collection[str] = ()
    guild: str = ""


class Bury(NamedTuple):
    """The end of an envelope's way in the dead letters: as ``Settle``, and the frame is kept for replay."""

    id: str
    reason: str
    answer: bytes
    trail: bytes
    attempts: int
    guild: str = ""


class Replay(NamedTuple):
    """A dead letter lives again: same id and sequence, no attempts, a new position at the tail of its lane.

    Not a dead letter (any more), or replayed ``max_replays`` times already: ``False``.
    """

    id: str
    max_replays: int
    expires_at: int  #: its new deadline; the frame is left as it is
    guild: str = ""


class Note(NamedTuple):
    """One line of the audit trail that belongs to no envelope's end: a duplicate, a refusal, an operator's action."""

    at: int
    kind: str  #: ``duplicate``, ``refused``, ``conflict``, ``operator`` ...
    id: str  #: the envelope it speaks of, or ""
    guild: str
    user: str
    detail: bytes  #: opaque


Write: TypeAlias = Accept | Enter | Begin | Defer | Settle | Bury | Replay | Note


# ---------------------------------------------------------------- their results


class Accepted(NamedTuple):
    """The envelope is stored."""

    id: str
    sequence: int
    position: int  #: 0: delayed, not in its lane yet
    ahead: int  #: unsettled envelopes of its guild before it


class Duplicate(NamedTuple):
    """The operation is known; the newcomer is not stored."""

    id: str  #: the newcomer's
    original: str
    sequence: int  #: the original's
    answer: bytes  #: the original's; empty: still in flight


class KeyReused(NamedTuple):
    """The idempotency key was used for another payload; the newcomer is not stored."""

    id: str
    original: str


class Lost(NamedTuple):
    """An owner's write that was fenced off: its partition is not this router's any more. Only from a shared store."""

    partition: int


Result: TypeAlias = Accepted | Duplicate | KeyReused | Lost | int | bool
"""``Accept``: one of the first three; ``Enter``: the position, 0 if unknown or settled; ``Replay``: the new position,
or ``False``; the others: whether the id was in flight (``Note``: ``True``). A repeated write answers as the first did
where it can tell, and never changes anything."""


class Record(NamedTuple):
    """An unsettled envelope as the store knows it."""

    frame: bytes
    sequence: int
    position: int  #: 0: delayed
    accepted_at: int
    attempts: int  #: spent or running
    protocol: str  #: of the running attempt; "": none runs
    until: int  #: not started before; 0: at once
    expires_at: int  #: the envelope's, or that of its replay
    trail: bytes


class Stored(NamedTuple):
    """Any envelope the store still knows, for status and explanation."""

    frame: bytes
    sequence: int
    position: int
    accepted_at: int
    state: str  #: ``delayed``, ``queued``, ``waiting`` (not before ``until``), ``started``, ``settled``, ``dead``
    status: str  #: the final word, "" while unsettled
    attempts: int
    protocol: str
    until: int
    settled_at: int
    answer: bytes
    trail: bytes
    replays: int


class DeadLetter(NamedTuple):
    """A buried envelope."""

    frame: bytes
    id: str
    type: str
    guild: str
    queue: str
    sequence: int
    position: int
    reason: str
    attempts: int
    replays: int
    died_at: int
    answer: bytes
    trail: bytes


class DeadFilter(NamedTuple):
    """Which dead letters; a field that is empty does not filter."""

    id: str = ""
    guild: str = ""
    queue: str = ""
    type: str = ""
    before: int = 0  #: died before, ms


class AuditFilter(NamedTuple):
    """Which audit lines; a field that is empty does not filter."""

    id: str = ""
    guild: str = ""
    user: str = ""
    type: str = ""
    since: int = 0
    until: int = 0


class AuditLine(NamedTuple):
    """One line: the end of an envelope's way (``kind`` = ``settled``, with frame, answer and trail) or a ``Note``."""

    at: int
    kind: str
    id: str
    guild: str
    user: str
    type: str
    detail: bytes
    frame: bytes = b""
    answer: bytes = b""
    trail: bytes = b""


class Stats(NamedTuple):
    """Counts of one queue; ages in ms."""

    pending: int  #: accepted, not started (delayed and waiting ones too)
    processing: int
    completed: int  #: settled well since the store was made
    failed: int  #: settled otherwise since the store was made, dead letters too
    dead: int  #: in the dead letters now
    oldest: int  #: acceptance time of the oldest pending one; 0: none


class Store(Protocol):
    """The durable memory of one router: every accepted envelope, from acceptance to the end of its way.

    Not thread-safe: opened, used and closed by one actor.
    """

    durability: str  #: what ``accepted`` survives: ``process`` (nothing more), ``kernel``, ``disk``

    def open(self, now: int) -> None:
        """Get ready; raises ``StoreInUse`` when another process holds it, ``StoreVersion`` when a newer one made it."""

    def close(self) -> None:
        """Let go of everything; idempotent."""

    def together(self) -> AbstractContextManager[None]:
        """Everything done inside, of ``Store`` and ``Queues``, is one durable step where the backend can (one commit).

        Where it can, an exception inside undoes all of it. A backend of single atomic steps may do nothing here.
        """

    def write(self, batch: Sequence[Write], now: int) -> list[Result]:
        """Do all of the batch, in its order, as one atomic durable step; a result for each."""

    def pending(self, guild: str = "", after: int = 0, limit: int = 1_000) -> list[Record]:
        """Unsettled envelopes that hold a position, in the order of position, those above ``after``."""

    def delayed(self, after: tuple[int, str] = (0, ""), limit: int = 1_000) -> list[Record]:
        """Envelopes that are not in their lane yet, by (due time, id), those above ``after``."""

    def get(self, id: str) -> Stored | None:
        """One envelope, live, settled or dead; ``None``: never known, or forgotten."""

    def dead_letters(self, which: DeadFilter, after: int = 0, limit: int = 100) -> list[DeadLetter]:
        """Dead letters in the order of position (their lane's order), those above ``after``."""

    def purge_dead(self, which: DeadFilter, limit: int) -> int:
        """Forget dead letters; how many."""

    def audit(self, which: AuditFilter, limit: int = 100) -> list[AuditLine]:
        """The trail's lines, newest first."""

    def stats(self) -> Mapping[str, Stats]:
        """Counts per queue of the envelopes; no scan: cheap at any depth."""

    def sweep(self, now: int, limit: int) -> int:
        """Forget what is past its time (windows, settled records, old audit and dead letters); how many rows."""


class Backend(Store, WorkedQueues, Schedules, Protocol):
    """All ports over one transaction log: what the journal holds."""


# ---------------------------------------------------------------- protocols


class Ticket(NamedTuple):
    """One attempt, handed to a protocol."""

    envelope: Envelope
    frame: bytes
    attempt: int
    deadline: int  #: ms since the epoch by which the outcome is wanted
    sequence: int
    token: int  #: fencing token of the owner; 0: alone
    start_by: int = 0  #: not started later than this, ms since the epoch: then answered DEFERRED; 0: whenever
    lapsed: Callable[[], bool] | None = None  #: asked right before it starts: ``True`` is answered DEFERRED likewise


Done: TypeAlias = Callable[[Outcome], None]


class Verified(Protocol):
    """What is called with the answer to "did it happen?"; once, from any thread."""

    def __call__(self, happened: bool | None, data: bytes = b"", /) -> None:
        """``data``: with ``True``, what the executor returned (msgpack), where that is known."""


class ExecutionProtocol(Protocol):
    """A way to execute. All calls are quick and never block; outcomes come by callback, from any thread, once."""

    name: str
    dedupes: bool  #: its executors keep a record by envelope id, so asking twice executes once

    def open(self) -> None:
        """Start whatever it needs; called before the first attempt."""

    def close(self, drain: float) -> None:
        """Stop taking attempts, give the running ones ``drain`` seconds, then let go."""

    def reaches(self, envelope: Envelope) -> bool:
        """Whether anybody on the other side could execute it now."""

    def idempotent(self, envelope: Envelope) -> bool:
        """Whether its executor declared the command safe to execute twice (beyond the catalog's facts)."""

    def start(self, ticket: Ticket, done: Done) -> None:
        """Execute; ``done`` is called exactly once, also when it fails. Never raises."""

    def recall(self, id: str) -> bool:
        """Take an attempt back: ``True`` is proof that it never started (``done`` is then not called)."""

    def verify(self, envelope: Envelope, done: Verified) -> None:
        """Ask whether it happened: ``True``, ``False``, or ``None`` when nobody can tell."""


class Sign(NamedTuple):
    """What a look at a service found."""

    well: bool
    detail: str = ""  #: what is wrong with it, or what it said of itself; fit to be shown
    counts: bool = True  #: False: there is nothing to look at (no bot ever came, no upstream is set up)


class Probe(Protocol):
    """A look at one service the router depends on, made from time to time whether or not anybody uses it."""

    service: str  #: the name of its breaker where it has one (``websocket``, ``rest:api``), else a name of its own
    interval: int  #: ms between two looks; 0: the health monitor's own

    def probe(self, done: Callable[[Sign], None]) -> None:
        """Look; ``done`` is called once, from any thread. Quick, and never blocks. What it raises is a bad sign."""


class LoadMeter(Protocol):
    """One thing that this process can run out of, besides room for commands."""

    name: str  #: for people: ``memory``, ``event loop``

    def read(self) -> float:
        """The share that is used, 1.0 being all of it; 0 when there is no bound. Called about once a second."""
