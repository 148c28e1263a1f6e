"""Named queues: how many entries may be claimed now, and what becomes of one that failed."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from actors.policy.backoff import delay, exhausted
from actors.policy.facts import Backoff

STEADY = Backoff()
SHORTEST_LEASE = 100  # ms; below that a claim lapses while its extension waits for the disk


@dataclass(frozen=True, slots=True)
class QueueRules:
    """What one named queue allows. Times in milliseconds."""

    concurrency: int = 10  #: entries claimed at once in this process
    attempts: int = 3  #: 0: without end
    backoff: Backoff = STEADY
    rate: int = 0  #: entries begun in any ``rate_window``; 0: no bound
    rate_window: int = 60_000
    lease: int = 30_000  #: a claim nobody extends lapses after this
    retention_done: int = 10  #: done entries kept to be looked at
    retention_failed: int = 5  #: failed ones
    depth: int = 100_000  #: entries that may wait; more are refused

    def __post_init__(self) -> None:
        for name, least in (("concurrency", 1), ("rate_window", 1), ("lease", SHORTEST_LEASE), ("depth", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be {least} or more, not {getattr(self, name)}")
        for name in ("attempts", "rate", "retention_done", "retention_failed"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 or more, not {getattr(self, name)}")


class Room(NamedTuple):
    """How many may begin now, and when to look again (ms since the epoch; 0: when something changes)."""

    entries: int
    again: int = 0


def room(rules: QueueRules, begun: deque[int], in_hand: int, now: int) -> Room:
    """By the queue's concurrency and rate. ``begun``: when the latest entries began; what is past the window goes."""
    count = max(0, rules.concurrency - in_hand)
    if not rules.rate:
        return Room(count)
    while begun and begun[0] <= now - rules.rate_window:
        begun.popleft()
    left = max(0, rules.rate - len(begun))
    if left < count:
        # The slot that is free next is the one taken longest ago among the last ``rate``.
        return Room(left, begun[len(begun) - rules.rate] + rules.rate_window if not left else 0)
    return Room(count)


def retry_at(rules: QueueRules, attempt: int, attempts: int, now: int, random: float) -> int | None:
    """When an entry whose ``attempt``-th attempt failed is claimed again; ``None``: never, it was the last."""
    if exhausted(attempt, attempts):
        return None
    return now + delay(rules.backoff, attempt, random)
