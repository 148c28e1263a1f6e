"""One form for equal payloads, so that equal ones have equal bytes in every process.

The written rules:

- the order of an object's keys does not matter: they are sorted by code point;
- numbers are compared by value: ``1`` and ``1.0`` are one number, ``-0.0`` is ``0``; ``true`` is not ``1``;
- NaN and infinities are refused, and so are integers beyond 64 bits;
- text is compared by code points as it came: NFC and NFD forms of a word are two texts;
- text and bytes are never equal;
- for a declared field that is optional, missing and null are the same; inside free JSON they are not.
"""

from __future__ import annotations

from math import isfinite

from router.errors import InvalidMessage, shape

DEPTH = 28  # below the codec's 32: message, field and envelope stand above
ELEMENTS = 9_000  # below the codec's 10,000 for the whole body
STRING = 1 << 18
_EXACT = 1 << 53  # below it every integral float is one integer


class Unfit(ValueError):
    """Not a value that a payload can carry; the text is the rule."""

    def __init__(self, rule: str, value: object) -> None:
        super().__init__(rule)
        self.rule = rule
        self.shape = shape(value)


def canonical(value: object) -> object:
    """The canonical form, built anew. Raises ``Unfit``."""
    budget = [ELEMENTS]
    return _canonical(value, DEPTH, budget)


def canonical_number(value: float) -> int | float:
    """The canonical form of a number. Raises ``Unfit``."""
    if isinstance(value, int):
        if not -(1 << 63) <= value < 1 << 64:
            raise Unfit("must fit 64 bits", value)
        return int(value)
    if not isfinite(value):
        raise Unfit("must be a finite number", value)
    return int(value) if value.is_integer() and -_EXACT < value < _EXACT else value


def invalid(field: str, error: Unfit) -> InvalidMessage:
    """The same, as the sender's error."""
    return InvalidMessage(field, error.rule, error.shape)


def _canonical(value: object, depth: int, budget: list[int]) -> object:
    budget[0] -= 1
    if budget[0] < 0:
        raise Unfit(f"must hold at most {ELEMENTS} values", None)
    if value is None or isinstance(value, bool | bytes):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int | float):
        return canonical_number(value)
    if depth == 0:
        raise Unfit(f"must be at most {DEPTH} levels deep", value)
    if isinstance(value, list | tuple):
        return [_canonical(item, depth - 1, budget) for item in value]
    if not isinstance(value, dict):
        raise Unfit("must be JSON", value)
    for key in value:
        if not isinstance(key, str):
            raise Unfit("must have strings as keys", key)
    return {_text(key): _canonical(value[key], depth - 1, budget) for key in sorted(value)}


def _text(value: str) -> str:
    if len(value) > STRING:
        raise Unfit(f"must hold strings of at most {STRING} characters", value)
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Unfit("must be valid Unicode", value) from None
    return str(value)
