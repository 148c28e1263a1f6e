"""The side of a connection that sends: commands, their acceptance and their end; events; taking back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from actors.errors import EngineError, Overloaded
from actors.outcome import Answer
from actors.runtime.promise import Promise
from router.errors import RouterError
from router.frames import from_router, to_router
from router.frames.codec import encode
from router.http.commands import take_back
from router.http.problems import HttpProblem
from router.http.sending import body_options, message_of
from router.http.sockets.following import Followed
from router.http.views import response_body
from router.reply import Acceptance
from router.response import Response

if TYPE_CHECKING:
    from router.bodies import MessageBody
    from router.http.sockets.connection import Connection

BUSY: Final = 500  # ms; when a peer with too many commands in flight may have room for another
FRAME: Final = 512  # bytes of a frame around its data, about


def options_of(frame: MessageBody, request_id: str) -> dict[str, Any]:
    """The options of ``Router.send`` that a frame asks for."""
    key = frame.idempotency_key
    return body_options(frame, source="websocket", request_id=request_id, idempotency_key=key, headers={})


class Sending:
    """Frames are taken on the loop; what becomes of them is told from the engine's threads, by the outbox."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._followed: set[Followed] = set()
        self._in_flight = 0
        self._closed = False

    def take(self, frame: to_router.Command | to_router.Cancel | to_router.Emit) -> None:
        """Answered later, by ``ack`` or ``nack``."""
        try:
            self._check_room()
            match frame:
                case to_router.Command():
                    self._command(frame)
                case to_router.Emit():
                    self._emit(frame)
                case to_router.Cancel():
                    self._enter()
                    self._connection.spawn(self._cancel(frame))
        except (HttpProblem, RouterError, EngineError) as error:
            self._refuse(frame.correlation_id, error)

    def close(self) -> None:
        """The connection has ended: its commands go on."""
        self._closed = True
        followers = self._connection.sockets.followers
        for followed in list(self._followed):
            followers.remove(followed)
        self._followed.clear()

    # ------------------------------------------------------------ commands

    def _command(self, frame: to_router.Command) -> None:
        connection = self._connection
        router = connection.router
        message = message_of(frame, router, connection.caller, "command", "task")
        request_id = frame.request_id or frame.correlation_id
        options = options_of(frame, request_id)
        reply = router.send(message, **options)
        self._enter()
        facts = router.facts(message.type)
        name = connection.sockets.names
        followed: list[Followed] = []

        def accepted(promise: Promise[Acceptance]) -> None:
            try:
                acceptance = promise.get(timeout=0)
            except EngineError as error:
                self._on_loop(self._leave)
                # Whoever is turned away for want of room may want to know how much there is before it.
                full = isinstance(error, Overloaded)
                connection.refuse(frame.correlation_id, error, router.backlog(message.guild) if full else None)
                return
            job_id = acceptance.original or acceptance.id
            connection.say(
                from_router.Ack(
                    correlation_id=frame.correlation_id,
                    job_id=job_id,
                    request_id=request_id,
                    position=acceptance.position,
                    sequence=acceptance.sequence,
                    duplicate=acceptance.duplicate,
                    original_id=acceptance.original or None,
                )
            )
            if not frame.follow:
                self._on_loop(self._leave)
                return
            queued = name.of("accepted", facts.queue, message.type)
            one = Followed(job_id, message.guild, queued, frame.correlation_id, request_id, self._say_status)
            followed.append(one)
            connection.sockets.followers.add(one, acceptance.sequence, acceptance.position)
            self._on_loop(lambda: self._follow(one))
            reply.answer.add_done_callback(answered)

        def answered(promise: Promise[Answer]) -> None:
            self._on_loop(lambda: self._unfollow(followed[0]))
            try:
                answer = promise.get(timeout=0)
            except EngineError as error:
                self._refuse(frame.correlation_id, error)
                return
            called = name.of("settled", facts.queue, message.type)
            self._connection.put(
                lambda: encode(self._result(frame.correlation_id, request_id, called, answer), connection.subprotocol),
                FRAME + len(answer.data),
            )

        reply.acceptance.add_done_callback(accepted)

    def _result(self, correlation_id: str, request_id: str, name: str, answer: Answer) -> from_router.Result:
        body = response_body(Response.of(answer), request_id)
        return from_router.Result(
            correlation_id=correlation_id,
            job_id=body.job_id,
            request_id=request_id,
            name=name,
            response=body.model_dump(mode="json", by_alias=True),
        )

    def _say_status(self, make: Callable[[], from_router.Status]) -> None:
        self._connection.put(lambda: encode(make(), self._connection.subprotocol), FRAME)

    def _follow(self, followed: Followed) -> None:
        if self._closed:
            self._connection.sockets.followers.remove(followed)
        else:
            self._followed.add(followed)

    def _unfollow(self, followed: Followed) -> None:
        self._connection.sockets.followers.remove(followed)
        self._followed.discard(followed)
        self._leave()

    # ------------------------------------------------------------ events, taking back

    def _emit(self, frame: to_router.Emit) -> None:
        connection = self._connection
        message = message_of(frame, connection.router, connection.caller, "event", "notification")
        request_id = frame.request_id or frame.correlation_id
        options = options_of(frame, request_id)
        self._enter()
        connection.spawn(self._publish(frame.correlation_id, request_id, message, options))

    async def _publish(self, correlation_id: str, request_id: str, message: Any, options: dict[str, Any]) -> None:
        try:
            event_id = await self._connection.router.apublish(message, **options)
        except (RouterError, EngineError) as error:
            self._refuse(correlation_id, error)
        else:
            said = from_router.Ack(correlation_id=correlation_id, event_id=event_id, request_id=request_id)
            self._connection.say(said)
        finally:
            self._leave()

    async def _cancel(self, frame: to_router.Cancel) -> None:
        connection = self._connection
        try:
            await take_back(frame.job_id, connection.router, connection.caller)
        except (HttpProblem, RouterError, EngineError) as error:
            self._refuse(frame.correlation_id, error)
        else:
            connection.say(from_router.Ack(correlation_id=frame.correlation_id, job_id=frame.job_id))
        finally:
            self._leave()

    # ------------------------------------------------------------ bounds

    def _check_room(self) -> None:
        most = self._connection.settings.socket_in_flight
        if self._in_flight >= most:
            text = f"At most {most} commands of one connection at once."
            raise HttpProblem(429, "too_many_in_flight", text, retry_after=BUSY, retryable=True)

    def _enter(self) -> None:
        self._in_flight += 1

    def _leave(self) -> None:
        self._in_flight -= 1

    def _on_loop(self, act: Callable[[], None]) -> None:
        self._connection.on_loop(act)

    def _refuse(self, correlation_id: str, error: Exception) -> None:
        self._connection.refuse(correlation_id, error)
