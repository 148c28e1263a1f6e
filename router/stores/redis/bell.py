"""The bell: something came into a named queue, or an outcome lies ready."""

from __future__ import annotations

from collections.abc import Callable, Collection

from router.stores.redis.line import RedisLine
from router.stores.redis.link import Link
from router.stores.redis.names import Names


class RedisBell:
    """``Bell``."""

    def __init__(self, link: Callable[[], Link], names: Names) -> None:
        self._link = link
        self._names = names
        self._line: RedisLine | None = None

    def open(self, queues: Collection[str], asker: str, rung: Callable[[str], None]) -> None:
        self.close()
        channels = {self._names.bell(queue): queue for queue in queues}
        self._line = RedisLine(self._link, (self._names.outcomes + asker, *channels), "calls of named queues")
        self._line.open(lambda channel, _: rung(channels.get(channel, "")), lambda: rung(""))

    def close(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            line.close()
