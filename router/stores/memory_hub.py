"""What several routers in one process share: the far end of ``memory_shared``, deterministic and open to faults.

For tests of many routers without a server: every handle sees the same slices, the hub's clock is the caller's, news are
delivered at once on the thread that makes them, and what a network does to people can be done here on purpose.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, islice
from threading import RLock
from typing import NamedTuple

from actors.errors import StoreUnavailable
from actors.ports import Record
from actors.sharing import Lease, Member, Moved, News
from router.stores.memory import MEMORY_RETENTION
from router.stores.memory_messages import MemoryMessages, record_of
from router.stores.memory_schedules import MemorySchedules
from router.stores.memory_workers import MemoryWorkers
from router.stores.retention import Retention

Heard = Callable[[News], None]


class Slice(MemoryMessages):
    """One partition: a store of its own whose positions are its number modulo the number of partitions."""

    def __init__(self, number: int, partitions: int, retention: Retention) -> None:
        self._origin = number
        self._stride = partitions
        super().__init__(retention, 500_000)
        self.waiting: dict[str, set[str]] = {}  #: id of an unsettled envelope -> routers that may wait for its end
        self.open(0)

    @property
    def newest(self) -> int:
        """A number that rises with every newcomer."""
        return self._number

    def keyed(self, after: tuple[int, str], limit: int) -> list[tuple[tuple[int, str], Record]]:
        """``delayed``, each with its place in that order."""
        return [((row.until, row.id), record_of(row)) for row in islice(self._delayed.after(after), limit)]

    def is_over(self, id: str) -> bool:
        """Whether it has ended or is unknown."""
        row = self._rows.get(id)
        return row is None or bool(row.status)


class Shelf(MemoryWorkers, MemorySchedules):
    """The named queues, what workers did with them, and schedules."""

    def __init__(self, retention: Retention) -> None:
        self._retention = retention
        self._clear_queues()
        self._clear_schedules()

    def _check(self) -> None:
        pass  # whether anybody may ask is its handle's business

    def sweep(self, now: int, limit: int) -> int:
        """Forget failed entries and executions past their time; how many."""
        swept = self._sweep_failed(now, limit)
        return swept + self._sweep_workers(now, limit - swept)


@dataclass(slots=True)
class Held:
    """Who owns a partition, until when by the hub's clock."""

    router: str = ""
    token: int = 0
    until: int = 0


@dataclass(slots=True)
class Living:
    """A router's sign of life."""

    member: Member
    until: int


@dataclass(slots=True)
class Faults:
    """What goes wrong for one router."""

    down: bool = False  #: it cannot reach the store
    deaf: bool = False  #: news do not reach it
    doubt: str = ""  #: the answer to its next write is lost, ``before`` or ``after`` the write was done


class Slotted(NamedTuple):
    """What a router has of a level of slots, until when by the hub's clock."""

    held: int
    wanted: int
    until: int


class Ringer(NamedTuple):
    """A bell that is open."""

    router: str
    queues: frozenset[str]
    asker: str
    rung: Callable[[str], None]


