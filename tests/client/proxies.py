"""A TCP proxy on the loop of the test: passes bytes on, and cuts, refuses and loses them on demand."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


class Proxy:
    """In front of one daemon."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname or "", parts.port or 0)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._passed = asyncio.Event()
        self._turned_away = asyncio.Event()
        self._refusing = False
        self.connections = 0
        self.lose_answers = 0  #: so many connections are cut when the first bytes of the answer come

    @property
    def url(self) -> str:
        """Where it listens."""
        assert self._server is not None
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"http://{host}:{port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._server.wait_closed()

    def cut(self) -> None:
        """End every connection as a cable does: without a word."""
        for writer in self._writers:
            writer.transport.abort()

    def refuse(self) -> None:
        """Cut, and let nobody in."""
        self._refusing = True
        self._turned_away.clear()
        self.cut()

    def allow(self) -> None:
        """Let them in again."""
        self._refusing = False

    async def refused(self) -> None:
        """Until somebody was turned away."""
        await self._turned_away.wait()

    async def chunk(self) -> None:
        """Until bytes of the daemon were passed on."""
        self._passed.clear()
        await self._passed.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._connected(reader, writer)
        finally:
            self._tasks.discard(task)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            writer.transport.abort()
            self._turned_away.set()
            return
        self.connections += 1
        there, to_there = await asyncio.open_connection(*self._target)
        both = {writer, to_there}
        self._writers |= both
        try:
            await asyncio.gather(self._pass(reader, to_there), self._pass(there, writer, answers=True))
        finally:
            self._writers -= both
            for one in both:
                one.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool = False) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                if answers and self.lose_answers:
                    self.lose_answers -= 1
                    break
                writer.write(data)
                await writer.drain()
                if answers:
                    self._passed.set()
        writer.transport.abort()
