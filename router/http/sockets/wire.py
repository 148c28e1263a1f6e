"""uvicorn's WebSocket with the bounds it has not got by itself."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, ClassVar, Final

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import Request

from router.frames.closing import Close

CUT: Final = "guild_router.cut"  #: the extension of the scope that ends a connection at once
FRAGMENTS: Final = 1_024  # of one message; empty ones would grow a list without growing the message
PONGS: Final = 262_144  # bytes of answers to pings that may wait for a peer that reads none of them
LAST_WORDS: Final = 2.0  # seconds in which a peer that was cut off may still read why

# The library would tell of each connection again in its own words, and at DEBUG show heads and frames with secrets.
_library = logging.getLogger(f"{__name__}.library")
_library.setLevel(logging.WARNING)


class BoundedSocket(WebSocketsSansIOProtocol):
    """One that is cut off when its peer does not read for ``write_timeout`` seconds, with a close code that says so."""

    write_timeout: float = 10.0
    sockets: ClassVar[set[Any]]
    _write_timer: asyncio.TimerHandle | None = None

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.conn.logger, self.conn.debug = _library, False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.sockets.add(self)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.sockets.discard(self)
        self._forget_write()
        super().connection_lost(exc)

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if not self.handshake_complete:
            self.scope["extensions"][CUT] = {"cut": self.cut}

    async def send(self, message: ASGISendEvent) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and self.close_sent:
            self.handshake_complete = True  # refused is an end too; uvicorn would log it as an error of the application

    def handle_cont(self, event: Frame) -> None:
        if len(self.frames) >= FRAGMENTS:
            self.cut(Close.TOO_BIG, "too many fragments")
            return
        super().handle_cont(event)

    def handle_ping(self) -> None:
        if self.transport.get_write_buffer_size() > PONGS:
            self.transport.abort()
            return
        super().handle_ping()

    def pause_writing(self) -> None:
        # More than the buffer's high-water mark (64 KiB) waits, and the peer takes nothing.
        super().pause_writing()
        self._write_timer = self.loop.call_later(self.write_timeout, self.cut, Close.SLOW_READER, "read too slowly")

    def resume_writing(self) -> None:
        super().resume_writing()
        self._forget_write()

    def cut(self, code: int, reason: str) -> None:
        """End it now, however much the peer has not read; it has a moment to read why."""
        if self.close_sent or self.disconnected or self.transport.is_closing():
            return
        self._forget_write()
        self.stop_keepalive()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.writable.set()  # whoever waits to write finds it closed
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = self.loop.call_later(min(LAST_WORDS, self.write_timeout), self.transport.abort)

    def _forget_write(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
