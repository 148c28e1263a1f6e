"""What a handler returned or raised, as an outcome."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from actors.codec import pack, unpack
from actors.outcome import Answer, Outcome, Status, Verdict
from router.errors import InvalidMessage, UnknownType
from router.protocols import results
from router.protocols.signals import Noop, Reject, RetryLater
from router.response import Response


class Banned(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    user_id: str
    at: datetime = datetime(2024, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "data"),
    [
        ({"a": [1, 2.5, None, True, "x"]}, {"a": [1, 2.5, None, True, "x"]}),
        ("text", "text"),
        (7, 7),
        (0, 0),
        ([], []),
        (False, False),
        ((1, 2), [1, 2]),
        (Banned(user_id="5"), {"userId": "5", "at": "2024-01-02T00:00:00Z"}),
        ({"who": Banned(user_id="5")}, {"who": {"userId": "5", "at": "2024-01-02T00:00:00Z"}}),
        ({1}, [1]),
        ({"raw": b"\xff\x00"}, {"raw": "_wA="}),
        ([float("nan"), float("inf"), 1.5], [None, None, 1.5]),
        ({1: "a", (2, 3): "b"}, {"1": "a", "2,3": "b"}),
        (1 << 64, None),
    ],
)
def test_a_value_is_sent_as_json_would_have_it(value: object, data: object) -> None:
    outcome = results.of_value(value)
    assert outcome.verdict is Verdict.APPLIED
    if data is None:
        assert outcome.data == b""
    else:
        assert unpack(outcome.data) == data


class Hostile:
    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("look away")


class Silent(Exception):
    def __str__(self) -> str:
        raise RuntimeError("cannot say")


@pytest.mark.parametrize(
    "make",
    [object, lambda: {"a": object()}, Hostile, lambda: "x" * 600_000, lambda: "\ud800", lambda: print],
)
def test_a_result_that_cannot_be_sent_was_applied_all_the_same(make: Callable[[], object]) -> None:
    outcome = results.of_value(make())
    assert (outcome.verdict, outcome.data) == (Verdict.APPLIED, b"")
    assert outcome.fault is not None
    assert outcome.fault.code == "bad_result"


def test_a_value_that_holds_itself_was_applied_all_the_same() -> None:
    value: dict[str, Any] = {}
    value["self"] = value
    assert results.of_value(value).verdict is Verdict.APPLIED


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("stored", "data"),
    [
        (pack({"raw": b"\xff"}), {"raw": "_w=="}),
        (pack([float("nan"), float("-inf")]), [None, None]),
        (pack({1: {b"\xff": 2}}), {"1": {"_w==": 2}}),
        (b"\xd6\xff\x00\x00\x00\x01", "Timestamp(seconds=1, nanoseconds=0)"),
        (pack(nested(400)), None),
        (b"\xc1", None),
    ],
)
def test_whatever_a_store_holds_as_data_can_be_shown_as_json(stored: bytes, data: object) -> None:
    response = Response.of(Answer("a", Status.OK, stored))
    assert response.data == data
    json.dumps(response.model_dump(mode="json", by_alias=True), allow_nan=False)


def test_noop_may_be_returned_and_may_carry_data() -> None:
    assert results.of_value(Noop()) == Outcome(Verdict.APPLIED, noop=True)
    assert results.of_value(Noop({"a": 1})) == Outcome(Verdict.APPLIED, pack({"a": 1}), noop=True)


def test_r11_the_text_of_an_error_is_made_harmless() -> None:
    for error, text in (
        (ValueError("a\x00b\x1b[31m\udcff"), "ValueError: a\ufffdb\ufffd[31m\ufffd"),
        (ValueError("x" * 10_000_000), "ValueError: " + "x" * 488),
        (Silent(), "Silent (its text cannot be read)"),
        (KeyError(), "KeyError"),
    ):
        outcome = results.of_error(error)
        assert (outcome.verdict, outcome.executed) == (Verdict.NOT_APPLIED, True)
        assert outcome.fault is not None
        assert outcome.fault.message == text
        pack(outcome.fault)


@given(st.text(max_size=700))
def test_any_text_of_an_error_can_be_packed_and_is_bounded(text: str) -> None:
    fault = results.of_error(RuntimeError(text)).fault
    assert fault is not None
    assert len(fault.message) <= 500
    assert "\x00" not in fault.message
    fault.message.encode()


def test_a_code_of_a_rejection_is_bounded_and_never_empty() -> None:
    assert results.of_error(Reject("", "no")).fault == ("rejected", "no", False, 0)
    fault = results.of_error(Reject("x" * 100)).fault
    assert fault is not None
    assert len(fault.code) == 64


def test_cancelled_from_within_is_a_failed_attempt() -> None:
    outcome = results.of_error(asyncio.CancelledError())
    assert (outcome.verdict, outcome.executed) == (Verdict.NOT_APPLIED, True)


@pytest.mark.parametrize("after", [-1, float("nan"), float("inf")])
def test_retry_later_takes_seconds(after: float) -> None:
    with pytest.raises(ValueError, match="seconds"):
        RetryLater(after)


def test_retry_later_is_at_most_a_day() -> None:
    assert results.of_error(RetryLater(1e9)).retry_after == 86_400_000


def test_an_undecodable_body_is_told_without_its_values() -> None:
    secret = "hunter2"
    outcome = results.of_undecodable(ValueError(secret))
    assert outcome.fault == ("invalid_message", "ValueError", False, 0)
    outcome = results.of_undecodable(InvalidMessage("reason", "must be text", "an integer"))
    assert outcome.fault == ("invalid_message", "reason must be text, not an integer", False, 0)
    assert results.of_undecodable(UnknownType("GONE")).fault == ("unknown_type", "no message type GONE", False, 0)
