"""The frame of an envelope: its bytes, its versions, and what is not one."""

from __future__ import annotations

import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgpack
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from actors.codec import (
    EXTRA_FIELDS,
    FRAME_BYTES,
    HEADER_VALUE,
    HEADERS,
    MAJOR,
    MINOR,
    NUMBER,
    PROTOCOLS,
    check_body,
    check_envelope,
    check_value,
    decode,
    encode,
    pack,
    peek,
    unpack,
)
from actors.envelope import Envelope
from actors.errors import EnvelopeError
from tests.envelope.samples import ENVELOPES, FULL, VALUES

GOLDEN = bytes.fromhex(
    "940100dc0018d92430313930613563342d386636652d376333622d396135342d316632653364346335623661a842414e5f55534552a7636f"
    "6d6d616e64b13831333834373838373635373132333834b13831333834373838373635373132333835ae626f743a6d6f6465726174696f6e"
    "08cf0000018bcfe56800cf0000018bcff323a000c410000102030405060708090a0b0c0d0e0fc410101112131415161718191a1b1c1d1e1f"
    "a56b65792d31a472657374b13831333834373838373635373132333836a57265712d31a6636f72722d31a77265706c792d31c3c292a97765"
    "62736f636b6574a57175657565a570616e656c079192ab7472616365706172656e74a530302d6162c42682a6726561736f6ea47370616da6"
    "757365724964b13831333834373838373635373132333835"
)
# The same under minor version 3, with three header fields that only a later release knows.
GOLDEN_NEWER = (
    GOLDEN[:2]
    + b"\x03\xdc\x00\x1b"
    + GOLDEN[6 : -len(FULL.body) - 2]
    + bytes.fromhex("a36e65779201c081a16bc40176")
    + GOLDEN[-len(FULL.body) - 2 :]
)
NEWER = FULL._replace(extra=(3, "new", (1, None), {"k": b"v"}))


def frame(header: object = None, *, major: object = MAJOR, minor: object = MINOR, body: object = b"\x80") -> bytes:
    """A frame of anything."""
    packed: bytes = msgpack.packb((major, minor, FULL[:24] if header is None else header, body))
    return packed


def refused(data: bytes, field: str, *, trusted: bool = False) -> None:
    with pytest.raises(EnvelopeError) as caught:
        decode(data, trusted=trusted)
    assert caught.value.field == field
    assert caught.value.code == "bad_envelope"
    assert not caught.value.retryable


def test_the_bytes_of_a_frame_stay_what_they_are() -> None:
    assert encode(FULL) == GOLDEN
    assert decode(GOLDEN) == FULL


def test_fields_of_a_newer_minor_version_are_kept_and_written_again_under_their_minor() -> None:
    assert decode(GOLDEN_NEWER) == NEWER
    assert encode(NEWER) == GOLDEN_NEWER
    assert peek(GOLDEN_NEWER) == NEWER._replace(body=b"")


def test_a_newer_minor_version_without_new_fields_keeps_its_minor() -> None:
    data = frame(minor=7)
    assert decode(data).extra == (7,)
    assert encode(decode(data)) == data


@given(ENVELOPES)
def test_any_envelope_comes_back_from_its_frame(envelope: Envelope) -> None:
    data = encode(envelope)
    assert decode(data) == envelope
    assert decode(data, trusted=True) == envelope
    assert peek(data) == envelope._replace(body=b"")
    assert encode(decode(data)) == data


@pytest.mark.parametrize("size", [0, 4_000, 5_000, 900_000])
def test_peek_reads_the_header_and_leaves_the_body(size: int) -> None:
    data = encode(FULL._replace(body=b"\x80" * size))
    tracemalloc.start()
    assert peek(data) == FULL._replace(body=b"")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 100_000


def test_peek_reads_a_header_that_is_longer_than_its_first_glance() -> None:
    long = FULL._replace(headers=tuple((f"h{n}", "x" * HEADER_VALUE) for n in range(HEADERS)))
    assert peek(encode(long)) == long._replace(body=b"")


def test_a_frame_is_equal_however_many_threads_encode() -> None:
    with ThreadPoolExecutor(4) as pool:
        frames = list(pool.map(encode, [FULL] * 2_000))
    assert set(frames) == {GOLDEN}


# ---------------------------------------------------------------- what is not a frame


@pytest.mark.parametrize("major", [0, 2, 10**9, "1", None, True, 1.0])
def test_another_major_version_is_refused(major: object) -> None:
    refused(frame(major=major), "major")
    refused(frame(major=major), "major", trusted=True)
    with pytest.raises(EnvelopeError) as caught:
        peek(frame(major=major))
    assert caught.value.field == "major"


