"""Messages as logs, audit and metrics may show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from router.errors import shape
from router.messages.layout import layout_of
from router.messages.wire import write

if TYPE_CHECKING:
    from router.messages.base import Message


def redacted(message: Message) -> dict[str, Any]:
    """As ``to_wire``, with the shape in the place of every value that is declared sensitive."""
    wire = write(message)
    hidden = layout_of(type(message)).sensitive
    wire["data"] = {
        name: f"<{shape(value)}>" if name in hidden and value is not None else value
        for name, value in wire["data"].items()
    }
    return wire
