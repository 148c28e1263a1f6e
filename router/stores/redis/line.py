"""A line to Redis on which things are said: a connection and a thread of their own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Event, Thread, current_thread

from redis.connection import Connection
from redis.exceptions import RedisError

from actors.errors import StoreUnavailable
from router.stores.redis.errors import unavailable
from router.stores.redis.link import Link, plain

logger = logging.getLogger("guild_router.store")

GLANCE = 0.2  # seconds between looks whether it was closed
SILENCE = 5.0  # seconds without a word after which the server is asked for one
PAUSES = (0.05, 0.1, 0.2, 0.5, 1.0)  # seconds before it connects again

Said = Callable[[str, bytes], None]


class RedisLine:
    """Subscribes to ``channels``, of which the first is nobody else's. ``about``: what is heard, in log lines.

    ``said(channel, data)`` is called for each word, and ``missed()`` after a break, both on the line's thread.
    """

    def __init__(self, link: Callable[[], Link], channels: Sequence[str], about: str) -> None:
        self._make_link = link
        self._link = link()  # of the thread
        self._channels = tuple(channels)
        self._about = about
        self._closed = Event()
        self._thread: Thread | None = None
        self._hearing = False

    def open(self, said: Said, missed: Callable[[], None]) -> None:
        """Listen from now on; does not wait for a connection."""
        self.close()
        self._closed = Event()
        arguments = (said, missed, self._closed)
        self._thread = Thread(target=self._listen, args=arguments, name=f"line: {self._about}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """No more calls after this returns; idempotent."""
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
            link.ask(plain("", "PUBLISH", self._channels[0], b""))
        link.close()

    def _listen(self, said: Said, missed: Callable[[], None], closed: Event) -> None:
        failures = 0
        while not closed.is_set():
            connection: Connection | None = None
            try:
                connection = self._link.connection(self._link.node(self._channels[0]))
                connection.connect()
                connection.send_command("SUBSCRIBE", *self._channels)
                for _ in self._channels:
                    connection.read_response()
                if failures and not closed.is_set():
                    logger.info("%s are heard again", self._about)
                    missed()  # what was said meanwhile is lost: time to look
                failures = 0
                self._hearing = True
                self._hear(connection, said, closed)
            except (RedisError, OSError, StoreUnavailable) as error:
                if not failures:
                    shown = error if isinstance(error, StoreUnavailable) else unavailable(error, "news", sent=False)
                    logger.warning("%s are not heard: %s", self._about, shown)
                self._link.close()  # where the server is may have changed
                closed.wait(PAUSES[min(failures, len(PAUSES) - 1)])
                failures += 1
            finally:
                self._hearing = False
                if connection is not None:
                    connection.disconnect()

    def _hear(self, connection: Connection, said: Said, closed: Event) -> None:
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
                said(message[1].decode(errors="replace"), message[2])
