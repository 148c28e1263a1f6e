"""One router's handle on a ``MemoryHub``: the port ``SharedStore`` without a server, for tests of many routers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from heapq import merge
from itertools import islice
from typing import TypeVar

from actors.errors import StoreUnavailable
from actors.ports import (
    Accept,
    Accepted,
    AuditFilter,
    AuditLine,
    Bury,
    DeadFilter,
    DeadLetter,
    Duplicate,
    Note,
    Record,
    Result,
    Settle,
    Stats,
    Stored,
    Write,
)
from actors.sharing import Answered, Arrived, Beat, Lease, Lost, Member, News, SharedStore, Told, partition_of
from router.stores.memory_bell import MemoryBell
from router.stores.memory_hub import Heard, MemoryHub, Shelf, Slice
from router.stores.memory_rates import MemoryRates
from router.stores.memory_shared_queues import MemorySharedQueues
from router.stores.memory_slots import MemorySlots

T = TypeVar("T")


class MemorySharedStore(MemorySharedQueues, SharedStore):
    """``Store``, ``Queues``, ``Workers`` and what sharing adds: one router's, others have theirs on the hub."""

    durability = "process"

    def __init__(self, hub: MemoryHub, router: str) -> None:
        self.hub = hub
        self.router = router
        self.partitions = hub.partitions
        self._tokens: dict[int, int] = {}
        self._opened = False

    def open(self, now: int) -> None:  # noqa: ARG002 - nothing here is older than this process
        self._reach()
        self._opened = True

    def close(self) -> None:
        self._opened = False

    def _reach(self) -> None:
        self.hub.reach(self.router)

    def _check(self) -> None:
        if not self._opened:
            raise StoreUnavailable("the store is not open")
        self._reach()

    @contextmanager
    def together(self) -> Iterator[None]:
        self._check()
        yield

    # ------------------------------------------------------------ ownership

    def hold(self, partition: int, token: int) -> None:
        self._tokens[partition] = token

    def drop(self, partition: int) -> None:
        self._tokens.pop(partition, None)

    def _owns(self, partition: int) -> bool:
        held = self.hub.leases[partition]
        return held.router == self.router and held.token == self._tokens.get(partition)

    def _held(self) -> list[Slice]:
        return [self.hub.slices[number] for number in sorted(self._tokens)]

    # ------------------------------------------------------------ writes

    def write(self, batch: Sequence[Write], now: int) -> list[Result]:
        self._check()
        faults = self.hub.faults_of(self.router)
        doubt, faults.doubt = faults.doubt, ""
        if doubt == "before":
            raise StoreUnavailable("the request was lost", doubt=True)
        news: dict[tuple[str, News], None] = {}
        with self.hub.lock:
            results = [self._write(write, now, news) for write in batch]
        for router, told in news:
            self.hub.tell(told, to=router)
        if doubt:
            raise StoreUnavailable("the answer was lost", doubt=True)
        return results

    def _write(self, write: Write, now: int, news: dict[tuple[str, News], None]) -> Result:
        if isinstance(write, Accept):
            return self._accept(write, now, news)
        partition = partition_of(write.guild, self.partitions)
        part = self.hub.slices[partition]
        if isinstance(write, Note):
            return part.apply([write], now)[0]
        if not self._owns(partition):
            return Lost(partition)
        (result,) = part.apply([write], now)
        if isinstance(write, Settle | Bury) and part.is_over(write.id):
            for router in sorted(part.waiting.pop(write.id, ())):
                if router != self.router:
                    news[router, Answered(write.id, write.answer)] = None
        return result

    def _accept(self, write: Accept, now: int, news: dict[tuple[str, News], None]) -> Result:
        partition = partition_of(write.envelope.guild, self.partitions)
        part = self.hub.slices[partition]
        before = part.newest
        (result,) = part.apply([write], now)
        match result:
            case Accepted(id_, _, position, _):
                owner = self.hub.leases[partition].router
                if part.newest != before and owner and owner != self.router:
                    news[owner, Arrived(partition, not position)] = None
            case Duplicate(_, id_, _, b""):
                pass
            case _:
                return result
        if not part.is_over(id_):
            part.waiting.setdefault(id_, set()).add(self.router)
        return result

    # ------------------------------------------------------------ reads

    def pending(self, guild: str = "", after: int = 0, limit: int = 1_000) -> list[Record]:
        if guild:
            return self._part(guild).pending(guild, after, limit)
        self._check()
        with self.hub.lock:
            pages = [part.pending("", after, limit) for part in self._held()]
        return list(islice(merge(*pages, key=lambda record: record.position), limit))

    def delayed(self, after: tuple[int, str] = (0, ""), limit: int = 1_000) -> list[Record]:
        self._check()
        with self.hub.lock:
            pages = [part.keyed(after, limit) for part in self._held()]
        return [record for _, record in islice(merge(*pages, key=_key), limit)]

    def arrived(self, after: Mapping[int, int], limit: int = 1_000) -> list[Record]:
        self._check()
        with self.hub.lock:
            slices = self.hub.slices
            return [record for number, top in after.items() for record in slices[number].pending("", top, limit)]

    def arrived_delayed(self, after: Mapping[int, tuple[int, str]], limit: int = 1_000) -> list[Record]:
        self._check()
        with self.hub.lock:
            slices = self.hub.slices
            return [record for number, top in after.items() for record in slices[number].delayed(top, limit)]

    def get(self, id: str) -> Stored | None:
        return self.find([id])[0]

    def find(self, ids: Sequence[str]) -> list[Stored | None]:
        self._check()
        with self.hub.lock:
            return [next(filter(None, (part.get(id_) for part in self.hub.slices)), None) for id_ in ids]

    def dead_letters(self, which: DeadFilter, after: int = 0, limit: int = 100) -> list[DeadLetter]:
        pages = self._each(lambda part: part.dead_letters(which, after, limit))
        return list(islice(merge(*pages, key=lambda letter: letter.position), limit))

    def purge_dead(self, which: DeadFilter, limit: int) -> int:
        left = limit
        for part in self._each(lambda part: part):
            with self.hub.lock:
                left -= part.purge_dead(which, left)
        return limit - left

    def audit(self, which: AuditFilter, limit: int = 100) -> list[AuditLine]:
        pages = self._each(lambda part: part.audit(which, limit))
        return list(islice(merge(*pages, key=lambda line: line.at, reverse=True), limit))

    def stats(self) -> Mapping[str, Stats]:
        found: dict[str, list[Stats]] = {}
        for counts in self._each(lambda part: part.stats()):
            for queue, stats in counts.items():
                found.setdefault(queue, []).append(stats)
        return {queue: _sum(several) for queue, several in found.items()}

    def sweep(self, now: int, limit: int) -> int:
        self._check()
        left = limit
        with self.hub.lock:
            for part in self._held():
                left -= part.sweep(now, left)
            return limit - left + self.hub.shelf.sweep(now, left)

    def _part(self, guild: str) -> Slice:
        self._check()
        return self.hub.slices[partition_of(guild, self.partitions)]

    def _each(self, read: Callable[[Slice], T]) -> list[T]:
        self._check()
        with self.hub.lock:
            return [read(part) for part in self.hub.slices]

    def _shelved(self, use: Callable[[Shelf], T]) -> T:
        self._check()
        with self.hub.lock:
            return use(self.hub.shelf)

    # ------------------------------------------------------------ one another

    def announce(self, topic: str, detail: bytes) -> None:
        self._check()
        self.hub.tell(Told(topic, detail), but=self.router)

    def leases(self) -> MemoryLeases:
        return MemoryLeases(self)

    def rates(self) -> MemoryRates:
        return MemoryRates(self.hub, self.router)

    def slots(self) -> MemorySlots:
        return MemorySlots(self.hub, self.router)

    def ears(self) -> MemoryEars:
        return MemoryEars(self)

    def bell(self) -> MemoryBell:
        return MemoryBell(self.hub, self.router)


