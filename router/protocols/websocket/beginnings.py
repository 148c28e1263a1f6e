"""What is about to begin, said to the store by all of one moment together: one call, not one for each command."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Lock
from typing import Any

from actors.entries import WorkedQueues
from actors.errand import Look
from actors.outcome import Outcome
from actors.workers import Undertake
from router.protocols.teller import Teller, send

AT_ONCE = 500  # in one call


class _Batch:
    """Grows until the store is asked; asked again, it is the same."""

    __slots__ = ("told", "wanted")

    def __init__(self) -> None:
        self.wanted: list[Undertake] = []
        self.told: list[Callable[[Any], None]] = []


class Beginnings:
    """Thread-safe."""

    def __init__(self, named_queues: Callable[[], Teller]) -> None:
        self._named_queues = named_queues
        self._lock = Lock()
        self._open: _Batch | None = None

    def add(self, undertaking: Undertake, told: Callable[[Any], None]) -> Outcome | None:
        """``told`` gets the store's answer (``Workers.begin``) or an exception; else why it cannot be asked."""
        with self._lock:
            batch = self._open
            if batch is None or len(batch.wanted) >= AT_ONCE:
                batch = _Batch()
                look = Look(partial(self._begin, batch), partial(self._begun, batch))
                refusal = send(self._named_queues, look)
                if refusal is not None:
                    return refusal
                self._open = batch
            batch.wanted.append(undertaking)
            batch.told.append(told)
            return None

    def _begin(self, batch: _Batch, store: WorkedQueues, now: int) -> list[Any]:
        with self._lock:
            if self._open is batch:
                self._open = None
        return store.begin(batch.wanted, now)

    def _begun(self, batch: _Batch, answer: Any) -> None:
        with self._lock:
            if self._open is batch:  # the store was not asked
                self._open = None
        for number, told in enumerate(batch.told):
            told(answer if isinstance(answer, Exception) else answer[number])
