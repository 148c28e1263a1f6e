"""One WebSocket to a router that keeps itself: it connects again, with full jitter, until it is closed."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Final, Protocol

import aiohttp

from router.client.asking import NO_ANSWER, Asker, handshake_error
from router.client.errors import ClientClosed, Replaced, RequestRefused, Unauthorized, Unreachable
from router.client.pace import Pace
from router.frames import from_router, to_router
from router.frames.closing import Close
from router.frames.codec import FRAME_BYTES, MSGPACK, BadFrame, decode_from_router, encode
from router.frames.frame import Frame

logger = logging.getLogger("router.client")

HEARTBEAT: Final = 20.0  # seconds between our pings; half of it for the answer
GREETING: Final = 10.0  # seconds for the router's first frame
FAREWELL: Final = 2.0  # seconds for the last frames and the close
HELLO: Final = "hello"


class Listener(Protocol):
    """Whoever a link belongs to. All calls are on the loop and must be quick."""

    def hello(self) -> to_router.Hello:
        """The first frame."""

    def welcomed(self, welcome: from_router.Welcome) -> None:
        """Connected, for the first time or again."""

    def heard(self, frame: from_router.FromRouter) -> None:
        """A frame that is not the link's own business."""

    def lost(self) -> None:
        """The connection ended; another one is tried."""

    def failed(self, error: Exception) -> None:
        """There will be no other."""


class Link:
    """Used on one loop."""

    def __init__(self, asker: Asker, listener: Listener, pace: Pace) -> None:
        self._asker = asker
        self._listener = listener
        self._pace = pace
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._outgoing: deque[bytes | str] = deque()
        self._something = asyncio.Event()
        self._sent = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[None] | None = None
        self._closing = False
        self._advised = 0  # ms; what the router said when it left
        self.connected = False
        self.error: Exception | None = None  #: why there is no link any more

    async def open(self, timeout: float) -> None:
        """Connect; raises ``Unreachable`` when that does not succeed in time, and what the router refuses for good."""
        loop = asyncio.get_running_loop()
        self._ready = loop.create_future()
        self._task = loop.create_task(self._run())
        try:
            async with asyncio.timeout(timeout):
                await asyncio.shield(self._ready)
        except TimeoutError:
            await self.close()
            raise Unreachable(f"no router at {self._asker.url} within {timeout:g} s") from None
        except BaseException:
            await self.close()
            raise

    def say(self, frame: Frame) -> None:
        """Send a frame soon, after those before it; lost when there is no connection."""
        if self.connected:
            self._outgoing.append(encode(frame, MSGPACK))
            self._sent.clear()
            self._something.set()

    async def flushed(self) -> None:
        """Wait until what was said has left, or the connection has."""
        if self.connected:
            await self._sent.wait()

    async def close(self) -> None:
        """End it when what was said is sent; idempotent."""
        self._closing = True
        task, self._task = self._task, None
        if task is None:
            return
        if self.connected:
            try:
                async with asyncio.timeout(FAREWELL):
                    await self.flushed()
                    if self._socket is not None:
                        await self._socket.close()
                    await asyncio.wait({task})
            except TimeoutError:
                logger.debug("the router took no notice of our leaving")
        task.cancel()
        await asyncio.wait({task})

    # ------------------------------------------------------------ the task

    async def _run(self) -> None:
        while not self._closing and self.error is None:
            self._advised = 0
            try:
                await self._connection()
            except aiohttp.WSServerHandshakeError as error:
                self.error = handshake_error(error.status)
                logger.info("the router refuses the WebSocket: %d", error.status)
            except NO_ANSWER as error:
                logger.info("no router at %s: %s", self._asker.url, type(error).__name__)
            finally:
                self._hang_up()
            if self.error is None and not self._closing:
                await asyncio.sleep(self._pace.after_failure(self._advised))
        final = self.error or ClientClosed("the client is closed")
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(final)
            self._ready.exception()  # seen: whoever opens it raises it, if anybody still waits
        self._listener.failed(final)

    async def _connection(self) -> None:
        asker = self._asker
        async with asker.session.ws_connect(
            f"{asker.url}/ws",
            protocols=(MSGPACK,),
            headers=asker.headers,
            heartbeat=HEARTBEAT,
            max_msg_size=FRAME_BYTES * 2,
            timeout=aiohttp.ClientWSTimeout(ws_close=FAREWELL),
        ) as socket:
            await socket.send_bytes(_bytes(encode(self._listener.hello(), MSGPACK)))
            async with asyncio.timeout(GREETING):
                welcome = self._frame(await socket.receive())
            if not isinstance(welcome, from_router.Welcome):
                self._refused(welcome, socket)
                return
            self._socket = socket
            self.connected = True
            self._sent.set()
            self._pace.succeeded()
            writer = asyncio.create_task(self._write(socket))
            try:
                self._listener.welcomed(welcome)
                if self._ready is not None and not self._ready.done():
                    self._ready.set_result(None)
                async for message in socket:
                    frame = self._frame(message)
                    if frame is not None:
                        self._heard(frame)
                self._ended(socket.close_code)
            finally:
                writer.cancel()
                await asyncio.wait({writer})

    def _heard(self, frame: from_router.FromRouter) -> None:
        match frame:
            case from_router.Ping():
                self.say(to_router.Pong(correlation_id=frame.correlation_id))
            case from_router.Pong():
                pass
            case from_router.Goodbye():
                self._advised = frame.retry_after
                self._listener.heard(frame)
            case _:
                self._listener.heard(frame)

    def _frame(self, message: aiohttp.WSMessage) -> from_router.FromRouter | None:
        if message.type not in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT):
            return None
        try:
            return decode_from_router(message.data, MSGPACK)
        except BadFrame as error:  # of a newer router, perhaps: what is not known here is ignored
            logger.debug("a frame was ignored: %s", error)
            return None

    def _refused(self, frame: from_router.FromRouter | None, socket: aiohttp.ClientWebSocketResponse) -> None:
        if isinstance(frame, from_router.Error):
            known = frame.code in ("token_missing", "token_unknown")
            self.error = Unauthorized(frame.message) if known else RequestRefused(frame.code, frame.message)
        else:
            self._ended(socket.close_code)

    def _ended(self, code: int | None) -> None:
        if code == Close.REPLACED:
            self.error = Replaced("another bot of the same name has connected")
        elif code == Close.UNAUTHORIZED:
            self.error = Unauthorized("no token, or one that the router does not know")
        elif code in (Close.BAD_FRAME, Close.FORBIDDEN):
            self.error = RequestRefused("closed", f"the router closed the connection for good ({code})")

    async def _write(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        try:
            while True:
                await self._something.wait()
                self._something.clear()
                while self._outgoing:
                    # Taken out once it is written: what was not written is told apart from what was.
                    await socket.send_bytes(_bytes(self._outgoing[0]))
                    self._outgoing.popleft()
                self._sent.set()
        except (ConnectionError, aiohttp.ClientError):
            logger.debug("the connection ended while something was said")
            self._sent.set()

    def _hang_up(self) -> None:
        self._outgoing.clear()
        self._socket = None
        self._sent.set()
        if self.connected:
            self.connected = False
            self._listener.lost()


def _bytes(message: bytes | str) -> bytes:
    return message if isinstance(message, bytes) else message.encode()
