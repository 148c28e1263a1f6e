"""One WebSocket: its first frame, what it says, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

from starlette.websockets import WebSocket, WebSocketDisconnect

from router.errors import RouterError
from router.frames import from_router, to_router
from router.frames.closing import Close
from router.frames.codec import DEPTH, FRAME_BYTES, NOBODY, BadFrame, decode_to_router, encode
from router.frames.frame import Frame
from router.http.auth import Caller
from router.http.problems import HttpProblem, problem_of
from router.http.sockets.admission import Admission
from router.http.sockets.botside import BotSide
from router.http.sockets.outbox import Make, Message, Outbox
from router.http.sockets.sending import Sending
from router.http.sockets.subscribing import Subscribing
from router.http.sockets.wire import CUT

if TYPE_CHECKING:
    from router.http.sockets.registry import Sockets

logger = logging.getLogger("router.http.sockets")

UNFIT: Final = 100  # frames that break a rule, after which a peer is sent away
BREATH: Final = 32  # frames of one peer after which the others have their turn


class Connection:
    """From the upgrade to the end. Everything but ``say`` and ``put`` belongs to its loop."""

    def __init__(self, sockets: Sockets, websocket: WebSocket, admission: Admission, name: str) -> None:
        self.sockets = sockets
        self.router = sockets.router
        self.settings = sockets.settings
        self.name = name
        self.subprotocol = admission.subprotocol
        self._websocket = websocket
        self._caller = admission.caller
        self._outbox = Outbox(self._send, self.settings.socket_buffer, self._overflow)
        self._loop = asyncio.get_running_loop()
        self._count = 0
        self._unfit = 0
        self.tasks: set[asyncio.Task[None]] = set()
        self.sending = Sending(self)
        self.subscribing = Subscribing(self)
        self.bot_side: BotSide | None = None

    @property
    def caller(self) -> Caller:
        """Who it is; known from the first frame on."""
        assert self._caller is not None  # noqa: S101 - nothing is dispatched before that
        return self._caller

    # ------------------------------------------------------------ to the peer, from any thread

    def say(self, frame: Frame) -> None:
        """Send a frame."""
        message = encode(frame, self.subprotocol)
        self._outbox.put(lambda: message, len(message))

    def put(self, make: Make, size: int) -> None:
        """Send what ``make`` makes at the last moment; ``None``: nothing. ``size`` in bytes, about."""
        self._outbox.put(make, size)

    def refuse(self, correlation_id: str, error: Exception, position: int | None = None) -> None:
        """Answer that it is not done, and why."""
        self.say(nack(correlation_id, error, position))

    def on_loop(self, act: Callable[[], None]) -> None:
        """Do it on the connection's loop, soon; never, if that has ended."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(act)

    async def room(self) -> None:
        """For whoever has much to say: wait until the peer has read most of what was said."""
        await self._outbox.room()

    def fresh(self) -> str:
        """A correlation id of our own."""
        self._count += 1
        return f"{self.name}/{self._count}"

    # ------------------------------------------------------------ life

    async def run(self) -> None:
        """Until one of the two hangs up."""
        await self._websocket.accept(self.subprotocol)
        try:
            if await self._greet():
                await self._listen()
        finally:
            self._outbox.close()
            self.subscribing.close()
            self.sending.close()
            if self.bot_side is not None:
                self.bot_side.close()
            for task in self.tasks:
                task.cancel()

    def cut(self, code: Close, reason: str) -> None:
        """End it at once, whatever the peer has not read."""
        self._outbox.close()
        extension = self._websocket.scope.get("extensions", {}).get(CUT)
        if extension is not None:
            extension["cut"](int(code), reason)
        else:  # a server that cannot: it closes when the peer has read what was sent
            self.spawn(self._close(code, reason))

    async def leave(self, code: Close, reason: str) -> None:
        """End it when what was said is sent."""
        await self._outbox.flushed()
        await self._close(code, reason)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run it as long as the connection lives."""
        task = self._loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _close(self, code: Close, reason: str) -> None:
        try:
            await self._to_server({"type": "websocket.close", "code": int(code), "reason": reason})
        except (OSError, RuntimeError):
            logger.debug("%s had ended before it was closed", self.name)

    async def _send(self, message: Message) -> None:
        kind = "text" if isinstance(message, str) else "bytes"
        await self._to_server({"type": "websocket.send", kind: message})

    async def _to_server(self, event: dict[str, Any]) -> None:
        try:
            await self._websocket.send(event)
        except WebSocketDisconnect as error:
            raise ConnectionResetError("the peer has gone") from error

    def _overflow(self) -> None:
        logger.info("%s is cut off: more than %d bytes wait for it", self.name, self.settings.socket_buffer)
        self.cut(Close.SLOW_READER, "read too slowly")

    # ------------------------------------------------------------ from the peer

    async def _greet(self) -> bool:
        try:
            async with asyncio.timeout(self.settings.socket_hello_timeout):
                message = await self._receive()
        except TimeoutError:
            await self.leave(Close.HELLO_TIMEOUT, "no hello in time")
            return False
        if message is None:
            return False
        try:
            hello = decode_to_router(message, self.subprotocol)
        except BadFrame as error:
            self._complain(error)
            await self.leave(Close.BAD_FRAME, "not a hello")
            return False
        if not isinstance(hello, to_router.Hello):
            self._refuse(hello.correlation_id, "hello_first", "The first frame must be hello.")
            await self.leave(Close.BAD_FRAME, "not a hello")
            return False
        try:
            if self._caller is None:
                token = hello.token.get_secret_value() if hello.token is not None else None
                shown = None if token is None else b"Bearer " + token.encode()
                self._caller = self.sockets.gate.caller(shown)
        except HttpProblem as problem:
            self._refuse(hello.correlation_id, problem.code, str(problem.detail))
            await self.leave(Close.UNAUTHORIZED, problem.code)
            return False
        self._welcome(hello)
        return True

    def _welcome(self, hello: to_router.Hello) -> None:
        if hello.name is not None:
            self.bot_side = BotSide(self, hello.name, hello.instance or self.name)
        caller, settings = self.caller, self.settings
        self.say(
            from_router.Welcome(
                correlation_id=hello.correlation_id,
                connection=self.name,
                role=caller.role,
                guilds=sorted(caller.guilds) or None,
                cursor=self.router.hub.log().cursor,
                now=self.router.clock.now(),
                ping_interval=round(settings.socket_ping_interval * 1_000),
                limits=from_router.Limits(
                    frame_bytes=FRAME_BYTES,
                    depth=DEPTH,
                    in_flight=settings.socket_in_flight,
                    subscriptions=settings.socket_subscriptions,
                ),
                version=self.sockets.version,
            )
        )

    async def _listen(self) -> None:
        count = 0
        while (message := await self._receive()) is not None:
            try:
                frame = decode_to_router(message, self.subprotocol)
            except BadFrame as error:
                self._complain(error)
                self._unfit += 1
                if not error.readable or self._unfit >= UNFIT:
                    await self.leave(Close.BAD_FRAME, "unreadable" if not error.readable else "too many unfit frames")
                    return
                continue
            self._dispatch(frame)
            count += 1
            if count % BREATH == 0:
                await asyncio.sleep(0)

    async def _receive(self) -> Message | None:
        event = await self._websocket.receive()
        if event["type"] != "websocket.receive":
            return None
        text: str | None = event.get("text")
        data: bytes | None = event.get("bytes")
        return text if text is not None else data

    def _dispatch(self, frame: to_router.ToRouter) -> None:
        match frame:
            case to_router.Command() | to_router.Cancel() | to_router.Emit():
                self.sending.take(frame)
            case to_router.Subscribe() | to_router.Unsubscribe() | to_router.Credit():
                self._answering(frame.correlation_id, lambda: self.subscribing.take(frame))
            case to_router.Ping():
                self.say(from_router.Pong(correlation_id=frame.correlation_id))
            case to_router.Pong():
                pass
            case to_router.Hello():
                self._refuse(frame.correlation_id, "hello_again", "hello is the first frame, and only that.")
            case _:
                self._answering(frame.correlation_id, lambda: self._as_bot().take(frame))

    def _as_bot(self) -> BotSide:
        if self.caller.role == "client":
            raise HttpProblem(403, "role", "This needs the role bot or admin.", retryable=False)
        if self.bot_side is None:
            raise HttpProblem(422, "nameless", "A bot says its name in hello.", field="name", retryable=False)
        return self.bot_side

    def _answering(self, correlation_id: str, act: Callable[[], None]) -> None:
        """Do it; what goes wrong is answered."""
        try:
            act()
        except (HttpProblem, RouterError) as error:
            self.refuse(correlation_id, error)

    def _complain(self, error: BadFrame) -> None:
        self.say(
            from_router.Error(
                correlation_id=error.correlation_id or NOBODY,
                code=error.code,
                message=str(error)[:500],
                field=error.field or None,
                rule=error.rule or None,
            )
        )

    def _refuse(self, correlation_id: str, code: str, message: str) -> None:
        self.say(from_router.Error(correlation_id=correlation_id, code=code, message=message))


def nack(correlation_id: str, error: Exception, position: int | None = None) -> from_router.Nack:
    """A refusal as a frame: what HTTP would answer as a problem."""
    problem = problem_of(error)
    members = problem.members
    return from_router.Nack(
        correlation_id=correlation_id,
        code=problem.code,
        message=str(problem.detail)[:1_024],
        retryable=bool(members.get("retryable", False)),
        retry_after=problem.retry_after or None,
        limit=members.get("limit"),
        position=members.get("position", position),
        field=members.get("field"),
        rule=members.get("rule"),
        errors=members.get("errors"),
    )
