"""Where the actors meet: every message one actor sends to another.

Most carry lists: a slice of work is passed on as one message.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from actors.envelope import Envelope
from actors.errors import EngineError
from actors.outcome import Answer, Outcome
from actors.policy.lanes import Place
from actors.ports import Backend, Record, Result, Ticket, Write
from actors.runtime.ref import Ref

logger = logging.getLogger("guild_router.engine")


class Waiter(Protocol):
    """Whoever sent an envelope and wants to know; called from actor threads, quick; what it raises is logged."""

    def on_accepted(self, id: str, sequence: int, ahead: int, original: str) -> None:
        """It is stored; ``original`` is set when it is a duplicate of that envelope."""

    def on_refused(self, error: EngineError) -> None:
        """It is not stored."""

    def on_expired(self, error: EngineError, answer: Answer) -> None:
        """It came too late: not stored, and answered."""

    def on_answered(self, answer: Answer) -> None:
        """Its way has ended."""


@dataclass(slots=True)
class Submission:
    """To intake, then to the journal: an envelope at the door. Its sender is told once what became of it there."""

    envelope: Envelope
    frame: bytes
    waiter: Waiter | None = None
    told: bool = False  #: a message is handed to the successor of a crashed actor, its sender must not notice
    kept: bool = False  #: it waits for an earlier number of its sender

    def accept(self, id: str, sequence: int, ahead: int, original: str = "") -> None:
        """It is stored."""
        if not self.told:
            self.told = True
            if self.waiter is not None:
                tell(self.waiter.on_accepted, id, sequence, ahead, original)

    def refuse(self, error: EngineError) -> None:
        """It is not stored."""
        if not self.told:
            self.told = True
            if self.waiter is not None:
                tell(self.waiter.on_refused, error)

    def expire(self, error: EngineError, answer: Answer) -> None:
        """It came too late."""
        if not self.told:
            self.told = True
            if self.waiter is not None:
                tell(self.waiter.on_expired, error, answer)


def tell(listener: Callable[..., object], *news: object) -> None:
    """Call somebody who may be anybody's: what it raises is its own fault, and is logged."""
    try:
        listener(*news)
    except Exception:
        logger.exception("whoever waits for news raised an error")


class Submissions(NamedTuple):
    """Door -> intake, intake -> journal: several at once."""

    items: list[Submission]


class Untaken(NamedTuple):
    """Journal -> intake: these numbered ones could not be stored; their numbers may come again."""

    items: list[Submission]


class Drain(NamedTuple):
    """Engine -> intake: take no more."""


class Commit(NamedTuple):
    """Anybody -> journal: write these, then tell those.

    What follows from a write that the store refused, because the envelope's way had ended before, is not told; instead
    see ``Gone``. With a ``token`` it is a guild's, decided under that token: when the guild's partition is not held
    under it any more, nothing is written and nothing told, except to who is to be answered: ``OwnerAway``.
    """

    writes: list[Write]
    then: list[tuple[Ref | None, Any]]
    partition: int = 0
    token: int = 0


class Replied(NamedTuple):
    """In a ``Commit``, told to nobody's mailbox: ``reply(value)`` once it is written; ``id``: whom it is about."""

    id: str
    reply: Callable[[Any], None]
    value: Any


class Gone(NamedTuple):
    """Journal -> deduplicator -> guild: the store refused a step of this envelope, whose way has ended before."""

    envelope: Envelope


class Due(NamedTuple):
    """Scheduler -> journal: delayed envelopes whose time has come, by id and guild."""

    records: list[tuple[str, str, Record]]


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
    placed: bool = True  #: their places are these; else they come as ``Entered``, to whoever owns them


class Entered(NamedTuple):
    """Journal -> deduplicator: these take their place in their lanes now (due, replayed)."""

    places: list[Place]


class Arrivals(NamedTuple):
    """Anybody -> journal: others may have accepted into these partitions (none: into any); look."""

    partitions: tuple[int, ...] = ()


class Recheck(NamedTuple):
    """News, takeover -> deduplicator: what these wait for may have ended elsewhere."""

    ids: list[str]


class Reckon(NamedTuple):
    """Gate, news desk -> steward: look what this router may use, and what it uses."""


class Seized(NamedTuple):
    """Journal -> lease keeper: the store says that this partition, under this token, is somebody else's."""

    partition: int
    token: int


class Depart(NamedTuple):
    """Engine -> lease keeper: give everything away, each partition as soon as nothing of it runs."""


class Settled(NamedTuple):
    """After a commit, to the deduplicator: the end of one way."""

    envelope: Envelope
    answer: Answer


class Published(NamedTuple):
    """Anybody -> hub: something the outside may want to see."""

    #: ``accepted``, ``duplicate``, ``started``, ``attempted``, ``settled``, ``conflict``, ``published`` or ``breaker``
    kind: str
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
    data: bytes = b""  #: with ``True``: what the executor returned, where that is known


class Wake(NamedTuple):
    """Scheduler, gate, engine -> guild: something may be startable or overdue."""


class Cancel(NamedTuple):
    """Engine -> guild: take it back if it has not started; ``reply(done, or an error)`` when that is written."""

    id: str
    reply: Callable[[Any], None]


class Locate(NamedTuple):
    """Engine -> guild: how many of the guild are before it; ``reply(count)``, 0 when it runs or is not there.

    ``why``: instead of it why it does not run, as ``actors.waits`` says it.
    """

    id: str
    reply: Callable[[Any], None]
    why: bool = False


class PurgeQueue(NamedTuple):
    """Engine -> guild: cancel what waits and has not started of a queue; ``reply(count, or an error)`` when written."""

    queue: str
    reply: Callable[[Any], None]


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


class Forget(NamedTuple):
    """Engine -> scheduler: these are cancelled, and will not be due."""

    ids: list[str]


class Delayed(NamedTuple):
    """Deduplicator or recovery -> scheduler: these enter their lanes when they are due."""

    records: list[Record]


class DelayedArrivals(NamedTuple):
    """News -> scheduler: there may be delayed ones that others accepted, in these partitions; look."""

    partitions: tuple[int, ...]


class Reread(NamedTuple):
    """Takeover -> scheduler: a partition is new here; read the delayed ones again."""


class Disown(NamedTuple):
    """Lease keeper -> scheduler: this partition's delayed ones are somebody else's."""

    partition: int
