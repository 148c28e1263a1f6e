"""The method: warm up, then all cases in turn, several times over; median, lowest and highest.

Interleaving spreads what else the machine does over all cases alike; a case that ran three times in a row would have
its own weather.
"""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number over its repeats."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, samples: Sequence[float]) -> Figure:
        """The figure of at least one sample."""
        return cls(statistics.median(samples), min(samples), max(samples))

    def over(self, other: Figure) -> float:
        """The ratio of the medians."""
        return self.median / other.median if other.median else float("inf")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the results."""

    group: str
    name: str
    unit: str
    figure: Figure
    goal: str = ""  #: as the design states it
    note: str = ""


Case = Callable[[], Mapping[str, float]]
"""One repeat of a case: named samples."""


def interleaved(cases: Mapping[str, Case], *, repeats: int, warm_up: bool = True) -> dict[str, dict[str, Figure]]:
    """Run every case ``repeats`` times in turn, after one round that does not count; case -> sample name -> figure."""
    if repeats < 1:
        raise ValueError(f"repeats must be at least 1, not {repeats}")
    samples: dict[str, dict[str, list[float]]] = {name: {} for name in cases}
    for repeat in range(-1 if warm_up else 0, repeats):
        for name, case in cases.items():
            gc.collect()  # the garbage of the last case is not this one's
            for sample, value in case().items():
                if repeat >= 0:
                    samples[name].setdefault(sample, []).append(value)
    return {name: {sample: Figure.of(values) for sample, values in found.items()} for name, found in samples.items()}


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which ``share`` (0 to 1) of them lie, by nearest rank."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(share * len(ordered)) - 1))]
