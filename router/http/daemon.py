"""The daemon: a router and its server in one process, from the start to the last drained command."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

from router.http.app import create_app
from router.http.loop import LoopMeter
from router.http.server import bind, make_server, url_of
from router.router import Router
from router.settings import Settings
from router.signals import DRAIN, STOP, Echoes

log = logging.getLogger(__name__)

YOUNG: Final = 20_000
"""Objects that are made before the garbage collector looks again; Python's own 700 cost a sixth of a command's time."""


class Daemon:
    """Serves one router until a signal, ``close()``, or the router's own end.

    The first SIGTERM or SIGINT drains: new commands get 503, running ones have ``settings.drain`` seconds, what has not
    started stays in the store. A second one (not the same once more: ``router.signals``) ends the process at once; the
    store is as a crash would leave it: whole. A worker hears of both from its starter too, which counts for neither.
    """

    def __init__(
        self, router: Router, settings: Settings, listening: socket.socket | None = None, *, shared: bool = False
    ) -> None:
        self.router = router
        self.settings = settings
        self.app = create_app(router, settings)
        self.app.state.loop_meter = self._lag = LoopMeter(settings.lag_limit_ms)
        router.meters.append(self._lag)
        self.cause: str | None = None  #: why the router ended by itself
        self._shared = shared  # others accept from the socket too: they take over what this one turns away
        self._echoes = Echoes()
        self._told = False  # it drains by its starter's word alone: the signal to the group may still come
        self._socket = listening or bind(settings.host, settings.port)
        self._server = make_server(self.app, settings)
        self._draining: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return url_of(self._socket)

    def run(self, ready: Callable[[], None] = lambda: None) -> int:
        """Serve until the end; the exit status: 0, or 1 when the router failed."""
        try:
            self.router.start()
            gc.freeze()  # what is here now stays: modules, models, the tree
            gc.set_threshold(YOUNG, 20, 20)
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                return runner.run(self._serve(ready))
        finally:
            self.router.stop()
            self._socket.close()

    def close(self) -> None:
        """Drain and end; from any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._drain)

    async def _serve(self, ready: Callable[[], None]) -> int:
        self._loop = loop = asyncio.get_running_loop()
        self.router.engine.on_end(lambda reason: loop.call_soon_threadsafe(self._fail, reason))
        handled = _handle_signals(loop, self._on_signal, (DRAIN, STOP) if self._shared else ())
        lag = asyncio.create_task(self._lag.run())
        try:
            serving = asyncio.create_task(self._server.serve(sockets=[self._socket]))
            ready()
            await serving
            if self._draining is not None:
                await self._draining
        finally:
            for number in handled:
                loop.remove_signal_handler(number)
            lag.cancel()
            self._loop = None
        return 1 if self.cause else 0

    def _on_signal(self, number: int) -> None:
        if self._echoes.is_echo(number):
            return
        if self._shared and number == DRAIN:
            self._told = self._told or self._draining is None
        elif (self._shared and number == STOP) or (self._draining is not None and not self._told):
            log.warning("stopped at once by a second signal")
            logging.shutdown()
            sys.stdout.flush()
            os._exit(128 + number)  # threads of user handlers cannot be ended any other way
        else:
            self._told = False
        self._drain()

    def _drain(self) -> None:
        if self._draining is None:
            log.info("draining for up to %g seconds", self.settings.drain)
            self.app.state.draining = True
            self.app.state.sockets.goodbye("draining")
            if self._shared:
                for server in self._server.servers:
                    server.close()
            self._draining = asyncio.get_running_loop().create_task(self._drained())

    async def _drained(self) -> None:
        try:
            await asyncio.to_thread(self.router.stop, self.settings.drain)
        finally:
            self._leave()

    def _leave(self) -> None:
        self.router.hub.log().close()  # after the last answer, so that a stream tells of it
        self._server.should_exit = True

    def _fail(self, reason: Any) -> None:
        self.cause = str(reason)
        log.critical("the router gave up: %s", self.cause)
        self.app.state.draining = True
        self._leave()


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's where it is installed (not on Windows), else asyncio's own."""
    try:
        from uvloop import new_event_loop
    except ModuleNotFoundError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = new_event_loop
    return factory


def _handle_signals(
    loop: asyncio.AbstractEventLoop, handle: Callable[[int], None], more: Sequence[int] = ()
) -> list[int]:
    numbers = [signal.SIGTERM, signal.SIGINT, *more]
    try:
        for number in numbers:
            loop.add_signal_handler(number, handle, number)
    except (NotImplementedError, RuntimeError, ValueError):
        return []  # not the main thread (a test, an embedding program), or a platform without them
    return numbers
