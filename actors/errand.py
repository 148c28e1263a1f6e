"""What named queues ask of the store in one slice: one call, in one commit, on the journal's thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, NamedTuple

from actors.asking import ask_store
from actors.entries import Claim, Entry, WorkedQueues
from actors.policy.consuming import QueueRules
from actors.tables.deliveries import Closed, Delivery
from actors.tables.fullness import Fullness

Reply = Callable[[Any], None]


class Append(NamedTuple):
    """Anybody -> named queues: ``reply`` gets a bool for each entry (``False``: known), or an ``EngineError``."""

    entries: Sequence[Entry]
    reply: Reply


class Remove(NamedTuple):
    """Anybody -> named queues: take back what nobody claimed; ``reply`` gets a bool for each, or an ``EngineError``."""

    ids: Sequence[str]
    reply: Reply


class Purge(NamedTuple):
    """Anybody -> named queues: drop what waits; ``reply`` gets the count, or an ``EngineError``."""

    queue: str
    reply: Reply


class Pause(NamedTuple):
    """Anybody -> named queues: stop claiming, or go on; ``reply`` gets ``None``, or an ``EngineError``."""

    queue: str
    paused: bool
    reply: Reply


class Look(NamedTuple):
    """Anybody -> named queues: something else of the store, in the same step.

    ``reply`` gets what ``fn`` returned or raised, or an ``EngineError``.
    """

    fn: Callable[[WorkedQueues, int], Any]
    reply: Reply


Asked = Append | Remove | Purge | Pause | Look


class Extension(NamedTuple):
    """A claim whose consumer lives."""

    delivery: Delivery
    until: int


class Wanted(NamedTuple):
    """So many entries of a queue."""

    queue: str
    most: int
    until: int
    types: frozenset[str] | None = None  #: ``None``: of all


@dataclass(slots=True)
class Errand:
    """Filled by the actor, run by the journal; the answers stand in the order of the questions."""

    asked: list[Asked]
    closed: list[Closed] = field(default_factory=list)
    extensions: list[Extension] = field(default_factory=list)
    wanted: list[Wanted] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.asked or self.closed or self.extensions or self.wanted)

    def run(
        self, store: WorkedQueues, now: int, rules: Callable[[str], QueueRules], holder: str, fullness: Fullness
    ) -> Answers:
        """Inside one transaction. Endings come before newcomers, which may have their names; claims find both."""
        closed = _close(store, self.closed, now, rules)
        asked = _ask(store, self.asked, now, rules, fullness)
        extensions = _extend(store, self.extensions)
        claims = [store.claim(it.queue, it.most, now, it.until, holder, it.types) for it in self.wanted]
        return Answers(asked, closed, extensions, claims)


class Answers(NamedTuple):
    """What the store said."""

    asked: list[Any]
    closed: list[bool]  #: ``False``: the claim was lost
    extensions: list[bool]
    claims: list[list[Claim]]


def _ask(
    store: WorkedQueues, asked: list[Asked], now: int, rules: Callable[[str], QueueRules], fullness: Fullness
) -> list[Any]:
    answers: list[Any] = []
    for kind, group in groupby(asked, type):
        if kind is Append:
            answers.extend(
                _append(store, [one.entries for one in group if isinstance(one, Append)], now, rules, fullness)
            )
            continue
        for one in group:
            match one:
                case Remove(ids):
                    answers.append(store.remove(ids))
                case Purge(queue):
                    answers.append(store.purge(queue))
                case Pause(queue, paused):
                    store.pause(queue, paused)
                    answers.append(None)
                case Look(fn):
                    answers.append(ask_store(fn, store, now))
    return answers


def _append(
    store: WorkedQueues,
    asked: Sequence[Sequence[Entry]],
    now: int,
    rules: Callable[[str], QueueRules],
    fullness: Fullness,
) -> Iterator[Any]:
    """What was asked one after the other is one call; each is taken whole or refused."""
    refusals = fullness.refusals(asked, rules, now, store.depths)
    taken = [entry for entries, refusal in zip(asked, refusals, strict=True) if refusal is None for entry in entries]
    added = iter(store.append(taken, now) if taken else ())
    for entries, refusal in zip(asked, refusals, strict=True):
        yield [next(added) for _ in entries] if refusal is None else refusal


def _close(store: WorkedQueues, closed: list[Closed], now: int, rules: Callable[[str], QueueRules]) -> list[bool]:
    # The port keeps done and failed entries per queue by a number given per call: one call per number.
    results = [False] * len(closed)
    acks: dict[int, list[int]] = {}
    nacks: dict[int, list[int]] = {}
    finishes: dict[int, list[int]] = {}
    kept = {queue: rules(queue) for queue in {one.queue for one in closed}}
    for index, one in enumerate(closed):
        if one.finish is not None:
            finishes.setdefault(kept[one.queue].retention_done, []).append(index)
        elif one.nack is None:
            acks.setdefault(kept[one.queue].retention_done, []).append(index)
        else:
            nacks.setdefault(kept[one.queue].retention_failed, []).append(index)
    for keep, indexes in acks.items():
        answers = store.ack([(closed[index].id, closed[index].token) for index in indexes], now, keep)
        for index, answer in zip(indexes, answers, strict=True):
            results[index] = answer
    for keep, indexes in nacks.items():
        answers = store.nack([nack for index in indexes if (nack := closed[index].nack)], now, keep)
        for index, answer in zip(indexes, answers, strict=True):
            results[index] = answer
    for keep, indexes in finishes.items():
        answers = store.finish([end for index in indexes if (end := closed[index].finish)], now, keep)
        for index, answer in zip(indexes, answers, strict=True):
            results[index] = answer
    discarded = [one.id for one, done in zip(closed, results, strict=True) if one.discard and done]
    if discarded:
        store.remove(discarded)
    return results


def _extend(store: WorkedQueues, extensions: list[Extension]) -> list[bool]:
    results = [False] * len(extensions)
    groups: dict[int, list[int]] = {}
    for index, extension in enumerate(extensions):
        groups.setdefault(extension.until, []).append(index)
    for until, indexes in groups.items():
        claims = [(extensions[index].delivery.id, extensions[index].delivery.token) for index in indexes]
        for index, answer in zip(indexes, store.extend(claims, until), strict=True):
            results[index] = answer
    return results
