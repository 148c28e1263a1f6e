"""Who waits for the end of which envelope; outlives a crash of the deduplicator, so that nobody waits for ever."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from actors.envelope import Envelope
from actors.messages import Waiter


class Waiting(NamedTuple):
    """One sender: the first one of an operation, or a duplicate that attached to it."""

    waiter: Waiter
    envelope: Envelope  #: the sender's own
    duplicate: bool


class Waiters:
    """Waiting senders by the id of the envelope that will be answered; a sender waits once, however often added."""

    def __init__(self) -> None:
        # Nearly always one waits, who stands for himself; more are a dictionary by the waiter's identity.
        self._waiting: dict[str, Waiting | dict[int, Waiting]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, id: str, waiting: Waiting) -> None:
        """One more waits for ``id``."""
        others = self._waiting.setdefault(id, waiting)
        if others is waiting:
            return
        if isinstance(others, Waiting):
            others = self._waiting[id] = {_identity(others): others}
        others.setdefault(_identity(waiting), waiting)

    def count(self, id: str) -> int:
        """How many wait for ``id``."""
        others = self._waiting.get(id)
        return len(others) if isinstance(others, dict) else int(others is not None)

    def next(self, id: str) -> Waiting | None:
        """Somebody who waits for ``id``, taken out to be answered now; ``None``: nobody is left."""
        others = self._waiting.get(id)
        if not isinstance(others, dict):
            return self._waiting.pop(id, None)  # type: ignore[return-value]  # it is one or nobody
        waiting = others.pop(next(iter(others)))
        if not others:
            del self._waiting[id]
        return waiting

    def ids(self) -> list[str]:
        """All ids somebody waits for."""
        return list(self._waiting)

    def envelope(self, id: str) -> Envelope | None:
        """That of one of those who wait for ``id``; ``None``: nobody does."""
        others = self._waiting.get(id)
        if isinstance(others, dict):
            one = next(iter(list(others.values())), None)
            return None if one is None else one.envelope
        return None if others is None else others.envelope

    def of(self, which: Callable[[Envelope], bool]) -> list[str]:
        """Ids somebody waits for with an envelope of that kind."""
        found = []
        for id_ in self.ids():
            envelope = self.envelope(id_)
            if envelope is not None and which(envelope):
                found.append(id_)
        return found

    def clear(self) -> list[Waiting]:
        """Everybody; nobody will be answered any more."""
        everybody: list[Waiting] = []
        for id_ in self.ids():
            while (waiting := self.next(id_)) is not None:
                everybody.append(waiting)
        return everybody


def _identity(waiting: Waiting) -> int:
    return id(waiting.waiter)
