"""Which partitions this router owns, and how far it has come with each; outlives the actors that work on them.

Written by two: the lease keeper (won, renewed, leaving, gone) and the journal (taking, open, newest). Everybody else
reads. A holding is one stretch of ownership under one token: when the partition is lost and won again, it is another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import IntEnum
from itertools import count
from threading import Lock

from actors.sharing import Lease, Member, partition_of


class Stage(IntEnum):
    """How far a partition has come."""

    WON = 0  #: the lease is ours; the journal has not heard of it yet
    TAKING = 1  #: what the store holds of it is being read
    OPEN = 2  #: its guilds have all of it, and get what comes
    LEAVING = 3  #: nothing of it starts any more; released when nothing runs


class Holding:
    """One partition under one token."""

    __slots__ = (
        "_lock",
        "_monotonic",
        "_starting",
        "gone",
        "interrupted",
        "left_at",
        "newest",
        "partition",
        "stage",
        "sure",
        "token",
        "until",
    )

    def __init__(self, partition: int, token: int, until: float, monotonic: Callable[[], float]) -> None:
        self.partition = partition
        self.token = token
        self.until = until  #: steady seconds; before this time nobody else can have it
        self.stage = Stage.WON
        self.newest = 0  #: the highest position its guilds were given
        self.sure = False  #: nothing that ended under an earlier owner stands above it
        self.gone = False
        self.left_at = 0.0  #: since when it is ``LEAVING``
        self.interrupted = False  #: something of it may still run when this router has stopped: its lease runs out
        self._monotonic = monotonic
        self._lock = Lock()
        self._starting = 0

    def lapsed(self) -> bool:
        """Whether it may be somebody else's by now. Asked by whoever is about to start something of it."""
        return self.gone or self._monotonic() >= self.until

    def enter(self) -> bool:
        """A guild may start attempts now, until it calls ``exit``, when they stand in the table of flights."""
        with self._lock:
            if self.stage is Stage.LEAVING or self.lapsed():
                return False
            self._starting += 1
            return True

    def exit(self) -> None:
        """Whatever it started stands in the table of flights."""
        with self._lock:
            self._starting -= 1

    def leave(self, now: float) -> None:
        """Nobody may start anything from now on."""
        with self._lock:
            self.stage = Stage.LEAVING
            self.left_at = now

    @property
    def starting(self) -> bool:
        """Whether somebody is between ``enter`` and ``exit``: what it starts is not seen yet."""
        return self._starting > 0


class Holdings:
    """Thread-safe: every step is one dictionary operation."""

    def __init__(self, router: str, partitions: int, monotonic: Callable[[], float]) -> None:
        self.router = router
        self.partitions = partitions
        self.members: list[Member] = []  #: as last seen
        self.leases: list[Lease] = []  #: likewise
        self.seen_at = 0  #: when, ms since the epoch by our clock; 0: never
        self.orders = count(1)  #: numbers of the orders this router gave to others; none is used twice
        self.departing = False  #: the router is stopping in good order
        self._monotonic = monotonic
        self._held: dict[int, Holding] = {}

    def __len__(self) -> int:
        return len(self._held)

    def partition(self, guild: str) -> int:
        """That of a guild."""
        return partition_of(guild, self.partitions)

    def win(self, partition: int, token: int, until: float) -> Holding:
        """The lease is ours."""
        holding = self._held[partition] = Holding(partition, token, until, self._monotonic)
        return holding

    def lose(self, holding: Holding) -> bool:
        """Not ours any more; ``False``: it was not."""
        holding.gone = True
        if self._held.get(holding.partition) is not holding:
            return False
        del self._held[holding.partition]
        return True

    def interrupt(self, guilds: Iterable[str]) -> None:
        """What runs of these guilds is not waited for any more; before it is taken from the table of flights."""
        for guild in guilds:
            holding = self._held.get(self.partition(guild))
            if holding is not None:
                holding.interrupted = True

    def get(self, partition: int) -> Holding | None:
        """The holding of a partition, from the moment it was won."""
        return self._held.get(partition)

    def taken(self, partition: int) -> Holding | None:
        """That of one whose guilds this router runs."""
        holding = self._held.get(partition)
        return holding if holding is not None and holding.stage is not Stage.WON else None

    def of(self, guild: str) -> Holding | None:
        """``taken`` by a guild's partition."""
        return self.taken(partition_of(guild, self.partitions))

    def all(self) -> list[Holding]:
        """Every one, at this moment."""
        return list(self._held.values())
