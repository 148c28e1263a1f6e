"""Every error of ours has a status, and none tells more than it may."""

from __future__ import annotations

import json

import pytest
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from actors.errors import (
    EngineError,
    KeyReusedError,
    Overloaded,
    OwnerAway,
    RateLimited,
    ShuttingDown,
    StoreDoubt,
    StoreError,
    StoreUnavailable,
)
from router.errors import InvalidMessage, RouterError, UnknownType
from router.errors import Problem as Broken
from router.http.problems import STATUS, HttpProblem, problem_of


def family(root: type[Exception]) -> set[type[Exception]]:
    return {root}.union(*(family(child) for child in root.__subclasses__()))


def test_every_error_class_of_ours_has_a_status() -> None:
    for kind in family(EngineError) | family(RouterError):
        assert any(base in STATUS for base in kind.__mro__), kind


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (InvalidMessage("data.userId", "must be an id", "an integer"), 422, "invalid_message"),
        (UnknownType("NOPE"), 422, "unknown_type"),
        (KeyReusedError("used for another payload"), 409, "idempotency_key_reused"),
        (RateLimited("too many", retry_after=1), 429, "rate_limited"),
        (Overloaded("full", retry_after=1), 429, "overloaded"),
        (ShuttingDown("closing"), 503, "shutting_down"),
        (StoreUnavailable("disk full"), 503, "store_unavailable"),
        (StoreError("broken"), 503, "store_error"),
        (StoreDoubt("may have been stored"), 503, "store_doubt"),
        (OwnerAway("nobody answered"), 503, "owner_away"),
        (HTTPException(404), 404, "not_found"),
        (HTTPException(405), 405, "method_not_allowed"),
        (KeyError("secret"), 500, "internal_error"),
    ],
)
def test_an_error_becomes_a_problem(error: Exception, status: int, code: str) -> None:
    problem = problem_of(error)
    assert (problem.status_code, problem.code) == (status, code)
    body = json.loads(bytes(problem.response("r1").body))
    assert body["status"] == status
    assert body["code"] == code
    assert body["requestId"] == "r1"
    assert {"type", "title", "detail"} <= body.keys()


def test_retry_after_is_milliseconds_in_the_body_and_rounded_up_seconds_in_the_header() -> None:
    response = problem_of(RateLimited("too many", retry_after=1_001)).response()
    assert json.loads(bytes(response.body))["retryAfter"] == 1_001
    assert response.headers["Retry-After"] == "2"
    assert response.headers["Content-Type"] == "application/problem+json"
    assert "Retry-After" not in problem_of(KeyReusedError("used")).response().headers


def test_an_unexpected_error_tells_nothing_of_itself() -> None:
    for error in (ZeroDivisionError("hunter2"), StoreError("/var/lib/hunter2.db is broken")):
        assert "hunter2" not in bytes(problem_of(error).response().body).decode()


def test_all_broken_fields_are_named_and_bounded() -> None:
    broken = tuple(Broken(f"data.f{number}", "is required") for number in range(50))
    body = problem_of(InvalidMessage("", "", problems=broken)).body()
    assert (body["field"], body["rule"]) == ("data.f0", "is required")
    assert len(body["errors"]) == 20


def test_fastapis_complaints_name_field_shape_and_rule_and_never_the_value() -> None:
    error = RequestValidationError(
        [
            {
                "type": "int_parsing",
                "loc": ("query", "wait"),
                "msg": "Input should be a valid integer, unable",
                "input": "hunter2",
            }
        ]
    )
    body = problem_of(error).body()
    assert (body["field"], body["shape"]) == ("wait", "a string of 7 characters")
    assert body["rule"].startswith("must be a valid integer")
    assert "hunter2" not in json.dumps(body)


def test_a_problem_of_the_door_passes_unchanged() -> None:
    problem = HttpProblem(403, "role", "no")
    assert problem_of(problem) is problem
