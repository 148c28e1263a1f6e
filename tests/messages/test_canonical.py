"""Equal payloads have equal bytes: golden cases of each written rule."""

from __future__ import annotations

import os
import subprocess
import sys
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.codec import check_body, pack, unpack
from router.messages import Command
from router.messages.canonical import Unfit, canonical
from router.messages.fields import Json, Text
from router.messages.registry import Catalog
from router.messages.seal import seal, unseal

mine = Catalog()


class Say(Command, type="SAY", catalog=mine, key=("what",)):
    what: Json
    aside: Text | None = None


class Weigh(Command, type="WEIGH", catalog=mine, key=("grams",)):
    grams: float


def sealed(what: Any, **fields: Any) -> tuple[bytes, bytes]:
    envelope = seal(Say(what=what, **fields), id="m", now=1, source="library")
    return envelope.fingerprint, envelope.key


ORDERED = {"a": 1, "b": [1, 2, {"c": None}]}

GOLDEN = {
    "object": (ORDERED, "f0407049e8cb62e4c3da3c9719e9a26a"),
    "one": (1, "f3bd5c4a977242c1aed6c8f7737a4b54"),
    "true": (True, "50b646ffab1a1814c7ffc48484a71f71"),
    "zero": (0, "24250995febe36c7d1332a0fe069e593"),
    "NFC": (unicodedata.normalize("NFC", "é"), "1d92aede770ee93ab739df83e598a7eb"),
    "NFD": (unicodedata.normalize("NFD", "é"), "07ef4e673d8d36671a88779a75342c72"),
    "text": ("a", "4e611ea4fa17617f1ab01362156a7124"),
    "bytes": (b"a", "292fc2fc55c14543740adccf05fb216f"),
    "half": (0.5, "4bee22c9da66d405b63f9105a0f9a6fc"),
    "large": (1e300, "e173db51c3339d34364d4486d2ff4c00"),
    "null": (None, "02ddd20700d801bb4cda9e077cde46d4"),
    "inner null": ({"a": None}, "dfef9c65413a133eb0bdcc888057b49b"),
    "empty": ({}, "24599aaf6e5e114af681c4c98d239e5d"),
}


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_fingerprints_stay_as_they_are(name: str) -> None:
    value, expected = GOLDEN[name]
    assert sealed(value)[0].hex() == expected


def test_golden_values_are_all_different() -> None:
    assert len({sealed(value) for value, _ in GOLDEN.values()}) == len(GOLDEN)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (1, 1.0),
        ([1, -3], [1.0, -3.0]),
        (0, -0.0),
        (0.0, -0.0),
        ([1, 2], (1, 2)),
        (2**53 - 1, float(2**53 - 1)),
    ],
)
def test_these_are_the_same(one: Any, other: Any) -> None:
    assert sealed(one) == sealed(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, True),
        (0, False),
        (1.0, True),
        ("1", 1),
        ("a", b"a"),
        (None, {}),
        ({}, {"a": None}),
        ([], [None]),
        ([1, 2], [2, 1]),
        ("a", "A"),
        ("a", "a "),
        ([1, [2]], [[1], 2]),
        ({"a": {"b": 1}}, {"a": {}, "b": 1}),
        (1, 1.5),
    ],
)
def test_these_are_not(one: Any, other: Any) -> None:
    assert sealed(one)[0] != sealed(other)[0]
    assert sealed(one)[1] != sealed(other)[1]


def test_missing_and_null_are_the_same_for_a_declared_field() -> None:
    assert sealed(1) == sealed(1, aside=None)
    assert sealed(1)[0] != sealed(1, aside="")[0]


def test_only_the_named_fields_make_the_key_and_all_make_the_fingerprint() -> None:
    assert sealed(1, aside="a")[1] == sealed(1, aside="b")[1]
    assert sealed(1, aside="a")[0] != sealed(1, aside="b")[0]


def test_an_integral_float_field_is_the_integer() -> None:
    two, same, zero, minus, large = (
        seal(Weigh(grams=grams), id="m", now=1, source="library") for grams in (2, 2.0, 0.0, -0.0, 1e17)
    )
    assert two == same
    assert zero == minus
    assert unseal(two, mine) == Weigh(grams=2.0)
    assert unseal(large, mine) == Weigh(grams=1e17)


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        -float("inf"),
        1 << 64,
        -(1 << 63) - 1,
        "\ud800",
        {"\ud800": 1},
        {1: 1},
        object(),
        {1},
    ],
)
def test_what_has_no_canonical_form(value: Any) -> None:
    for wrapped in (value, [value], {"a": value}):
        with pytest.raises(Unfit):
            canonical(wrapped)


PROGRAM = """
from router.messages import UpdateConfig
from router.messages.seal import seal
config = {name: {"x": [1.0, None, "\\u00e9"], "flags": {"b": True, "a": False}} for name in ("q", "b", "zz", "a")}
message = UpdateConfig(guild_id="81384788765712384", updated_by="1", config=config)
envelope = seal(message, id="m", now=1, source="library")
print(envelope.fingerprint.hex(), envelope.key.hex(), envelope.body.hex())
"""


def test_other_processes_with_other_hash_seeds_agree() -> None:
    seen = set()
    for seed in ("0", "1", "4242"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", PROGRAM]
        seen.add(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
    (line,) = seen
    assert line.split()[:2] == ["cd81ab63e2b654f91bb360af4c269ccf", "42039dcca9bb355c482763a9b436dc6c"]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


def reordered(value: Any) -> Any:
    """The same, with every object's keys the other way round."""
    if isinstance(value, dict):
        return {key: reordered(value[key]) for key in reversed(value)}
    return [reordered(item) for item in value] if isinstance(value, list) else value


@given(JSON)
def test_canonical_forms_are_stable_packable_and_equal_by_value(value: Any) -> None:
    once = canonical(value)
    assert canonical(once) == once == value
    assert pack(canonical(reordered(value))) == pack(once)
    assert unpack(pack(once)) == once


@given(st.dictionaries(st.text(max_size=4), JSON, max_size=4))
def test_what_is_sealed_passes_the_codec_and_comes_back(value: dict[str, Any]) -> None:
    message = Say(what=value)
    envelope = seal(message, id="m", now=1, source="library")
    check_body(envelope.body)
    assert unseal(envelope, mine) == message
