"""How full this process is, besides its backlog: written once a second by the health monitor, read by intake."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence

from actors.ports import LoadMeter

logger = logging.getLogger("guild_router.health")

SUSTAINED = 3
"""Seconds a lag must last to count: one long turn of a thread is no overload."""


class Load:
    """The shares that are used of what this process can run out of; 1.0 is all of it."""

    def __init__(self, lag_limit: int) -> None:
        self._lag_limit = lag_limit
        self._lags: deque[float] = deque(maxlen=SUSTAINED)
        self.lag = 0.0  #: ms; how late this process's actors were just now
        self.shares: dict[str, float] = {}
        self.level = 0.0  #: the highest of the shares
        self.cause = ""  #: and whose it is

    def lagged(self, seconds: float) -> None:
        """A message that was due at a time was handled so much later."""
        self.lag = max(0.0, seconds * 1000)
        self._lags.append(self.lag)

    def read(self, meters: Sequence[LoadMeter]) -> None:
        """Ask all of them."""
        lag = min(self._lags) if len(self._lags) == SUSTAINED else 0.0
        shares = {"actors": lag / self._lag_limit}
        for meter in meters:
            try:
                shares[meter.name] = max(0.0, meter.read())
            except Exception:
                logger.exception("the meter of %s failed", meter.name)
        self.shares = shares
        self.cause = max(shares, key=lambda name: shares[name])
        self.level = shares[self.cause]
