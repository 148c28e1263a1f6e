"""Messages as logs, audit and metrics may show them, and what executors say of them without their secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
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


SHORT = 4
"""Characters from which on a secret is recognised inside a word, or by its beginning where a text was cut."""

HIDDEN = "<hidden>"


class Secrets:
    """The values of one message that may not be shown, wherever others repeat them."""

    __slots__ = ("_pattern", "_values")

    def __init__(self, message: Message) -> None:
        hidden = layout_of(type(message)).sensitive
        found = {text for name, value in payload(message).items() if name in hidden for text in _texts(value)}
        values = {form for text in found for form in (text, repr(text)[1:-1], json.dumps(text)[1:-1])}
        self._values = sorted(values, key=len, reverse=True)
        # Short ones are hidden as whole words only, or every text would be full of holes.
        forms = [
            re.escape(value) if len(value) >= SHORT else rf"(?<!\w){re.escape(value)}(?!\w)" for value in self._values
        ]
        self._pattern = re.compile("|".join(forms)) if forms else None

    def hide(self, value: Any) -> Any:
        """The same text, list or object without them."""
        if self._pattern is None:
            return value
        if isinstance(value, str):
            return self._cut(self._pattern.sub(HIDDEN, value))
        if isinstance(value, Mapping):
            return {self.hide(key): self.hide(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.hide(inner) for inner in value]
        if isinstance(value, int | float) and not isinstance(value, bool) and self._pattern.fullmatch(str(value)):
            return HIDDEN
        return value

    def _cut(self, text: str) -> str:
        # A text that was too long may end in the beginning of a secret.
        for value in self._values:
            for length in range(min(len(value), len(text)), SHORT - 1, -1):
                if text.endswith(value[:length]):
                    return text[:-length] + HIDDEN
        return text


def has_secrets(cls: type[Message]) -> bool:
    """Whether messages of this class have values that may not be shown."""
    return bool(layout_of(cls).sensitive)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        if value.strip():
            yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)
