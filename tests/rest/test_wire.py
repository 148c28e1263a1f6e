"""The JSON between a router and a bot's endpoint: golden bytes, and what is made of anything else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.codec import encode, pack
from actors.errors import EnvelopeError
from actors.outcome import Fault, Outcome, Verdict
from actors.ports import Ticket
from router.messages.moderation import BanUser
from router.messages.seal import seal, unseal
from router.protocols.rest import wire
from router.protocols.rest.http import Answer

NOW = 1_700_000_000_000
BAN = BanUser(
    guild_id="81384788765712384", user_id="175928847299117063", moderator_id="53908232506183680", reason="spam"
)
SEALED = seal(
    BAN, id="018c2b5e-6a00-7000-8000-000000000001", now=NOW, source="rest", idempotency_key="form-7", request_id="r-1",
    correlation_id="c-1", headers={"traceparent": "00-1"},
)  # fmt: skip
TICKET = Ticket(SEALED, encode(SEALED), 2, NOW + 15_000, sequence=41, token=7, start_by=NOW + 5_000)

COMMAND = (
    b'{"attempt":2,"sentAt":1700000000000,"deadline":1700000015000,"startBy":1700000005000,"token":7,"sequence":41,'
    b'"envelope":{"id":"018c2b5e-6a00-7000-8000-000000000001","type":"BAN_USER","kind":"command",'
    b'"guildId":"81384788765712384","subject":"user:175928847299117063","queue":"bot:moderation","priority":8,'
    b'"userId":"53908232506183680","createdAt":1700000000000,"expiresAt":1700000900000,"idempotencyKey":"form-7",'
    b'"requestId":"r-1","correlationId":"c-1","source":"rest","headers":{"traceparent":"00-1"},'
    b'"data":{"createCase":false,"deleteMessageDays":0,"moderatorId":"53908232506183680","notifyUser":false,'
    b'"reason":"spam","userId":"175928847299117063"}}}'
)

RESULTS: dict[bytes, Outcome] = {
    b'{"outcome":"applied","data":{"banned":true}}': Outcome(Verdict.APPLIED, pack({"banned": True})),
    b'{"outcome":"applied","noop":true}': Outcome(Verdict.APPLIED, noop=True),
    b'{"outcome":"rejected","error":{"code":"hierarchy","message":"above the bot","retryable":false}}': Outcome(
        Verdict.REJECTED, fault=Fault("hierarchy", "above the bot")
    ),
    b'{"outcome":"deferred","error":{"code":"retry_later","message":"not now","retryable":true},"retryAfter":2500,'
    b'"started":true}': Outcome(
        Verdict.DEFERRED, executed=True, fault=Fault("retry_later", "not now", True, 2_500), retry_after=2_500
    ),
    b'{"outcome":"not_applied","error":{"code":"handler_error","message":"ValueError","retryable":true}}': Outcome(
        Verdict.NOT_APPLIED, executed=True, fault=Fault("handler_error", "ValueError", True)
    ),
    b'{"outcome":"in_doubt","error":{"code":"timeout","message":"it hangs","retryable":true}}': Outcome(
        Verdict.IN_DOUBT, executed=True, fault=Fault("timeout", "it hangs", True)
    ),
}


def test_the_bytes_of_a_command() -> None:
    assert wire.dump(wire.command(TICKET, NOW)) == COMMAND


def test_a_command_comes_back_as_the_same_message() -> None:
    found = wire.ticket_of(json.loads(COMMAND), NOW)
    assert unseal(found.envelope) == unseal(SEALED)
    assert (found.attempt, found.deadline, found.sequence, found.token, found.start_by) == (
        2, NOW + 15_000, 41, 7, NOW + 5_000,
    )  # fmt: skip
    for field in ("id", "type", "guild", "user", "idempotency_key", "request_id", "correlation_id", "headers"):
        assert getattr(found.envelope, field) == getattr(SEALED, field)


@pytest.mark.parametrize("skew", [-3_600_000, 0, 3_600_000])
def test_what_is_left_of_a_deadline_counts_whatever_the_clocks_say(skew: int) -> None:
    found = wire.ticket_of(json.loads(COMMAND), NOW + skew)
    assert found.deadline - (NOW + skew) == 15_000
    assert found.start_by - (NOW + skew) == 5_000


@pytest.mark.parametrize("content", RESULTS)
def test_the_bytes_of_each_result_and_back(content: bytes) -> None:
    assert wire.dump(wire.result(RESULTS[content])) == content
    assert wire.outcome_of(Answer(200, {}, content), NOW) == RESULTS[content]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("envelope.id", None),
        ("envelope.id", 7),
        ("envelope.id", "a/b"),
        ("envelope.type", ""),
        ("envelope.guildId", "x" * 65),
        ("envelope.guildId", 81384788765712384),
        ("envelope.userId", ["1"]),
        ("envelope.data", []),
        ("envelope.headers", {"a": 1}),
        ("envelope.headers", "a"),
        ("envelope.priority", 11),
        ("envelope", "x"),
        ("attempt", 0),
        ("attempt", True),
        ("deadline", 1.5),
        ("deadline", 1 << 60),
    ],
)
def test_a_command_that_breaks_a_rule_is_refused_with_the_field(field: str, value: Any) -> None:
    given = json.loads(COMMAND)
    outer, _, inner = field.partition(".")
    if inner:
        given[outer][inner] = value
    else:
        given[outer] = value
    with pytest.raises(EnvelopeError) as caught:
        wire.ticket_of(given, NOW)
    assert caught.value.field.startswith((field, inner or outer, "guild"))


@given(st.integers(100, 599), st.binary(max_size=200), st.dictionaries(st.just("retry-after"), st.text(max_size=20)))
def test_whatever_is_answered_is_one_of_the_five(status: int, body: bytes, headers: dict[str, str]) -> None:
    outcome = wire.outcome_of(Answer(status, headers, body), NOW)
    if 200 <= status < 300:
        return
    expected = (
        Verdict.DEFERRED
        if status in (409, 425, 429)
        else Verdict.REJECTED
        if 400 <= status < 500 or status in (301, 302, 307, 308)
        else Verdict.IN_DOUBT
    )
    assert outcome.verdict is expected
    assert outcome.fault is not None
    assert 0 <= outcome.retry_after <= wire.DAY


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
WORDS = st.sampled_from(["applied", "rejected", "deferred", "not_applied", "in_doubt", "?", "", 7])


@given(
    st.fixed_dictionaries(
        {"outcome": WORDS}, optional={"error": json_values, "retryAfter": json_values, "data": json_values}
    )
)
def test_whatever_a_bot_says_with_a_200_is_understood_or_is_its_data(said: dict[str, Any]) -> None:
    outcome = wire.outcome_of(Answer(200, {}, json.dumps(said).encode()), NOW)
    expected = {
        "rejected": Verdict.REJECTED,
        "deferred": Verdict.DEFERRED,
        "not_applied": Verdict.NOT_APPLIED,
        "in_doubt": Verdict.IN_DOUBT,
    }.get(said["outcome"], Verdict.APPLIED)
    assert outcome.verdict is expected
    if outcome.verdict is Verdict.DEFERRED:
        assert 0 <= outcome.retry_after <= wire.DAY


@pytest.mark.parametrize(
    ("text", "wait"),
    [
        ("0", 0),
        ("2", 2_000),
        ("0.25", 250),
        ("-1", 0),
        ("nan", 0),
        ("inf", 0),
        ("86401", 0),
        ("Tue, 14 Nov 2023 22:13:30 GMT", 10_000),
        ("Tue, 14 Nov 2023 22:13:10 GMT", 0),
        ("tomorrow", 0),
        ("", 0),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, wait: int) -> None:
    assert wire.retry_after_of(text, NOW) == wait
