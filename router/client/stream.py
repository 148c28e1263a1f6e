"""The event stream as an iterator: it goes on after the last cursor when the connection was cut."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Final

import aiohttp

from router.client.asking import NO_ANSWER, Asker, handshake_error, value_of
from router.client.errors import Unreachable
from router.client.happenings import Gap, Happening, read
from router.client.pace import Pace

logger = logging.getLogger("router.client")

SILENCE: Final = 60.0  # seconds without a sign of life (the router gives one every 15 s) after which it is tried anew
LINE: Final = 4 << 20  # bytes of one line


async def events(
    asker: Asker, query: Mapping[str, str], after: str, pace: Pace, *, silence: float = SILENCE
) -> AsyncGenerator[Happening | Gap, None]:
    """Without end. Raises what the router refuses for good; the rest is tried again."""
    cursor = after
    headers = {"Accept": "text/event-stream", **asker.headers}
    limit = aiohttp.ClientTimeout(total=None, sock_connect=10.0, sock_read=silence)
    while True:
        advised = 0
        try:
            given = {**headers, "Last-Event-ID": cursor} if cursor else headers
            async with asker.session.get(
                f"{asker.url}/api/events/stream",
                params=query,
                headers=given,
                timeout=limit,
                read_bufsize=1 << 16,
            ) as answer:
                if answer.status != 200:
                    advised = await _refused(answer)
                else:
                    data = ""
                    async for line in _lines(answer.content):
                        if line.startswith("id: "):
                            cursor = line[4:]
                            pace.succeeded()
                        elif line.startswith("data: "):
                            data = line[6:]
                        elif not line and data:
                            happening = read(json.loads(data))
                            data = ""
                            yield happening
        except NO_ANSWER as error:
            logger.info("the stream of %s was cut: %s", asker.url, type(error).__name__)
        await asyncio.sleep(pace.after_failure(advised))


async def _refused(answer: aiohttp.ClientResponse) -> int:
    """Raises what is for good; else the advice to come back, ms."""
    content = await answer.read()
    if (final := handshake_error(answer.status)) is not None and not content:
        raise final
    if answer.status not in (429, 502, 503, 504):
        value_of(answer.status, content)
        raise Unreachable(f"the stream was answered {answer.status}")
    after = answer.headers.get("Retry-After", "")
    return int(after) * 1_000 if after.isdecimal() and len(after) < 6 else 0


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[str]:
    # Not by readline: a line may be longer than what aiohttp takes for one.
    kept = b""
    async for chunk in content.iter_any():
        kept += chunk
        *lines, kept = kept.split(b"\n")
        for line in lines:
            yield line.decode("utf-8")
        if len(kept) > LINE:
            raise Unreachable("the stream has a line without end")
