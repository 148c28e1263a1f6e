"""A wire to Redis on which a router is killed at its Nth command."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tests.servers.proxy import Proxy, Words


class Trap:
    """Counts the commands that ``matter`` on a wire. At number ``at`` (from 1) it calls ``spring`` and loses it.

    ``done``: it reaches Redis all the same, only nobody is left to hear the answer.
    """

    def __init__(
        self, proxy: Proxy, at: int, spring: Callable[[], None], *, done: bool, matter: Callable[[Words], bool]
    ) -> None:
        self._at = at
        self._spring = spring
        self._matter = matter
        self.count = 0
        self.words: Words = []  #: of the command it was, its arguments left out
        self.sprung = threading.Event()
        proxy.fail(self._take, "reply" if done else "request")

    def _take(self, words: Words) -> bool:
        if not self._matter(words):
            return False
        self.count += 1
        if self.count != self._at:
            return False
        self.words = words[:4]
        self._spring()
        self.sprung.set()
        return True
