"""What the starter of several workers says to one of them, by signals that nobody sends to a process group.

Ctrl-C, ``timeout`` and systemd give SIGINT or SIGTERM to the starter and to each worker. Would the starter say the same
again, a worker would take it for the second signal, which ends at once.
"""

from __future__ import annotations

import signal
from typing import Final

DRAIN: Final[int] = getattr(signal, "SIGUSR1", signal.SIGTERM)
"""Drain; never counted as a signal of the user. (Windows has neither, and no workers.)"""

STOP: Final[int] = getattr(signal, "SIGUSR2", signal.SIGTERM)
"""End at once: the user asked twice."""
