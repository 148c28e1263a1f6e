"""A network namespace for a server, and a cable for each of its clients, which can be unplugged: needs root on Linux.

What ``wire`` plays, the kernel does here: packets are lost, it repeats them by its own timers, and nobody is told.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

SUBNET = "10.213"
"""Of it, each cable has a /30 of its own."""


class Cable:
    """Between this machine and the server. ``host``: where that is, seen from here."""

    def __init__(self, space: str, number: int) -> None:
        self.port = 0  #: of the server, once it is known
        self._space = space
        self._here, self._there = f"gr{os.getpid() % 10_000}h{number}", f"eth{number}"
        self.host = f"{SUBNET}.{number}.2"
        _ip("link", "add", self._here, "type", "veth", "peer", "name", self._there, "netns", space)
        _ip("address", "add", f"{SUBNET}.{number}.1/30", "dev", self._here)
        _ip("link", "set", self._here, "up")
        _ip("-n", space, "address", "add", f"{self.host}/30", "dev", self._there)
        self._plug("up")

    @property
    def url(self) -> str:
        """A store URL."""
        return f"redis://{self.host}:{self.port}/0"

    @contextmanager
    def being(self, how: str, **_: float) -> Iterator[None]:
        """``dead``: unplugged at the server's end, so that nobody at this one sees it. It can be nothing else."""
        assert how == "dead", f"a cable cannot be {how}"
        self._plug("down")
        try:
            yield
        finally:
            self._plug("up")

    def _plug(self, way: str) -> None:
        _ip("-n", self._space, "link", "set", self._there, way)

    def close(self) -> None:
        """Take it away."""
        _ip("link", "delete", self._here)


@contextmanager
def cables(count: int) -> Iterator[tuple[list[str], list[Cable]]]:
    """The words that run a program in the namespace, and the cables that lead there."""
    space = f"guild-router-{os.getpid()}"
    laid: list[Cable] = []
    _ip("netns", "add", space)
    try:
        _ip("-n", space, "link", "set", "lo", "up")
        laid += (Cable(space, number) for number in range(count))
        yield ["ip", "netns", "exec", space], laid
    finally:
        for cable in laid:
            cable.close()
        _ip("netns", "delete", space)


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(
            f"ip {' '.join(words)}: {done.stderr.strip()}; network namespaces need root on Linux, and iproute2"
        )
