"""JSON as it may come in: UTF-8, no duplicate keys, no NaN, bounded in depth and number of values."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import parse_qsl, urlencode

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from router.http.problems import HttpProblem

# A string, also one that never ends (so that a search never begins again inside it), or a mark of structure.
_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+\\?(?:"|\Z)|[\[\]{},]', re.DOTALL)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_BIGGEST = 2**64 - 1
_SMALLEST = -(2**63)


def parse_json(data: bytes, *, max_depth: int = 32, max_elements: int = 10_000) -> Any:
    """The value of a JSON text; anything unfit is a problem 400 with the rule it broke."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _refusal(f"must be UTF-8; byte {error.start} is not") from error
    _bound(text, max_depth, max_elements)
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_float, parse_int=_integer
        )
    except json.JSONDecodeError as error:
        raise _refusal(f"must be JSON; it stops being so at character {error.pos}") from error
    if _SURROGATE.search(text):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise _refusal("must not have half of a surrogate pair") from error
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
                raise _refusal(f"must not be nested deeper than {max_depth}")
        elif mark in "]}":
            depth -= 1
        elif mark == ",":
            elements += 1
        if elements > max_elements:
            raise _refusal(f"must not have more than {max_elements} values")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _refusal("must not have the same key twice in one object")
    return found


def _constant(_: str) -> NoReturn:
    raise _refusal("must not have NaN or Infinity")


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _refusal("must not have a number beyond the range of a double")
    return number


def _integer(text: str) -> int:
    number = int(text) if len(text) <= 20 else _BIGGEST + 1
    if not _SMALLEST <= number <= _BIGGEST:
        raise _refusal("must not have an integer beyond 64 bits")
    return number


def _refusal(rule: str) -> HttpProblem:
    return HttpProblem(400, "invalid_json", f"The body {rule}.", field="body", rule=rule, retryable=False)


class StrictRequest(Request):
    """A request whose JSON is read by the rules above."""

    async def json(self) -> Any:
        if not hasattr(self, "_json"):
            settings = self.app.state.settings
            body = await self.body()
            self._json = parse_json(body, max_depth=settings.max_depth, max_elements=settings.max_elements)
        return self._json


class StrictRoute(APIRoute):
    """A route of strict requests: a name in the query that it does not know is refused, never ignored."""

    def get_route_handler(self) -> Any:
        handle = super().get_route_handler()
        # Without its alias a parameter has its Python name, which is the snake_case of the wire's.
        fields = self.dependant.query_params
        known = {name: field.alias for field in fields for name in (field.name, field.alias)}

        async def strictly(request: Request) -> Any:
            scope = request.scope
            if scope["query_string"]:
                scope = {**scope, "query_string": strict_query(scope["query_string"], known)}
            return await handle(StrictRequest(scope, request.receive))

        return strictly


def strict_query(query: bytes, known: Mapping[str, str]) -> bytes:
    """The query with the names of the wire; ``known``: accepted name -> name of the wire, each at most once."""
    found: dict[str, str] = {}
    for given, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        name = known.get(given)
        if name is None:
            raise RequestValidationError([{"type": "extra_forbidden", "loc": ("query", given), "msg": ""}])
        if name in found:
            raise RequestValidationError([{"type": "repeated", "loc": ("query", given), "msg": "must be given once"}])
        found[name] = value
    return urlencode(found).encode("ascii")
