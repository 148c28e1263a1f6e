"""What a record of the log says, as bytes.

A record is one durable step: the counters after it, and images of everything it changed. Reading all records in order,
each image replacing what was known, gives what the store holds in memory; nothing in a record refers to the way it came
about, so a record may be followed by newer images of the same things, and dropped when all its full images were.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from operator import attrgetter
from typing import Any, NamedTuple

import msgpack  # type: ignore[import-untyped]  # ships no annotations

from router.stores.memory_queues import Item
from router.stores.row import Row

FORMAT = 1

ROW, STATE, ENDED, ROW_GONE, ITEM, ITEM_STATE, ITEM_GONE, FACT = range(8)
"""What an effect is: the first element of its array."""

row_image = attrgetter(*(field.name for field in fields(Row) if field.name != "home"))
STATE_FIELDS = ("position", "until", "attempts", "protocol", "trail", "opposed")
ENDED_FIELDS = (
    "position",
    "until",
    "attempts",
    "protocol",
    "trail",
    "opposed",
    "status",
    "answer",
    "settled_at",
    "reason",
    "dead",
    "ending",
    "archived",
)
row_state = attrgetter("id", *STATE_FIELDS)
row_ended = attrgetter("id", *ENDED_FIELDS)

item_image = attrgetter(*(field.name for field in fields(Item) if field.name != "home"))
ITEM_FIELDS = ("available_at", "expires_at", "state", "attempts", "token", "until", "error", "ended_at", "ended")
item_state = attrgetter("id", *ITEM_FIELDS)


_ITEM_ID = 1 + [field.name for field in fields(Item)].index("id")


class Counters(NamedTuple):
    """The store's rising numbers."""

    number: int = 0
    line: int = 0
    item: int = 0
    token: int = 0


_pack = msgpack.Packer(autoreset=True).pack


def pack_record(counters: Counters, effects: list[tuple[Any, ...]]) -> bytes:
    """One record."""
    packed: bytes = _pack((FORMAT, counters, effects))
    return packed


def unpack_record(data: bytes) -> tuple[Counters, list[list[Any]]]:
    """Counters and effects of a record."""
    form, counters, effects = msgpack.unpackb(data, strict_map_key=False)
    if form != FORMAT:
        raise ValueError(f"a record of format {form}, ours is {FORMAT}")
    return Counters(*counters), effects


def pack_row(row: Row) -> bytes:
    """A settled row, for the archive."""
    packed: bytes = _pack(row_image(row))
    return packed


def unpack_row(data: bytes) -> Row:
    """A row from the archive."""
    return Row(*msgpack.unpackb(data))


class Full(NamedTuple):
    """What a record holds in full: ids of rows and of items, and facts."""

    rows: list[str]
    items: list[str]
    facts: list[tuple[str, str]]


def full_images(data: bytes) -> Full:
    """What would be lost with this record, unless it was written again since."""
    full = Full([], [], [])
    for effect in unpack_record(data)[1]:
        if effect[0] == ROW:
            full.rows.append(effect[1])
        elif effect[0] == ITEM:
            full.items.append(effect[_ITEM_ID])
        elif effect[0] == FACT:
            full.facts.append((effect[1], effect[2]))
    return full


class Images:
    """The sum of records read so far."""

    def __init__(self) -> None:
        self.counters = Counters()
        self.rows: dict[str, Row] = {}
        self.holders: dict[bytes, tuple[int, str]] = {}
        self.items: dict[str, Item] = {}
        self.facts: dict[tuple[str, str], tuple[Any, int]] = {}

    def read(self, number: int, data: bytes) -> None:
        """Take in one more record."""
        counters, effects = unpack_record(data)
        self.counters = Counters(*map(max, self.counters, counters))
        for effect in effects:
            kind = effect[0]
            if kind == ROW:
                self._row(effect, number)
            elif kind == STATE:
                _set(self.rows.get(effect[1]), STATE_FIELDS, effect[2:])
            elif kind == ENDED:
                _set(self.rows.get(effect[1]), ENDED_FIELDS, effect[2:])
            elif kind == ROW_GONE:
                self.rows.pop(effect[1], None)
            elif kind == ITEM:
                item = Item(*effect[1:])
                item.home = number
                self.items[item.id] = item
            elif kind == ITEM_STATE:
                _set(self.items.get(effect[1]), ITEM_FIELDS, effect[2:])
            elif kind == ITEM_GONE:
                self.items.pop(effect[1], None)
            else:
                self.facts[effect[1], effect[2]] = (effect[3], number)

    def _row(self, effect: list[Any], number: int) -> None:
        row = Row(*effect[1:-1])
        row.home = number
        self.rows[row.id] = row
        # Who took a key last holds it; the one it was taken from is not written down for that.
        if effect[-1] and self.holders.get(row.key, (0, ""))[0] <= row.ordinal:
            self.holders[row.key] = (row.ordinal, row.id)


def _set(thing: Row | Item | None, names: Iterable[str], values: Iterable[Any]) -> None:
    if thing is None:
        # The record with its full image was cleaned away: a newer image follows, or the word that it is gone.
        return
    for name, value in zip(names, values, strict=True):
        setattr(thing, name, value)