class MemoryLeases:
    """The keeper's own way to the hub."""

    def __init__(self, store: MemorySharedStore) -> None:
        self._hub = store.hub
        self._reach = store._reach
        self._opened = False

    def open(self) -> None:
        self._reach()
        self._opened = True

    def close(self) -> None:
        self._opened = False

    def _open_hub(self) -> MemoryHub:
        if not self._opened:
            raise StoreUnavailable("the leases are not open")
        self._reach()
        return self._hub

    def time(self) -> int:
        return self._open_hub().clock()

    def join(self, router: str, name: str, about: bytes, ttl: int) -> list[Member]:
        return self._open_hub().join(router, name, about, ttl)

    def leave(self, router: str) -> None:
        self._open_hub().leave(router)

    def look(self) -> list[Lease]:
        return self._open_hub().look()

    def acquire(self, router: str, partitions: Sequence[int], ttl: int) -> list[Lease]:
        return self._open_hub().acquire(router, partitions, ttl)

    def renew(self, router: str, tokens: Mapping[int, int], ttl: int) -> frozenset[int]:
        return self._open_hub().renew(router, tokens, ttl)

    def beat(self, router: str, name: str, about: bytes, tokens: Mapping[int, int], ttl: int) -> Beat:
        hub = self._open_hub()
        members = hub.join(router, name, about, ttl)
        return Beat(hub.renew(router, tokens, ttl), members, hub.look())

    def release(self, router: str, tokens: Mapping[int, int]) -> None:
        self._open_hub().release(router, tokens)


class MemoryEars:
    """News, on whatever thread makes them."""

    def __init__(self, store: MemorySharedStore) -> None:
        self._store = store
        self._heard: Heard | None = None

    def open(self, heard: Heard) -> None:
        self.close()
        self._heard = heard
        self._store.hub.listen(self._store.router, heard)

    def close(self) -> None:
        if self._heard is not None:
            self._store.hub.ignore(self._store.router, self._heard)
            self._heard = None


def _key(pair: tuple[tuple[int, str], Record]) -> tuple[int, str]:
    return pair[0]


def _sum(several: list[Stats]) -> Stats:
    """Counts add up; the oldest is the oldest of all."""
    oldest = min((each.oldest for each in several if each.oldest), default=0)
    counts = [sum(column) for column in zip(*(each[:-1] for each in several), strict=True)]
    return Stats._make([*counts, oldest])