@pytest.mark.parametrize("minor", [-1, "0", None, False, 0.0])
def test_a_minor_version_is_a_number(minor: object) -> None:
    refused(frame(minor=minor), "minor")


def test_more_fields_than_their_minor_version_has_are_refused() -> None:
    refused(frame((*FULL[:24], "new")), "minor")


def test_fewer_fields_are_refused() -> None:
    refused(frame(FULL[:23]), "header")
    refused(frame(FULL[:23], minor=1), "header", trusted=True)
    refused(frame({}), "header")


def test_a_body_is_binary() -> None:
    for body in ("text", None, {}, 1):
        refused(frame(body=body), "body")
        refused(frame(body=body), "body", trusted=True)


@pytest.mark.parametrize(
    "data", [b"", b"\xc0", b"\x00", b"\x94", b"\x90", b"\x93\x01\x00\x90", b"\x80", b"\xc1", b"\xff"]
)
def test_other_bytes_are_no_frame(data: bytes) -> None:
    for read in (decode, peek, lambda odd: decode(odd, trusted=True)):
        with pytest.raises(EnvelopeError):
            read(data)


def test_a_truncated_frame_is_refused_wherever_it_ends() -> None:
    for end in range(len(GOLDEN)):
        for read in (decode, peek, lambda cut: decode(cut, trusted=True)):
            with pytest.raises(EnvelopeError):
                read(GOLDEN[:end])


def test_bytes_behind_the_frame_are_refused() -> None:
    refused(GOLDEN + b"\x00", "frame")
    refused(GOLDEN + b"\x00", "frame", trusted=True)


@settings(max_examples=400)
@given(st.binary(max_size=300))
@example(b"\xdf\xff\xff\xff\xff")
@example(b"\xc9\xff\xff\xff\xff\x01")
@example(b"\x81\x80\x00")
def test_hostile_bytes_raise_nothing_but_the_one_error(data: bytes) -> None:
    for read in (decode, peek, check_body, check_value, unpack, lambda odd: decode(odd, trusted=True)):
        try:
            read(data)
        except EnvelopeError as error:
            assert isinstance(error.field, str)  # noqa: PT017 - that nothing else comes out is the point


@settings(max_examples=400)
@given(st.integers(0, len(GOLDEN) - 1), st.binary(min_size=1, max_size=6), st.booleans())
def test_a_damaged_frame_raises_nothing_but_the_one_error(at: int, damage: bytes, inserted: bool) -> None:
    data = GOLDEN[:at] + damage + GOLDEN[at if inserted else at + len(damage) :]
    for read in (decode, peek, lambda odd: decode(odd, trusted=True)):
        try:
            envelope = read(data)
        except EnvelopeError:
            continue
        assert len(envelope) == len(Envelope._fields)


# ---------------------------------------------------------------- limits


def test_a_frame_over_the_limit_is_neither_written_nor_read() -> None:
    most = FRAME_BYTES - len(encode(FULL._replace(body=b""))) - 3  # a longer length field
    assert len(encode(FULL._replace(body=b"x" * most))) == FRAME_BYTES
    with pytest.raises(EnvelopeError) as caught:
        encode(FULL._replace(body=b"x" * (most + 1)))
    assert caught.value.field == "frame"
    refused(b"\x00" * (FRAME_BYTES + 1), "frame")


BAD_FIELDS: list[tuple[str, object]] = [
    ("id", ""),
    ("id", "x" * 129),
    ("id", "a{b}"),
    ("id", "a\n"),
    ("id", b"id"),
    ("type", ""),
    ("type", 5),
    ("kind", "order"),
    ("kind", None),
    ("guild", ""),
    ("guild", "g" * 65),
    ("guild", "1\r\n2"),
    ("guild", "user:"),
    ("guild", "guild:1"),
    ("guild", "{1}*"),
    ("guild", 81384788765712384),
    ("subject", "s" * 129),
    ("subject", "a\x00b"),
    ("queue", ""),
    ("priority", 0),
    ("priority", 11),
    ("priority", True),
    ("priority", 5.0),
    ("created_at", -1),
    ("created_at", NUMBER + 1),
    ("created_at", "2026-01-01"),
    ("expires_at", 1.5),
    ("due_at", None),
    ("key", b"short"),
    ("key", "x" * 16),
    ("fingerprint", b"x" * 17),
    ("idempotency_key", "k" * 256),
    ("idempotency_key", "line\nline"),
    ("source", "s" * 33),
    ("user", "u" * 65),
    ("user", "\x1b[31m"),
    ("request_id", "line\u2028line"),
    ("correlation_id", "\x7f"),
    ("reply_to", "r" * 257),
    ("realtime", 1),
    ("reliable", None),
    ("protocols", ("p",) * (PROTOCOLS + 1)),
    ("protocols", ("",)),
    ("protocols", (5,)),
    ("protocols", "direct"),
    ("sender", ""),
    ("sender_sequence", -1),
    ("sender_sequence", 2**60),
    ("headers", (("a", "b"),) * (HEADERS + 1)),
    ("headers", (("a",),)),
    ("headers", ("ab",)),
    ("headers", (("", "b"),)),
    ("headers", (("a", "b\r\nc"),)),
    ("headers", (("a", "b" * (HEADER_VALUE + 1)),)),
    ("headers", (("a", 1),)),
    ("headers", None),
    ("extra", (1, *range(EXTRA_FIELDS + 1))),
    ("body", b"\xc0"),
    ("body", b"\x81\xa1a"),
]


