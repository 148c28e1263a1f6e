"""The port of named queues: entries that consumers claim, and end or give back.

Bytes, ids and milliseconds; ``now`` is an argument; ``StoreUnavailable`` and repeats are as in ``actors.ports``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeAlias

from actors.workers import Workers


class Entry(NamedTuple):
    """What goes into a named queue."""

    id: str  #: equal ids are one entry
    queue: str
    frame: bytes
    priority: int  #: 10 is claimed first; equal ones in the order they came
    available_at: int  #: ms; not claimed before
    expires_at: int = 0  #: not claimed later; 0: never
    type: str = ""  #: of what is in the frame, for consumers that take only some; "": every consumer takes it


Types: TypeAlias = Collection[str] | None
"""Of entries that a consumer takes; ``None``: all."""


class Claim(NamedTuple):
    """An entry in the hands of one consumer until ``until``."""

    id: str
    queue: str
    frame: bytes
    priority: int
    attempt: int  #: 1 for the first claim; a lapsed claim was an attempt
    token: int  #: rises with every claim of the entry; acks with an older one change nothing
    until: int


class Nack(NamedTuple):
    """Give a claim back."""

    id: str
    token: int
    retry_at: int  #: ms; available again then
    spent: bool = True  #: False: this claim does not count as an attempt
    error: str = ""
    dead: bool = False  #: no further attempt: into the queue's failed entries


class QueueStats(NamedTuple):
    """Counts of one named queue."""

    waiting: int
    delayed: int
    claimed: int
    completed: int  #: since the queue was made
    failed: int  #: since the queue was made
    dead: int  #: failed entries kept now
    oldest: int  #: ms since the epoch; 0: none waiting
    paused: bool


class Queues(Protocol):
    """Named queues with competing consumers: at least once, by priority and then in order.

    A claim that lapses (its consumer died) is claimable again. Not thread-safe, like ``Store``; one backend implements
    both and shares one transaction log.
    """

    def append(self, entries: Sequence[Entry], now: int) -> list[bool]:
        """Atomic; ``False`` for an id the queue already knows."""

    def claim(self, queue: str, limit: int, now: int, until: int, holder: str = "", types: Types = None) -> list[Claim]:
        """The best ``limit`` claimable entries, also of lapsed claims; none while the queue is paused.

        ``holder``: whose claims they are; see ``Workers.free``. ``types``: only entries of these (``None``: of all) and
        such as have none. Others are left where they are, at no cost to them; a call looks at a bounded number of
        these, and the next one goes on behind them.
        """

    def ack(self, claims: Sequence[tuple[str, int]], now: int, keep: int) -> list[bool]:
        """(id, token) done; the newest ``keep`` done entries of the queue stay to be seen. ``False``: lost claim."""

    def nack(self, nacks: Sequence[Nack], now: int, keep: int) -> list[bool]:
        """Back into the queue, or failed for good (the newest ``keep`` stay). ``False``: lost claim."""

    def extend(self, claims: Sequence[tuple[str, int]], until: int) -> list[bool]:
        """The consumer lives and needs more time. ``False``: lost claim."""

    def remove(self, ids: Sequence[str]) -> list[bool]:
        """Take back entries nobody claimed: ``True`` is proof that no consumer will see it."""

    def purge(self, queue: str) -> int:
        """Remove all waiting and delayed entries; how many. Claimed ones are left to their consumers."""

    def forget_queues(self, before: int, now: int, keep: Collection[str] = (), limit: int = 1_000) -> int:
        """Queues that hold nothing and were not used after ``before`` go, with all that is known of them; how many.

        Holding nothing: no entry but done ones, no execution, no outcome; not paused. Using: something came, or came to
        an end. What is appended meanwhile is not lost: it is in a new queue of the name. ``keep``: these stay.
        ``limit``: queues looked at.
        """

    def pause(self, queue: str, paused: bool) -> None:
        """Durable; claims of a paused queue are empty."""

    def paused(self) -> frozenset[str]:
        """All paused queues."""

    def queue_stats(self) -> Mapping[str, QueueStats]:
        """Counts per named queue; cheap at any depth."""

    def depths(self, queues: Sequence[str]) -> list[int]:
        """How many wait in each of these, due or not; 0 for one that nobody knows."""

    def failed(self, queue: str, limit: int = 100) -> list[tuple[str, bytes, str, int]]:
        """Failed entries kept, oldest first: (id, frame, error, failed at)."""

    def replay_failed(self, queue: str, ids: Collection[str], now: int) -> int:
        """Failed entries wait again, attempts forgotten, in their old order; empty ``ids``: all. How many."""


class WorkedQueues(Queues, Workers, Protocol):
    """Named queues whose consumers may be in other processes."""
