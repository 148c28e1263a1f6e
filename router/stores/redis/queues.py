"""The Redis store's ``Queues`` port: one hash tag per named queue, so that queues spread over a cluster.

An entry's id is one entry within its queue. Who has claimed an entry, or put it in, knows its queue; for ids of others
all queues are asked.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar
from uuid import uuid4

from actors.entries import Claim, Entry, Nack, QueueStats, Types
from router.stores.redis.archive import RedisArchive
from router.stores.redis.link import Call, plain, run_script
from router.stores.redis.packing import pack, unpack
from router.stores.redis.scripts import (
    ACK,
    APPEND,
    CLAIM,
    EXTEND,
    FORGET_QUEUE,
    NACK,
    PAUSE,
    PURGE_QUEUE,
    REMOVE,
    REPLAY_FAILED,
    UNLIST,
    Script,
)

REMEMBERED = 100_000  # ids whose queue is known without asking
PURGED = 2_000  # entries of a purge in one step, so that it keeps nobody else waiting for long

T = TypeVar("T")


class RedisQueues(RedisArchive):
    """Named queues."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._handle = uuid4().hex[:12]
        self._queue_of: OrderedDict[str, str] = OrderedDict()
        self._behind: dict[str, str] = {}  # how far a queue was looked through for entries of some types

    def _emptied(self) -> None:
        super()._emptied()
        self._queue_of.clear()
        self._behind.clear()

    # ------------------------------------------------------------ in and out

    def append(self, entries: Sequence[Entry], now: int) -> list[bool]:
        self._check()
        groups: dict[str, list[int]] = {}
        for number, entry in enumerate(entries):
            groups.setdefault(entry.queue, []).append(number)
        orders = {}
        for queue, numbers in groups.items():
            packed = [
                (e.id, e.frame, e.priority, e.available_at, e.expires_at, e.type)
                for e in map(entries.__getitem__, numbers)
            ]
            orders[queue] = (pack((now, *packed)), self.names.bell(queue))
            for number in numbers:
                self._queue_of[entries[number].id] = queue
        self._forget_some()
        answers = self._appended(orders, listed=False)
        new = {queue: orders[queue] for queue, answer in answers.items() if answer is None}
        if new:  # listed before anything is in them, so that nothing is ever in a queue that is not listed
            names = [part for queue in new for part in (now, queue)]
            self._run([plain(self.names.queues, "ZADD", self.names.queues, *names)], writes=True)
            answers |= self._appended(new, listed=True)
        return spread(groups.values(), answers.values(), len(entries))

    def _appended(self, orders: Mapping[str, tuple[Any, ...]], *, listed: bool) -> dict[str, Any]:
        calls = [self._item(APPEND, queue, *order, int(listed)) for queue, order in orders.items()]
        return dict(zip(orders, self._run(calls, writes=True), strict=True))

    def claim(self, queue: str, limit: int, now: int, until: int, holder: str = "", types: Types = None) -> list[Claim]:
        self._check()
        wanted = b"" if types is None else pack(tuple(types))
        behind = "" if types is None else self._behind.pop(queue, "")
        (answer,) = self._run([self._item(CLAIM, queue, limit, now, until, holder, wanted, behind)], writes=True)
        found = unpack(answer)
        if found and found[0]:
            self._behind[queue] = found[0].decode()
        claims = []
        for at in range(1, len(found), 5):
            id_, frame, priority, attempt, token = found[at : at + 5]
            claims.append(Claim(id_.decode(), queue, frame, priority, attempt, token, until))
            self._queue_of[claims[-1].id] = queue
        self._forget_some()
        return claims

    def ack(self, claims: Sequence[tuple[str, int]], now: int, keep: int) -> list[bool]:
        return self._on_claims(ACK, [id_ for id_, _ in claims], (now, keep), list(claims))

    def nack(self, nacks: Sequence[Nack], now: int, keep: int) -> list[bool]:
        packed = [((n.id, n.token, n.retry_at, int(n.spent), n.error, int(n.dead)),) for n in nacks]
        return self._on_claims(NACK, [nack.id for nack in nacks], (now, keep), packed)

    def extend(self, claims: Sequence[tuple[str, int]], until: int) -> list[bool]:
        return self._on_claims(EXTEND, [id_ for id_, _ in claims], (until,), list(claims))

    def remove(self, ids: Sequence[str]) -> list[bool]:
        return self._on_claims(REMOVE, ids, (), [(id_,) for id_ in ids])

    def _on_claims(
        self, script: Script, ids: Sequence[str], head: tuple[Any, ...], each: Sequence[tuple[Any, ...]]
    ) -> list[bool]:
        """``False`` for the ids that no queue knows."""
        self._check()
        queues = self._queues_of(ids)
        groups: dict[str, list[int]] = {}
        for number, id_ in enumerate(ids):
            if id_ in queues:
                groups.setdefault(queues[id_], []).append(number)
        calls = [
            self._item(script, queue, pack((*head, *(part for number in numbers for part in each[number]))))
            for queue, numbers in groups.items()
        ]
        return spread(groups.values(), self._run(calls, writes=True), len(ids))

    def purge(self, queue: str) -> int:
        self._check()
        purged, most = 0, sum(self.depths([queue]))
        while True:
            (answer,) = self._run([self._item(PURGE_QUEUE, queue, PURGED)], writes=True)
            gone: int = unpack(answer)
            purged += gone
            if gone < PURGED or purged >= most:  # what comes meanwhile stays
                return purged

    def forget_queues(self, before: int, now: int, keep: Collection[str] = (), limit: int = 1_000) -> int:
        self._check()
        key = self.names.queues
        (names,) = self._run([plain(key, "ZRANGEBYSCORE", key, "-inf", before, "LIMIT", 0, limit)])
        queues = [name.decode() for name in names]
        if not queues:
            return 0
        looked = [queue for queue in queues if queue not in keep]
        used = dict.fromkeys(queues, now)
        calls = [self._item(FORGET_QUEUE, queue, before, now) for queue in looked]
        used |= zip(looked, self._run(calls, writes=True), strict=True)
        order = [part for queue, at in used.items() for part in (queue, at)]
        self._run([run_script(UNLIST, [key], before, *order)], writes=True)
        return sum(not at for at in used.values())

    # ------------------------------------------------------------ looking

    def pause(self, queue: str, paused: bool) -> None:
        self._check()
        listed = plain(self.names.paused, "SADD" if paused else "SREM", self.names.paused, queue)
        flag = self._item(PAUSE, queue, int(paused))
        # Listed for as long as it is paused at least.
        for call in (listed, flag) if paused else (flag, listed):
            self._run([call], writes=True)

    def paused(self) -> frozenset[str]:
        self._check()
        (names,) = self._run([plain(self.names.paused, "SMEMBERS", self.names.paused)])
        return frozenset(name.decode() for name in names)

    def queue_stats(self) -> Mapping[str, QueueStats]:
        self._check()
        queues, paused = self._all_queues(), self.paused()
        names = sorted(queues | paused)
        calls = []
        for name in names:
            key = self.names.queue(name)
            fields = ("waiting", "delayed", "claimed", "completed", "failed")
            calls.append(plain(key, "HMGET", key, *fields))
            calls.append(plain(key, "ZCARD", beside(key, "failed")))
            calls.append(plain(key, "ZRANGE", beside(key, "ages"), 0, 0, "WITHSCORES"))
        answers = self._run(calls)
        stats = {}
        for number, name in enumerate(names):
            counts, dead, oldest = answers[3 * number : 3 * number + 3]
            waiting, delayed, claimed, completed, ended = (int(count or 0) for count in counts)
            since = int(float(oldest[1])) if oldest else 0
            stats[name] = QueueStats(waiting, delayed, claimed, completed, ended, dead, since, name in paused)
        return stats

    def depths(self, queues: Sequence[str]) -> list[int]:
        self._check()
        keys = [self.names.queue(queue) for queue in queues]
        answers = self._run([plain(key, "HMGET", key, "waiting", "delayed") for key in keys])
        return [sum(int(count or 0) for count in counts) for counts in answers]

    def failed(self, queue: str, limit: int = 100) -> list[tuple[str, bytes, str, int]]:
        self._check()
        key = self.names.queue(queue)
        (ids,) = self._run([plain(key, "ZRANGE", beside(key, "failed"), 0, limit - 1)])
        if not ids or limit < 1:
            return []
        items, frames = self._run([plain(key, "HMGET", beside(key, name), *ids) for name in ("items", "frames")])
        found = []
        for id_, item, frame in zip(ids, items, frames, strict=True):
            if item is not None:  # else it was swept in this moment
                fields = unpack(item)
                found.append((id_.decode(), frame or b"", fields[9].decode(errors="replace"), fields[10]))
        return found

    def replay_failed(self, queue: str, ids: Collection[str], now: int) -> int:
        self._check()
        (answer,) = self._run([self._item(REPLAY_FAILED, queue, pack((now, *ids)))], writes=True)
        replayed: int = unpack(answer)
        return replayed

    # ------------------------------------------------------------ where

    def _item(self, script: Script, queue: str, *arguments: Any) -> Call:
        return run_script(script, [self.names.queue(queue)], self._handle, uuid4().bytes, *arguments)

    def _all_queues(self) -> frozenset[str]:
        (names,) = self._run([plain(self.names.queues, "ZRANGE", self.names.queues, 0, -1)])
        return frozenset(name.decode() for name in names)

    def _queues_of(self, ids: Sequence[str]) -> dict[str, str]:
        known = {id_: self._queue_of[id_] for id_ in ids if id_ in self._queue_of}
        left = [id_ for id_ in dict.fromkeys(ids) if id_ not in known]
        if left:
            queues = sorted(self._all_queues())
            keys = [self.names.queue(queue) for queue in queues]
            answers = self._run([plain(key, "HMGET", beside(key, "items"), *left) for key in keys])
            for queue, items in zip(queues, answers, strict=True):
                known.update((id_, queue) for id_, item in zip(left, items, strict=True) if item is not None)
        return known

    def _forget_some(self) -> None:
        while len(self._queue_of) > REMEMBERED:
            self._queue_of.popitem(last=False)


def spread(groups: Iterable[list[int]], answers: Iterable[bytes], length: int) -> list[bool]:
    """What the queues said of their entries, in the order these were given."""
    results = [False] * length
    for numbers, answer in zip(groups, answers, strict=True):
        for number, result in zip(numbers, unpack(answer), strict=True):
            results[number] = result
    return results


def beside(key: str, name: str) -> str:
    """Another key of the queue that ``key`` stands for."""
    return key.removesuffix("meta") + name
