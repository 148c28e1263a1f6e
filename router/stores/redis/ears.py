"""News from other routers: a connection and a thread of their own."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread, current_thread
from typing import Any

from redis.connection import Connection
from redis.exceptions import RedisError

from actors.errors import StoreUnavailable
from actors.sharing import Answered, Arrived, Moved, News, Told
from router.stores.redis.errors import unavailable
from router.stores.redis.link import Link, plain
from router.stores.redis.names import Names
from router.stores.redis.packing import unpack

logger = logging.getLogger("guild_router.store")

GLANCE = 0.2  # seconds between looks whether it was closed
SILENCE = 5.0  # seconds without a word after which the server is asked for one
PAUSES = (0.05, 0.1, 0.2, 0.5, 1.0)  # seconds before it connects again

Heard = Callable[[News], None]


class RedisEars:
    """``Ears``."""

    def __init__(self, link: Callable[[], Link], names: Names, router: str) -> None:
        self._make_link = link
        self._link = link()  # of the thread
        self._names = names
        self._router = router
        self._closed = Event()
        self._thread: Thread | None = None
        self._hearing = False

    def open(self, heard: Heard) -> None:
        self.close()
        self._closed = Event()
        self._thread = Thread(target=self._listen, args=(heard, self._closed), name="ears", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closed.set()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not current_thread():
            if self._hearing:
                self._wake()
            thread.join()

    def _wake(self) -> None:
        """It hears that it is closed sooner than it would see it."""
        link = self._make_link()
        with suppress(StoreUnavailable):
            link.ask(plain("", "PUBLISH", self._names.channel + self._router, b""))
        link.close()

    def _listen(self, heard: Heard, closed: Event) -> None:
        failures = 0
        while not closed.is_set():
            connection: Connection | None = None
            try:
                connection = self._link.connection(self._link.node(self._names.everybody))
                connection.connect()
                connection.send_command("SUBSCRIBE", self._names.everybody, self._names.channel + self._router)
                connection.read_response()
                connection.read_response()
                if failures and not closed.is_set():
                    logger.info("news from other routers are heard again")
                    heard(Moved())  # what was said meanwhile is lost: time to look
                failures = 0
                self._hearing = True
                self._hear(connection, heard, closed)
            except (RedisError, OSError, StoreUnavailable) as error:
                if not failures:
                    shown = error if isinstance(error, StoreUnavailable) else unavailable(error, "news", sent=False)
                    logger.warning("news from other routers are not heard: %s", shown)
                self._link.close()  # where the server is may have changed
                closed.wait(PAUSES[min(failures, len(PAUSES) - 1)])
                failures += 1
            finally:
                self._hearing = False
                if connection is not None:
                    connection.disconnect()

    def _hear(self, connection: Connection, heard: Heard, closed: Event) -> None:
        silent = 0.0
        while not closed.is_set():
            if not connection.can_read(GLANCE):
                silent += GLANCE
                if silent >= 2 * SILENCE:
                    raise TimeoutError("no answer")
                if silent >= SILENCE and silent < SILENCE + GLANCE:
                    connection.send_command("PING")
                continue
            silent = 0.0
            message = connection.read_response()
            if isinstance(message, list) and message[0] == b"message" and not closed.is_set():
                for news in self._read(message[2]):
                    heard(news)

    def _read(self, data: bytes) -> list[News]:
        try:
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
