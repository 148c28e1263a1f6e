"""Attempts and outcomes on their way through a named queue."""

from __future__ import annotations

import pytest

from actors.codec import encode, pack, unpack
from actors.errors import EnvelopeError
from actors.outcome import Fault, Outcome, Verdict
from actors.ports import Ticket
from actors.tickets import (
    Asked,
    decode_outcome,
    decode_ticket,
    encode_outcome,
    encode_ticket,
    entry_name,
    envelope_of,
)
from tests.envelope.samples import FULL

TICKET = Ticket(FULL, encode(FULL), 2, 1_700_000_030_000, 7, 3, 1_700_000_001_000)
OUTCOMES = [
    Outcome(Verdict.APPLIED),
    Outcome(Verdict.APPLIED, pack({"banned": True}), True),
    Outcome(Verdict.DEFERRED, executed=True, fault=Fault("retry_later", "not now", True, 2_500), retry_after=2_500),
    Outcome(Verdict.IN_DOUBT, executed=True, fault=Fault("timeout", "no end in time", True)),
]


def test_an_attempt_comes_out_as_it_went_in():
    assert decode_ticket(encode_ticket(TICKET, "router-1")) == Asked(TICKET, "router-1")


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda each: each.verdict)
def test_an_outcome_comes_out_as_it_went_in(outcome):
    assert decode_outcome(encode_outcome(outcome)) == outcome


def test_the_bytes_are_those_of_the_document():
    assert unpack(encode_ticket(TICKET, "r")) == [1, "r", 2, 1_700_000_030_000, 7, 3, 1_700_000_001_000, TICKET.frame]
    assert encode_outcome(OUTCOMES[0]).hex() == "9701a76170706c696564c400c2c2c000"
    assert unpack(encode_outcome(OUTCOMES[2])) == [
        1,
        "deferred",
        b"",
        False,
        True,
        ["retry_later", "not now", True, 2_500],
        2_500,
    ]


def test_what_a_later_release_appends_is_ignored():
    ticket = [*unpack(encode_ticket(TICKET, "r")), "news"]
    assert decode_ticket(pack(ticket)).ticket == TICKET
    outcome = unpack(encode_outcome(OUTCOMES[3]))
    outcome[5].append("more")
    assert decode_outcome(pack([*outcome, 9])) == OUTCOMES[3]


def test_an_entry_is_named_after_its_envelope_and_attempt():
    name = entry_name("0190-a:b", 3)
    assert name == "attempt/0190-a:b:3"
    assert envelope_of(name) == "0190-a:b"


def broken(encoded: bytes, at: int, value: object) -> bytes:
    fields = unpack(encoded)
    fields[at] = value
    return pack(fields)


@pytest.mark.parametrize(
    ("at", "value"),
    [(0, 2), (1, 5), (1, "r" * 129), (2, -1), (3, "soon"), (5, True), (6, 1 << 60), (7, "text"), (7, b"")],
)
def test_what_is_no_attempt_is_refused(at, value):
    with pytest.raises(EnvelopeError):
        decode_ticket(broken(encode_ticket(TICKET, "r"), at, value))


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (0, 2),
        (1, "perhaps"),
        (1, []),
        (2, "text"),
        (2, b"\xc1"),
        (3, 1),
        (4, None),
        (5, "why"),
        (5, ["code"]),
        (5, [1, "m", True, 0]),
        (5, ["c", "m", 1, 0]),
        (6, -1),
        (6, 0.5),
    ],
)
def test_what_is_no_outcome_is_refused(at, value):
    with pytest.raises(EnvelopeError):
        decode_outcome(broken(encode_outcome(OUTCOMES[2]), at, value))


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x90", b"\x91\x01", b"\x01", b"\x97" + b"\x91" * 100, b"\x80"])
def test_hostile_bytes_are_refused(data):
    for decode in (decode_ticket, decode_outcome):
        with pytest.raises(EnvelopeError):
            decode(data)
