"""The memory store's ``Workers`` port: executions, outcomes for their askers, and who lives."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

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
from router.stores.memory_queues import CLAIMED, DONE, Item, MemoryQueues

EXECUTIONS = 100_000
"""Executions remembered at most; about 300 bytes each, without their outcomes."""


class MemoryWorkers(MemoryQueues, Workers):
    """Beside the queues whose claims these are."""

    def _clear_queues(self) -> None:
        super()._clear_queues()
        self._executions: dict[tuple[str, str], Execution] = {}  # by (queue, envelope), oldest word first
        self._answers: dict[tuple[str, str], dict[str, Answered]] = {}  # by (asker, queue), then entry
        self._presences: dict[str, Presence] = {}

    def _execution_changed(self, queue: str, id_: str) -> None:
        """A backend that writes things down hears of every new, ended or forgotten execution here."""

    def _answer_changed(self, asker: str, queue: str, entry: str) -> None:
        """And of every outcome that came or went."""

    def _worked_in(self) -> set[str]:
        return {queue for queue, _ in self._executions} | {queue for _, queue in self._answers}

    # ------------------------------------------------------------ begin and end

    def begin(self, undertakings: Sequence[Undertake], now: int) -> list[Execution | bool]:
        self._check()
        return [self._undertake(each, now) for each in undertakings]

    def _undertake(self, it: Undertake, now: int) -> Execution | bool:
        item = self._items.get(it.entry)
        if item is None or item.state != CLAIMED or item.token != it.token or item.queue != it.queue:
            return False
        known = self._executions.get((it.queue, it.id))
        if known is not None:
            which = (known.entry, known.token)
            if which == (it.entry, it.token) and not known.ended_at:
                return True
            if which != it.over:
                return known
        begun = Execution(it.id, it.entry, it.token, it.attempt, it.worker, now, 0, b"", it.owner)
        self._put_execution(it.queue, begun)
        return True

    def finish(self, finishes: Sequence[Finish], now: int, keep: int) -> list[bool]:
        self._check()
        return [self._conclude(each, now, keep) for each in finishes]

    def _conclude(self, it: Finish, now: int, keep: int) -> bool:
        known = self._executions.get((it.queue, it.id))
        if known is not None and not known.ended_at and (known.entry, known.token) == (it.entry, it.token):
            if it.remember:
                self._put_execution(it.queue, known._replace(ended_at=now, outcome=it.outcome))
            elif it.remember is False:
                self._drop_execution(it.queue, it.id)
        item = self._items.get(it.entry)
        if item is None or item.token != it.token or item.queue != it.queue or item.state not in (CLAIMED, DONE):
            return False
        if item.state == CLAIMED:
            self._end_claim(item, it, now, keep)
        return True

    def _end_claim(self, item: Item, it: Finish, now: int, keep: int) -> None:
        if it.done:
            self._complete(item, now, keep)
        else:
            self._drop(item)
            self._used[item.queue] = now
        if it.asker:
            waiting = self._answers.setdefault((it.asker, it.queue), {})
            waiting[it.entry] = Answered(it.queue, it.entry, it.id, it.outcome, now)
            self._answer_changed(it.asker, it.queue, it.entry)
            while len(waiting) > ANSWERS:
                self._drop_answer(it.asker, it.queue, next(iter(waiting)))

    def _put_execution(self, queue: str, execution: Execution) -> None:
        self._executions.pop((queue, execution.id), None)
        self._executions[queue, execution.id] = execution
        self._execution_changed(queue, execution.id)

    def _drop_execution(self, queue: str, id_: str) -> None:
        del self._executions[queue, id_]
        self._execution_changed(queue, id_)

    def _drop_answer(self, asker: str, queue: str, entry: str) -> None:
        waiting = self._answers[asker, queue]
        del waiting[entry]
        if not waiting:
            del self._answers[asker, queue]
        self._answer_changed(asker, queue, entry)

    # ------------------------------------------------------------ looking

    def executions(self, queue: str, ids: Sequence[str]) -> list[Execution | None]:
        self._check()
        return [self._executions.get((queue, id_)) for id_ in ids]

    def answers(
        self, asker: str, queues: Collection[str], limit: int = 1_000, heard: Collection[tuple[str, str]] = ()
    ) -> list[Answered]:
        self._check()
        if heard:
            self.heard(asker, heard)
        found: list[Answered] = []
        for queue in queues:
            found.extend(self._answers.get((asker, queue), {}).values())
        return found[:limit]

    def heard(self, asker: str, answers: Collection[tuple[str, str]]) -> None:
        self._check()
        for queue, entry in answers:
            if entry in self._answers.get((asker, queue), {}):
                self._drop_answer(asker, queue, entry)

    # ------------------------------------------------------------ who lives

    def report(self, presence: Presence, now: int, ttl: int) -> None:
        self._check()
        self._presences[presence.worker] = presence._replace(seen=now, until=now + ttl)

    def retire(self, worker: str) -> None:
        self._check()
        self._presences.pop(worker, None)

    def workers(self) -> list[Presence]:
        self._check()
        return sorted(self._presences.values(), key=lambda each: (each.name, each.worker))

    def lines(self, workers: Collection[str]) -> Mapping[str, bool]:  # noqa: ARG002 - in one process there are none
        self._check()
        return {}

    def free(self, gone: Presence) -> int:
        self._check()
        freed = 0
        for item in self._items.values():
            if item.state == CLAIMED and item.holder == gone.worker and item.queue in gone.holds and item.until:
                item.until = 0
                self._changed(item)
                self._drawer(item.queue).put_claimed(item)
                freed += 1
        known = self._presences.get(gone.worker)
        if known is not None and known.seen == gone.seen:
            del self._presences[gone.worker]
        return freed

    # ------------------------------------------------------------ forgetting

    def _sweep_workers(self, now: int, limit: int) -> int:
        for gone in [each.worker for each in self._presences.values() if each.until + GONE_KEPT <= now]:
            del self._presences[gone]
        swept = 0
        while swept < limit and self._executions:
            (queue, id_), oldest = next(iter(self._executions.items()))
            if len(self._executions) <= EXECUTIONS and last_word(oldest) + EXECUTION_KEPT > now:
                break
            self._drop_execution(queue, id_)
            swept += 1
        for (asker, queue), waiting in list(self._answers.items()):
            for entry, answered in list(waiting.items()):
                if swept >= limit or answered.at + ANSWER_KEPT > now:
                    break
                self._drop_answer(asker, queue, entry)
                swept += 1
        return swept


def last_word(execution: Execution) -> int:
    """When it was heard of last."""
    return max(execution.begun_at, execution.ended_at)
