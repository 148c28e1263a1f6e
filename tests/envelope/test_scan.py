"""Bodies of strangers: what passes decodes, and what would cost too much never gets that far."""

from __future__ import annotations

import struct
import tracemalloc

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.codec import BODY, FRAME_BYTES, check_body, check_value, pack
from actors.errors import EnvelopeError
from actors.scan import KEY_BYTES
from tests.envelope.samples import BODIES, MAP_KEYS, VALUES


def refusal(body: bytes) -> EnvelopeError:
    with pytest.raises(EnvelopeError) as caught:
        check_body(body)
    return caught.value


def nested(depth: int, leaf: bytes = b"\x80") -> bytes:
    """A map in a map ..., ``depth`` of them, the leaf counted."""
    return b"\x81\xa1a" * (depth - 1) + leaf


@given(BODIES)
def test_every_proper_body_passes(body: bytes) -> None:
    check_body(body)


@given(VALUES)
def test_every_proper_value_passes(value: object) -> None:
    check_value(pack(value))


@settings(max_examples=500)
@given(st.binary(max_size=200) | st.binary(max_size=200).map(lambda data: b"\x82\xa1a" + data))
def test_what_passes_can_be_decoded_and_is_canonical_in_its_keys(data: bytes) -> None:
    try:
        check_value(data)
    except EnvelopeError:
        return
    if data:
        pairs: list[list[tuple[str, object]]] = []
        msgpack.unpackb(data, object_pairs_hook=pairs.append)
        for found in pairs:
            assert len({key for key, _ in found}) == len(found)


@given(st.dictionaries(MAP_KEYS, VALUES, min_size=1, max_size=4), st.data())
def test_a_truncated_body_is_refused_wherever_it_ends(value: dict[str, object], data: st.DataObject) -> None:
    body = pack(value)
    with pytest.raises(EnvelopeError):
        check_body(body[: data.draw(st.integers(1, len(body) - 1))])


@given(st.dictionaries(MAP_KEYS, VALUES, max_size=4), st.binary(min_size=1, max_size=4))
def test_bytes_behind_a_body_are_refused(value: dict[str, object], more: bytes) -> None:
    assert refusal(pack(value) + more).field == "body"


@pytest.mark.parametrize("value", [None, 1, "text", [1], b"bytes"])
def test_a_body_is_a_map(value: object) -> None:
    assert "not a msgpack map" in str(refusal(pack(value)))


def test_depth_is_counted_from_the_outermost_map() -> None:
    check_body(nested(BODY.depth))
    assert "depth" in str(refusal(nested(BODY.depth + 1)))
    assert "depth" in str(refusal(nested(BODY.depth, b"\x81\xa1a\x90")))


def test_elements_are_counted_over_all_containers() -> None:
    check_body(pack({"a": [0] * (BODY.elements - 1)}))
    assert "elements" in str(refusal(pack({"a": [0] * BODY.elements})))
    half = BODY.elements // 2
    check_body(pack({"a": [0] * (half - 1), "b": [[]] * (half - 1)}))
    assert "elements" in str(refusal(pack({"a": [0] * (half - 1), "b": [[]] * half})))


def test_text_and_binary_have_a_most() -> None:
    for value in ("x" * BODY.string, b"x" * BODY.string):
        check_body(pack({"a": value}))
    for longer in ("x" * (BODY.string + 1), b"x" * (BODY.string + 1)):
        assert refusal(pack({"a": longer})).field == "body.a"


def test_keys_have_a_most() -> None:
    check_body(pack({"k" * KEY_BYTES: 1}))
    assert "key" in str(refusal(pack({"k" * (KEY_BYTES + 1): 1})))


@pytest.mark.parametrize(
    "header",
    [b"\xdb", b"\xc6", b"\xdd", b"\xdf"],
    ids=["text", "binary", "array", "map"],
)
@pytest.mark.parametrize("declared", [1, 1_000, 400_000, 2**31, 2**32 - 1])
def test_a_length_beyond_the_data_is_refused(header: bytes, declared: int) -> None:
    refusal(b"\x81\xa1a" + header + declared.to_bytes(4, "big"))