class MemoryHub:
    """Thread-safe. ``clock`` gives the store's time in ms."""

    def __init__(
        self, clock: Callable[[], int], *, partitions: int = 16, retention: Retention = MEMORY_RETENTION
    ) -> None:
        self.lock = RLock()
        self.clock = clock
        self.partitions = partitions
        self.slices = [Slice(number, partitions, retention) for number in range(partitions)]
        self.shelf = Shelf(retention)
        self.leases = [Held() for _ in range(partitions)]
        self.faults: dict[str, Faults] = {}
        self.buckets: dict[tuple[str, str], tuple[int, int, int]] = {}  #: of rates: units, when, units of a token
        self.slots: dict[str, dict[str, Slotted]] = {}  #: by level, by router
        self._members: dict[str, Living] = {}
        self._ears: dict[str, list[Heard]] = {}
        self.ringers: list[Ringer] = []
        self._tokens = count(1)

    def faults_of(self, router: str) -> Faults:
        """To be looked at, and changed by tests."""
        return self.faults.setdefault(router, Faults())

    def reach(self, router: str) -> None:
        """Raises ``StoreUnavailable`` if it cannot."""
        if self.faults_of(router).down:
            raise StoreUnavailable("the hub cannot be reached")

    def owner(self, partition: int) -> str:
        """Who holds it now; ``""``: nobody."""
        held = self.leases[partition]
        return held.router if held.until > self.clock() else ""

    def take_away(self, partition: int) -> None:
        """Somebody else had it and has released it, whatever its owner believes."""
        with self.lock:
            self.leases[partition].router, self.leases[partition].until = "", 0

    # ------------------------------------------------------------ members and leases

    def join(self, router: str, name: str, about: bytes, ttl: int) -> list[Member]:
        """See ``Leases.join``."""
        now = self.clock()
        with self.lock:
            fresh = router not in self._members
            self._members[router] = Living(Member(router, name, now, about), now + ttl)
            self._members = {key: living for key, living in self._members.items() if living.until > now}
            members = [self._members[key].member for key in sorted(self._members)]
        if fresh:
            self.tell(Moved(), but=router)
        return members

    def leave(self, router: str) -> None:
        """See ``Leases.leave``."""
        with self.lock:
            known = self._members.pop(router, None)
        if known is not None:
            self.tell(Moved(), but=router)

    def look(self) -> list[Lease]:
        """See ``Leases.look``."""
        now = self.clock()
        with self.lock:
            return [
                Lease(number, held.router, held.token, max(0, held.until - now))
                for number, held in enumerate(self.leases)
            ]

    def acquire(self, router: str, partitions: Sequence[int], ttl: int) -> list[Lease]:
        """See ``Leases.acquire``."""
        now = self.clock()
        taken = []
        with self.lock:
            for number in partitions:
                held = self.leases[number]
                if held.until > now and held.router != router:
                    continue
                if held.until <= now:
                    held.router, held.token = router, next(self._tokens)
                held.until = now + ttl
                taken.append(Lease(number, router, held.token, ttl))
        return taken

    def renew(self, router: str, tokens: Mapping[int, int], ttl: int) -> frozenset[int]:
        """See ``Leases.renew``."""
        now = self.clock()
        kept = set()
        with self.lock:
            for number, token in tokens.items():
                held = self.leases[number]
                if (held.router, held.token) == (router, token):
                    held.until = now + ttl
                    kept.add(number)
        return frozenset(kept)

    def release(self, router: str, tokens: Mapping[int, int]) -> None:
        """See ``Leases.release``."""
        freed = False
        with self.lock:
            for number, token in tokens.items():
                held = self.leases[number]
                if (held.router, held.token) == (router, token):
                    held.router, held.until = "", 0
                    freed = True
        if freed:
            self.tell(Moved(), but=router)

    # ------------------------------------------------------------ news

    def listen(self, router: str, heard: Heard) -> None:
        """Tell it from now on."""
        with self.lock:
            self._ears[router] = [*self._ears.get(router, ()), heard]

    def ignore(self, router: str, heard: Heard) -> None:
        """Tell it no more."""
        with self.lock:
            self._ears[router] = [each for each in self._ears.get(router, ()) if each is not heard]

    def tell(self, news: News, *, to: str = "", but: str = "") -> None:
        """To one router, or to all but one."""
        with self.lock:
            routers = [to] if to else [router for router in self._ears if router != but]
            hearing = [router for router in routers if not self.faults_of(router).deaf]
            ears = [heard for router in hearing for heard in self._ears.get(router, ())]
        for heard in ears:
            heard(news)

    def ring(self, *, queues: Collection[str] = (), askers: Collection[str] = ()) -> None:
        """Something came into these queues, and outcomes for these askers."""
        for ringer in [each for each in list(self.ringers) if not self.faults_of(each.router).deaf]:
            for queue in ringer.queues.intersection(queues):
                ringer.rung(queue)
            if ringer.asker in askers:
                ringer.rung("")
