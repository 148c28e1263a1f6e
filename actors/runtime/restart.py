"""The restart window. Pure."""

from __future__ import annotations


def add_restart(
    restarts: tuple[float, ...], now: float, period: float, intensity: int
) -> tuple[tuple[float, ...], bool]:
    """Add a restart at ``now``; (the restarts inside the window, newest first; whether there are too many).

    Monotonic seconds. More than ``intensity`` restarts within ``period`` are too many; one exactly ``period``
    ago counts.
    """
    inside = (now, *(then for then in restarts if now - then <= period))
    return inside, len(inside) > intensity
