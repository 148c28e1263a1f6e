"""msgpack as Lua's cmsgpack reads and writes it: text and bytes are one type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgpack  # type: ignore[import-untyped]  # it ships no types

pack: Callable[[Any], bytes] = msgpack.Packer(use_bin_type=False).pack
"""Not thread-safe, as the store is not: others make their own by ``packer()``."""


def packer() -> Callable[[Any], bytes]:
    """One more ``pack``."""
    made: Callable[[Any], bytes] = msgpack.Packer(use_bin_type=False).pack
    return made


def unpack(data: bytes) -> Any:
    """Of our own scripts; every text is bytes."""
    return msgpack.unpackb(data, raw=True, strict_map_key=False)
