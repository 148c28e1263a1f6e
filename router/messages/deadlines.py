"""Deadlines: until when a message may start."""

from __future__ import annotations

from router.messages.priority import Priority, level_of

REALTIME = {Priority.CRITICAL: 1_000, Priority.HIGH: 5_000, Priority.NORMAL: 30_000}  # low: best effort, as the others
ORDINARY = 15 * 60_000
RELIABLE = 24 * 60 * 60_000


def time_to_start(priority: int, *, realtime: bool, reliable: bool, own: int = 0) -> int:
    """Milliseconds a message may wait; ``own`` is the type's, 0 when it has none.

    Wanting it at once outweighs wanting it surely: what is both is of no use a day later.
    """
    if own:
        return own
    if realtime and (limit := REALTIME.get(level_of(priority))):
        return limit
    return RELIABLE if reliable else ORDINARY
