"""A bot's endpoint that does to each request what its script says, and keeps a ledger of what it executed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from threading import Condition
from typing import Any

from aiohttp import web

from tests.fakes.served import CAP, Served, application

Step = Callable[["Bot", web.Request, Any], Any]


class Bot:
    """``script``: the next steps, each for one request; when it is empty, ``ok``."""

    def __init__(self, *script: Step) -> None:
        self.script = list(script)
        self.ledger: list[str] = []  # ids, as often as they were executed
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.records: dict[str, tuple[int, Any]] = {}
        self.go_on = asyncio.Event()  # touched on the server's loop
        self._changed = Condition()
        self.served = Served(application("/{tail:.*}", self._handle))

    @property
    def url(self) -> str:
        return f"{self.served.url}/commands"

    def __enter__(self) -> Bot:
        self.served.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
        self.served.__exit__()

    def release(self) -> None:
        """Whoever hangs goes on."""

        async def go() -> None:
            self.go_on.set()

        self.served.call(go())

    def executed(self, count: int = 1) -> None:
        """Wait until so many were executed."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.ledger) >= count, CAP), self.ledger

    def execute(self, id_: str) -> None:
        with self._changed:
            self.ledger.append(id_)
            self._changed.notify_all()

    async def _handle(self, request: web.Request) -> Any:
        body = await request.read()
        self.requests.append((request.method, request.path, dict(request.headers), body))
        if request.method == "GET":
            status, content = self.records.get(request.path.rpartition("/")[2], (404, {}))
            return web.json_response(content, status=status)
        step = self.script.pop(0) if self.script else ok
        given = await request.json()
        return await step(self, request, given)


async def ok(bot: Bot, request: web.Request, given: Any) -> Any:
    bot.execute(given["envelope"]["id"])
    return web.json_response({"outcome": "applied", "data": {"id": given["envelope"]["id"]}})


def answer(status: int, content: Any = None, *, execute: bool = False, **headers: str) -> Step:
    async def step(bot: Bot, request: web.Request, given: Any) -> Any:
        if execute:
            bot.execute(given["envelope"]["id"])
        return web.json_response(content, status=status, headers={k.replace("_", "-"): v for k, v in headers.items()})

    return step


async def drop_before(bot: Bot, request: web.Request, given: Any) -> Any:
    request.transport.abort()
    return web.Response()


async def drop_after(bot: Bot, request: web.Request, given: Any) -> Any:
    bot.execute(given["envelope"]["id"])
    request.transport.abort()
    return web.Response()


async def hang_after(bot: Bot, request: web.Request, given: Any) -> Any:
    bot.execute(given["envelope"]["id"])
    await bot.go_on.wait()
    return web.json_response({"outcome": "applied", "data": "late"})


async def half_an_answer(bot: Bot, request: web.Request, given: Any) -> Any:
    bot.execute(given["envelope"]["id"])
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"outcome": "applied", "da')
    request.transport.abort()
    return response


def huge(size: int) -> Step:
    async def step(bot: Bot, request: web.Request, given: Any) -> Any:
        bot.execute(given["envelope"]["id"])
        return web.Response(body=b'"' + b"x" * size + b'"', content_type="application/json")

    return step
