"""Ids, by one written rule on every way in."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import InvalidMessage
from router.messages import Event, Id
from router.messages.fields import is_id, is_snowflake
from router.messages.registry import Catalog

mine = Catalog()


class Seen(Event, type="SEEN", catalog=mine):
    who: Id
    others: tuple[Id, ...] = ()
    maybe: Id | None = None


def accepted(value: Any) -> bool:
    """The rule, said another way."""
    if not isinstance(value, str) or not 1 <= len(value) <= 64 or value.startswith("-"):
        return False
    if any(letter not in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-" for letter in value):
        return False
    return not value.isdigit() or (str(int(value)) == value and int(value) < 2**64)


NEAR = st.one_of(
    st.text(max_size=70),
    st.text("0123456789", max_size=24),
    st.text("abcZ019_-", max_size=70),
    st.integers(2**64 - 50, 2**64 + 50).map(str),
    st.integers(0, 2**66).map(str),
    st.from_regex(re.compile(r"1844674407370955161\d{0,2}"), fullmatch=True),
)


@given(NEAR)
def test_a_string_is_an_id_exactly_by_the_rule(value: str) -> None:
    assert is_id(value) == accepted(value)
    try:
        assert Seen.from_wire({"data": {"who": value}}).who == value
    except InvalidMessage:
        assert not accepted(value)
    else:
        assert accepted(value)


@given(st.integers(-10, 2**64 + 10) | st.integers(0, 2**64 - 1))
def test_python_integers_become_their_digits_and_the_wire_refuses_them(value: int) -> None:
    if 0 <= value < 2**64:
        seen = Seen(who=value, others=(value,), maybe=value)
        assert (seen.who, seen.others, seen.maybe) == (str(value), (str(value),), str(value))
        assert seen.to_wire()["data"] == {"who": str(value), "others": [str(value)], "maybe": str(value)}
    else:
        with pytest.raises(InvalidMessage):
            Seen(who=value)
    for data in ({"who": value}, {"who": "a", "others": [value]}, {"who": "a", "maybe": value}):
        with pytest.raises(InvalidMessage):
            Seen.from_wire({"data": data})


@given(st.integers(0, 2**64 + 10**6))
def test_a_snowflake_is_15_to_20_digits_below_two_to_the_64(value: int) -> None:
    text = str(value)
    assert is_snowflake(text) == (15 <= len(text) <= 20 and value < 2**64)


@pytest.mark.parametrize(
    "value", ["", "1" * 14, "0" * 18, "1" * 21, "18446744073709551616", "1" * 17 + "\n", "\uff11" * 18, 5, None]
)
def test_what_is_no_snowflake(value: Any) -> None:
    assert not is_snowflake(value)


@pytest.mark.parametrize("value", ["1" * 15, "18446744073709551615", "81384788765712384"])
def test_what_is_a_snowflake(value: str) -> None:
    assert is_snowflake(value)
    assert is_id(value)
