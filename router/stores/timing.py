"""Whose time counts: that of a store that several processes share."""

from __future__ import annotations

import logging
from typing import Any

from actors.errors import StoreError
from actors.runtime.clock import Clock, SystemClock

logger = logging.getLogger("guild_router.store")

APART = 1_000
"""Ms between two clocks that are worth a word."""


def take_time_of(store: Any, clock: Clock) -> None:
    """Set a clock that nobody has read yet by a shared store's, so that all who share it count alike.

    A store that cannot be reached changes nothing: its opening will say so.
    """
    if not isinstance(clock, SystemClock) or not getattr(store, "partitions", 0):
        return
    leases = store.leases()
    try:
        leases.open()
        now = leases.time()
    except StoreError:
        return
    finally:
        leases.close()
    apart = clock.now() - now
    if abs(apart) >= APART:
        logger.warning("this machine's clock is %+.1f s from the store's, whose time counts", apart / 1_000)
    clock.set(now)
