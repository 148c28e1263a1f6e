"""An aiohttp application on a port of its own, in a thread of its own."""

from __future__ import annotations

import asyncio
import ssl
from threading import Thread
from typing import Any

from aiohttp import web

CAP = 30.0


class Served:
    """Listens at ``url`` from the beginning of the ``with`` block to its end."""

    def __init__(self, app: web.Application) -> None:
        self._app = app
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._run, name="fake", daemon=True)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        self.port = 0
        self._context: ssl.SSLContext | None = None

    def secure(self, context: ssl.SSLContext) -> None:
        """Speak TLS; before it begins."""
        self._context = context

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Served:
        self._thread.start()
        self.call(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self.call(self._runner.cleanup())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CAP)
        assert not self._thread.is_alive()

    def call(self, coroutine: Any) -> Any:
        """Run it on the server's loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(CAP)

    async def _start(self) -> None:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._context)
        await site.start()
        self.port = self._runner.addresses[0][1]

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()


def application(path: str, handler: Any) -> web.Application:
    """One with one route for every method."""
    app = web.Application(client_max_size=1 << 22)
    app.router.add_route("*", path, handler)
    return app
