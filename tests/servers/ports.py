"""Ports for servers that are started again where they were, and for addresses where nobody is."""

from __future__ import annotations

import os
import random
import socket
from itertools import count

FIRST, LAST = 12_000, 22_000
"""Below what systems give out by themselves (from 32,768 on Linux), also for a node of a cluster, which listens 10,000
above: one of those may become somebody's connection while its server is killed and comes back.
"""

_numbers = count(random.Random(os.getpid()).randrange(FIRST, LAST))  # tests run side by side


def free_port() -> int:
    """One where nobody listens now, and that this process was not given before."""
    while True:
        port = FIRST + next(_numbers) % (LAST - FIRST)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
