"""Frames as bytes: msgpack in binary messages, or JSON in text messages. Whoever connects chooses by subprotocol.

A stranger's bytes are scanned before anything is built from them: see ``actors.scan`` and ``router.strict_json``.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar, Final

from pydantic import TypeAdapter, ValidationError

from actors.codec import pack, unpack
from actors.errors import EnvelopeError
from actors.scan import Bounds, scan
from router.errors import RouterError, shape
from router.frames.frame import Frame
from router.frames.from_router import FromRouter
from router.frames.to_router import ToRouter
from router.strict_json import BadJson, parse_json

MSGPACK: Final = "router.v1.msgpack"
JSON: Final = "router.v1.json"
SUBPROTOCOLS: Final = (MSGPACK, JSON)
FRAME_BYTES: Final = 1 << 20
DEPTH: Final = 32
ELEMENTS: Final = 10_000
#: of what the router sends: it wraps payloads that may themselves be as deep as that
WRAPPED: Final = Bounds(depth=DEPTH + 4, elements=ELEMENTS + 1_000, string=FRAME_BYTES)
BOUNDS: Final = Bounds(depth=DEPTH, elements=ELEMENTS, string=1 << 19)
NOBODY: Final = "-"  #: the correlation id of an answer to what could not be read

_TO_ROUTER: TypeAdapter[Any] = TypeAdapter(ToRouter)
_FROM_ROUTER: TypeAdapter[Any] = TypeAdapter(FromRouter)


class BadFrame(RouterError):
    """Not a frame, or one whose field breaks its rule; ``readable``: it was a map, and the connection may go on."""

    code: ClassVar[str] = "bad_frame"

    def __init__(
        self, message: str, *, field: str = "", rule: str = "", correlation_id: str = NOBODY, readable: bool = False
    ) -> None:
        super().__init__(message)
        self.field = field
        self.rule = rule
        self.correlation_id = correlation_id
        self.readable = readable


def encode(frame: Frame, subprotocol: str) -> bytes | str:
    """What is sent: text for JSON, bytes for msgpack. Fields without a value are left out."""
    if subprotocol == JSON:
        return frame.model_dump_json(by_alias=True, exclude_none=True)
    return pack(frame.model_dump(by_alias=True, exclude_none=True))


def encode_map(shown: dict[str, Any], subprotocol: str) -> bytes | str:
    """As ``encode``, for a frame that is there as a map of JSON values already."""
    if subprotocol == JSON:
        return json.dumps(shown, ensure_ascii=False, separators=(",", ":"))
    return pack(shown)


def decode_to_router(message: bytes | str, subprotocol: str) -> ToRouter:
    """The frame of a client or a bot; raises ``BadFrame``."""
    frame: ToRouter = _frame(_TO_ROUTER, message, subprotocol, BOUNDS)
    return frame


def decode_from_router(message: bytes | str, subprotocol: str) -> FromRouter:
    """The frame of a router; raises ``BadFrame``, also for an ``op`` that is not known here."""
    frame: FromRouter = _frame(_FROM_ROUTER, message, subprotocol, WRAPPED)
    return frame


def _frame(adapter: TypeAdapter[Any], message: bytes | str, subprotocol: str, bounds: Bounds) -> Any:
    value = _value(message, subprotocol, bounds)
    if not isinstance(value, dict):
        raise BadFrame(f"a frame must be a map, not {shape(value)}", rule="must be a map")
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        raise _unfit(error, value) from None


def _value(message: bytes | str, subprotocol: str, bounds: Bounds) -> Any:
    if isinstance(message, str) is not (subprotocol == JSON):
        kind = "text" if subprotocol == JSON else "binary"
        raise BadFrame(f"frames of {subprotocol} are {kind} messages", rule=f"must be a {kind} message")
    data = message.encode() if isinstance(message, str) else message
    if len(data) > FRAME_BYTES:
        raise BadFrame(f"a frame of {len(data)} bytes, at most {FRAME_BYTES} are allowed", rule="must be shorter")
    try:
        if subprotocol == JSON:
            return parse_json(data, max_depth=bounds.depth, max_elements=bounds.elements)
        scan(data, bounds, "frame")
        return unpack(data)
    except BadJson as error:
        raise BadFrame(f"the frame {error.rule}", rule=error.rule) from error
    except EnvelopeError as error:
        raise BadFrame(str(error), field=error.field) from error


def _unfit(error: ValidationError, value: dict[Any, Any]) -> BadFrame:
    first = error.errors(include_url=False, include_context=False, include_input=True)[0]
    path = [str(part) for part in first["loc"]]
    if len(path) > 1 and path[0] == value.get("op"):  # the name of the case, which is no field
        path = path[1:]
    field = ".".join(path)[:128] or "op"
    rule = _RULES.get(first["type"]) or str(first["msg"]).removeprefix("Value error, ")
    given = value.get("correlationId", value.get("correlation_id"))
    known = given if isinstance(given, str) and 0 < len(given) <= 128 and given.isprintable() else NOBODY
    got = "" if first["type"] in _RULES else f", not {shape(first['input'])}"
    return BadFrame(f"{field}: {rule}{got}", field=field, rule=rule, correlation_id=known, readable=True)


_RULES = {
    "missing": "is missing",
    "extra_forbidden": "is unknown",
    "union_tag_invalid": "is no frame that is known here",
    "union_tag_not_found": "is missing",
}
