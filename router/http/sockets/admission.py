"""Who may open a WebSocket: subprotocol, origin, host, token. Before the upgrade, so refusals are problems."""

from __future__ import annotations

from typing import Final, NamedTuple

from starlette.types import Scope

from router.frames.codec import SUBPROTOCOLS
from router.http.auth import Caller, Gate
from router.http.limits import check_size
from router.http.origin import check_host, check_origin
from router.http.problems import HttpProblem
from router.settings import Settings

BEARER: Final = "bearer."  #: before the token, among the subprotocols that a page offers


class Admission(NamedTuple):
    """What the request showed."""

    subprotocol: str
    caller: Caller | None  #: ``None``: its first frame must have a token


def admit(scope: Scope, settings: Settings, gate: Gate, hosts: set[str]) -> Admission:
    """The head of an upgrade, checked; raises ``HttpProblem``."""
    check_size(scope, settings.max_header_bytes)
    headers = dict(scope["headers"])
    if gate.open:
        check_host(headers, hosts)
    # A page of any site may open a WebSocket, and its browser adds no token but says where the page is from.
    check_origin("POST", headers, settings.allowed_origins)
    offered: list[str] = scope["subprotocols"]
    chosen = next((name for name in SUBPROTOCOLS if name in offered), None)
    if chosen is None:
        text = f"Sec-WebSocket-Protocol must offer {' or '.join(SUBPROTOCOLS)}."
        raise HttpProblem(400, "subprotocol", text, field="Sec-WebSocket-Protocol", retryable=False)
    shown = headers.get(b"authorization")
    for name in offered:
        if name.startswith(BEARER) and shown is None:
            shown = b"Bearer " + name.removeprefix(BEARER).encode("latin-1")
    if shown is None and not gate.open:
        return Admission(chosen, None)
    return Admission(chosen, gate.caller(shown))
