"""Where the actors meet: every message one actor sends to another.

Most carry lists: a slice of work is passed on as one message.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from actors.envelope import Envelope
from actors.errors import EngineError
from actors.outcome import Answer, Outcome
from actors.policy.lanes import Place
from actors.ports import Backend, Record, Result, Ticket, Write
from actors.runtime.ref import Ref


class Waiter(Protocol):
    """Whoever sent an envelope and wants to know; called from actor threads, quick, never raises."""

    def on_accepted(self, id: str, sequence: int, ahead: int, original: str) -> None:  # noqa: A002 - the port's word
        """It is stored; ``original`` is set when it is a duplicate of that envelope."""

    def on_refused(self, error: EngineError) -> None:
        """It is not stored."""

    def on_expired(self, error: EngineError, answer: Answer) -> None:
        """It came too late: not stored, and answered."""

    def on_answered(self, answer: Answer) -> None:
        """Its way has ended."""


@dataclass(slots=True)
class Submission:
    """To intake, then to the journal: an envelope at the door."""

    envelope: Envelope
    frame: bytes
    waiter: Waiter | None = None


class Submissions(NamedTuple):
    """Door -> intake, intake -> journal: several at once."""

    items: list[Submission]


class Left(NamedTuple):
    """Deduplicator -> intake: one envelope less for each of these guilds."""

    guilds: list[str]


class Drain(NamedTuple):
    """Engine -> intake: take no more."""


class Commit(NamedTuple):
    """Anybody -> journal: write these, then tell those."""

    writes: list[Write]
    then: list[tuple[Ref, object]]


class Due(NamedTuple):
    """Scheduler -> journal: delayed envelopes whose time has come, by id."""

    records: list[tuple[str, Record]]


class StoreCall(NamedTuple):
    """Anybody -> journal: ``fn(store, now)`` inside the slice's commit, then ``reply(value or exception)``.

    ``reply`` is called on the journal's thread after the commit and must be quick.
    """

    fn: Callable[[Backend, int], Any]
    reply: Callable[[Any], None]


class Admissions(NamedTuple):
    """Journal -> deduplicator: what became of a batch of submissions."""

    items: list[tuple[Submission, Result]]
    now: int


class Entered(NamedTuple):
    """Journal -> deduplicator: these take their place in their lanes now (due, replayed)."""

    places: list[Place]


class Settled(NamedTuple):
    """After a commit, to the deduplicator: the end of one way."""

    envelope: Envelope
    answer: Answer


class Published(NamedTuple):
    """Anybody -> hub: something the outside may want to see."""

    kind: str  #: ``accepted``, ``duplicate``, ``started``, ``attempted``, ``settled``, ``conflict``
    envelope: Envelope
    answer: Answer | None = None
    sequence: int = 0
    detail: str = ""


class Enqueue(NamedTuple):
    """Deduplicator or recovery -> guild: new places, in the order of position."""

    places: list[Place]


class Done(NamedTuple):
    """Adapter -> guild: what an attempt came to."""

    id: str
    attempt: int
    protocol: str
    outcome: Outcome
    ms: int


class Verified(NamedTuple):
    """Adapter -> guild: whether it happened; ``None``: nobody knows."""

    id: str
    attempt: int
    happened: bool | None


class Wake(NamedTuple):
    """Scheduler, gate, engine -> guild: something may be startable or overdue."""


class Cancel(NamedTuple):
    """Engine -> guild or scheduler: take it back if it has not started; ``reply(done)``."""

    id: str
    reply: Callable[[bool], None]


class Locate(NamedTuple):
    """Engine -> guild: how many of the guild are before it; ``reply(count)``, 0 when it runs or is not there."""

    id: str
    reply: Callable[[int], None]


class PurgeQueue(NamedTuple):
    """Engine -> guild or scheduler: cancel what waits and has not started of one queue; ``reply(count)``."""

    queue: str
    reply: Callable[[int], None]


class Start(NamedTuple):
    """After a commit, to an adapter: an attempt begins."""

    ticket: Ticket


class Check(NamedTuple):
    """Guild -> adapter: verify whether this attempt happened."""

    envelope: Envelope
    attempt: int


class Remind(NamedTuple):
    """Guild -> scheduler: wake me at this time (ms since the epoch)."""

    at: int
    guild: str


class Delayed(NamedTuple):
    """Deduplicator or recovery -> scheduler: these enter their lanes when they are due."""

    records: list[Record]
