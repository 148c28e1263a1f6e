"""The body of an envelope: the msgpack map of a payload, by its wire names."""

from __future__ import annotations

from actors import codec
from actors.errors import EnvelopeError
from router.errors import InvalidMessage, shape

LIMIT = 960 * 1024  # leaves room for the header in a frame of 1 MiB


def pack_body(payload: object) -> bytes:
    """Bytes of a canonical payload. Raises ``InvalidMessage`` for what no body can carry."""
    try:
        body = codec.pack(payload)
    except EnvelopeError as error:
        raise InvalidMessage("data", "must be text, numbers of 64 bits, booleans, null, lists and objects") from error
    if len(body) > LIMIT:
        raise InvalidMessage("data", f"must be at most {LIMIT} bytes packed", f"{len(body)} bytes")
    return body


def with_field(body: bytes, name: bytes, value: int) -> bytes:
    """The body with one more field at its end; ``name`` is packed already."""
    if 0x80 <= body[0] < 0x8F:  # a small map: its first byte counts its fields
        return bytes((body[0] + 1,)) + body[1:] + name + codec.pack(value)
    return pack_body({**unpack_body(body), str(codec.unpack(name)): value})


def unpack_body(body: bytes) -> dict[str, object]:
    """The payload of a body; raises ``InvalidMessage`` when it is no map."""
    try:
        payload = codec.unpack(body) if body else {}
    except EnvelopeError as error:
        raise InvalidMessage("data", "must be a msgpack map", f"{len(body)} bytes") from error
    if not isinstance(payload, dict):
        raise InvalidMessage("data", "must be a msgpack map", shape(payload))
    return payload