@pytest.mark.parametrize(("field", "value"), BAD_FIELDS)
def test_a_strangers_field_out_of_its_bounds_is_refused_by_name(field: str, value: Any) -> None:
    bad = FULL._replace(**{field: value})
    with pytest.raises(EnvelopeError) as caught:
        check_envelope(bad)
    assert caught.value.field == field
    refused(encode(bad), field)
    decode(encode(bad), trusted=True)


def test_duplicate_keys_extension_types_and_nan_are_refused_in_the_frame_too() -> None:
    for odd in (msgpack.Timestamp(1), msgpack.ExtType(5, b"x"), float("nan"), {1: 2}, {b"k": 1}):
        header = (*FULL[:24], odd)
        with pytest.raises(EnvelopeError):
            decode(frame(header, minor=1))


def test_a_bomb_in_the_frame_costs_no_memory() -> None:
    room = FRAME_BYTES - 40
    bombs = [
        b"\x94\x01\x00\xdc" + (60_000).to_bytes(2, "big") + b"\x80" * room,
        b"\x94\x01\x00" + b"\x91" * room,
        b"\x94\x01\x00" + b"\xdd\x00\x0f\x00\x00" * (room // 5),
        b"\x94\x01\x00" + b"\x98" * 7 + b"\xdf\x00\x0f\x00\x00" * (room // 5),
        frame(body=b"\x81\xa1a\xdd\x00\x0f\x00\x00" + b"\x80" * (room - 900)),
        frame(body=b"\x81\xa1a" * ((room - 900) // 3)),
    ]
    for bomb in bombs:
        assert 900_000 < len(bomb) <= FRAME_BYTES
        tracemalloc.start()
        with pytest.raises(EnvelopeError):
            decode(bomb)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 3 * FRAME_BYTES


# ---------------------------------------------------------------- encoding what cannot be encoded


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("subject", "\ud800"),
        ("created_at", 2**64),
        ("headers", ({1, 2},)),
        ("user", object()),
        ("body", "text"),
        ("body", None),
    ],
)
def test_a_value_without_encoding_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(EnvelopeError) as caught:
        encode(FULL._replace(**{field: value}))
    assert caught.value.field == field


@pytest.mark.parametrize("extra", [("new",), (0, "new"), (-1,), (True, 1)])
def test_unknown_fields_without_their_minor_version_are_not_written(extra: tuple[object, ...]) -> None:
    with pytest.raises(EnvelopeError) as caught:
        encode(FULL._replace(extra=extra))
    assert caught.value.field == "extra"


# ---------------------------------------------------------------- opaque values


@given(VALUES)
def test_an_opaque_value_comes_back(value: object) -> None:
    assert unpack(pack(value)) == value


def test_opaque_maps_may_have_other_keys_than_text() -> None:
    assert unpack(pack({1: "a", b"k": None})) == {1: "a", b"k": None}


def test_what_cannot_be_packed_is_the_one_error() -> None:
    endless: list[object] = []
    endless.append(endless)
    for value in (object(), {1, 2}, 2**64, -(2**63) - 1, "\udfff", endless):
        with pytest.raises(EnvelopeError):
            pack(value)


def test_what_cannot_be_unpacked_is_the_one_error() -> None:
    for data in (b"", b"\x81", b"\x00\x00", b"\xc1", b"\xa1\xff", b"\x81\x90\x00", b"\x91" * 5_000):
        with pytest.raises(EnvelopeError):
            unpack(data)
