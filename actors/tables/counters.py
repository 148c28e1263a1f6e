"""Counters since the start; each group has one writer, so nothing is lost and nothing is locked."""

from __future__ import annotations

from actors.outcome import Answer


class Counters:
    """Written by the deduplicator (all but ``refused``) and by intake (``refused``); read by anybody."""

    def __init__(self) -> None:
        self.accepted = 0
        self.duplicates = 0
        self.keys_reused = 0
        self.refused: dict[str, int] = {}  #: by code
        self.settled: dict[str, int] = {}  #: by status
        self.attempts: dict[tuple[str, str], int] = {}  #: by (protocol, verdict)
        self.retried = 0  #: attempts after the first
        self.fallbacks: dict[tuple[str, str], int] = {}  #: by (from, to)
        self.waited = 0  #: ms from acceptance to the first attempt, summed
        self.worked = 0  #: ms in attempts, summed
        self.started = 0  #: settled envelopes that were attempted at all

    def refuse(self, code: str) -> None:
        """The door said no."""
        self.refused[code] = self.refused.get(code, 0) + 1

    def settle(self, answer: Answer) -> None:
        """One way has ended."""
        self.settled[answer.status] = self.settled.get(answer.status, 0) + 1
        attempts = answer.attempts
        if not attempts:
            return
        self.started += 1
        self.waited += max(0, attempts[0].at - answer.accepted_at)
        before = ""
        for attempt in attempts:
            self.worked += attempt.ms
            key = (attempt.protocol, attempt.verdict)
            self.attempts[key] = self.attempts.get(key, 0) + 1
            if before and before != attempt.protocol:
                pair = (before, attempt.protocol)
                self.fallbacks[pair] = self.fallbacks.get(pair, 0) + 1
            before = attempt.protocol
        self.retried += len(attempts) - 1
