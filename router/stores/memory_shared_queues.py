"""Named queues, workers and schedules of a ``MemoryHub``, asked through one router's handle."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

from actors.entries import Claim, Entry, Nack, Queues, QueueStats, Types
from actors.schedules import Fire, Schedule, Schedules
from actors.workers import Answered, Execution, Finish, Presence, Undertake, Workers
from router.stores.memory_hub import MemoryHub, Shelf

T = TypeVar("T")


class MemorySharedQueues(Queues, Workers, Schedules):
    """They are the hub's, all of them, whoever owns which partition."""

    hub: MemoryHub

    @abstractmethod
    def _shelved(self, use: Callable[[Shelf], T]) -> T:
        """Use the hub's, if the handle may."""

    def append(self, entries: Sequence[Entry], now: int) -> list[bool]:
        added = self._shelved(lambda shelf: shelf.append(entries, now))
        self.hub.ring(queues={entry.queue for entry in entries if entry.available_at <= now})
        return added

    def claim(self, queue: str, limit: int, now: int, until: int, holder: str = "", types: Types = None) -> list[Claim]:
        return self._shelved(lambda shelf: shelf.claim(queue, limit, now, until, holder, types))

    def ack(self, claims: Sequence[tuple[str, int]], now: int, keep: int) -> list[bool]:
        return self._shelved(lambda shelf: shelf.ack(claims, now, keep))

    def nack(self, nacks: Sequence[Nack], now: int, keep: int) -> list[bool]:
        return self._shelved(lambda shelf: shelf.nack(nacks, now, keep))

    def extend(self, claims: Sequence[tuple[str, int]], until: int) -> list[bool]:
        return self._shelved(lambda shelf: shelf.extend(claims, until))

    def remove(self, ids: Sequence[str]) -> list[bool]:
        return self._shelved(lambda shelf: shelf.remove(ids))

    def purge(self, queue: str) -> int:
        return self._shelved(lambda shelf: shelf.purge(queue))

    def forget_queues(self, before: int, now: int, keep: Collection[str] = (), limit: int = 1_000) -> int:
        return self._shelved(lambda shelf: shelf.forget_queues(before, now, keep, limit))

    def pause(self, queue: str, paused: bool) -> None:
        self._shelved(lambda shelf: shelf.pause(queue, paused))

    def paused(self) -> frozenset[str]:
        return self._shelved(lambda shelf: shelf.paused())

    def queue_stats(self) -> Mapping[str, QueueStats]:
        return self._shelved(lambda shelf: shelf.queue_stats())

    def depths(self, queues: Sequence[str]) -> list[int]:
        return self._shelved(lambda shelf: shelf.depths(queues))

    def failed(self, queue: str, limit: int = 100) -> list[tuple[str, bytes, str, int]]:
        return self._shelved(lambda shelf: shelf.failed(queue, limit))

    def replay_failed(self, queue: str, ids: Collection[str], now: int) -> int:
        return self._shelved(lambda shelf: shelf.replay_failed(queue, ids, now))

    def begin(self, undertakings: Sequence[Undertake], now: int) -> list[Execution | bool]:
        return self._shelved(lambda shelf: shelf.begin(undertakings, now))

    def finish(self, finishes: Sequence[Finish], now: int, keep: int) -> list[bool]:
        finished = self._shelved(lambda shelf: shelf.finish(finishes, now, keep))
        self.hub.ring(askers={finish.asker for finish in finishes if finish.asker})
        return finished

    def executions(self, queue: str, ids: Sequence[str]) -> list[Execution | None]:
        return self._shelved(lambda shelf: shelf.executions(queue, ids))

    def answers(
        self, asker: str, queues: Collection[str], limit: int = 1_000, heard: Collection[tuple[str, str]] = ()
    ) -> list[Answered]:
        return self._shelved(lambda shelf: shelf.answers(asker, queues, limit, heard))

    def heard(self, asker: str, answers: Collection[tuple[str, str]]) -> None:
        self._shelved(lambda shelf: shelf.heard(asker, answers))

    def report(self, presence: Presence, now: int, ttl: int) -> None:
        self._shelved(lambda shelf: shelf.report(presence, now, ttl))

    def retire(self, worker: str) -> None:
        self._shelved(lambda shelf: shelf.retire(worker))

    def workers(self) -> list[Presence]:
        return self._shelved(lambda shelf: shelf.workers())

    def lines(self, workers: Collection[str]) -> Mapping[str, bool]:
        return self._shelved(lambda shelf: shelf.lines(workers))

    def free(self, gone: Presence) -> int:
        freed = self._shelved(lambda shelf: shelf.free(gone))
        if freed:
            self.hub.ring(queues=gone.holds)
        return freed

    def put_schedule(self, schedule: Schedule, now: int) -> bool:
        return self._shelved(lambda shelf: shelf.put_schedule(schedule, now))

    def remove_schedule(self, id: str) -> bool:
        return self._shelved(lambda shelf: shelf.remove_schedule(id))

    def pause_schedule(self, id: str, paused: bool, next: int, now: int) -> bool:
        return self._shelved(lambda shelf: shelf.pause_schedule(id, paused, next, now))

    def schedules(self, after: str = "", limit: int = 1_000) -> list[Schedule]:
        return self._shelved(lambda shelf: shelf.schedules(after, limit))

    def claim_due(self, router: str, now: int, until: int, limit: int = 100) -> list[Schedule]:
        return self._shelved(lambda shelf: shelf.claim_due(router, now, until, limit))

    def next_due(self, now: int) -> int:
        return self._shelved(lambda shelf: shelf.next_due(now))

    def fire(self, fire: Fire, now: int) -> bool:
        return self._shelved(lambda shelf: shelf.fire(fire, now))
