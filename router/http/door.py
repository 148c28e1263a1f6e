"""The door: every request passes here before anything of it is decoded."""

from __future__ import annotations

import logging
import re
from typing import Final

import uuid_utils
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from router.http.auth import Caller, Gate
from router.http.limits import bounded, check_head, check_size
from router.http.origin import check_host, check_origin
from router.http.problems import HttpProblem, problem_of
from router.http.sockets.admission import admit
from router.settings import Settings

log = logging.getLogger(__name__)
#: what needs no token: whether we live, and how we are spoken to; a WebSocket has its own ways to show one
OPEN_PATHS: Final = frozenset(("/livez", "/readyz", "/docs", "/openapi.json", "/ws"))
OPEN_PREFIX: Final = "/static/"
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_HARDENING: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)


class Door:
    """ASGI middleware: request id, host, origin, token, body bounds; what goes wrong inside becomes a problem."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._gate = Gate(settings.tokens)
        self._hosts = {settings.host, *settings.allowed_hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._upgrade(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["request_id"] = ""
        started = False

        async def answer(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                names = {name for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    (b"x-request-id", state["request_id"].encode("ascii")),
                    *((name, value) for name, value in _HARDENING if name not in names),
                ]
            await send(message)

        try:
            check_size(scope, self._settings.max_header_bytes)
            state["request_id"] = self._request_id(scope)
            state["caller"] = self._admit(scope)
            limits = self._settings
            await self._app(scope, bounded(receive, limits.max_body_bytes, limits.body_timeout), answer)
        except HttpProblem as problem:
            if started:
                raise
            await problem.response(state["request_id"])(scope, receive, answer)
        except Exception as error:
            log.exception("request %s failed", state["request_id"])
            if started:
                raise
            await problem_of(error).response(state["request_id"])(scope, receive, answer)

    async def _upgrade(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            scope["app"].state.sockets.check_room()
            scope.setdefault("state", {})["admission"] = admit(scope, self._settings, self._gate, self._hosts)
        except HttpProblem as problem:
            await problem.response()(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _admit(self, scope: Scope) -> Caller | None:
        headers = dict(scope["headers"])
        if self._gate.open:
            check_host(headers, self._hosts)
        check_origin(scope["method"], headers, self._settings.allowed_origins)
        caller = None if is_open(scope["path"]) else self._gate.caller(headers.get(b"authorization"))
        check_head(headers, self._settings.max_body_bytes)
        return caller

    def _request_id(self, scope: Scope) -> str:
        given: bytes | None = next((value for name, value in scope["headers"] if name == b"x-request-id"), None)
        if given is None:
            return str(uuid_utils.uuid7())
        if not _REQUEST_ID.fullmatch(given):
            text = "X-Request-Id must be 1 to 128 letters, digits, dots, colons, dashes or underscores."
            raise HttpProblem(400, "bad_header", text, field="X-Request-Id", retryable=False)
        return given.decode("ascii")


def is_open(path: str) -> bool:
    """Whether a path needs no token."""
    return path in OPEN_PATHS or path.startswith(OPEN_PREFIX)
