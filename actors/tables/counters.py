"""Counters since the start; each group has one writer, so nothing is lost and nothing is locked."""

from __future__ import annotations

from bisect import bisect_left

from actors.envelope import Envelope
from actors.outcome import Answer

EDGES = (5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000)
"""Upper edges (ms) of the response times' buckets; the objectives are among them."""

CLASSES = (("critical", 10, 1_000), ("high", 8, 5_000), ("normal", 5, 30_000), ("low", 1, 0))
"""Name, lowest priority and objective (ms; 0: none, best effort) of each class, highest first."""


class ResponseTimes:
    """From a command's acceptance, or the time it was due, to its answer."""

    __slots__ = ("buckets", "count", "total")

    def __init__(self) -> None:
        self.buckets = [0] * (len(EDGES) + 1)
        self.count = 0
        self.total = 0  #: ms

    def add(self, ms: int) -> None:
        """One more."""
        self.buckets[bisect_left(EDGES, ms)] += 1
        self.count += 1
        self.total += ms

    def within(self, ms: int) -> int:
        """How many took no longer than this edge."""
        return sum(self.buckets[: EDGES.index(ms) + 1])


class Mean:
    """Of some durations."""

    __slots__ = ("count", "total")

    def __init__(self) -> None:
        self.count = 0
        self.total = 0

    def add(self, ms: int) -> None:
        """One more."""
        self.count += 1
        self.total += ms

    @property
    def value(self) -> float:
        """0 of none."""
        return round(self.total / self.count, 3) if self.count else 0.0


class Counters:
    """Written by the deduplicator (all but ``refused``) and by intake (``refused``); read by anybody."""

    def __init__(self) -> None:
        self.accepted = 0
        self.duplicates = 0
        self.keys_reused = 0
        self.sources: dict[str, int] = {}  #: accepted and duplicates, by the door they came in at
        self.refused: dict[str, int] = {}  #: by code
        self.settled: dict[str, int] = {}  #: by status
        self.attempts: dict[tuple[str, str], int] = {}  #: by (protocol, verdict)
        self.retried = 0  #: attempts after the first
        self.fallbacks: dict[tuple[str, str], int] = {}  #: by (from, to)
        self.waited = 0  #: ms from acceptance to the first attempt, summed
        self.worked = 0  #: ms in attempts, summed
        self.started = 0  #: settled envelopes that were attempted at all
        self.conflicts: dict[str, int] = {}  #: commands that ended by a conflict, by what became of them
        self.responses = {name: ResponseTimes() for name, _, _ in CLASSES}
        self.rest_to_websocket = Mean()  #: a command of the HTTP door, from acceptance to its first WebSocket attempt
        self.queue_to_websocket = Mean()  #: from the beginning of an attempt over queue to the next one, over WebSocket

    def refuse(self, code: str) -> None:
        """The door said no."""
        self.refused[code] = self.refused.get(code, 0) + 1

    def arrive(self, source: str) -> None:
        """One was accepted, or was a duplicate."""
        self.sources[source] = self.sources.get(source, 0) + 1

    def settle(self, envelope: Envelope, answer: Answer) -> None:
        """One way has ended."""
        self.settled[answer.status] = self.settled.get(answer.status, 0) + 1
        if answer.status in ("superseded", "annihilated") or (answer.fault and answer.fault.code == "conflict"):
            self.conflicts[answer.status] = self.conflicts.get(answer.status, 0) + 1
        since = max(answer.accepted_at, envelope.due_at)
        self._class_of(envelope.priority).add(max(0, answer.settled_at - since))
        attempts = answer.attempts
        if not attempts:
            return
        self.started += 1
        self.waited += max(0, attempts[0].at - answer.accepted_at)
        before = ""
        begun = 0
        for attempt in attempts:
            self.worked += attempt.ms
            key = (attempt.protocol, attempt.verdict)
            self.attempts[key] = self.attempts.get(key, 0) + 1
            if before and before != attempt.protocol:
                pair = (before, attempt.protocol)
                self.fallbacks[pair] = self.fallbacks.get(pair, 0) + 1
                if pair == ("queue", "websocket"):
                    self.queue_to_websocket.add(max(0, attempt.at - begun))
            before, begun = attempt.protocol, attempt.at
        self.retried += len(attempts) - 1
        if envelope.source == "rest":
            first = next((attempt.at for attempt in attempts if attempt.protocol == "websocket"), None)
            if first is not None:
                self.rest_to_websocket.add(max(0, first - since))

    def within(self) -> dict[str, tuple[int, int]]:
        """Of each class with an objective: answers that came within it, and all."""
        return {
            name: (self.responses[name].within(objective), self.responses[name].count)
            for name, _, objective in CLASSES
            if objective
        }

    def _class_of(self, priority: int) -> ResponseTimes:
        for name, lowest, _ in CLASSES:
            if priority >= lowest:
                return self.responses[name]
        return self.responses["low"]
