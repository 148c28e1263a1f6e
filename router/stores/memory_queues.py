"""The memory store's ``Queues`` port."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import islice

from actors.entries import Claim, Entry, Nack, Queues, QueueStats, Types
from router.stores.retention import Retention
from router.stores.tally import Counts, Tally

WAITING, DELAYED, CLAIMED, DONE, FAILED = range(5)


@dataclass(slots=True, eq=False)
class Item:
    """An entry and where it stands."""

    number: int  #: in the order the entries came
    id: str
    queue: str
    frame: bytes
    priority: int
    available_at: int
    expires_at: int
    appended_at: int
    state: int = WAITING
    attempts: int = 0
    token: int = 0
    until: int = 0
    error: str = ""
    ended_at: int = 0
    ended: int = 0  #: its number in the order of endings and claims
    holder: str = ""  #: whose claim it is or was; not written down by a backend with a log, which one process has alone
    home: int = 0  #: for a backend with a log: the record that holds its full image
    type: str = ""  #: not written down either

    def __lt__(self, other: Item) -> bool:
        # A heap may hold an item twice under the same rank; which comes first does not matter.
        return False


class Drawers:
    """The entries of one queue; heaps may hold items that have moved on, which are passed over."""

    __slots__ = ("delayed", "done", "expiring", "failed", "lapsing", "ready")

    def __init__(self) -> None:
        self.ready: list[tuple[int, int, Item]] = []
        self.delayed: list[tuple[int, int, Item]] = []
        self.lapsing: list[tuple[int, int, Item]] = []
        self.expiring: list[tuple[int, int, Item]] = []
        self.done: dict[str, Item] = {}
        self.failed: dict[str, Item] = {}

    def put_ready(self, item: Item) -> None:
        """Claimable: by priority, then in the order they came."""
        heappush(self.ready, (-item.priority, item.number, item))

    def put_delayed(self, item: Item) -> None:
        """Claimable later."""
        heappush(self.delayed, (item.available_at, item.number, item))

    def put_claimed(self, item: Item) -> None:
        """Claimable again if the claim lapses."""
        heappush(self.lapsing, (item.until, item.token, item))

    def put_expiring(self, item: Item) -> None:
        """Not claimable for ever."""
        heappush(self.expiring, (item.expires_at, item.number, item))


class MemoryQueues(Queues):
    """Named queues, for as long as the process lives."""

    _retention: Retention

    def _clear_queues(self) -> None:
        self._items: dict[str, Item] = {}
        self._drawers: dict[str, Drawers] = {}
        self._paused: set[str] = set()
        self._item_number = 0
        self._token = 0
        self._queue_tally = Tally()
        self._used: dict[str, int] = {}  # queues by when something came into them, or came to an end

    def _check(self) -> None:
        """Raise ``StoreUnavailable`` unless the store is open."""
        raise NotImplementedError

    def _arrived(self, item: Item) -> None:
        """A backend that writes things down hears of every new item here."""

    def _changed(self, item: Item) -> None:
        """And of every change."""

    def _gone(self, item: Item) -> None:
        """And of every item that is forgotten."""

    def _queue_gone(self, queue: str) -> None:
        """And of every queue that is."""

    def _worked_in(self) -> set[str]:
        """Queues of which something is remembered beside their entries."""
        return set()

    def _drawer(self, queue: str) -> Drawers:
        drawers = self._drawers.get(queue)
        if drawers is None:
            drawers = self._drawers[queue] = Drawers()
        return drawers

    # ------------------------------------------------------------ in and out

    def append(self, entries: Sequence[Entry], now: int) -> list[bool]:
        self._check()
        added = []
        for entry in entries:
            if entry.id in self._items:
                added.append(False)
                continue
            self._item_number += 1
            item = Item(self._item_number, *entry[:6], now, type=entry.type)
            self._items[item.id] = item
            self._arrived(item)
            if item.expires_at:
                self._drawer(item.queue).put_expiring(item)
            self._wait(item, item.available_at, now)
            added.append(True)
        return added

    def claim(self, queue: str, limit: int, now: int, until: int, holder: str = "", types: Types = None) -> list[Claim]:
        self._check()
        drawers = self._drawer(queue)
        self._expire(drawers, now)
        while drawers.delayed and drawers.delayed[0][0] <= now:
            available_at, _, item = heappop(drawers.delayed)
            if item.state == DELAYED and item.available_at == available_at:
                self._uncount(item)
                self._wait(item, available_at, now)
                self._changed(item)
        if queue in self._paused:
            return []
        self._lapse(drawers, now)
        claims: list[Claim] = []
        foreign: list[Item] = []  # in memory all of them can be looked at
        while len(claims) < limit and drawers.ready:
            item = heappop(drawers.ready)[2]
            if item.state != WAITING and not (item.state == CLAIMED and item.until <= now):
                continue  # it has moved on
            if item.type and types is not None and item.type not in types:
                foreign.append(item)
            else:
                self._uncount(item)
                self._token += 1
                item.state = CLAIMED
                item.attempts += 1
                item.token = self._token
                item.until = until
                item.holder = holder
                drawers.put_claimed(item)
                self._queue_tally[queue].processing += 1
                self._changed(item)
                claims.append(Claim(item.id, queue, item.frame, item.priority, item.attempts, item.token, until))
        for item in foreign:
            drawers.put_ready(item)
        return claims

    def _expire(self, drawers: Drawers, now: int) -> None:
        late: list[Item] = []
        while drawers.expiring and drawers.expiring[0][0] < now:
            expires_at, _, item = heappop(drawers.expiring)
            if item.expires_at != expires_at:
                continue
            if item.state in (WAITING, DELAYED):
                self._fail(item, "expired", now)
            elif item.state == CLAIMED:
                if item.until <= now:
                    self._fail(item, "expired", now)
                else:
                    late.append(item)
        for item in late:
            drawers.put_expiring(item)

    def _lapse(self, drawers: Drawers, now: int) -> None:
        while drawers.lapsing and drawers.lapsing[0][0] <= now:
            until, token, item = heappop(drawers.lapsing)
            if item.state == CLAIMED and item.token == token and item.until == until:
                drawers.put_ready(item)

    def ack(self, claims: Sequence[tuple[str, int]], now: int, keep: int) -> list[bool]:
        self._check()
        results = []
        for id_, token in claims:
            item = self._items.get(id_)
            if item is None or item.token != token or item.state not in (CLAIMED, DONE):
                results.append(False)
                continue
            if item.state == CLAIMED:
                self._complete(item, now, keep)
            results.append(True)
        return results

    def nack(self, nacks: Sequence[Nack], now: int, keep: int) -> list[bool]:
        self._check()
        results = []
        for nack in nacks:
            item = self._items.get(nack.id)
            if item is None or item.token != nack.token or item.state == DONE:
                results.append(False)
            elif item.state != CLAIMED:
                failed = item.state == FAILED
                same = failed == nack.dead and item.error == nack.error
                results.append(same and (failed or item.available_at == nack.retry_at))
            else:
                if not nack.spent:
                    item.attempts -= 1
                if nack.dead:
                    self._fail(item, nack.error, now)
                    self._trim_failed(item.queue, keep)
                else:
                    self._uncount(item)
                    item.error = nack.error
                    item.available_at = nack.retry_at
                    self._wait(item, nack.retry_at, now)
                    self._changed(item)
                results.append(True)
        return results

    def extend(self, claims: Sequence[tuple[str, int]], until: int) -> list[bool]:
        self._check()
        results = []
        for id_, token in claims:
            item = self._items.get(id_)
            holds = item is not None and item.token == token and item.state == CLAIMED
            if item is not None and holds:
                item.until = until
                self._changed(item)
                self._drawer(item.queue).put_claimed(item)
            results.append(holds)
        return results

    def remove(self, ids: Sequence[str]) -> list[bool]:
        self._check()
        results = []
        for id_ in ids:
            item = self._items.get(id_)
            free = item is not None and item.state in (WAITING, DELAYED)
            if item is not None and free:
                self._drop(item)
            results.append(free)
        return results

    def purge(self, queue: str) -> int:
        self._check()
        items = [each for each in self._items.values() if each.queue == queue and each.state in (WAITING, DELAYED)]
        for item in items:
            self._drop(item)
        return len(items)

    def forget_queues(self, before: int, now: int, keep: Collection[str] = (), limit: int = 1_000) -> int:
        self._check()
        idle = [queue for queue, counts in self._queue_tally.items() if not counts.holds and queue not in self._paused]
        old = [queue for queue in idle if self._used.setdefault(queue, now) <= before and queue not in keep][:limit]
        remembered = self._worked_in() if old else set()
        gone = [queue for queue in old if queue not in remembered]
        for queue in gone:
            for item in self._drawer(queue).done.values():
                del self._items[item.id]
                self._gone(item)
            del self._queue_tally[queue], self._drawers[queue], self._used[queue]
            self._queue_gone(queue)
        return len(gone)

    # ------------------------------------------------------------ looking

    def pause(self, queue: str, paused: bool) -> None:
        self._check()
        if paused:
            self._paused.add(queue)
        else:
            self._paused.discard(queue)

    def paused(self) -> frozenset[str]:
        self._check()
        return frozenset(self._paused)

    def queue_stats(self) -> Mapping[str, QueueStats]:
        self._check()
        return queue_stats(self._queue_tally, self._paused)

    def depths(self, queues: Sequence[str]) -> list[int]:
        self._check()
        counts = (self._queue_tally.get(queue) for queue in queues)
        return [0 if each is None else each.pending + each.delayed for each in counts]

    def failed(self, queue: str, limit: int = 100) -> list[tuple[str, bytes, str, int]]:
        self._check()
        items = self._drawers[queue].failed.values() if queue in self._drawers else ()
        return [(item.id, item.frame, item.error, item.ended_at) for item in islice(items, limit)]

    def replay_failed(self, queue: str, ids: Collection[str], now: int) -> int:
        self._check()
        failed = self._drawers[queue].failed if queue in self._drawers else {}
        items = [item for item in failed.values() if not ids or item.id in ids]
        for item in items:
            del failed[item.id]
            self._queue_tally[queue].dead -= 1
            item.attempts = item.until = item.ended_at = item.expires_at = 0
            item.error = ""
            item.available_at = now
            self._wait(item, now, now)
            self._changed(item)
        return len(items)

    def _sweep_failed(self, now: int, limit: int) -> int:
        edge = self._retention.dead_edge(now)
        swept = 0
        for drawers in self._drawers.values():
            while swept < limit and drawers.failed:
                item = next(iter(drawers.failed.values()))
                if len(drawers.failed) <= self._retention.dead_rows and item.ended_at > edge:
                    break
                self._forget_failed(item)
                swept += 1
        return swept

    # ------------------------------------------------------------ moves

    def _wait(self, item: Item, available_at: int, now: int) -> None:
        drawers = self._drawer(item.queue)
        self._used[item.queue] = now
        if available_at > now:
            item.state = DELAYED
            drawers.put_delayed(item)
            self._queue_tally[item.queue].delayed += 1
        else:
            item.state = WAITING
            drawers.put_ready(item)
            self._queue_tally[item.queue].arrive(item.appended_at)

    def _uncount(self, item: Item) -> None:
        if item.state == WAITING:
            self._queue_tally[item.queue].leave(item.appended_at)
        elif item.state == DELAYED:
            self._queue_tally[item.queue].delayed -= 1
        else:
            self._queue_tally[item.queue].processing -= 1

    def _fail(self, item: Item, error: str, now: int) -> None:
        self._uncount(item)
        self._queue_tally[item.queue].end(False, True)
        item.state = FAILED
        item.error = error
        self._stamp(item, now)
        self._drawer(item.queue).failed[item.id] = item
        self._changed(item)

    def _complete(self, item: Item, now: int, keep: int) -> None:
        self._uncount(item)
        self._queue_tally[item.queue].completed += 1
        item.state = DONE
        self._stamp(item, now)
        done = self._drawer(item.queue).done
        done[item.id] = item
        self._changed(item)
        while len(done) > keep:
            gone = next(iter(done.values()))
            del done[gone.id], self._items[gone.id]
            self._gone(gone)

    def _stamp(self, item: Item, now: int) -> None:
        self._token += 1
        item.ended = self._token
        item.ended_at = now
        self._used[item.queue] = now

    def _trim_failed(self, queue: str, keep: int) -> None:
        failed = self._drawer(queue).failed
        while len(failed) > keep:
            self._forget_failed(next(iter(failed.values())))

    def _forget_failed(self, item: Item) -> None:
        del self._drawer(item.queue).failed[item.id], self._items[item.id]
        self._queue_tally[item.queue].dead -= 1
        self._gone(item)

    def _drop(self, item: Item) -> None:
        self._uncount(item)
        item.state = DONE
        del self._items[item.id]
        self._gone(item)


def queue_stats(tally: Tally, paused: Collection[str]) -> dict[str, QueueStats]:
    """The counts of every queue that was ever used or is paused."""
    return {
        queue: QueueStats(
            each.pending,
            each.delayed,
            each.processing,
            each.completed,
            each.failed,
            each.dead,
            each.oldest,
            queue in paused,
        )
        for queue, each in (*tally.items(), *((queue, Counts()) for queue in paused if queue not in tally))
    }
