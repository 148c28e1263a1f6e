"""What a store adds to the ports when several routers share it: partitions, leases, and news of one another.

A **partition** is a fixed slice of guilds, ``partition_of(guild)``. Any router accepts for any guild; one router at a
time owns a partition and does all the rest for its guilds: starts, retries, ends, takes in what is due. It owns it by
a lease with a **fencing token** that rises with every acquisition, over all routers and restarts. The lease only says
when somebody else may try; what makes it safe is that every write of an owner is checked against the token in the same
atomic step, so that a router that slept through its lease writes nothing.

Times of leases are measured by the store's own clock, never by a router's. Positions rise within a partition in steps
of ``partitions``: ``position % partitions == partition``, so one number is never two places, and an owner sees by a gap
that somebody else accepted.

News are hints: each may be lost, late or doubled, and whoever lives by them also looks by itself from time to time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol, TypeAlias
from zlib import crc32

from actors.ports import Backend, Lost, Record, Stored
from actors.rates import Rates
from actors.slots import Slots
from actors.workers import Bell

__all__ = [
    "Answered",
    "Arrived",
    "Beat",
    "Ears",
    "Lease",
    "Leases",
    "Lost",
    "Member",
    "Moved",
    "News",
    "SharedStore",
    "Told",
    "partition_of",
]


@lru_cache(maxsize=1 << 16)  # asked ten times on the way of a command
def partition_of(guild: str, partitions: int) -> int:
    """The slice a guild belongs to: CRC-32 of its id in UTF-8, modulo. Part of the wire: never changed."""
    return crc32(guild.encode()) % partitions


class Member(NamedTuple):
    """A router that lives."""

    router: str  #: made at random at each start, never used again
    name: str  #: for people, such as ``host:pid``
    seen: int  #: its last sign of life, ms by the store's clock
    about: bytes  #: msgpack of a map: version, load and whatever else others may want to know


class Lease(NamedTuple):
    """Who owns a partition."""

    partition: int
    router: str  #: "": nobody
    token: int  #: of the latest acquisition; 0: never acquired
    left: int  #: ms until others may take it; 0: free


class Beat(NamedTuple):
    """What one router learns in one beat of its keeper."""

    kept: frozenset[int]  #: partitions it still holds
    members: list[Member]  #: everybody who lives, by router
    leases: list[Lease]  #: all partitions, in order


class Arrived(NamedTuple):
    """News for a partition's owner: somebody else accepted into it."""

    partition: int
    delayed: bool = False  #: among them some that are not in their lane yet


class Answered(NamedTuple):
    """News for a router whose senders wait: the end of an envelope's way elsewhere."""

    id: str
    answer: bytes


class Moved(NamedTuple):
    """News for all: a partition was released, or a router came or went; look at the leases."""


class Told(NamedTuple):
    """News for all: something shared was changed, such as the paused queues; ``topic`` says what."""

    topic: str
    detail: bytes


News: TypeAlias = Arrived | Answered | Moved | Told


