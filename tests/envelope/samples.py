"""Envelopes for the tests beside: one with every field set, and a strategy for any valid one."""

from __future__ import annotations

from hypothesis import strategies as st

from actors.codec import KINDS, NUMBER, pack
from actors.envelope import Envelope

FULL = Envelope(
    id="0190a5c4-8f6e-7c3b-9a54-1f2e3d4c5b6a",
    type="BAN_USER",
    kind="command",
    guild="81384788765712384",
    subject="81384788765712385",
    queue="bot:moderation",
    priority=8,
    created_at=1_700_000_000_000,
    expires_at=1_700_000_900_000,
    due_at=0,
    key=bytes(range(16)),
    fingerprint=bytes(range(16, 32)),
    idempotency_key="key-1",
    source="rest",
    user="81384788765712386",
    request_id="req-1",
    correlation_id="corr-1",
    reply_to="reply-1",
    realtime=True,
    reliable=False,
    protocols=("websocket", "queue"),
    sender="panel",
    sender_sequence=7,
    headers=(("traceparent", "00-ab"),),
    body=pack({"reason": "spam", "userId": "81384788765712385"}),
)

_TEXT = st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"))


def text(least: int, most: int) -> st.SearchStrategy[str]:
    """Header text: any characters but the ones that are refused."""
    return st.text(_TEXT, min_size=least, max_size=min(most, 40))


NUMBERS = st.integers(0, NUMBER)
KEYS = st.just(b"") | st.binary(min_size=16, max_size=16)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",)), max_size=40)
    | st.binary(max_size=40)
)
MAP_KEYS = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(MAP_KEYS, inner, max_size=5))
BODIES = st.just(b"") | st.dictionaries(MAP_KEYS, VALUES, max_size=6).map(pack)
EXTRAS = (
    st.just(()) | st.tuples(st.integers(1, 200)) | st.tuples(st.integers(1, 200), SCALARS, st.lists(SCALARS).map(tuple))
)

ENVELOPES = st.builds(
    Envelope,
    id=st.from_regex(r"[A-Za-z0-9_.:-]{1,128}", fullmatch=True),
    type=text(1, 128),
    kind=st.sampled_from(sorted(KINDS)),
    guild=st.from_regex(r"(?:user:)?[A-Za-z0-9_-]{1,64}", fullmatch=True),
    subject=text(0, 128),
    queue=text(1, 128),
    priority=st.integers(1, 10),
    created_at=NUMBERS,
    expires_at=NUMBERS,
    due_at=NUMBERS,
    key=KEYS,
    fingerprint=KEYS,
    idempotency_key=text(0, 255),
    source=text(0, 32),
    user=text(0, 64),
    request_id=text(0, 128),
    correlation_id=text(0, 128),
    reply_to=text(0, 256),
    realtime=st.booleans(),
    reliable=st.booleans(),
    protocols=st.lists(text(1, 32), max_size=8).map(tuple),
    sender=text(1, 128),
    sender_sequence=NUMBERS,
    headers=st.lists(st.tuples(text(1, 128), text(0, 4096)), max_size=8).map(tuple),
    extra=EXTRAS,
    body=BODIES,
)
