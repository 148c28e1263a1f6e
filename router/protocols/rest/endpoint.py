"""For bots: an endpoint that takes commands from a router, and executes each once however often it comes.

::

    endpoint = Endpoint(secret=os.environ["ROUTER_REST_SECRET"])

    @endpoint.handler(BanUser)
    async def ban(command, ctx): ...

    app.mount("/commands", endpoint)                      # FastAPI, Starlette: it is an ASGI application
    app.router.add_route("*", "/commands{tail:.*}", endpoint.aiohttp)   # aiohttp.web

    endpoint.open() ... endpoint.close()                  # around the life of the application

It stands behind the bot's own server, which bounds connections and time; bodies are bounded here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from hmac import compare_digest
from typing import Any, NamedTuple

from actors.codec import FRAME_BYTES
from actors.errors import EnvelopeError
from actors.outcome import Outcome, Verdict
from actors.ports import Ticket
from actors.runtime.clock import Clock, SystemClock
from router.messages.base import Message
from router.messages.registry import Catalog
from router.messages.registry import catalog as everything
from router.messages.seal import unseal
from router.protocols.executor import Executor
from router.protocols.handlers import F, Handlers, Verify
from router.protocols.records import Records
from router.protocols.rest import wire
from router.strict_json import BadJson, parse_json

PROTOCOL = "rest"
KEPT = 10_000  # ends of executions that are remembered

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Page(NamedTuple):
    """What is answered: a status and a JSON object."""

    status: int
    content: Mapping[str, Any]

    @property
    def bytes(self) -> bytes:
        """The body."""
        return wire.dump(self.content)


class Endpoint:
    """Takes commands and answers for them. ``secret``: the bearer token a caller must show; "" takes whoever comes.

    ``handlers``: a registry to share, such as ``router.handlers``; ``timeout_ms``: longest run of a handler.
    """

    def __init__(
        self,
        *,
        secret: str,
        handlers: Handlers | None = None,
        catalog: Catalog = everything,
        clock: Clock | None = None,
        workers: int = 4,
        timeout_ms: int = 15_000,
        most: int = FRAME_BYTES,
    ) -> None:
        self._expected = f"Bearer {secret}".encode() if secret else b""
        self._most = most
        self._own_clock = clock is None
        self._clock: Clock = clock or SystemClock()
        self.handlers = handlers or Handlers(catalog)
        self._records = _Reaching(self._clock, KEPT)
        self._executor = Executor(
            self.handlers,
            self._clock,
            workers=workers,
            timeout_ms=timeout_ms,
            decode=lambda envelope: unseal(envelope, catalog),
            records=self._records,
        )

    def open(self) -> None:
        """Start what executes; nothing if it runs."""
        self._executor.open(PROTOCOL)

    def close(self, drain: float = 5.0) -> None:
        """Give running handlers ``drain`` seconds; blocks so long. Its record ends with it."""
        self._executor.close(PROTOCOL, drain)
        if self._own_clock:
            self._clock.close()

    def handler(
        self,
        message: type[Message] | str,
        *,
        timeout: float | None = None,
        protocols: Collection[str] = (),
        idempotent: bool | None = None,
        verify: Verify | None = None,
    ) -> Callable[[F], F]:
        """As ``Router.handler``."""
        return self.handlers.handler(
            message, timeout=timeout, protocols=protocols, idempotent=idempotent, verify=verify
        )

    # ------------------------------------------------------------ the two requests

    async def handle(self, method: str, tail: str, authorization: str, body: bytes) -> Page:
        """One request. ``tail``: its path below the endpoint."""
        if not self._trusts(authorization):
            return _problem(401, "unauthorized", "The bearer token is missing or wrong.")
        tail = tail.strip("/")
        if method == "POST" and not tail:
            return await self._command(body)
        if method == "GET" and tail:
            return self._record(tail)
        if method in ("GET", "POST"):
            return _problem(404, "not_found", "Commands are posted here, and records are read below it by id.")
        return _problem(405, "method_not_allowed", "There are POST and GET.")

    async def _command(self, body: bytes) -> Page:
        if len(body) > self._most:
            return _problem(413, "too_large", f"At most {self._most} bytes are taken.")
        try:
            ticket = wire.ticket_of(parse_json(body), self._clock.now())
        except (EnvelopeError, BadJson) as error:
            return _problem(
                400, "invalid_message", f"The body {error.rule}." if isinstance(error, BadJson) else str(error)
            )
        return Page(200, wire.result(await self._executed(ticket)))

    async def _executed(self, ticket: Ticket) -> Outcome:
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[Outcome] = loop.create_future()

        def tell(outcome: Outcome) -> None:
            if not ended.done():
                ended.set_result(outcome)

        def heard(outcome: Outcome) -> None:
            loop.call_soon_threadsafe(tell, outcome)

        # The caller's deadline is its wait: nothing begins later, but what has begun goes on, and is on record.
        latest = min(filter(None, (ticket.start_by, ticket.deadline)), default=0)
        self._executor.start(ticket._replace(deadline=0, start_by=latest), heard, PROTOCOL)
        return await ended

    def _record(self, id_: str) -> Page:
        known = self._records.find(id_)
        if known is None and self._executor.knows(id_):
            return Page(200, {"id": id_, "state": "running"})
        if known is None:
            return Page(404, {"id": id_, "state": "unknown", "completeForMs": self._records.reach()})
        return Page(200, {"id": id_, "state": "done", **wire.result(known)})

    def _trusts(self, authorization: str) -> bool:
        if not self._expected:
            return True
        return compare_digest(authorization.encode("utf-8", "surrogateescape"), self._expected)

    # ------------------------------------------------------------ servers

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """ASGI 3; also answers ``lifespan`` when it is the whole application."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["type"] != "http":
            raise TypeError(f"an endpoint speaks http, not {scope['type']}")
        headers = {name.lower(): value for name, value in scope["headers"]}
        body = await _body(receive, self._most)
        tail = scope["path"].removeprefix(scope.get("root_path", ""))
        page = await self.handle(scope["method"], tail, headers.get(b"authorization", b"").decode("latin-1"), body)
        content = page.bytes
        head = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": page.status, "headers": head})
        await send({"type": "http.response.body", "body": content})

    async def aiohttp(self, request: Any) -> Any:
        """A handler of ``aiohttp.web``, for a route whose last part is ``{tail:.*}``."""
        from aiohttp import web

        body = b""
        async for chunk in request.content.iter_chunked(1 << 16):
            body += chunk
            if len(body) > self._most:
                break
        tail = request.match_info.get("tail", "")
        page = await self.handle(request.method, tail, request.headers.get("Authorization", ""), body)
        return web.Response(status=page.status, body=page.bytes, content_type="application/json")

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self.open()
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await asyncio.to_thread(self.close)
                await send({"type": "lifespan.shutdown.complete"})
                return


class _Reaching(Records):
    """Knows how far back it is complete: nothing that ended since then was forgotten for want of room."""

    def __init__(self, clock: Clock, limit: int) -> None:
        super().__init__(limit)
        self._clock = clock
        self._since = clock.monotonic()
        self._ends: deque[tuple[str, float]] = deque()

    def keep(self, id: str, outcome: Outcome, attempt: int, *, heard: bool) -> None:
        super().keep(id, outcome, attempt, heard=heard)
        if outcome.verdict in (Verdict.APPLIED, Verdict.REJECTED, Verdict.IN_DOUBT):
            self._ends.append((id, self._clock.monotonic()))
        while self._ends and self.find(self._ends[0][0]) is None:
            self._since = max(self._since, self._ends.popleft()[1])

    def reach(self) -> int:
        """ms."""
        return round((self._clock.monotonic() - self._since) * 1000)


async def _body(receive: Receive, most: int) -> bytes:
    """All of it, or a little more than is allowed."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body") or len(body) > most or message["type"] == "http.disconnect":
            return bytes(body)


def _problem(status: int, code: str, detail: str) -> Page:
    return Page(status, {"title": code, "status": status, "code": code, "detail": detail})
