"""Delayed envelopes are in no lane yet, so they are taken back in the store, where they are."""

from __future__ import annotations

from typing import NamedTuple

from actors.answers import encode_answer
from actors.codec import decode
from actors.messages import Settled
from actors.outcome import Answer, Fault, Status
from actors.ports import Lost, Record, Settle, Store, Stored

PAGE = 1_000
"""Delayed envelopes looked at in one commit."""


class Found(NamedTuple):
    """What the store knows of an envelope; ``settled``: it was delayed, and is cancelled now."""

    stored: Stored | None
    settled: Settled | None = None


def cancel_delayed(store: Store, id: str, now: int) -> Found:
    """Cancel it if it is delayed; in one step with the look, so that it cannot become due in between."""
    stored = store.get(id)
    if stored is None or stored.state != "delayed":
        return Found(stored)
    settled = _cancel(store, [(stored.frame, stored.sequence, stored.accepted_at)], now)
    return Found(stored, settled[0] if settled else None)


class Purged(NamedTuple):
    """One page of a purge; ``after``: where the next begins, ``None`` when there is none."""

    settled: list[Settled]
    after: tuple[int, str] | None


def purge_delayed(store: Store, queue: str, after: tuple[int, str], now: int) -> Purged:
    """Cancel the delayed ones of a queue, page by page."""
    records = store.delayed(after, PAGE)
    mine = [record for record in records if decode(record.frame, trusted=True).queue == queue]
    settled = _cancel(store, [(record.frame, record.sequence, record.accepted_at) for record in mine], now)
    return Purged(settled, _place(records[-1]) if len(records) == PAGE else None)


def _place(record: Record) -> tuple[int, str]:
    return record.until, decode(record.frame, trusted=True).id


def _cancel(store: Store, found: list[tuple[bytes, int, int]], now: int) -> list[Settled]:
    settled = []
    fault = Fault("cancelled", "taken back before it was due")
    for frame, sequence, accepted_at in found:
        envelope = decode(frame, trusted=True)
        answer = Answer(
            envelope.id,
            Status.CANCELLED,
            fault=fault,
            sequence=sequence,
            accepted_at=accepted_at,
            settled_at=now,
        )
        settled.append(Settled(envelope, answer))
    if not settled:
        return []
    writes = [
        Settle(envelope.id, answer.status.value, encode_answer(answer), b"", guild=envelope.guild)
        for envelope, answer in settled
    ]
    results = store.write(writes, now)
    return [each for each, result in zip(settled, results, strict=True) if not isinstance(result, Lost)]
