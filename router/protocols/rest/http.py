"""One request, sent once: the only user of aiohttp's client here, and the one table of its errors.

Nothing is retried, redirected, decompressed or remembered. aiohttp re-sends PUT and DELETE by itself when a connection
it had kept turns out to be dead, though the request may have been executed; a middleware takes the error out of its
sight. Connections are kept for less time than servers keep theirs, so that this hardly ever happens.

Errors::

    NotSent     proof that the request never left: no address, refused, no handshake, no free connection in time
    Lost        sent, or it may have been; no answer
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import NamedTuple

import aiohttp
from aiohttp.client_middlewares import ClientHandlerType
from yarl import URL

from router.protocols.results import text_of

CONNECT = 5.0  # seconds for an address, a connection and its handshake
KEPT = 4.0  # seconds an idle connection is kept; uvicorn and Node close theirs after 5
GIVE_UP = 600.0  # seconds after which nobody hopes for an answer any more; the wait for it ended long before
BODY_TIME = 10.0  # seconds for the rest of an answer whose status is known
BODY_BYTES = 1 << 20
CONNECTIONS = 1_000

_NOT_SENT = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
    aiohttp.NonHttpUrlClientError,
)
_LOST = (aiohttp.ClientError, OSError, TimeoutError)


class NotSent(Exception):
    """Proof that the request never left."""


class Lost(Exception):
    """It may have been executed."""


class Answer(NamedTuple):
    """What came back. Header names are lower-case; of several with one name the first counts."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    whole: bool = True  #: the body is all of it


class Http:
    """Made, used and closed on one event loop. ``user_agent``: how it introduces itself."""

    def __init__(self, user_agent: str, *, connect: float = CONNECT, kept: float = KEPT) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=kept),
            timeout=aiohttp.ClientTimeout(total=GIVE_UP, connect=connect),
            headers={"User-Agent": user_agent, "Accept-Encoding": "identity"},
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            middlewares=(_once,),
        )

    async def send(
        self,
        method: str,
        url: str | URL,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        most: int = BODY_BYTES,
    ) -> Answer:
        """Send it. ``most``: bytes of the answer that are read. Raises ``NotSent`` and ``Lost``."""
        try:
            async with self._session.request(
                method, url, headers=dict(headers or {}), data=body, allow_redirects=False
            ) as response:
                found: dict[str, str] = {}
                for name, value in response.headers.items():
                    found.setdefault(name.lower(), value)
                got, whole = await _read(response, most)
                return Answer(response.status, found, got, whole)
        except Exception as error:
            raise translated(error) from error

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()


async def _once(request: aiohttp.ClientRequest, send: ClientHandlerType) -> aiohttp.ClientResponse:
    try:
        return await send(request)
    except Exception as error:
        raise translated(error) from error


async def _read(response: aiohttp.ClientResponse, most: int) -> tuple[bytes, bool]:
    """The body, as far as it comes. Its status says what happened, so what is missing here is only missed."""
    got = bytearray()
    try:
        async with asyncio.timeout(BODY_TIME):
            async for chunk in response.content.iter_chunked(1 << 16):
                got += chunk
                if len(got) > most:
                    return bytes(got[:most]), False
    except _LOST:
        return bytes(got), False
    return bytes(got), True


def translated(error: Exception) -> Exception:
    """An exception of aiohttp in our words; what is none of its own is returned as it is."""
    match error:
        case NotSent() | Lost():
            return error
        case _ if isinstance(error, _NOT_SENT):
            return NotSent(text_of(error))
        case _ if isinstance(error, _LOST):
            return Lost(text_of(error))
        case _:
            return error
