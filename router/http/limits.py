"""Bounds of a request: its head, its body while it streams, and the time that may take.

What comes of a refused body after the answer is thrown away by the server, until the time for the next head is over:
closing at once would reset the connection, and the sender might never see why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from starlette.types import Message, Receive, Scope

from router.http.problems import HttpProblem


def check_size(scope: Scope, max_head: int) -> None:
    """Refuse a head that is too long: its target and all its headers together."""
    size = len(scope["path"]) + len(scope.get("query_string", b""))
    size += sum(len(name) + len(value) + 4 for name, value in scope["headers"])
    if size > max_head:
        text = f"The request's head must not be longer than {max_head} bytes."
        raise HttpProblem(431, "head_too_large", text, retryable=False, maxBytes=max_head)


def check_head(headers: Mapping[bytes, bytes], max_body: int) -> None:
    """Refuse by the head alone: a body announced too long, or one that is not JSON."""
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and int(length[:20]) > max_body:
        raise too_large(max_body)
    has_body = length != b"0" or b"transfer-encoding" in headers
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if has_body and not (kind == b"application/json" or (kind.startswith(b"application/") and kind.endswith(b"+json"))):
        raise HttpProblem(415, "not_json", "The body must be application/json.", retryable=False)


def bounded(receive: Receive, max_body: int, seconds: float) -> Receive:
    """The same stream, refused when it grows too long or takes too long."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    size = 0
    complete = False

    async def receive_bounded() -> Message:
        nonlocal size, complete
        if complete:
            return await receive()  # what comes now is the sender's leaving, and that may take its time
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError as error:
            text = f"The body did not come within {seconds:g} seconds."
            raise HttpProblem(408, "body_timeout", text, headers={"Connection": "close"}, retryable=True) from error
        if message["type"] == "http.request":
            size += len(message.get("body", b""))
            complete = not message.get("more_body", False)
        if size > max_body:
            raise too_large(max_body)
        return message

    return receive_bounded


def too_large(max_body: int) -> HttpProblem:
    """The problem 413."""
    text = f"The body must not be longer than {max_body} bytes."
    return HttpProblem(413, "body_too_large", text, retryable=False, maxBytes=max_body)