class Leases(Protocol):
    """The lease keeper's own connection. Not thread-safe; raises ``StoreUnavailable`` as the store does.

    Every call may be repeated when its answer was lost: ``acquire`` gives the same token to the router that has it. No
    call takes longer than a lease lasts: one that gets no answer in time gives up, so that the keeper can drop what it
    could not renew while the lease still stands.
    """

    def open(self) -> None:
        """Connect."""

    def close(self) -> None:
        """Let go of the connection, not of the leases; idempotent."""

    def time(self) -> int:
        """The store's clock, ms since the epoch."""

    def join(self, router: str, name: str, about: bytes, ttl: int) -> list[Member]:
        """A sign of life, good for ``ttl`` ms; everybody who lives, by router. The first one is ``Moved`` news."""

    def leave(self, router: str) -> None:
        """Out of the list at once; ``Moved`` news."""

    def look(self) -> list[Lease]:
        """All partitions, in order. Cheap: called several times a second. Whoever lapsed is shown with nothing left."""

    def acquire(self, router: str, partitions: Sequence[int], ttl: int) -> list[Lease]:
        """Take those that are free (never had, released or lapsed); each gets a token above all it ever had.

        The leases of those among ``partitions`` that are this router's now; what others have is not among them.
        """

    def renew(self, router: str, tokens: Mapping[int, int], ttl: int) -> frozenset[int]:
        """Those still held with these tokens, now good for ``ttl`` ms more. One that lapsed is lost once it is taken.

        A process may be away for longer than a lease lasts: a full collection of its garbage, a machine that swaps. If
        nobody took the partition meanwhile, nothing happened that its owner does not know of.
        """

    def beat(self, router: str, name: str, about: bytes, tokens: Mapping[int, int], ttl: int) -> Beat:
        """``join``, ``renew`` and ``look`` in this order, in one round trip per node.

        In this order a router that dies is off the list of those who live before the first of its leases is over, so
        that whoever sees one free counts it out already. (A server that does not know the scripts yet may mix them up
        once.)
        """

    def release(self, router: str, tokens: Mapping[int, int]) -> None:
        """Free at once, if still held with these tokens, and ``Moved`` news; another's lease is left alone."""


class Ears(Protocol):
    """News from other routers, on a thread of its own; reconnects by itself."""

    def open(self, heard: Callable[[News], None]) -> None:
        """Call ``heard`` for each, quick and from another thread, until ``close``. Does not wait for a connection."""

    def close(self) -> None:
        """No more calls after this returns; idempotent."""


class SharedStore(Backend, Protocol):
    """A backend that several routers share.

    ``write`` takes ``Accept`` and ``Note`` from anybody. The other writes are an owner's: done only under the token
    that ``hold`` named for their partition (that of their ``guild``), else their result is ``Lost`` and nothing of them
    is done. A token is good until the partition is released or acquired again.

    Who may wait for the end of a way gets ``Answered``: the store notes for an unsettled envelope every router whose
    ``Accept`` it answered by ``Accepted`` (also a repeated one) or by a ``Duplicate`` without an answer, and tells
    those but the one that writes ``Settle`` or ``Bury``. An accepted newcomer is ``Arrived`` for its partition's
    owner, if that is another.

    The batch is atomic per partition. When ``StoreUnavailable`` is raised after something was sent, its ``doubt`` is
    true: each partition's part was written wholly or not at all, and to write the same batch again changes nothing.

    ``pending`` without a guild and ``delayed`` read only partitions that are held; ``sweep`` sweeps only those. All
    other reads are of everything, whoever holds it. Ids are unique within a partition; who uses one in guilds of two
    partitions has two envelopes of which ``get`` knows one. Held tokens outlive ``close`` and ``open``.
    """

    partitions: int
    router: str  #: whose handle this is

    def hold(self, partition: int, token: int) -> None:
        """From now on this router's writes for the partition carry this token. Thread-safe."""

    def drop(self, partition: int) -> None:
        """From now on they are ``Lost`` without being sent. Thread-safe."""

    def arrived(self, after: Mapping[int, int], limit: int = 1_000) -> list[Record]:
        """Unsettled envelopes of these partitions that hold a position above the one given for theirs; held or not.

        At most ``limit`` of each, in its order; one round trip per node.
        """

    def arrived_delayed(self, after: Mapping[int, tuple[int, str]], limit: int = 1_000) -> list[Record]:
        """Those that are not in their lane yet, by (due time, id), above that of their partition; as ``arrived``."""

    def find(self, ids: Sequence[str]) -> list[Stored | None]:
        """``get`` for several at once, in one round trip per node."""

    def announce(self, topic: str, detail: bytes) -> None:
        """``Told`` news to every other router."""

    def leases(self) -> Leases:
        """A new one, not open."""

    def rates(self) -> Rates:
        """A new one, not open."""

    def slots(self) -> Slots:
        """A new one, not open."""

    def ears(self) -> Ears:
        """A new one, not open."""

    def bell(self) -> Bell:
        """A new one, not open."""
