"""``websocket`` ready for use: the real door on a real socket, a bot in a thread, a clock the test turns."""

from __future__ import annotations

import threading
from contextlib import ExitStack, suppress
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from actors.codec import pack, unpack
from actors.envelope import Envelope
from actors.outcome import Outcome, Verdict
from actors.ports import Ticket
from actors.runtime.testing import ManualClock
from router.frames import MSGPACK, decode_from_router, encode
from router.frames.frame import Fault, Frame
from router.frames.from_router import AskRecord, Order, Pong, Sealed
from router.frames.to_router import Announce, Executed, Hello, Ping, Recorded, RecordLine, Refused, Taken
from router.http.app import create_app
from router.http.server import bind, make_server, url_of
from router.protocols.executor import Executor
from router.protocols.handlers import Handlers
from router.protocols.rehearsal import CAP
from router.router import Router
from router.settings import Settings
from tests.sockets.towns import Town


class SocketBench:
    """A router that is not started: only its door and its protocol are used."""

    def __init__(self, handlers: Handlers, *, workers: int = 4, timeout_ms: int = 5_000) -> None:
        self.clock = ManualClock()
        settings = Settings(port=0, websocket_timeout=600_000)
        self.router = Router(settings, clock=self.clock)
        self.protocol = self.router.protocols.websocket
        self._listening = bind("127.0.0.1", 0)
        self._server = make_server(create_app(self.router, settings), settings)
        self._thread = threading.Thread(target=self._server.run, args=([self._listening],), name="door")
        self._thread.start()
        self.protocol.open()
        url = url_of(self._listening).replace("http://", "ws://") + "/ws"
        self.bot = ExecutingBot(url, Executor(handlers, self.clock, workers=workers, timeout_ms=timeout_ms), workers)

    def now(self) -> int:
        return self.clock.now()

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def close(self) -> None:
        self.protocol.close(5)
        self.bot.close()
        self._server.should_exit = True
        self._thread.join(CAP)
        assert not self._thread.is_alive()
        self._listening.close()


class AcrossBench(SocketBench):
    """The same door and the same bot, and the protocol of another router on the same store."""

    def __init__(self, handlers: Handlers, **options: Any) -> None:
        super().__init__(handlers, **options)
        self._town = Town("memory", bells=True, clock=self.clock)
        door = self._town.house("door", self.protocol)
        door.protocol.bots_changed()
        self.protocol = self._town.house("asker").protocol
        self._town.pass_time(0.3)

    def advance(self, seconds: float) -> None:
        self._town.pass_time(seconds, 0.25)

    def close(self) -> None:
        self._town.close()
        super().close()


class ExecutingBot:
    """Executes what it is given by the handlers of a test, with the product's own dedupe record."""

    def __init__(self, url: str, executor: Executor, capacity: int) -> None:
        self._executor = executor
        self._executor.open("bot")
        self._stack = ExitStack()
        self._socket = self._stack.enter_context(connect(url, subprotocols=[MSGPACK], compression=None))
        self.answered = threading.Semaphore(0)  # released when an answer about the record has been heard
        self._say(Hello(correlation_id="hello", name="bot", instance="only"))
        self._socket.recv(CAP)
        handles = executor.handlers.types()
        idempotent = [name for name in handles if getattr(executor.handlers.find(name), "idempotent", False)]
        self._say(Announce(correlation_id="a", handles=handles, capacity=capacity, idempotent=idempotent))
        self._socket.recv(CAP)
        self._thread = threading.Thread(target=self._listen, name="bot")
        self._thread.start()

    def close(self) -> None:
        self._stack.close()
        self._thread.join(CAP)
        self._executor.close("bot", 5)

    def _say(self, frame: Frame) -> None:
        with suppress(ConnectionClosed):  # the result of something that ended after the end
            self._socket.send(encode(frame, MSGPACK))

    def _listen(self) -> None:
        try:
            while True:
                frame = decode_from_router(self._socket.recv(), MSGPACK)
                if isinstance(frame, Order):
                    self._execute(frame)
                elif isinstance(frame, Pong):
                    self.answered.release()
                elif isinstance(frame, AskRecord):
                    for sealed in frame.envelopes:
                        self._look(frame.correlation_id, envelope_of(sealed))
        except ConnectionClosed:
            return

    def _execute(self, order: Order) -> None:
        envelope = envelope_of(order.envelope)
        said: dict[str, Any] = {
            "correlation_id": order.correlation_id,
            "id": envelope.id,
            "attempt": order.attempt,
        }
        self._say(Taken(**said))
        ticket = Ticket(envelope, b"", order.attempt, order.deadline, order.sequence, order.token)
        self._executor.start(ticket, lambda outcome: self._say(answer_of(said, outcome)))

    def _look(self, correlation_id: str, envelope: Envelope) -> None:
        def found(happened: bool | None) -> None:
            if happened is None:
                line = RecordLine(id=envelope.id, state="unknown")
            else:
                line = RecordLine(id=envelope.id, state="done", outcome="applied" if happened else "not_applied")
            self._say(Recorded(correlation_id=correlation_id, entries=[line]))
            self._say(Ping(correlation_id="heard"))  # answered when what was said before has been heard

        self._executor.verify(envelope, found)


def envelope_of(sealed: Sealed) -> Envelope:
    return Envelope(
        id=sealed.id,
        type=sealed.type,
        kind=sealed.kind,
        guild=sealed.guild_id,
        subject=sealed.subject,
        queue=sealed.queue,
        priority=sealed.priority,
        created_at=sealed.created_at,
        expires_at=sealed.expires_at,
        user=sealed.user_id or "",
        body=pack(sealed.data),
    )


def answer_of(said: dict[str, Any], outcome: Outcome) -> Frame:
    fault = outcome.fault
    error = fault and Fault(
        code=fault.code, message=fault.message, retryable=fault.retryable, retry_after=fault.retry_after
    )
    if error and outcome.verdict in (Verdict.DEFERRED, Verdict.NOT_APPLIED) and not outcome.executed:
        return Refused(**said, error=error)
    return Executed(
        **said,
        outcome=outcome.verdict.value,
        noop=outcome.noop,
        data=unpack(outcome.data) if outcome.data else None,
        error=error,
        retry_after=outcome.retry_after,
    )
