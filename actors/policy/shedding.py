"""Shedding: whom to turn away first when the router fills up.

Load is a share of capacity, 1.0 being full. Low priority goes first, critical last.
"""

from __future__ import annotations

from typing import NamedTuple


class Watermark(NamedTuple):
    """Priorities from ``priority`` up are taken while the load is below ``load``."""

    priority: int
    load: float


# Highest first: critical (10), high (8-9), normal (5-7), low (1-4).
WATERMARKS = (Watermark(10, 1.0), Watermark(8, 0.95), Watermark(5, 0.85), Watermark(1, 0.7))

SOONEST = 1_000
LATEST = 30_000


def admits(priority: int, load: float, watermarks: tuple[Watermark, ...] = WATERMARKS) -> bool:
    """Whether a message of this priority is taken at this load; at a load that is not a number nothing is."""
    return load < _mark(priority, watermarks)


def retry_after(priority: int, load: float, watermarks: tuple[Watermark, ...] = WATERMARKS) -> int:
    """Milliseconds after which a message that was turned away may try again; 0: it is not turned away.

    From one second just over its watermark to thirty at half the capacity beyond it, so that a crowd that was turned
    away comes back the later the worse it is.
    """
    if admits(priority, load, watermarks):
        return 0
    over = load - _mark(priority, watermarks)
    if not over < 0.5:
        return LATEST
    return round(SOONEST + (LATEST - SOONEST) * over / 0.5)


def _mark(priority: int, watermarks: tuple[Watermark, ...]) -> float:
    for mark in watermarks:
        if priority >= mark.priority:
            return mark.load
    return watermarks[-1].load
