"""Ids of duplicates lead to the envelope whose answer they got."""

from __future__ import annotations

from typing import cast

from actors.codec import unpack
from actors.ports import AuditFilter, Store, Stored

ALIAS = "duplicate_of"
"""Kind of the note that stands for a duplicate, under the duplicate's id."""


def look_up(store: Store, id: str) -> Stored | None:
    """The envelope of this id, or the original if it was a duplicate."""
    stored = store.get(id)
    if stored is not None:
        return stored
    for line in store.audit(AuditFilter(id=id), 10):
        if line.kind == ALIAS:
            return store.get(cast("dict[str, str]", unpack(line.detail))["original"])
    return None
