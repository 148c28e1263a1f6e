"""Who waits for the end of which envelope; outlives a crash of the deduplicator, so that nobody waits for ever."""

from __future__ import annotations

from typing import NamedTuple

from actors.envelope import Envelope
from actors.messages import Waiter


class Waiting(NamedTuple):
    """One sender: the first one of an operation, or a duplicate that attached to it."""

    waiter: Waiter
    envelope: Envelope  #: the sender's own
    duplicate: bool


class Waiters:
    """Waiting senders by the id of the envelope that will be answered."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[Waiting]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, id: str, waiting: Waiting) -> None:  # noqa: A002 - the word of the port
        """One more waits for ``id``."""
        self._waiting.setdefault(id, []).append(waiting)

    def pop(self, id: str) -> list[Waiting]:  # noqa: A002
        """All who wait for ``id``; they are answered now."""
        return self._waiting.pop(id, [])

    def ids(self) -> list[str]:
        """All ids somebody waits for."""
        return list(self._waiting)

    def clear(self) -> list[Waiting]:
        """Everybody; nobody will be answered any more."""
        everybody = [waiting for many in self._waiting.values() for waiting in many]
        self._waiting.clear()
        return everybody
