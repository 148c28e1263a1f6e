"""Single requests over HTTP, and their problems as errors."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlsplit

import aiohttp

from router.client.errors import Forbidden, Unauthorized, Unreachable, error_of

_VISIBLE: Final = re.compile(r"[!-~]+")
#: what aiohttp raises when there was no answer
NO_ANSWER: Final = (aiohttp.ClientError, OSError, asyncio.TimeoutError)


class Asker:
    """One router over HTTP; a session of its own, or one that is given and then not closed."""

    def __init__(self, url: str, token: str, session: aiohttp.ClientSession | None, timeout: float) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or not _VISIBLE.fullmatch(url):
            raise ValueError(f"{url!r} is not a URL such as http://127.0.0.1:8600")
        if token and not _VISIBLE.fullmatch(token):
            raise ValueError("a token must be visible ASCII characters")
        self.url = url.rstrip("/")
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.timeout = timeout  #: seconds for one request
        self._given = session
        self._session = session

    @property
    def session(self) -> aiohttp.ClientSession:
        """Made at the first use, on the running loop."""
        if self._session is None:
            self._session = aiohttp.ClientSession(auto_decompress=True)
        return self._session

    async def close(self) -> None:
        """Close what is ours."""
        session, self._session = self._session, self._given
        if session is not None and session is not self._given:
            await session.close()

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        type_: str = "",
        timeout: float | None = None,
    ) -> tuple[int, Any]:
        """(status, JSON value). Raises the error a problem speaks of; ``Unreachable`` without an answer."""
        sent = {"Accept": "application/json", **self.headers, **(headers or {})}
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        limit = aiohttp.ClientTimeout(total=timeout or self.timeout)
        try:
            async with self.session.request(
                method, self.url + path, data=data, params=query, headers=sent, timeout=limit
            ) as answer:
                content = await answer.read()
        except NO_ANSWER as error:
            raise Unreachable(f"no answer from {self.url}: {type(error).__name__}") from error
        return answer.status, value_of(answer.status, content, type_)


def value_of(status: int, content: bytes, type_: str = "") -> Any:
    """The JSON of an answer; raises what a problem speaks of."""
    try:
        value = json.loads(content) if content else None
    except ValueError as error:
        raise Unreachable(f"an answer of status {status} without JSON: is it a guild-router?") from error
    if status >= 400:
        raise error_of(value if isinstance(value, dict) else {"code": f"http_{status}"}, type_)
    return value


def handshake_error(status: int) -> Exception | None:
    """Why a WebSocket or a stream is refused for good; ``None``: trying again may help."""
    if status == 401:
        return Unauthorized("no token, or one that the router does not know")
    if status == 403:
        return Forbidden("this token may not connect")
    return None


def segment(text: str) -> str:
    """An id as one segment of a path."""
    return quote(text, safe="")
