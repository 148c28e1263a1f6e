"""The dedupe record: what became of envelopes that were executed here, so that asking twice executes once."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from actors.outcome import Outcome, Verdict


class Remembered(NamedTuple):
    """The end of one execution."""

    outcome: Outcome
    attempt: int  #: the one that was executed


class Records:
    """Bounded by count and by bytes of results; the oldest go first. Not thread-safe.

    Kept are: what was applied or rejected (final, whoever asks); a failure that nobody has heard of yet, because those
    who waited had given up (told once, then forgotten: the next attempt executes); and ends in doubt.
    A failure that was heard is the asker's business, who decides on the next attempt.
    """

    def __init__(self, limit: int = 10_000, limit_bytes: int = 16 << 20) -> None:
        # Ordered: to find the first of a plain dict, all places are passed that were freed before it.
        self._kept: OrderedDict[str, Remembered] = OrderedDict()
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, id: str, outcome: Outcome, attempt: int, *, heard: bool) -> None:
        """An execution has ended."""
        if id in self._kept:
            self.forget(id)
        verdict = outcome.verdict
        if verdict is Verdict.DEFERRED or (verdict is Verdict.NOT_APPLIED and (heard or not outcome.executed)):
            return
        self._kept[id] = Remembered(outcome, attempt)
        if outcome.data:
            self._bytes += len(outcome.data)
        while len(self._kept) > self._limit or self._bytes > self._limit_bytes:
            self.forget(next(iter(self._kept)))

    def forget(self, id: str) -> None:
        """As if it had never been executed."""
        gone = self._kept.pop(id, None)
        if gone is not None:
            self._bytes -= len(gone.outcome.data)

    def find(self, id: str) -> Outcome | None:
        """What is remembered; changes nothing."""
        known = self._kept.get(id)
        return known.outcome if known else None

    def attempt(self, id: str) -> int:
        """Which attempt it was; 0: not remembered."""
        known = self._kept.get(id)
        return known.attempt if known else 0

    def items(self) -> list[tuple[str, Outcome, int]]:
        """(id, outcome, attempt), oldest first."""
        return [(id_, known.outcome, known.attempt) for id_, known in self._kept.items()]

    def answer(self, id: str, attempt: int, *, safe: bool) -> Outcome | None:
        """The answer to a new attempt; ``None``: execute. ``safe``: executing twice does no harm.

        An end in doubt that may not be repeated stays in doubt for the attempts that follow it. An attempt that is not
        higher than the remembered one is a new life, which an operator gave to a dead letter: it is executed.
        """
        known = self._kept.get(id)
        if known is None:
            return None
        match known.outcome.verdict:
            case Verdict.APPLIED | Verdict.REJECTED:
                return known.outcome
            case Verdict.IN_DOUBT if not safe and attempt > known.attempt:
                return known.outcome
            case Verdict.NOT_APPLIED:
                self.forget(id)
                return known.outcome
            case _:
                self.forget(id)
                return None
