"""JSON at the door."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.http.body import parse_body
from router.http.problems import HttpProblem

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text('ab"\\[]{},', max_size=4), inner, max_size=5),
    max_leaves=30,
)


@given(VALUES, st.booleans())
def test_every_json_value_comes_through_unchanged(value: object, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert parse_body(text.encode()) == value


def test_a_whole_number_is_an_integer_however_it_is_written() -> None:
    assert [(type(n), n) for n in parse_body(b"[7.0, 7e2, -0.0, 0.5]")] == [
        (int, 7),
        (int, 700),
        (int, 0),
        (float, 0.5),
    ]
    assert [type(n) for n in parse_body(b"[9007199254740991.0, 9007199254740992.0]")] == [int, float]


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"", "must be JSON"),
        (b"{", "must be JSON"),
        (b'{"a":1', "must be JSON"),
        (b'{"a":1}x', "must be JSON; it stops being so at character 7"),
        (b"{'a':1}", "must be JSON"),
        (b'"\\', "must be JSON"),
        (b"\xef\xbb\xbf{}", "must be JSON"),
        (b'{"a":"\xff"}', "must be UTF-8; byte 6 is not"),
        (b'"\xed\xa0\x80"', "must be UTF-8"),
        (b'{"a":1,"a":2}', "must not have the same key twice"),
        (b'{"x":{"a":1,"\\u0061":2}}', "must not have the same key twice"),
        (b'{"a":NaN}', "must not have NaN"),
        (b"[-Infinity]", "must not have NaN"),
        (b"[1e999]", "must not have a number beyond"),
        (b"[18446744073709551616]", "must not have an integer beyond 64 bits"),
        (b"[-9223372036854775809]", "must not have an integer beyond 64 bits"),
        (b"1" * 5_000, "must not have an integer beyond 64 bits"),
        (b'"\\ud800"', "must not have half of a surrogate pair"),
        (b'{"\\uDFFF":1}', "must not have half of a surrogate pair"),
        (b"[" * 33 + b"]" * 33, "must not be nested deeper than 32"),
        (b"[" * 1_000_000, "must not be nested deeper than 32"),
        (b'{"a":' * 100_000, "must not be nested deeper than 32"),
        (b"[" + b"[]," * 300_000 + b"[]]", "must not have more than 10000 values"),
        (b"[" + b"0," * 500_000 + b"0]", "must not have more than 10000 values"),
    ],
)
def test_what_is_unfit_is_refused_with_its_rule(data: bytes, rule: str) -> None:
    with pytest.raises(HttpProblem) as caught:
        parse_body(data)
    assert caught.value.status_code == 400
    assert caught.value.members["rule"].startswith(rule)


def test_brackets_and_commas_inside_strings_do_not_count() -> None:
    value = ["[" * 100 + "," * 20_000 + '\\"{']
    assert parse_body(json.dumps(value).encode()) == value


def test_depth_32_is_allowed_and_a_whole_surrogate_pair_too() -> None:
    assert parse_body(b"[" * 32 + b"]" * 32)
    assert parse_body(b'"\\ud83d\\ude00"') == "\U0001f600"


@pytest.mark.parametrize(
    "hostile", [b'"' + b'\\"' * 500_000, b'"' * 1_000_000, b"\\" * 1_000_000, b'"' + b"\\" * 999_999]
)
def test_a_hostile_megabyte_is_refused_in_little_time(hostile: bytes) -> None:
    began = time.process_time()
    with pytest.raises(HttpProblem):
        parse_body(hostile)
    assert time.process_time() - began < 1.0  # quadratic search would take minutes
