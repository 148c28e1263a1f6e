"""What a worker process tells the one that started it: that it is ready, and how busy it is; over a pipe.

The other end closes when the starter is gone, however it went: then the worker drains and ends, for nobody would
restart it or pass signals on.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, MutableMapping
from typing import NamedTuple

VARIABLE = "GUILD_ROUTER_WORKER"
"""``LISTENING:PIPE``, two file descriptors that a worker inherits."""

EVERY = 1.0
"""Seconds between two figures."""


class Inherited(NamedTuple):
    """What a worker was given."""

    listening: socket.socket
    pipe: int


def inherited(environ: MutableMapping[str, str]) -> Inherited | None:
    """What this process was given, if it is a worker; what it starts itself inherits nothing of it."""
    given = environ.pop(VARIABLE, "")
    if not given:
        return None
    listening, pipe = (int(part) for part in given.split(":"))
    for descriptor in (listening, pipe):
        os.set_inheritable(descriptor, False)
    return Inherited(socket.socket(fileno=listening), pipe)


class Report:
    """Writes lines until the end; ``alone`` is called when nobody reads them any more."""

    def __init__(self, pipe: int, load: Callable[[], float], alone: Callable[[], None]) -> None:
        self._pipe = pipe
        self._load = load
        self._alone = alone
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="report", daemon=True)

    def ready(self) -> None:
        """It serves; from now on figures follow."""
        self._thread.start()

    def close(self) -> None:
        """No more."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(EVERY)
        os.close(self._pipe)

    def _run(self) -> None:
        try:
            os.write(self._pipe, b"ready\n")
            while not self._over.wait(EVERY):
                os.write(self._pipe, f"load {self._load():.3f}\n".encode())
        except OSError:
            self._alone()
