"""Bodies and queries as they may come in: strict JSON, and no name in a query that the route does not know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from router.http.problems import HttpProblem
from router.strict_json import BadJson, parse_json


def parse_body(data: bytes, *, max_depth: int = 32, max_elements: int = 10_000) -> Any:
    """The value of a JSON body; anything unfit is a problem 400 with the rule it broke."""
    try:
        return parse_json(data, max_depth=max_depth, max_elements=max_elements)
    except BadJson as error:
        text = f"The body {error.rule}."
        raise HttpProblem(400, "invalid_json", text, field="body", rule=error.rule, retryable=False) from error


class StrictRequest(Request):
    """A request whose JSON is read by the rules above."""

    async def json(self) -> Any:
        if not hasattr(self, "_json"):
            settings = self.app.state.settings
            body = await self.body()
            self._json = parse_body(body, max_depth=settings.max_depth, max_elements=settings.max_elements)
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
