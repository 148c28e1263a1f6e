"""Messages as logs, audit and metrics may show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from router.errors import shape
from router.messages.layout import layout_of
from router.messages.wire import payload, write

if TYPE_CHECKING:
    from router.messages.base import Message


def redacted(message: Message) -> dict[str, Any]:
    """As ``to_wire``, with the shape in the place of every value that is declared sensitive."""
    return {**write(message), "data": redacted_payload(message)}


def redacted_payload(message: Message) -> dict[str, Any]:
    """The ``data`` of ``redacted``."""
    hidden = layout_of(type(message)).sensitive
    return {
        name: f"<{shape(value)}>" if name in hidden and value is not None else value
        for name, value in payload(message).items()
    }
