"""Errors as RFC 9457 problems: ``application/problem+json`` with ``code`` and ``retryAfter`` (ms)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from actors.errors import (
    ClockSkew,
    EngineError,
    EnvelopeError,
    KeyReusedError,
    Limited,
    Overloaded,
    OwnerAway,
    RateLimited,
    Refused,
    SequenceGap,
    ShuttingDown,
    StoreError,
)
from router.errors import InvalidMessage, RouterError, UnknownType, shape
from router.settings_errors import rule_of

MEDIA_TYPE: Final = "application/problem+json"
#: the nearest class of an error decides; anything else is ours to mend: 500
STATUS: Final[Mapping[type[Exception], int]] = {
    InvalidMessage: 422,
    UnknownType: 422,
    ClockSkew: 422,
    EnvelopeError: 422,
    KeyReusedError: 409,
    SequenceGap: 409,
    RateLimited: 429,
    Overloaded: 429,
    ShuttingDown: 503,
    Refused: 409,
    OwnerAway: 503,
    StoreError: 503,
    RouterError: 500,
    EngineError: 500,
}
#: codes of problems that Starlette raises by itself
CODES: Final[Mapping[int, str]] = {404: "not_found", 405: "method_not_allowed"}


class HttpProblem(HTTPException):
    """A refusal with a status; FastAPI and the door both let it through to the sender."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        retry_after: int = 0,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.code = code
        self.retry_after = retry_after  #: ms; 0: no advice
        self.members = members  #: further members of the problem, camelCase

    def body(self, request_id: str = "") -> dict[str, Any]:
        """The problem as it is sent."""
        body: dict[str, Any] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status_code).phrase,
            "status": self.status_code,
            "detail": self.detail,
            "code": self.code,
        }
        if self.retry_after:
            body["retryAfter"] = self.retry_after
        if request_id:
            body["requestId"] = request_id
        return body | self.members

    def response(self, request_id: str = "") -> Response:
        """The problem as an answer, with ``Retry-After`` in whole seconds, rounded up."""
        headers = dict(self.headers or {})
        if self.retry_after:
            headers["Retry-After"] = str(-(-self.retry_after // 1_000))
        content = json.dumps(self.body(request_id), ensure_ascii=False, separators=(",", ":")).encode()
        return Response(content, self.status_code, headers, MEDIA_TYPE)


def problem_of(error: Exception) -> HttpProblem:
    """What a sender is told of an error; of an unexpected one nothing but that it happened."""
    if isinstance(error, HttpProblem):
        return error
    if isinstance(error, RequestValidationError):
        return _invalid_request(error.errors())
    if isinstance(error, HTTPException):
        return _of_starlette(error)
    if not isinstance(error, EngineError | RouterError):
        return HttpProblem(500, "internal_error", "The router failed on this request; its log says why.")
    status = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    if isinstance(error, InvalidMessage):
        return _invalid(str(error), [(problem.field, problem.rule, problem.shape) for problem in error.problems])
    detail = str(error) if status < 500 or error.retryable else "The router failed on this request; its log says why."
    members: dict[str, Any] = {"retryable": error.retryable}
    if isinstance(error, Limited):
        members |= {"limit": error.limit} if error.limit else {}
        members |= {"position": error.position} if error.position is not None else {}
    return HttpProblem(status, error.code, detail, retry_after=error.retry_after, **members)


def _of_starlette(error: HTTPException) -> HttpProblem:
    code = CODES.get(error.status_code, "bad_request" if error.status_code < 500 else "internal_error")
    return HttpProblem(error.status_code, code, str(error.detail), headers=error.headers)


def _invalid_request(errors: Sequence[Mapping[str, Any]]) -> HttpProblem:
    broken = [
        (
            ".".join(str(part) for part in one["loc"][1:] if part != "") or str(one["loc"][0]),
            "is unknown" if one["type"] == "extra_forbidden" else rule_of(str(one["msg"])),
            "" if one["type"] in ("missing", "extra_forbidden", "repeated") else shape(one.get("input")),
        )
        for one in errors
    ]
    field, rule, found = broken[0]
    return _invalid(f"{field[:128]} {rule}" + (f", not {found}" if found else ""), broken)


def _invalid(detail: str, broken: Sequence[tuple[str, str, str]]) -> HttpProblem:
    errors = [{"field": field[:128], "rule": rule, "shape": found} for field, rule, found in broken[:20]]
    members: dict[str, Any] = {**errors[0], "errors": errors}
    return HttpProblem(422, "invalid_message", detail, retryable=False, **members)
