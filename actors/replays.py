"""Dead letters live again: what is done to the store, in one step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from actors.codec import pack
from actors.ports import DeadLetter, Note, Record, Replay, Store, Write


class Replayed(NamedTuple):
    """What a replay of dead letters did, or as a dry run would do."""

    ids: list[str]  #: in the order in which they live again
    refused: list[str]  #: replayed too often already
    dry_run: bool


class Revived(NamedTuple):
    """The result, and those who take their places in their lanes now."""

    replayed: Replayed
    records: list[Record]


def revive(
    store: Store, letters: Sequence[DeadLetter], now: int, *, max_replays: int, lease: int, dry_run: bool, operator: str
) -> Revived:
    """In the order given; each is noted in the audit trail. ``lease``: ms until they expire."""
    fit = [letter for letter in letters if letter.replays < max_replays]
    refused = [letter.id for letter in letters if letter.replays >= max_replays]
    if dry_run:
        return Revived(Replayed([letter.id for letter in fit], refused, dry_run=True), [])
    writes: list[Write] = [Replay(letter.id, max_replays, now + lease, letter.guild) for letter in fit]
    detail = pack({"action": "replay"})
    writes += [Note(now, "operator", letter.id, letter.guild, operator, detail) for letter in fit]
    results = store.write(writes, now) if writes else []
    records = [
        Record(letter.frame, letter.sequence, position, now, 0, "", 0, now + lease, letter.trail)
        for letter, position in zip(fit, results, strict=False)
        if isinstance(position, int) and position
    ]
    ids = [letter.id for letter, position in zip(fit, results, strict=False) if isinstance(position, int) and position]
    return Revived(Replayed(ids, refused, dry_run=False), records)
