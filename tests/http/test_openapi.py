"""The description of the interface is true, whole, and shown without a network."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.routing import APIRoute

from router.http.app import MODULES, create_app
from router.messages import BanUser, Command
from router.messages.registry import Catalog
from router.router import Router
from tests.http.daemons import Served, serve


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serve() as served:
        yield served


@pytest.fixture(scope="module")
def schema(served: Served) -> dict[str, Any]:
    found: dict[str, Any] = served.client.get("/openapi.json").json()
    return found


def operations(schema: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def test_every_route_is_described_and_describes_its_problems(schema: dict[str, Any]) -> None:
    described = {(method.upper(), path) for method, path, _ in operations(schema)}
    routed = {
        (method, route.path.replace(":path", ""))
        for module in MODULES
        for route in module.routes.routes
        if isinstance(route, APIRoute) and route.include_in_schema
        for method in route.methods
    }
    assert described == routed
    for method, path, operation in operations(schema):
        assert operation.get("description"), (method, path)
        if path.startswith("/api"):
            for status in ("401", "403", "503"):
                assert "application/problem+json" in operation["responses"][status]["content"], (method, path, status)
            assert operation["security"] == [{"token": []}]


def test_every_body_route_describes_what_it_refuses(schema: dict[str, Any]) -> None:
    for method, path, operation in operations(schema):
        if "requestBody" in operation:
            assert {"400", "413", "415", "422"} <= operation["responses"].keys(), (method, path)


def test_every_reference_leads_somewhere(schema: dict[str, Any]) -> None:
    for ref in set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(schema))):
        node: Any = schema
        for part in ref.removeprefix("#/").split("/"):
            assert part in node, ref
            node = node[part]


def test_every_type_of_the_catalog_is_described_with_its_payload(served: Served, schema: dict[str, Any]) -> None:
    mappings: dict[str, str] = {}
    for body in ("CommandBody", "MessageBody"):
        mappings |= schema["components"]["schemas"][body]["discriminator"]["mapping"]
    assert mappings.keys() == served.router.catalog.keys()
    ban = schema["components"]["schemas"][mappings["BAN_USER"].rpartition("/")[2]]
    payload = ban["allOf"][1]["properties"]["data"]["$ref"].rpartition("/")[2]
    assert {"userId", "reason", "deleteMessageDays"} <= schema["components"]["schemas"][payload]["properties"].keys()


@pytest.mark.parametrize(("type_", "who"), [("BAN_USER", "moderatorId"), ("UPDATE_CONFIG", "updatedBy")])
def test_who_acts_is_demanded_beside_the_payload_or_in_it(schema: dict[str, Any], type_: str, who: str) -> None:
    components = schema["components"]["schemas"]
    frame = components[components["CommandBody"]["discriminator"]["mapping"][type_].rpartition("/")[2]]["allOf"][1]
    assert [way["required"] for way in frame["anyOf"]] == [["userId"], ["data"]]
    assert frame["anyOf"][1]["properties"]["data"]["required"] == [who]
    assert {"type", "guildId", "data"} <= set(frame["required"])


def test_a_guild_that_may_stand_in_two_places_stands_in_one(schema: dict[str, Any]) -> None:
    components = schema["components"]["schemas"]
    mapping = components["CommandBody"]["discriminator"]["mapping"]
    frame = components[mapping["CLEANUP_EXPIRED_CASES"].rpartition("/")[2]]["allOf"][1]
    beside, inside = frame["allOf"][0]["anyOf"]
    assert beside["properties"]["guildId"] == {"type": "null"}
    assert inside["properties"]["data"]["properties"]["guildId"] == {"type": "null"}
    ban = components[mapping["BAN_USER"].rpartition("/")[2]]["allOf"][1]
    assert "allOf" not in ban


def test_an_own_type_is_described_at_once() -> None:
    catalog = Catalog([BanUser])
    app = create_app(Router(catalog=catalog))
    assert "FEED_PET" not in json.dumps(app.openapi())

    class FeedPet(Command, type="FEED_PET", subject="pet:{pet_id}", catalog=catalog):
        pet_id: str

    assert FeedPet.type in app.openapi()["components"]["schemas"]["CommandBody"]["discriminator"]["mapping"]


def test_docs_come_from_here_and_from_nowhere_else(served: Served) -> None:
    page = served.client.get("/docs")
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert not re.findall(r"(?:https?:)?//[a-z0-9.-]+", page.text)
    for name in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        asset = served.client.get(f"/{name}")
        assert asset.status_code == 200, name
        assert len(asset.content) > 500
    assert served.client.get("/static/nothing.js").status_code == 404
    assert served.client.get("/static/..%2Fcore.py").status_code == 404


def test_what_is_not_there_is_a_problem_too(served: Served) -> None:
    for method, path, status in (
        ("GET", "/api/nothing", 404),
        ("PUT", "/api/commands", 405),
        ("GET", "/api/health/", 404),
    ):
        answer = served.client.request(method, path)
        assert answer.status_code == status
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["requestId"] == answer.headers["X-Request-Id"]
