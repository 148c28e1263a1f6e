"""The frames of a WebSocket: what a client or a bot says (``to_router``), what the router says (``from_router``).

For both ends, and without any server: ``codec`` turns them into bytes and back. Described in ``docs/wire.md``.
"""

from router.frames.closing import Close
from router.frames.codec import (
    JSON,
    MSGPACK,
    SUBPROTOCOLS,
    BadFrame,
    decode_from_router,
    decode_to_router,
    encode,
)

__all__ = [
    "JSON",
    "MSGPACK",
    "SUBPROTOCOLS",
    "BadFrame",
    "Close",
    "decode_from_router",
    "decode_to_router",
    "encode",
]