def test_a_key_longer_than_the_data_is_refused() -> None:
    refusal(b"\x81\xbfshort")
    refusal(b"\x81\xd9\xffshort")
    refusal(b"\x81\xdb\xff\xff\xff\xff")


@pytest.mark.parametrize(
    "value",
    [
        msgpack.packb(msgpack.Timestamp(0)),
        msgpack.packb(msgpack.Timestamp(2**40, 5)),
        *(msgpack.packb(msgpack.ExtType(5, b"x" * size)) for size in (1, 2, 3, 4, 8, 16, 300, 70_000)),
        b"\xc1",
    ],
)
def test_extension_types_and_the_unused_code_are_refused(value: bytes) -> None:
    assert refusal(b"\x81\xa4when" + value).field == "body.when"


@pytest.mark.parametrize("key", [b"\x01", b"\xc0", b"\xc4\x01a", b"\xcb" + b"\x00" * 8, b"\x90", b"\x80", b"\xc2"])
def test_keys_are_text(key: bytes) -> None:
    assert "not text" in str(refusal(b"\x81" + key + b"\x01"))


def test_a_key_given_twice_is_refused_however_it_is_written() -> None:
    for second in (b"\xa1a", b"\xd9\x01a", b"\xda\x00\x01a"):
        error = refusal(b"\x82\xa1a\x01" + second + b"\x02")
        assert "twice" in str(error)
        assert error.field == "body"
    check_body(b"\x82\xa1a\x81\xa1a\x01\xa1b\x81\xa1a\x02")


def test_text_is_utf8() -> None:
    for text in (b"\xa1\xff", b"\xa2\xc0\x80", b"\xa3\xed\xa0\x80"):
        assert "UTF-8" in str(refusal(b"\x81\xa1a" + text))
        assert "UTF-8" in str(refusal(b"\x81" + text + b"\x01"))


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_are_finite(number: float) -> None:
    for form in (b"\xcb" + struct.pack(">d", number), b"\xca" + struct.pack(">f", number)):
        assert "finite" in str(refusal(b"\x81\xa1n" + form))


@pytest.mark.parametrize("number", [0.0, -0.0, 1.5, 3.4e38, -3.4e38, 1e-45])
def test_finite_numbers_pass_in_both_sizes(number: float) -> None:
    check_body(b"\x81\xa1n\xcb" + struct.pack(">d", number))
    check_body(b"\x81\xa1n\xca" + struct.pack(">f", number))
    check_body(pack({"n": [1.7976931348623157e308, 5e-324]}))


def test_integers_have_the_whole_range() -> None:
    check_body(pack({"n": [0, -1, 127, 128, -33, 2**16, -(2**31), 2**32, 2**64 - 1, -(2**63)]}))


def test_a_refusal_names_the_place_and_escapes_what_is_odd_in_it() -> None:
    assert refusal(pack({"data": {"embeds": [{"title": float("nan")}]}})).field == "body.data.embeds[].title"
    odd = refusal(pack({"a\n\x1b[31m\u2028": float("nan")}))
    assert str(odd).isprintable()
    assert str(odd).isascii()
    assert len(str(refusal(pack({"k" * 256: {"l" * 256: {"m" * 256: {"n" * 256: float("nan")}}}})))) < 300


def test_a_bomb_in_a_body_costs_no_memory() -> None:
    room = FRAME_BYTES - 20
    bombs = [
        b"\x81\xa1a\xdd" + room.to_bytes(4, "big") + b"\x80" * room,
        b"\x81\xa1a" * (room // 3),
        b"\x81\xa1a" + b"\xdd\x00\x0f\x00\x00" * (room // 5),
        b"\x81\xa1a" + b"\xdc\x03\xe8" * (room // 3),
        b"\xde\x27\x10" + b"".join(b"\xa5%05d\x80" % number for number in range(10_000)) + b"\x80" * 900_000,
    ]
    for bomb in bombs:
        tracemalloc.start()
        refusal(bomb)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 2 * FRAME_BYTES


def test_a_body_is_bytes() -> None:
    with pytest.raises(EnvelopeError):
        check_body("text")
