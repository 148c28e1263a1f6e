"""The memory store is a backend like any other."""

from __future__ import annotations

from actors.envelope import Envelope
from actors.ports import Accept, Accepted, Begin, Duplicate, Settle
from router.stores.memory import MemoryStore

NOW = 1_700_000_000_000


def test_an_accepted_envelope_settles_and_answers_its_duplicate():
    store = MemoryStore()
    store.open(NOW)
    envelope = Envelope("a", "BAN_USER", "command", "g", "u", "q", 5, NOW, NOW + 1000, key=b"k" * 16)
    assert store.write([Accept(envelope, b"frame", 1000)], NOW) == [Accepted("a", 1, 1, 0)]
    assert store.write([Begin("a", 1, "direct"), Settle("a", "ok", b"answer", b"trail", True)], NOW) == [True, True]
    again = envelope._replace(id="b")
    assert store.write([Accept(again, b"frame", 1000)], NOW + 999) == [Duplicate("b", "a", 1, b"answer")]
    assert store.write([Accept(again, b"frame", 1000)], NOW + 1000) == [Accepted("b", 2, 2, 0)]
