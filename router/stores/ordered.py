"""A mapping read in the order of its keys, written as fast as a dictionary."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound="Any")
V = TypeVar("V")


class Ordered(Generic[K, V]):
    """A write costs what it costs a dictionary. A read walks a sorted list of keys made at an earlier read; keys added
    since are sorted in only when a reader gets to the end of that list, so that reading page by page stays linear.
    Keys out of order are sorted in at the next read.
    """

    __slots__ = ("_disorder", "_highest", "_items", "_keys")

    def __init__(self) -> None:
        self._items: dict[K, V] = {}
        self._keys: list[K] = []  # of an earlier moment, sorted
        self._highest: K | None = None
        self._disorder = False

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, key: K) -> bool:
        return key in self._items

    def __getitem__(self, key: K) -> V:
        return self._items[key]

    def add(self, key: K, value: V) -> None:
        """Put a key in; one that is there gets the new value."""
        highest = self._highest
        if highest is None or highest < key:
            self._highest = key
        else:
            self._disorder = True
        self._items[key] = value

    def discard(self, key: K) -> V | None:
        """Take a key out, if it is there."""
        return self._items.pop(key, None)

    def after(self, key: K | None = None) -> Iterator[V]:
        """Values in the order of keys, those above ``key``; the mapping must not change meanwhile."""
        if self._disorder:
            self._sort()
        while True:
            keys, items = self._keys, self._items
            for at in range(0 if key is None else bisect_right(keys, key), len(keys)):
                key = keys[at]
                if key in items:
                    yield items[key]
            if not items or (keys and keys[-1] == self._highest):
                return
            self._sort()

    def values(self) -> Iterable[V]:
        """Values in any order."""
        return self._items.values()

    def backward(self) -> Iterator[V]:
        """Values from the highest key down; the mapping must not change meanwhile."""
        self._sort()
        items = self._items
        for key in reversed(self._keys):
            yield items[key]

    def _sort(self) -> None:
        self._keys = sorted(self._items)
        self._highest = self._keys[-1] if self._keys else None
        self._disorder = False
