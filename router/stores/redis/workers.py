"""The Redis store's ``Workers`` port: beside the entries of a queue, in one step with their claims."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from actors.workers import (
    ANSWER_KEPT,
    ANSWERS,
    EXECUTION_KEPT,
    GONE_KEPT,
    Answered,
    Execution,
    Finish,
    Presence,
    Undertake,
    Workers,
)
from router.stores.redis import scripts
from router.stores.redis.link import plain, run_script
from router.stores.redis.packing import pack, unpack
from router.stores.redis.queues import RedisQueues, beside, spread

EXECUTIONS = 100_000
"""Executions remembered in each queue at most; about 500 bytes each, without their outcomes."""


class RedisWorkers(RedisQueues, Workers):
    """Executions, outcomes for their askers, and who lives."""

    def begin(self, undertakings: Sequence[Undertake], now: int) -> list[Execution | bool]:
        self._check()
        groups: dict[str, list[int]] = {}
        for number, it in enumerate(undertakings):
            groups.setdefault(it.queue, []).append(number)
        calls = [
            self._item(scripts.BEGIN, queue, pack((now, *(_begun(undertakings[number]) for number in numbers))))
            for queue, numbers in groups.items()
        ]
        results: list[Execution | bool] = [False] * len(undertakings)
        for numbers, answer in zip(groups.values(), self._run(calls, writes=True), strict=True):
            for number, known in zip(numbers, unpack(answer), strict=True):
                results[number] = known if isinstance(known, bool) else _execution(undertakings[number].id, known)
        return results

    def finish(self, finishes: Sequence[Finish], now: int, keep: int) -> list[bool]:
        self._check()
        groups: dict[str, list[int]] = {}
        for number, it in enumerate(finishes):
            groups.setdefault(it.queue, []).append(number)
        calls = [
            self._item(
                scripts.FINISH,
                queue,
                pack((now, keep, ANSWERS, *(_ended(finishes[number]) for number in numbers))),
                self.names.outcomes,
            )
            for queue, numbers in groups.items()
        ]
        return spread(groups.values(), self._run(calls, writes=True), len(finishes))

    def executions(self, queue: str, ids: Sequence[str]) -> list[Execution | None]:
        self._check()
        if not ids:
            return []
        key = self.names.queue(queue)
        (found,) = self._run([plain(key, "HMGET", beside(key, "executions"), *ids)])
        return [
            None if known is None else _execution(id_, unpack(known)) for id_, known in zip(ids, found, strict=True)
        ]

    def answers(
        self, asker: str, queues: Collection[str], limit: int = 1_000, heard: Collection[tuple[str, str]] = ()
    ) -> list[Answered]:
        self._check()
        said: dict[str, list[str]] = {queue: [] for queue in queues}
        looked = len(said)
        for queue, entry in heard:
            said.setdefault(queue, []).append(entry)
        # One script for both: of two in one round trip the first may have to be sent again, after the second.
        calls = [
            self._item(scripts.ANSWERS, queue, asker, limit if number < looked else 0, *entries)
            for number, (queue, entries) in enumerate(said.items())
        ]
        answers = self._run(calls, writes=bool(heard))
        found: list[Answered] = []
        for queue, answer in zip(said, answers, strict=True):
            for at in range(0, len(answer), 2):
                id_, outcome, came_at = unpack(answer[at + 1])
                found.append(Answered(queue, answer[at].decode(), id_.decode(), outcome, came_at))
        return found[:limit]

    def heard(self, asker: str, answers: Collection[tuple[str, str]]) -> None:
        self.answers(asker, (), 0, answers)

    # ------------------------------------------------------------ who lives

    def report(self, presence: Presence, now: int, ttl: int) -> None:
        self._check()
        said = pack(presence._replace(seen=now, until=now + ttl))
        self._run([plain(self.names.workers, "HSET", self.names.workers, presence.worker, said)], writes=True)

    def retire(self, worker: str) -> None:
        self._check()
        self._run([plain(self.names.workers, "HDEL", self.names.workers, worker)], writes=True)

    def workers(self) -> list[Presence]:
        self._check()
        (said,) = self._run([plain(self.names.workers, "HVALS", self.names.workers)])
        return sorted(map(_presence, said), key=lambda each: (each.name, each.worker))

    def lines(self, workers: Collection[str]) -> Mapping[str, bool]:
        self._check()
        names = {worker: self.names.outcomes + worker for worker in workers}
        # In a cluster a line is where its first channel has its slot, and each server knows its own subscribers.
        answers = self._run([plain(name, "PUBSUB", "NUMSUB", name) for name in names.values()])
        return {worker: count > 0 for worker, (_, count) in zip(names, answers, strict=True)}

    def free(self, gone: Presence) -> int:
        self._check()
        calls = [self._item(scripts.FREE, queue, gone.worker, self.names.bell(queue)) for queue in gone.holds]
        freed: int = sum(self._run(calls, writes=True))
        self._run([run_script(scripts.DISMISS, [self.names.workers], gone.worker, gone.seen)], writes=True)
        return freed

    # ------------------------------------------------------------ forgetting

    def sweep(self, now: int, limit: int) -> int:
        swept = super().sweep(now, limit)
        gone = [each.worker for each in self.workers() if each.until + GONE_KEPT <= now]
        if gone:
            self._run([plain(self.names.workers, "HDEL", self.names.workers, *gone)], writes=True)
        keep = self.retention
        edges = (keep.dead_rows, keep.dead_edge(now), EXECUTIONS, now - EXECUTION_KEPT, now - ANSWER_KEPT)
        for queue in sorted(self._all_queues()):
            if swept >= limit:
                break
            (answer,) = self._run([self._item(scripts.SWEEP_QUEUE, queue, limit - swept, *edges)], writes=True)
            swept += unpack(answer)
        return swept


def _begun(it: Undertake) -> tuple[Any, ...]:
    return (it.entry, it.token, it.id, it.attempt, it.worker, *it.over, it.owner)


def _ended(it: Finish) -> tuple[Any, ...]:
    remember = -1 if it.remember is None else int(it.remember)
    return (it.entry, it.token, it.id, it.outcome, it.asker, remember, int(it.done))


def _execution(id_: str, known: list[Any]) -> Execution:
    entry, token, attempt, worker, begun_at, ended_at, outcome, owner = known
    return Execution(id_, entry.decode(), token, attempt, worker.decode(), begun_at, ended_at, outcome, owner)


def _presence(said: bytes) -> Presence:
    worker, name, queues, types, idempotent, capacity, running, seen, until, holds, patience = unpack(said)
    about = (worker.decode(), name.decode(), _texts(queues), _texts(types), _texts(idempotent))
    return Presence(*about, capacity, running, seen, until, _texts(holds), patience)


def _texts(some: list[bytes]) -> tuple[str, ...]:
    return tuple(each.decode() for each in some)
