"""uvicorn with the bounds it has not got by itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Iterator
from typing import Any, ClassVar, Final

import h11
import uvicorn
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from router.frames.codec import FRAME_BYTES
from router.http.problems import MEDIA_TYPE, HttpProblem
from router.http.sockets.wire import BoundedSocket
from router.settings import Settings

KEEP_ALIVE: Final = 5  # seconds an idle connection is kept after an answer
RETRY: Final = 1_000  # ms; when a connection may be free again
GRACE: Final = 5  # seconds for answers that are being written when the server closes


class BoundedHttp(H11Protocol):
    """A connection that must show a whole request head in time; half-open and dripping ones are closed."""

    head_timeout: float = 10.0
    write_timeout: float = 10.0
    most: int = 1_000
    sockets: ClassVar[set[Any]]  # connections that became WebSockets; they have a bound of their own
    _head_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the base class
        super().connection_made(transport)
        count = len(self.connections) - len(self.sockets)
        if count > 2 * self.most:
            transport.abort()  # there are so many that even saying no is too much
        elif count > self.most:
            self.app = full
        self._expect_head()

    def pause_writing(self) -> None:
        # The peer takes nothing, and what it should take is more than the buffer's high-water mark (64 KiB).
        super().pause_writing()
        self._write_timer = self.loop.call_later(self.write_timeout, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def handle_events(self) -> None:
        super().handle_events()
        if self.cycle is not None and not self.cycle.response_complete:
            self._forget_head()

    def on_response_complete(self) -> None:
        self._expect_head()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._let_go()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._let_go()
        super().handle_websocket_upgrade(event)

    def _let_go(self) -> None:
        self._forget_head()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def send_400_response(self, msg: str) -> None:
        problem = HttpProblem(400, "bad_request", msg, retryable=False)
        if self.conn.our_state is h11.IDLE:  # nothing was sent yet
            body = json.dumps(problem.body()).encode()
            headers = [("Content-Type", MEDIA_TYPE), ("Content-Length", str(len(body))), ("Connection", "close")]
            for event in (h11.Response(status_code=400, headers=headers), h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _expect_head(self) -> None:
        self._forget_head()
        self._head_timer = self.loop.call_later(self.head_timeout, self._head_is_late)

    def _forget_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()


async def full(scope: Scope, receive: Receive, send: Send) -> None:
    """What answers on a connection beyond the last one allowed."""
    text = "All connections are in use."
    headers = {"Connection": "close"}
    problem = HttpProblem(503, "too_many_connections", text, retry_after=RETRY, headers=headers, retryable=True)
    await problem.response()(scope, receive, send)


class Server(uvicorn.Server):
    """A server that leaves the signals of the process to whoever runs it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Captures none."""
        yield


def make_server(app: FastAPI, settings: Settings) -> Server:
    """A server for an application, with the bounds of the settings."""
    sockets: set[Any] = set()
    bounds = {
        "head_timeout": settings.header_timeout,
        "write_timeout": settings.write_timeout,
        "most": settings.max_connections,
        "sockets": sockets,
    }
    config = uvicorn.Config(
        app,
        http=type("Http", (BoundedHttp,), bounds),
        ws=type("Socket", (BoundedSocket,), {"write_timeout": settings.write_timeout, "sockets": sockets}),
        ws_max_size=FRAME_BYTES,
        ws_ping_interval=settings.socket_ping_interval,
        ws_ping_timeout=settings.socket_ping_timeout,
        ws_per_message_deflate=False,  # its windows would be most of what a connection costs
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=1_024,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE,
        h11_max_incomplete_event_size=settings.max_header_bytes,
    )
    return Server(config)


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; raises ``OSError`` when the address is taken or not ours."""
    name = host.strip("[]")
    found: list[Any] = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = found[0]
    return socket.create_server(address[:2], family=family, backlog=1_024)


def url_of(listening: socket.socket) -> str:
    """Where a listening socket is reached."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
