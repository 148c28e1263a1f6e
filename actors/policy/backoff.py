"""Backoff: how long to wait after a failure, and when to stop trying."""

from __future__ import annotations

import math

from actors.policy.facts import Backoff


def delay(backoff: Backoff, failures: int, random: float) -> int:
    """Milliseconds to wait after the ``failures``-th failure in a row; 1 (or less) waits ``initial``.

    ``random`` is uniform in [0, 1). Never overflows, however many failures; never negative. With a fraction as jitter
    the result may exceed ``cap`` by that fraction.
    """
    steady = _steady(backoff, max(0, failures - 1))
    if backoff.jitter == "full":
        return round(steady * random)
    return round(steady * (1 + float(backoff.jitter) * random))


def _steady(backoff: Backoff, doublings: int) -> float:
    initial, factor, cap = backoff.initial, backoff.factor, backoff.cap
    if initial <= 0 or cap <= 0:
        return 0
    if initial >= cap:
        return cap
    # Compared as logarithms, because factor**doublings may be beyond any float.
    if factor > 1 and doublings * math.log(factor) >= math.log(cap / initial):
        return cap
    return min(cap, initial * factor**doublings)


def exhausted(spent: int, limit: int) -> bool:
    """Whether ``spent`` attempts are all there are; ``limit`` 0 (or less) is without end."""
    return 0 < limit <= spent
