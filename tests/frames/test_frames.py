"""The frames: golden bytes, and what a stranger may not send."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.frames import JSON, MSGPACK, SUBPROTOCOLS, BadFrame, decode_from_router, decode_to_router, encode
from router.frames.codec import FRAME_BYTES, NOBODY
from router.frames.frame import Fault, Frame
from router.frames.from_router import (
    Ack,
    AskRecord,
    Error,
    Event,
    Gap,
    Limits,
    Nack,
    Order,
    Result,
    Sealed,
    Status,
    Welcome,
)
from router.frames.from_router import Goodbye as Closing
from router.frames.to_router import (
    Announce,
    Cancel,
    Command,
    Credit,
    Emit,
    Executed,
    Goodbye,
    Hello,
    Ping,
    Recorded,
    RecordLine,
    Refused,
    Subscribe,
    Taken,
    Unsubscribe,
)

GUILD = "81384788765712384"

TO_ROUTER: list[tuple[Frame, str]] = [
    (
        Hello(correlation_id="1", name="bot-1", instance="f00d", software="demo/1"),
        '{"op":"hello","correlationId":"1","name":"bot-1","instance":"f00d","software":"demo/1"}',
    ),
    (
        Announce(correlation_id="2", handles=["BAN_USER"], shards=[0, 1], shard_count=4, idempotent=[]),
        (
            '{"op":"announce","correlationId":"2","handles":["BAN_USER"],"shards":[0,1],"shardCount":4,"capacity":10,'
            '"weight":1.0,"idempotent":[]}'
        ),
    ),
    (Taken(correlation_id="3", id="e1", attempt=1), '{"op":"ack","correlationId":"3","id":"e1","attempt":1}'),
    (
        Executed(correlation_id="3", id="e1", attempt=1, outcome="applied", data={"banned": True, "note": None}),
        (
            '{"op":"result","correlationId":"3","id":"e1","attempt":1,"outcome":"applied","noop":false,'
            '"data":{"banned":true,"note":null},"retryAfter":0}'
        ),
    ),
    (
        Refused(correlation_id="3", id="e1", attempt=1, error=Fault(code="starting", retry_after=500)),
        (
            '{"op":"nack","correlationId":"3","id":"e1","attempt":1,"error":{"code":"starting","message":"",'
            '"retryable":false,"retryAfter":500}}'
        ),
    ),
    (
        Recorded(correlation_id="4", entries=[RecordLine(id="e1", state="done", attempt=1, outcome="applied")]),
        (
            '{"op":"record","correlationId":"4","entries":[{"id":"e1","state":"done","attempt":1,"outcome":"applied",'
            '"noop":false,"retryAfter":0}]}'
        ),
    ),
    (
        Command(correlation_id="5", type="BAN_USER", guild_id=GUILD, user_id="7", data={"userId": "9"}, priority=8),
        (
            '{"type":"BAN_USER","guildId":"81384788765712384","userId":"7","data":{"userId":"9"},"priority":8,'
            '"correlationId":"5","headers":{},"requiresRealTime":false,"requiresReliability":false,"op":"command",'
            '"follow":true}'
        ),
    ),
    (Cancel(correlation_id="6", job_id="e1"), '{"op":"cancel","correlationId":"6","jobId":"e1"}'),
    (
        Emit(correlation_id="7", type="MEMBER_JOINED", guild_id=GUILD, data={"userId": "9"}),
        (
            '{"type":"MEMBER_JOINED","guildId":"81384788765712384","data":{"userId":"9"},"correlationId":"7","headers":{},'
            '"op":"event"}'
        ),
    ),
    (
        Subscribe(correlation_id="8", subscription="a", guilds=[GUILD], types=["BAN_USER"], after="x-1", credit=5),
        (
            '{"op":"subscribe","correlationId":"8","subscription":"a","guilds":["81384788765712384"],'
            '"types":["BAN_USER"],"after":"x-1","credit":5}'
        ),
    ),
    (
        Unsubscribe(correlation_id="9", subscription="a"),
        '{"op":"unsubscribe","correlationId":"9","subscription":"a"}',
    ),
    (
        Credit(correlation_id="10", subscription="a", credit=5),
        '{"op":"credit","correlationId":"10","subscription":"a","credit":5}',
    ),
    (Ping(correlation_id="11"), '{"op":"ping","correlationId":"11"}'),
    (Goodbye(correlation_id="12", reason="deploy"), '{"op":"goodbye","correlationId":"12","reason":"deploy"}'),
]

FROM_ROUTER: list[tuple[Frame, str]] = [
    (
        Welcome(
            correlation_id="1",
            connection="c1",
            role="bot",
            cursor="x-0",
            now=5,
            ping_interval=20_000,
            limits=Limits(frame_bytes=1_048_576, depth=32, in_flight=100, subscriptions=32),
            version="1",
        ),
        (
            '{"op":"welcome","correlationId":"1","connection":"c1","role":"bot","cursor":"x-0","now":5,'
            '"pingInterval":20000,"limits":{"frameBytes":1048576,"depth":32,"inFlight":100,"subscriptions":32},'
            '"version":"1"}'
        ),
    ),
    (
        Order(
            correlation_id="e1:1",
            attempt=1,
            deadline=9,
            sequence=3,
            envelope=Sealed(id="e1", type="BAN_USER", guild_id=GUILD, user_id="7", data={"userId": "9"}),
        ),
        (
            '{"op":"command","correlationId":"e1:1","attempt":1,"deadline":9,"sequence":3,"token":0,"envelope":{"id":"e1",'
            '"type":"BAN_USER","kind":"command","guildId":"81384788765712384","subject":"","queue":"","priority":5,'
            '"userId":"7","createdAt":0,"expiresAt":0,"headers":{},"data":{"userId":"9"}}}'
        ),
    ),
    (
        AskRecord(correlation_id="4", ids=["e1"], envelopes=[]),
        '{"op":"record","correlationId":"4","ids":["e1"],"envelopes":[]}',
    ),
    (
        Ack(correlation_id="5", job_id="e1", request_id="r", position=0, sequence=3, duplicate=False),
        '{"op":"ack","correlationId":"5","jobId":"e1","requestId":"r","position":0,"sequence":3,"duplicate":false}',
    ),
    (
        Nack(
            correlation_id="5",
            code="rate_limited",
            message="too many",
            retryable=True,
            retry_after=900,
            limit="user rate",
            position=3,
        ),
        (
            '{"op":"nack","correlationId":"5","code":"rate_limited","message":"too many","retryable":true,'
            '"retryAfter":900,"limit":"user rate","position":3}'
        ),
    ),
    (
        Status(correlation_id="5", job_id="e1", state="started", name="started"),
        '{"op":"status","correlationId":"5","jobId":"e1","state":"started","name":"started","position":0,"sequence":0}',
    ),
    (
        Result(correlation_id="5", job_id="e1", name="chat:completed", response={"success": True, "data": None}),
        (
            '{"op":"result","correlationId":"5","jobId":"e1","name":"chat:completed",'
            '"response":{"success":true,"data":null}}'
        ),
    ),
    (
        Event(
            correlation_id="e1",
            cursor="x-1",
            at=5,
            kind="published",
            name="published",
            type="MEMBER_JOINED",
            id="e1",
            guild_id=GUILD,
            queue="discord:events",
            data={"userId": "9"},
        ),
        (
            '{"op":"event","correlationId":"e1","cursor":"x-1","at":5,"kind":"published","name":"published",'
            '"type":"MEMBER_JOINED","id":"e1","guildId":"81384788765712384","queue":"discord:events","sequence":0,'
            '"data":{"userId":"9"}}'
        ),
    ),
    (
        Gap(correlation_id="8", subscription="a", cursor="x-0", why="too_old", missed=3),
        '{"op":"gap","correlationId":"8","subscription":"a","cursor":"x-0","why":"too_old","missed":3}',
    ),
    (
        Closing(correlation_id="0", reason="draining", retry_after=1_000),
        '{"op":"goodbye","correlationId":"0","reason":"draining","retryAfter":1000}',
    ),
    (
        Error(correlation_id=NOBODY, code="bad_frame", message="no map"),
        '{"op":"error","correlationId":"-","code":"bad_frame","message":"no map"}',
    ),
]


@pytest.mark.parametrize(("frame", "text"), TO_ROUTER, ids=lambda value: getattr(value, "op", ""))
def test_what_a_peer_says_has_these_bytes(frame: Frame, text: str) -> None:
    assert encode(frame, JSON) == text
    assert encode(frame, MSGPACK) == msgpack.packb(json.loads(text))
    assert all(decode_to_router(encode(frame, kind), kind) == frame for kind in SUBPROTOCOLS)


@pytest.mark.parametrize(("frame", "text"), FROM_ROUTER, ids=lambda value: getattr(value, "op", ""))
def test_what_the_router_says_has_these_bytes(frame: Frame, text: str) -> None:
    assert encode(frame, JSON) == text
    assert encode(frame, MSGPACK) == msgpack.packb(json.loads(text))
    assert all(decode_from_router(encode(frame, kind), kind) == frame for kind in SUBPROTOCOLS)


def test_a_msgpack_frame_byte_by_byte() -> None:
    frame = b"\x84\xa2op\xa3ack\xadcorrelationId\xa13\xa2id\xa2e1\xa7attempt\x01"
    assert encode(Taken(correlation_id="3", id="e1", attempt=1), MSGPACK) == frame
    assert decode_to_router(frame, MSGPACK) == Taken(correlation_id="3", id="e1", attempt=1)


def test_names_of_python_are_taken_too() -> None:
    text = '{"op": "cancel", "correlation_id": "6", "job_id": "e1"}'
    assert decode_to_router(text, JSON) == Cancel(correlation_id="6", job_id="e1")


def test_a_token_is_not_shown() -> None:
    hello = decode_to_router('{"op":"hello","correlationId":"1","token":"s3cret"}', JSON)
    assert isinstance(hello, Hello)
    assert hello.token is not None
    assert hello.token.get_secret_value() == "s3cret"
    assert "s3cret" not in repr(hello)


PING = {"op": "ping", "correlationId": "1"}


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def nested(levels: int) -> bytes:
    command = {"op": "command", "correlationId": "1", "type": "X", "data": {"a": deep(levels)}}
    packed: bytes = msgpack.packb(command)
    return packed


UNREADABLE: list[tuple[str, bytes | str]] = [
    (MSGPACK, b""),
    (MSGPACK, msgpack.packb(PING)[:-1]),
    (MSGPACK, msgpack.packb(PING) + b"\x00"),
    (MSGPACK, msgpack.packb([1, 2])),
    (MSGPACK, b"\xdf\xff\xff\xff\xff"),  # a map of four thousand million pairs
    (MSGPACK, b"\xdb\x7f\xff\xff\xff" + b"a" * 100),
    (MSGPACK, b"\x81" * 1_000),
    (MSGPACK, b"\xdd\x00\x0f\xff\xff" * 200),
    (MSGPACK, nested(31)),
    (MSGPACK, b"\x82\xa2op\xa4ping\xa2op\xa4ping"),
    (MSGPACK, b"\x81\x01\x02"),
    (MSGPACK, b"\x81\xa2op\xd6\xff\x00\x00\x00\x00"),
    (MSGPACK, b"\x81\xa1a\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00"),
    (MSGPACK, b"\x81\xa1a\xa1\xff"),
    (MSGPACK, b"\xc1"),
    (MSGPACK, b"\xc0" * (FRAME_BYTES + 1)),
    (MSGPACK, '{"op":"ping","correlationId":"1"}'),
    (JSON, b'{"op":"ping","correlationId":"1"}'),
    (JSON, ""),
    (JSON, "[]"),
    (JSON, "{"),
    (JSON, '{"op":"ping","op":"ping","correlationId":"1"}'),
    (JSON, '{"op":"ping","correlationId":"1"} x'),
    (JSON, '{"a":NaN}'),
    (JSON, "[" * 100_000),
    (JSON, '"' + "é" * FRAME_BYTES + '"'),
    (JSON, "[" + "[]," * 20_000 + "1]"),
    (JSON, '{"a":"\\ud800"}'),
]


@pytest.mark.parametrize(("subprotocol", "message"), UNREADABLE)
def test_what_cannot_be_read_is_refused_before_anything_is_built(subprotocol: str, message: bytes | str) -> None:
    with pytest.raises(BadFrame) as caught:
        decode_to_router(message, subprotocol)
    assert not caught.value.readable
    assert caught.value.correlation_id == NOBODY


UNFIT: list[tuple[dict[str, Any], str]] = [
    ({}, "op"),
    ({"op": "ping"}, "correlationId"),
    ({"op": "welcome", "correlationId": "1"}, "op"),
    ({"op": "nonsense", "correlationId": "1"}, "op"),
    ({"op": 1, "correlationId": "1"}, "op"),
    ({"op": "ping", "correlationId": 1}, "correlationId"),
    ({"op": "ping", "correlationId": ""}, "correlationId"),
    ({"op": "ping", "correlationId": "a b"}, "correlationId"),
    ({"op": "ping", "correlationId": "a\nb"}, "correlationId"),
    ({"op": "ping", "correlationId": "x" * 129}, "correlationId"),
    ({"op": "ping", "correlationId": "1", "more": 1}, "more"),
    ({"op": "command", "correlationId": "1", "type": "X", "data": [], "guildId": "1"}, "data"),
    ({"op": "command", "correlationId": "1", "type": "X", "idempotencykey": "a"}, "idempotencykey"),
    ({"op": "ack", "correlationId": "1", "id": "e1", "attempt": "1"}, "attempt"),
    ({"op": "ack", "correlationId": "1", "id": "e1", "attempt": True}, "attempt"),
    ({"op": "ack", "correlationId": "1", "id": "../e1", "attempt": 1}, "id"),
    ({"op": "result", "correlationId": "1", "id": "e", "attempt": 1, "outcome": "done"}, "outcome"),
    ({"op": "announce", "correlationId": "1", "handles": ["X"] * 1_001}, "handles"),
    ({"op": "announce", "correlationId": "1", "handles": [], "shards": [-1], "shardCount": 1}, "shards.0"),
    ({"op": "announce", "correlationId": "1", "handles": [], "capacity": 0}, "capacity"),
    ({"op": "announce", "correlationId": "1", "handles": [], "weight": 0}, "weight"),
    ({"op": "subscribe", "correlationId": "1", "subscription": "a", "guilds": ["'; drop"]}, "guilds.0"),
    ({"op": "subscribe", "correlationId": "1", "subscription": "a", "guilds": ["1"] * 101}, "guilds"),
    ({"op": "credit", "correlationId": "1", "subscription": "a", "credit": 0}, "credit"),
]


@pytest.mark.parametrize(("frame", "field"), UNFIT)
def test_a_map_that_is_no_frame_is_refused_with_its_field(frame: dict[str, Any], field: str) -> None:
    for message, subprotocol in ((msgpack.packb(frame), MSGPACK), (json.dumps(frame), JSON)):
        with pytest.raises(BadFrame) as caught:
            decode_to_router(message, subprotocol)
        assert caught.value.readable
        assert caught.value.field == field
        assert caught.value.rule


def test_a_refusal_names_whom_it_answers_if_that_can_be_read_and_repeats_no_value() -> None:
    with pytest.raises(BadFrame) as caught:
        decode_to_router('{"op":"ack","correlationId":"7","id":"e1","attempt":"s3cret"}', JSON)
    assert caught.value.correlation_id == "7"
    assert "s3cret" not in str(caught.value)


def test_as_deep_as_is_allowed() -> None:
    frame = decode_to_router(nested(30), MSGPACK)
    assert isinstance(frame, Command)
    assert frame.data == {"a": deep(30)}


def test_what_a_newer_router_adds_is_ignored() -> None:
    text = '{"op":"ack","correlationId":"1","jobId":"e1","more":{"x":1}}'
    assert decode_from_router(text, JSON) == Ack(correlation_id="1", job_id="e1")


JSONS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(max_size=8), JSONS, max_size=5))
def test_data_comes_through_both_subprotocols_unchanged(data: dict[str, Any]) -> None:
    frame = Executed(correlation_id="1", id="e1", attempt=1, outcome="applied", data=data)
    for subprotocol in SUBPROTOCOLS:
        read = decode_to_router(encode(frame, subprotocol), subprotocol)
        assert isinstance(read, Executed)
        assert read.data == data


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(message: bytes) -> None:
    for given_message, subprotocol in ((message, MSGPACK), (message.decode("latin-1"), JSON)):
        with contextlib.suppress(BadFrame):
            decode_to_router(given_message, subprotocol)
