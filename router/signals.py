"""Which signals are one, and what the starter of several workers says to one of them.

GNU ``timeout`` signals its child and at once its child's whole group: what arrives twice was said once. Ctrl-C,
``timeout`` and systemd give SIGINT or SIGTERM to the starter and to each worker. Would the starter say the same
again, a worker would take it for the second signal, which ends at once: it has signals that nobody sends to a group.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Final

DRAIN: Final[int] = getattr(signal, "SIGUSR1", signal.SIGTERM)
"""Drain; never counted as a signal of the user. (Windows has neither, and no workers.)"""

STOP: Final[int] = getattr(signal, "SIGUSR2", signal.SIGTERM)
"""End at once: the user asked twice."""

ECHO: Final = 0.25
"""Seconds in which a repeat is the same signal; who asks twice by hand is slower."""


class Echoes:
    """Tells the second signal from the first one that arrives once more."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._counted: dict[int, float] = {}

    def is_echo(self, number: int) -> bool:
        """Whether it says nothing new. Counted from the first one, so that no shower of signals goes on for ever."""
        now = self._monotonic()
        before = self._counted.get(number)
        if before is not None and now - before < ECHO:
            return True
        self._counted[number] = now
        return False
