"""Requests made from the description, fit and unfit: no answer is a failure of ours, or one it does not describe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.result import Ok

from router.http.app import create_app
from router.messages.registry import catalog
from router.router import Router
from router.settings import Settings
from tests.http.daemons import Served, serve

FIT, UNFIT = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
EXAMPLES = 25
#: how many fit requests each of these takes: many where there are many types
TAKING = {
    "/api/commands": 150,
    "/api/events": 100,
    "/api/queue/enqueue/chat": 30,
    "/api/queue/enqueue/proactive": 30,
    "/api/queue/demo": 30,
}
ADMIN = {"Authorization": "Bearer SECRET"}

load_all_checks()
PROMISES = CHECKS.get_by_names(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
        "response_headers_conformance",
    ]
)


def described() -> Iterator[Any]:
    """Every operation that ends by itself, once with fit and once with unfit requests where it takes anything."""
    schema = schemathesis.openapi.from_dict(create_app(Router(), Settings()).openapi())
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        raw = operation.definition.raw
        if any("text/event-stream" in answer.get("content", {}) for answer in raw["responses"].values()):
            continue
        takes = "requestBody" in raw or raw.get("parameters")
        for mode in (FIT, UNFIT) if takes else (FIT,):
            yield pytest.param(operation, mode, id=f"{operation.method.upper()} {operation.path} {mode.name.lower()}")


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    def prepare(router: Router) -> None:
        @router.handler("BAN_USER")
        def ban(command: object, ctx: object) -> dict[str, bool]:
            return {"banned": True}

    with serve(prepare, tokens="admin:SECRET", max_wait_ms=50) as served:
        yield served


@pytest.mark.parametrize(("operation", "mode"), list(described()))
def test_every_answer_is_described_and_none_is_our_failure(served: Served, operation: Any, mode: Any) -> None:
    @seed(20_150_521)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        answer = case.call(base_url=served.daemon.url, headers=ADMIN)
        case.validate_response(answer, checks=PROMISES, headers=ADMIN)

    ask()
    assert served.client.get("/livez").json() == {"ok": True}


# What no schema can say: what came before, what the clock shows, which protocols are installed, how big a number is
# somewhere in free JSON.
OF_THE_MOMENT = {"idempotency_key_reused", "clock_skew", "expired", "sequence_gap", "sequence_repeat"}
INSTALLED = "must name one that this router has"
TOO_BIG = "must not have an integer beyond 64 bits"


def shipped(schema: dict[str, Any]) -> dict[str, Any]:
    """The description without the types that other tests of the run declared; their validators are their own."""
    for body in ("CommandBody", "MessageBody"):
        choice = schema["components"]["schemas"][body]
        mapping = choice["discriminator"]["mapping"]
        for name in [name for name in mapping if not catalog.find(name).__module__.startswith("router.messages.")]:
            choice["oneOf"].remove({"$ref": mapping.pop(name)})
    return schema


@pytest.mark.parametrize("path", TAKING)
def test_what_the_description_calls_fit_is_taken(served: Served, path: str) -> None:
    schema = schemathesis.openapi.from_dict(shipped(served.client.get("/openapi.json").json()))
    taken = Counter[bool]()

    @seed(20_150_521)
    @settings(
        max_examples=TAKING[path],
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=schema[path]["POST"].as_strategy(generation_mode=FIT))
    def ask(case: Any) -> None:
        answer = case.call(base_url=served.daemon.url, headers=ADMIN)
        taken[answer.status_code in (200, 202)] += 1
        if answer.status_code >= 400:
            said = answer.json()
            refused = said["code"] in OF_THE_MOMENT or INSTALLED in said["detail"] or TOO_BIG in said["detail"]
            assert refused, (said, case.body)

    ask()
    assert taken[True] >= TAKING[path] // 2, taken
