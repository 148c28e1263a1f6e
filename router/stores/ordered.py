"""A mapping read in the order of its keys."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import islice
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound="Any")
V = TypeVar("V")


class Ordered(Generic[K, V]):
    """Keys mostly come in rising order and mostly leave at the front; both then cost O(1), and a seek O(log n).

    A key that comes out of order is sorted in at the next read; a key that left is forgotten at the next tidying,
    when as many have left as remain.
    """

    __slots__ = ("_items", "_keys", "_sorted")

    def __init__(self) -> None:
        self._items: dict[K, V] = {}
        self._keys: list[K] = []
        self._sorted = True

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, key: K) -> bool:
        return key in self._items

    def __getitem__(self, key: K) -> V:
        return self._items[key]

    def add(self, key: K, value: V) -> None:
        """Put a key in; one that is there gets the new value."""
        if key not in self._items:
            if self._keys and not self._keys[-1] < key:
                self._sorted = False
            self._keys.append(key)
        self._items[key] = value

    def discard(self, key: K) -> None:
        """Take a key out, if it is there."""
        if self._items.pop(key, None) is None:
            return
        if not self._items:
            self._keys.clear()
            self._sorted = True
        elif len(self._keys) > 64 and len(self._keys) > 2 * len(self._items):
            self._tidy()

    def after(self, key: K | None = None) -> Iterator[V]:
        """Values in the order of keys, those above ``key``; the mapping must not change meanwhile."""
        if not self._sorted:
            self._tidy()
        start = 0 if key is None else bisect_right(self._keys, key)
        for each in islice(self._keys, start, None):
            if each in self._items:
                yield self._items[each]

    def backward(self) -> Iterator[V]:
        """Values from the highest key down; the mapping must not change meanwhile."""
        if not self._sorted:
            self._tidy()
        for each in reversed(self._keys):
            if each in self._items:
                yield self._items[each]

    def first(self) -> V | None:
        """The value of the lowest key."""
        return next(self.after(), None)

    def _tidy(self) -> None:
        self._keys = sorted(self._items)
        self._sorted = True
