"""``BotClient``: executes commands that a router sends over its WebSocket, inside a bot's own event loop."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Collection
from secrets import token_hex
from types import TracebackType
from typing import Any, Final, Self

import aiohttp

from actors.policy.facts import Backoff
from router.client.asking import Asker
from router.client.errors import ClientClosed, error_of
from router.client.executing import Executions
from router.client.link import Link
from router.client.pace import DEFAULT, Pace
from router.client.record import Record
from router.frames import from_router, to_router
from router.messages.base import Message
from router.messages.registry import Catalog
from router.messages.registry import catalog as everything
from router.protocols.handlers import F, Handlers, Verify

logger = logging.getLogger("router.client")

SOFTWARE: Final = "guild-router bot client"
ANNOUNCE: Final = "announce"
RECENT: Final = 1_000  # answers that are said again after a cut, because nobody knows whether they arrived
RECENTLY: Final = 30.0  # seconds for which they are


class BotClient:
    """A bot. Give it a ``name`` of its own that it keeps over restarts: by that the router settles what is in doubt.

    ``shards`` of ``shard_count``, and ``guilds``: whose commands it takes; nothing given: all. ``handles``: only these
    of the types it has handlers for. ``capacity``: commands at once. ``record``: a file for its dedupe record, so that
    it answers for what it did before a restart; else that is known as long as the process lives. ``timeout``: seconds
    of one call of a handler that declared none.

    Runs on the loop on which it is started and has no thread of its own; handlers that are not async run on the loop's
    threads. ``async with bot``, ``start()`` and ``stop()``, or ``run()``.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8600",
        token: str = "",
        *,
        name: str = "",
        shards: Collection[int] | None = None,
        shard_count: int | None = None,
        guilds: Collection[str | int] | None = None,
        handles: Collection[str | type[Message]] | None = None,
        capacity: int = 10,
        weight: float = 1.0,
        record: str | os.PathLike[str] | None = None,
        timeout: float = 30.0,
        drain: float = 15.0,
        session: aiohttp.ClientSession | None = None,
        catalog: Catalog = everything,
        backoff: Backoff = DEFAULT,
    ) -> None:
        if (shards is None) is not (shard_count is None):
            raise ValueError("shards and shard_count belong together")
        self.name = name or f"bot-{token_hex(6)}"
        self.handlers = Handlers(catalog)
        self._asker = Asker(url, token, session, timeout)
        self._backoff = backoff
        self._shards = None if shards is None else sorted(shards)
        self._shard_count = shard_count
        self._guilds = None if guilds is None else sorted(str(guild) for guild in guilds)
        self._handles = None if handles is None else {one if isinstance(one, str) else one.type for one in handles}
        self._weight = weight
        self._capacity = capacity
        self._timeout = timeout
        self._drain = drain
        self._catalog = catalog
        self._record_path = record
        self._record = Record(record)
        self._executions: Executions | None = None
        self._link: Link | None = None
        self._skew = 0  # ms that the router's clock is ahead of ours
        self._ready: asyncio.Future[None] | None = None
        self._ended: asyncio.Future[None] | None = None
        self._unsaid: dict[tuple[str, int], to_router.Executed] = {}
        self._recent: deque[tuple[float, to_router.Executed]] = deque(maxlen=RECENT)
        self._tasks: set[asyncio.Task[None]] = set()
        self.handlers.on_change(self._changed)
        self._loop: asyncio.AbstractEventLoop | None = None

    # ------------------------------------------------------------ handlers

    def handler(
        self,
        message: type[Message] | str,
        *,
        timeout: float | None = None,
        idempotent: bool | None = None,
        verify: Verify | None = None,
    ) -> Callable[[F], F]:
        """As ``Router.handler``: decorate ``fn(command, ctx)``, sync or async, as the executor of a type."""
        return self.handlers.handler(message, timeout=timeout, idempotent=idempotent, verify=verify)

    def bind(self, owner: object) -> None:
        """Use the methods of ``owner`` (a cog) that are marked with ``@handles(...)``."""
        self.handlers.bind(owner)

    async def unbind(self, owner: object, drain: float = 5.0) -> bool:
        """Use them no more; ``True`` when none of them runs any more within ``drain`` seconds."""
        return await self.handlers.aunbind(owner, drain)

    # ------------------------------------------------------------ life

    async def start(self) -> Self:
        """Connect and announce; raises ``Unreachable``, ``Unauthorized``, ``Forbidden`` (of a role that may not)."""
        if self._link is not None:
            return self
        loop = self._loop = asyncio.get_running_loop()
        self._record.open()
        self._executions = Executions(
            self.handlers,
            self._record,
            self._answer,
            catalog=self._catalog,
            capacity=self._capacity,
            timeout=self._timeout,
            now=lambda: int(time.time() * 1_000) + self._skew,
        )
        self._ready, self._ended = loop.create_future(), loop.create_future()
        self._link = Link(self._asker, self, Pace(self._backoff))
        try:
            await self._link.open(self._asker.timeout)
            await self._ready
        except BaseException:
            await self._leave()
            raise
        return self

    async def stop(self, drain: float | None = None) -> bool:
        """Say goodbye, let what runs end within ``drain`` seconds, answer for it, hang up. ``False``: some ran on."""
        if self._link is None or self._executions is None:
            return True
        self._link.say(to_router.Goodbye(correlation_id="goodbye"))
        finished = await self._executions.drain(self._drain if drain is None else drain)
        if not finished:
            await self._executions.abandon()
        await self._leave()
        return finished

    async def run(self) -> None:
        """Until it is cancelled, or the router refuses it for good; then as ``stop``."""
        await self.start()
        try:
            assert self._ended is not None  # noqa: S101 - it is started
            await asyncio.shield(self._ended)
        finally:
            await self.stop()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._link is not None and self._link.connected

    @property
    def running(self) -> int:
        """Commands it has."""
        return len(self._executions) if self._executions is not None else 0

    async def _leave(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            await link.close()
        for task in list(self._tasks):
            task.cancel()
        await self._record.close()
        await self._asker.close()
        self._executions = None

    # ------------------------------------------------------------ told by the link

    def hello(self) -> to_router.Hello:
        return to_router.Hello(
            correlation_id="hello", name=self.name, instance=self._record.instance, software=SOFTWARE
        )

    def welcomed(self, welcome: from_router.Welcome) -> None:
        self._skew = welcome.now - int(time.time() * 1_000)
        self._announce()
        # What ended while we were away, and what was said shortly before: nobody knows whether it arrived.
        since = time.monotonic() - RECENTLY
        again = {(said.id, said.attempt): said for at, said in self._recent if at >= since}
        for said in (again | self._unsaid).values():
            self._say(said)
        self._unsaid.clear()

    def heard(self, frame: from_router.FromRouter) -> None:
        match frame:
            case from_router.Order() if self._executions is not None:
                self._executions.take(frame)
            case from_router.AskRecord():
                self._spawn(self._tell_record(frame))
            case from_router.Ack(correlation_id="announce"):
                if self._ready is not None and not self._ready.done():
                    self._ready.set_result(None)
            case from_router.Nack(correlation_id="announce") | from_router.Error(correlation_id="announce"):
                self.failed(error_of(frame.model_dump(by_alias=True, exclude_none=True)))

    def lost(self) -> None:
        logger.info("%s lost its router; what runs goes on", self.name)

    def failed(self, error: Exception) -> None:
        for future in (self._ready, self._ended):
            if future is not None and not future.done():
                if isinstance(error, ClientClosed) and future is self._ended:
                    future.set_result(None)
                else:
                    future.set_exception(error)
                    future.exception()  # seen, also when nobody runs it to its end

    # ------------------------------------------------------------ saying

    def _announce(self) -> None:
        if self._link is None:
            return
        types = [name for name in self.handlers.types() if self._handles is None or name in self._handles]
        self._link.say(
            to_router.Announce(
                correlation_id=ANNOUNCE,
                handles=types,
                shards=self._shards,
                shard_count=self._shard_count,
                guilds=self._guilds,
                capacity=self._capacity,
                weight=self._weight,
                idempotent=[name for name in types if (its := self.handlers.find(name)) is not None and its.idempotent],
            )
        )

    def _changed(self) -> None:
        # Handlers come and go with cogs, on whatever thread.
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._announce)

    def _answer(self, said: to_router.Executed | to_router.Taken | to_router.Refused) -> bool:
        if self._link is not None and self._link.connected:
            self._say(said)
            return True
        if isinstance(said, to_router.Executed):
            self._unsaid[said.id, said.attempt] = said
            while len(self._unsaid) > RECENT:  # the record still has them, if the router should ask
                del self._unsaid[next(iter(self._unsaid))]
        return False

    def _say(self, said: to_router.Executed | to_router.Taken | to_router.Refused) -> None:
        if isinstance(said, to_router.Executed):
            self._recent.append((time.monotonic(), said))
        if self._link is not None:
            self._link.say(said)

    async def _tell_record(self, asked: from_router.AskRecord) -> None:
        if self._executions is None or self._link is None:
            return
        lines = await self._executions.lines(asked.ids, asked.envelopes)
        if self._link is not None:
            self._link.say(to_router.Recorded(correlation_id=asked.correlation_id, entries=lines))

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
