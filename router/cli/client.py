"""The commands' way to a running daemon: HTTP by the standard library, so that it needs no extra."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote, urlencode, urlsplit

import typer

from router.cli.output import fail

DEFAULT_URL = "http://127.0.0.1:8600"
NOT_TEXT = "an argument is not text in this terminal's encoding"
_VISIBLE = re.compile(r"[!-~]+")  #: what a URL or a header can carry as it is
UrlOption = Annotated[str, typer.Option("--url", envvar="GUILD_ROUTER_URL", help="Where the daemon listens.")]
TokenOption = Annotated[
    str,
    typer.Option("--token", envvar="GUILD_ROUTER_TOKEN", show_envvar=True, show_default=False, help="Bearer token."),
]


class Unreachable(Exception):
    """No answer from the daemon."""


class Refusal(Exception):
    """The daemon answered with a problem."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.problem = problem
        self.code = str(problem.get("code", "http_error"))
        super().__init__(str(problem.get("detail") or f"HTTP {status}"))


class Client:
    """One daemon. A connection per request: commands ask once or twice."""

    def __init__(self, url: str = DEFAULT_URL, token: str = "", timeout: float = 35.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or not _VISIBLE.fullmatch(url):
            raise ValueError(f"{url} is not a URL such as {DEFAULT_URL}")
        try:
            self._port = parts.port
        except ValueError as error:
            raise ValueError(f"{url} is not a URL such as {DEFAULT_URL}: {error}") from error
        if token and not _VISIBLE.fullmatch(token):
            raise ValueError("--token must be visible ASCII characters")
        self.url = url.rstrip("/")
        self._parts = parts
        self._token = token
        self._timeout = timeout

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Any]:
        """(status, JSON value). Raises ``Refusal`` for 4xx and 5xx, ``Unreachable`` without an answer."""
        given = {name: value for name, value in (query or {}).items() if value not in (None, "")}
        target = self._parts.path.rstrip("/") + path + (f"?{urlencode(given)}" if given else "")
        sent = {"Accept": "application/json", **(headers or {})}
        if self._token:
            sent["Authorization"] = f"Bearer {self._token}"
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        status, answer = self._exchange(method, target, data, sent)
        try:
            value = json.loads(answer) if answer else None
        except ValueError as error:
            raise Unreachable(f"{self.url} answered {status} without JSON: is it a guild-router?") from error
        if status >= 400:
            raise Refusal(status, value if isinstance(value, dict) else {})
        return status, value

    def _exchange(self, method: str, target: str, data: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(self._parts.hostname or "", self._port, timeout=self._timeout)
        try:
            connection.request(method, target, data, headers)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException, UnicodeError) as error:  # the last: a host name of impossible parts
            raise Unreachable(f"no answer from {self.url}: {error or type(error).__name__}") from error
        finally:
            connection.close()


def make_client(url: str, token: str, timeout: float = 35.0) -> Client:
    """A client for a command; a bad URL or token is wrong use."""
    try:
        return Client(url, token, timeout)
    except ValueError as error:
        fail(str(error), 2)


def segment(text: str) -> str:
    """A name as one segment of a path; bytes that are no text are wrong use."""
    try:
        return quote(text, safe="")
    except UnicodeEncodeError:
        fail(NOT_TEXT, 2)


def answer_of(client: Client, method: str, path: str, body: Any = None, **options: Any) -> Any:
    """The value of an answer, or the end of the command with one line that says why."""
    try:
        return client.ask(method, path, body, **options)[1]
    except UnicodeEncodeError:
        fail(NOT_TEXT, 2)
    except (Refusal, Unreachable) as error:
        fail(told(error))


def told(error: Refusal | Unreachable) -> str:
    """Why there is no answer, in one line."""
    return f"{error} ({error.code})" if isinstance(error, Refusal) else str(error)
