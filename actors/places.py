"""From the store's records to places and back: the trail keeps what an answer alone would not tell."""

from __future__ import annotations

from typing import Any, cast

from actors.codec import decode, pack, unpack
from actors.outcome import Attempt, Verdict
from actors.policy.lanes import Place
from actors.ports import Record, Store

PAGE = 1_000

EVENTS_KEPT = 64
"""Events of one envelope that are kept; a command that waits a thousand times explains itself with the newest."""


def place_of(record: Record, position: int = 0, token: int = 0) -> Place:
    """A place as it was, with its attempts and events; ``position`` when it takes one only now."""
    place = Place(
        decode(record.frame, trusted=True),
        record.frame,
        sequence=record.sequence,
        position=position or record.position,
        accepted_at=record.accepted_at,
        expires_at=record.expires_at,
        attempts=record.attempts,
        until=record.until,
        token=token,
    )
    if record.protocol:
        # The store counts the attempt when it begins, a place when it is spent.
        place.attempts = record.attempts - 1
        place.protocol = record.protocol
    if record.trail:
        history, events = read_trail(record.trail)
        place.history = history
        place.events = events
        place.doubt = any(attempt.verdict == Verdict.IN_DOUBT for attempt in history)
    return place


def trail_of(place: Place, *, settled: bool = False) -> bytes:
    """What ``explain`` needs beyond the answer; of a settled envelope the answer has the attempts."""
    history = [] if settled else [tuple(attempt) for attempt in place.history]
    events = place.events[-EVENTS_KEPT:]
    if not history and not events:
        return b""
    return pack([history, events])


def read_trail(trail: bytes) -> tuple[list[Attempt], list[tuple[int, str, str]]]:
    """The attempts and the events (at, what, detail) of a trail."""
    if not trail:
        return [], []
    history, events = cast("tuple[list[list[Any]], list[list[Any]]]", unpack(trail))
    return [Attempt(*line) for line in history], [(at, what, detail) for at, what, detail in events]


def pending_of(store: Store, guild: str) -> list[Record]:
    """All unsettled envelopes of a guild that hold a position, in its order."""
    records: list[Record] = []
    while True:
        more = store.pending(guild, records[-1].position if records else 0, PAGE)
        records.extend(more)
        if len(more) < PAGE:
            return records
