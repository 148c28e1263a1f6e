"""JSON as it may come in: UTF-8, no duplicate keys, no NaN, bounded in depth and number of values."""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

# A string, also one that never ends (so that a search never begins again inside it), or a mark of structure.
_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+\\?(?:"|\Z)|[\[\]{},]', re.DOTALL)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_BIGGEST = 2**64 - 1
_SMALLEST = -(2**63)
_EXACT = 1 << 53


class BadJson(ValueError):
    """The text is unfit; ``rule`` is the rule it broke, such as ``must be UTF-8``."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


def parse_json(data: bytes, *, max_depth: int = 32, max_elements: int = 10_000) -> Any:
    """The value of a JSON text, in which ``7.0`` is the integer 7; raises ``BadJson`` for anything unfit."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadJson(f"must be UTF-8; byte {error.start} is not") from error
    _bound(text, max_depth, max_elements)
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_float, parse_int=_integer
        )
    except json.JSONDecodeError as error:
        raise BadJson(f"must be JSON; it stops being so at character {error.pos}") from error
    if _SURROGATE.search(text):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise BadJson("must not have half of a surrogate pair") from error
    return value


def _bound(text: str, max_depth: int, max_elements: int) -> None:
    # Before anything is built: a megabyte of empty lists would become thirty.
    depth = elements = 0
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark in "[{":
            depth += 1
            elements += 1
            if depth > max_depth:
                raise BadJson(f"must not be nested deeper than {max_depth}")
        elif mark in "]}":
            depth -= 1
        elif mark == ",":
            elements += 1
        if elements > max_elements:
            raise BadJson(f"must not have more than {max_elements} values")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadJson("must not have the same key twice in one object")
    return found


def _constant(_: str) -> NoReturn:
    raise BadJson("must not have NaN or Infinity")


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise BadJson("must not have a number beyond the range of a double")
    # 7.0 is an integer to JSON Schema, and some languages write every number so; beyond this no double is exact.
    return int(number) if number.is_integer() and -_EXACT < number < _EXACT else number


def _integer(text: str) -> int:
    number = int(text) if len(text) <= 20 else _BIGGEST + 1
    if not _SMALLEST <= number <= _BIGGEST:
        raise BadJson("must not have an integer beyond 64 bits")
    return number
