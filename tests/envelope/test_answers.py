"""Answers on their way into the store and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.answers import VERSION, decode_answer, encode_answer
from actors.codec import pack, unpack
from actors.errors import EnvelopeError
from actors.outcome import Answer, Attempt, Fault, Status, Verdict

FULL = Answer(
    id="0190a5c4",
    status=Status.DEAD,
    data=b"\xc0",
    fault=Fault("timeout", "no answer", True, 500),
    method="queue",
    attempts=(
        Attempt(1, "websocket", Verdict.NOT_APPLIED, 3, "no_bot", "nobody is connected", 1_700_000_000_000),
        Attempt(1, "queue", Verdict.IN_DOUBT, 30_000),
    ),
    duplicate=True,
    original="0190a5c3",
    sequence=12,
    accepted_at=1_700_000_000_001,
    settled_at=1_700_000_030_000,
)
GOLDEN = bytes.fromhex(
    "9c01a83031393061356334a464656164c401c094a774696d656f7574a96e6f20616e73776572c3cd01f4a571756575659297"
    "01a9776562736f636b6574ab6e6f745f6170706c69656403a66e6f5f626f74b36e6f626f647920697320636f6e6e6563746564"
    "cf0000018bcfe568009701a57175657565a8696e5f646f756274cd7530a0a000c3a830313930613563330ccf0000018bcfe56801"
    "cf0000018bcfe5dd30"
)
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
NUMBERS = st.integers(0, 2**53)
ANSWERS = st.builds(
    Answer,
    id=TEXT,
    status=st.sampled_from(Status),
    data=st.binary(max_size=40),
    fault=st.none() | st.builds(Fault, TEXT, TEXT, st.booleans(), NUMBERS),
    method=TEXT,
    attempts=st.lists(st.builds(Attempt, NUMBERS, TEXT, TEXT, NUMBERS, TEXT, TEXT, NUMBERS), max_size=4).map(tuple),
    duplicate=st.booleans(),
    original=TEXT,
    sequence=NUMBERS,
    accepted_at=NUMBERS,
    settled_at=NUMBERS,
)


def test_the_bytes_of_an_answer_stay_what_they_are() -> None:
    assert encode_answer(FULL) == GOLDEN
    assert decode_answer(GOLDEN) == FULL


@given(ANSWERS)
def test_any_answer_comes_back(answer: Answer) -> None:
    back = decode_answer(encode_answer(answer))
    assert back == answer
    assert type(back.status) is Status
    assert back.success == answer.success


def test_fields_that_a_later_release_appends_are_ignored() -> None:
    fields = unpack(GOLDEN)
    assert isinstance(fields, list)
    fields[4].append("new")
    fields[6][0].append("new")
    assert decode_answer(pack([*fields, "new"])) == FULL


@pytest.mark.parametrize(
    "data",
    [
        b"",
        pack(None),
        pack({}),
        pack([]),
        pack([VERSION + 1, *range(11)]),
        pack([VERSION, "id", "ok"]),
        pack([VERSION, "id", "no such status", b"", None, "", [], False, "", 0, 0, 0]),
        pack([VERSION, "id", [], b"", None, "", [], False, "", 0, 0, 0]),
        pack([VERSION, "id", "ok", b"", 5, "", [], False, "", 0, 0, 0]),
        pack([VERSION, "id", "ok", b"", ["short"], "", [], False, "", 0, 0, 0]),
        pack([VERSION, "id", "ok", b"", None, "", [[1]], False, "", 0, 0, 0]),
        GOLDEN[:-1],
        GOLDEN + b"\x00",
    ],
)
def test_what_is_no_answer_is_refused(data: bytes) -> None:
    with pytest.raises(EnvelopeError):
        decode_answer(data)


@given(st.binary(max_size=100))
def test_other_bytes_raise_nothing_but_the_one_error(data: bytes) -> None:
    with pytest.raises(EnvelopeError):
        decode_answer(data)
