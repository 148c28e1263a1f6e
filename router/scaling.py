"""How many router processes one machine should run: thresholds with cooldowns, as a pure rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Bounds:
    """Between how many, and when. Loads are shares: 1.0 is all that a process can bear."""

    least: int = 1
    most: int = 1
    above: float = 0.8  #: one more when their mean load is higher
    below: float = 0.3  #: one fewer when it is lower
    up_cooldown: float = 300.0  #: seconds between two that were added
    down_cooldown: float = 600.0  #: seconds without any change before one is taken away

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.most:
            raise ValueError(f"at least 1 and at most {self.most} workers: {self.least} is neither")
        if not 0 <= self.below < self.above:
            raise ValueError("the lower threshold must be below the upper one")


class Changes(NamedTuple):
    """When the number was changed last; steady seconds."""

    up: float | None  #: one was added; ``None``: never
    any: float  #: added, taken away, or begun with


def wanted(count: int, loads: Sequence[float], changes: Changes, now: float, bounds: Bounds) -> int:
    """How many there should be, now that there are ``count``: one more, one fewer, or as many.

    Without figures, as many as there are. The bounds hold at once, whatever the cooldowns say.
    """
    if count < bounds.least:
        return bounds.least
    if count > bounds.most:
        return bounds.most
    if not loads:
        return count
    mean = sum(loads) / len(loads)
    if mean > bounds.above and count < bounds.most and (changes.up is None or now - changes.up >= bounds.up_cooldown):
        return count + 1
    if mean < bounds.below and count > bounds.least and now - changes.any >= bounds.down_cooldown:
        return count - 1
    return count
