"""How deep the queues were lately: a sample now and then, so that it can be told what grows and what stands still."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

EVERY = 10.0
"""Seconds between two samples."""

KEPT = 60
"""Samples kept: ten minutes."""


class Depth(NamedTuple):
    """One queue of commands at one time."""

    waiting: int  #: unsettled in this router
    age: int  #: ms since the oldest of them was due
    ended: int  #: well or not, since the store was made
    dead: int  #: in the dead letters


class Sample(NamedTuple):
    """All of them."""

    at: int  #: ms since the epoch
    queues: dict[str, Depth]
    within: dict[str, tuple[int, int]]  #: by class of priority: answers within its objective, and all answers


class Depths:
    """Written by the health monitor, read by anybody."""

    def __init__(self) -> None:
        self.samples: deque[Sample] = deque(maxlen=KEPT)

    def add(self, sample: Sample) -> None:
        """The newest one."""
        self.samples.append(sample)

    def ago(self, ms: int) -> Sample | None:
        """The newest sample that is at least so much older than the newest, else the oldest; ``None``: only one."""
        samples = list(self.samples)
        if len(samples) < 2:
            return None
        edge = samples[-1].at - ms
        return next((each for each in reversed(samples[:-1]) if each.at <= edge), samples[0])
