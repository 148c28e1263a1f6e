"""News from other routers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from actors.sharing import Answered, Arrived, Moved, News, Told
from router.stores.redis.line import RedisLine
from router.stores.redis.link import Link
from router.stores.redis.names import Names
from router.stores.redis.packing import unpack

logger = logging.getLogger("guild_router.store")

Heard = Callable[[News], None]


class RedisEars:
    """``Ears``."""

    def __init__(self, link: Callable[[], Link], names: Names, router: str) -> None:
        self._router = router
        self._line = RedisLine(link, (names.channel + router, names.everybody), "news from other routers")

    def open(self, heard: Heard) -> None:
        def said(_: str, data: bytes) -> None:
            for news in self._read(data):
                heard(news)

        self._line.open(said, lambda: heard(Moved()))

    def close(self) -> None:
        self._line.close()

    def _read(self, data: bytes) -> list[News]:
        try:
            if not data:
                return []  # it was only woken
            sender, *all_news = unpack(data)
            if sender.decode() == self._router:
                return []
            return [news for each in all_news if (news := _news(each)) is not None]
        except Exception as error:  # noqa: BLE001 - anybody may publish; news are hints
            logger.warning("news that cannot be read were passed over: %s", type(error).__name__)
            return []


def _news(each: list[Any]) -> News | None:
    match each:
        case [1, int(partition), delayed]:
            return Arrived(partition, bool(delayed))
        case [2, bytes(id_), bytes(answer)]:
            return Answered(id_.decode(), answer)
        case [3]:
            return Moved()
        case [4, bytes(topic), bytes(detail)]:
            return Told(topic.decode(), detail)
        case _:
            return None  # of a newer version
