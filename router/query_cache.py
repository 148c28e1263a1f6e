"""Answers of queries, kept for a while: bounded by count and by bytes, the oldest use goes first. Not thread-safe."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from actors.outcome import Answer

OVERHEAD = 500  # bytes of an answer beside its data, about


class Key(NamedTuple):
    """What makes two queries the same."""

    guild: str
    type: str
    identity: bytes
    user: str = ""  #: "": whoever asks


class _Kept(NamedTuple):
    answer: Answer
    until: int  # ms since the epoch
    size: int


class QueryCache:
    """Times are arguments, in ms since the epoch."""

    def __init__(self, entries: int, size: int) -> None:
        self._entries = entries
        self._limit = size
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()
        self._groups: dict[tuple[str, str], set[Key]] = {}
        self.size = 0  #: bytes

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Key, now: int) -> Answer | None:
        """The answer, if it is still good."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        if kept.until <= now:
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return kept.answer

    def put(self, key: Key, answer: Answer, until: int) -> None:
        """Keep it until then; one that is larger than everything together may be is not kept."""
        self._drop(key)
        size = len(answer.data) + OVERHEAD
        if size > self._limit:
            return
        self._kept[key] = _Kept(answer, until, size)
        self._groups.setdefault((key.guild, key.type), set()).add(key)
        self.size += size
        while len(self._kept) > self._entries or self.size > self._limit:
            self._drop(next(iter(self._kept)))

    def forget(self, guild: str, type_: str) -> None:
        """All answers of one type in one guild."""
        for key in list(self._groups.get((guild, type_), ())):
            self._drop(key)

    def _drop(self, key: Key) -> None:
        kept = self._kept.pop(key, None)
        if kept is None:
            return
        self.size -= kept.size
        group = self._groups[key.guild, key.type]
        group.discard(key)
        if not group:
            del self._groups[key.guild, key.type]
