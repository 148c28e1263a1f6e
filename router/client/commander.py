"""``RouterClient``: sends commands to a running router and looks on, from any asyncio program."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection, Generator, Mapping
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
from pydantic import ValidationError
from uuid_utils import uuid7

from actors.policy.facts import Backoff
from router.client import stream
from router.client.asking import Asker, segment
from router.client.errors import ClientClosed, Unreachable
from router.client.happenings import Gap, Happening
from router.client.link import Link
from router.client.pace import DEFAULT, Pace
from router.client.sending import body_of
from router.client.unanswered import Accepted, Pending, Unanswered, response_of
from router.errors import RouterError
from router.frames import from_router, to_router
from router.messages.base import Message
from router.messages.refusal import refusal
from router.response import Response

SOFTWARE: Final = "guild-router client"
WAIT: Final = 25_000  # ms of one wait over HTTP; a longer one is asked for again


class Sent:
    """A command that was accepted; ``await sent`` gives its ``Response``."""

    __slots__ = ("_body", "_client", "accepted", "id")

    def __init__(self, client: RouterClient, body: dict[str, Any], accepted: Accepted) -> None:
        self.id = accepted.id
        self.accepted = accepted
        self._client = client
        self._body = body

    async def result(self, timeout: float | None = None) -> Response:
        """Wait for the end; ``TimeoutError`` after ``timeout`` s, which does not take the command back."""
        async with asyncio.timeout(timeout):
            return await self._client._follow(self._body)

    def __await__(self) -> Generator[Any, None, Response]:
        return self.result().__await__()

    async def status(self) -> dict[str, Any]:
        """Where it stands, as ``GET /api/commands/{id}`` tells it."""
        return await self._client.status(self.id)

    async def cancel(self) -> bool:
        """Take it back if it has not started."""
        return await self._client.cancel(self.id)

    def __repr__(self) -> str:
        return f"<Sent {self.id}>"


class RouterClient:
    """Commands go over one WebSocket, many at once; the rest over HTTP.

    ``in_flight``: commands without an answer at once; who sends more waits. ``timeout``: seconds for the first
    connection and for each request over HTTP. ``session``: an aiohttp session to share, which is then not closed.

    While the router is away commands wait and are sent when it is back; each carries an id of its own, so that one
    whose answer was lost is not done twice. A wait is bounded by whoever waits (``timeout=``, ``asyncio.timeout``).
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8600",
        token: str = "",
        *,
        in_flight: int = 256,
        timeout: float = 30.0,
        session: aiohttp.ClientSession | None = None,
        backoff: Backoff = DEFAULT,
    ) -> None:
        if in_flight < 1:
            raise ValueError(f"in_flight must be 1 or more, not {in_flight}")
        self._asker = Asker(url, token, session, timeout)
        self._backoff = backoff
        self._timeout = timeout
        self._link: Link | None = None
        self._unanswered: Unanswered | None = None
        self._room = asyncio.Semaphore(in_flight)

    # ------------------------------------------------------------ life

    async def start(self) -> Self:
        """Connect. Raises ``Unreachable``, ``Unauthorized``, ``Forbidden``."""
        if self._link is None:
            link = Link(self._asker, self, Pace(self._backoff))
            self._unanswered = Unanswered(link)
            self._link = link
            try:
                await link.open(self._timeout)
            except BaseException:
                await self.close()
                raise
        return self

    async def close(self) -> None:
        """Hang up; what was not answered raises ``ClientClosed``. Idempotent."""
        link, self._link = self._link, None
        if link is not None:
            await link.close()
        if self._unanswered is not None:
            self._unanswered.fail(ClientClosed("the client was closed before there was an answer"))
        await self._asker.close()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._link is not None and self._link.connected

    # ------------------------------------------------------------ sending

    async def send(self, message: Message, **options: Any) -> Sent:
        """Hand a command over; returns when it is stored. Options as ``Router.send``.

        Raises ``InvalidMessage``, ``UnknownType``, the door's refusals (with ``retry_after``) and ``ClientError``.
        """
        body = self._body(message, options)
        if body.get("correlationId") is not None:
            return Sent(self, body, _accepted_of(await self._post(body, message.type, 0)))
        async with self._room:
            pending = self._said(body, follow=False)
            try:
                accepted = await pending.accepted
            finally:
                self._forget(pending)
        return Sent(self, body, accepted)

    async def request(self, message: Message, *, timeout: float | None = None, **options: Any) -> Response:
        """Send and wait for the response; raises as ``send``, and ``TimeoutError``, which does not take it back."""
        async with asyncio.timeout(timeout):
            return await self._follow(self._body(message, options))

    async def publish(self, message: Message, **options: Any) -> str:
        """Publish an event or a notification; its id. Sent again after a cut, it is published once."""
        body = body_of(message, {"idempotency_key": str(uuid7()), **options})
        pace = Pace(self._backoff)
        while True:
            try:
                _, answer = await self._asker.ask("POST", "/api/events", body, type_=message.type)
            except Unreachable:
                if self._link is None:
                    raise
                await asyncio.sleep(pace.after_failure())
            else:
                id_: str = answer["eventId"]
                return id_

    def _body(self, message: Message, options: Mapping[str, Any]) -> dict[str, Any]:
        # An id from the start: whatever is cut off, the same id is the same command.
        return body_of(message, {"id": str(uuid7()), **options})

    def _said(self, body: Mapping[str, Any], *, follow: bool) -> Pending:
        given = {**body, "op": "command", "correlationId": body["id"], "follow": follow}
        try:
            frame = to_router.Command.model_validate(given)
        except ValidationError as error:  # an option that breaks its rule
            raise refusal(error) from None
        return self._table.say(frame)

    def _forget(self, pending: Pending) -> None:
        if self._unanswered is not None:
            self._unanswered.forget(pending)

    async def _follow(self, body: dict[str, Any]) -> Response:
        if body.get("correlationId") is not None:
            return await self._follow_over_http(body)
        async with self._room:
            pending = self._said(body, follow=True)
            try:
                return await pending.ended
            finally:
                self._forget(pending)

    async def _follow_over_http(self, body: dict[str, Any]) -> Response:
        # Over the WebSocket a command's correlation id is that of its frames, where it has to be unique.
        while True:
            answer = await self._post(body, str(body["type"]), WAIT)
            if "status" in answer:
                return response_of(answer)

    async def _post(self, body: dict[str, Any], type_: str, wait: int) -> dict[str, Any]:
        pace = Pace(self._backoff)
        async with self._room:
            while True:
                try:
                    _, answer = await self._asker.ask(
                        "POST",
                        "/api/commands",
                        body,
                        query={"wait": str(wait)} if wait else None,
                        type_=type_,
                        timeout=self._timeout + wait / 1_000,
                    )
                except Unreachable:
                    if self._link is None:
                        raise
                    await asyncio.sleep(pace.after_failure())
                else:
                    found: dict[str, Any] = answer
                    return found

    @property
    def _table(self) -> Unanswered:
        if self._link is None or self._unanswered is None:
            raise ClientClosed("the client is not connected: use `async with`, or start()")
        if self._link.error is not None:
            raise self._link.error
        return self._unanswered

    # ------------------------------------------------------------ looking on

    def events(
        self,
        *,
        guild_id: str | int | Collection[str | int] | None = None,
        types: Collection[str | type[Message]] = (),
        kinds: Collection[str] = (),
        jobs: Collection[str] = (),
        roles: Collection[str | int] = (),
        after: str = "",
    ) -> AsyncGenerator[Happening | Gap, None]:
        """What happens, from now on or after a cursor, without end; over cuts and restarts of the router.

        Each has a ``cursor`` to go on after. A ``Gap`` stands where events are missing. What is empty does not filter.
        Close it (``aclosing``) or leave the loop to end it; each has a connection of its own.
        """
        guilds = [guild_id] if isinstance(guild_id, str | int) else list(guild_id or ())
        chosen = {
            "guildId": ",".join(str(guild) for guild in guilds),
            "types": ",".join(one if isinstance(one, str) else one.type for one in types),
            "kinds": ",".join(kinds),
            "jobId": ",".join(jobs),
            "roles": ",".join(str(role) for role in roles),
        }
        query = {name: value for name, value in chosen.items() if value}
        return stream.events(self._asker, query, after, Pace(self._backoff))

    async def status(self, id: str) -> dict[str, Any]:
        """Where a command is, as ``GET /api/commands/{id}``; raises ``NotFound``."""
        return await self._get(f"/api/commands/{segment(id)}")

    async def explain(self, id: str) -> dict[str, Any]:
        """Its causal record; raises ``NotFound``."""
        return await self._get(f"/api/commands/{segment(id)}/explain")

    async def cancel(self, id: str) -> bool:
        """Take it back; ``False``: it has started or ended. Raises ``NotFound``."""
        try:
            await self._asker.ask("DELETE", f"/api/commands/{segment(id)}")
        except RouterError as error:
            if error.code == "not_cancellable":
                return False
            raise
        return True

    async def health(self) -> dict[str, Any]:
        """``SystemHealth``, as ``GET /api/health``."""
        return await self._get("/api/health")

    async def _get(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = (await self._asker.ask("GET", path))[1]
        return found

    # ------------------------------------------------------------ told by the link

    def hello(self) -> to_router.Hello:
        return to_router.Hello(correlation_id="hello", software=SOFTWARE)

    def welcomed(self, welcome: from_router.Welcome) -> None:  # noqa: ARG002 - the link's word
        if self._unanswered is not None:
            self._unanswered.again()

    def heard(self, frame: from_router.FromRouter) -> None:
        if self._unanswered is not None:
            self._unanswered.heard(frame)

    def lost(self) -> None:
        """What was not answered waits for the next connection."""

    def failed(self, error: Exception) -> None:
        if self._unanswered is not None:
            self._unanswered.fail(error)


def _accepted_of(answer: Mapping[str, Any]) -> Accepted:
    return Accepted(answer["jobId"], answer["sequence"], answer["position"], answer["duplicate"])
