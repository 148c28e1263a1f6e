"""How long to wait before trying again: exponential with full jitter, so that many clients do not come at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from actors.policy.backoff import delay
from actors.policy.facts import Backoff

DEFAULT = Backoff(initial=200, factor=2.0, cap=10_000, jitter="full")
LEAST = 10  # ms; full jitter may say none at all


@dataclass(slots=True)
class Pace:
    """Counts failures in a row."""

    backoff: Backoff = DEFAULT
    random: Random = field(default_factory=Random)
    failures: int = 0

    def after_failure(self, advised: int = 0) -> float:
        """Seconds to wait now; at least what the router ``advised`` (ms)."""
        self.failures += 1
        return (advised + max(LEAST, delay(self.backoff, self.failures, self.random.random()))) / 1_000

    def succeeded(self) -> None:
        """Begin anew."""
        self.failures = 0
