"""The roll: which workers live, what they execute, and that we do; and that those who are gone hold nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from actors.errand import Look
from actors.runtime.clock import Clock, Timer
from actors.runtime.errors import NotRunning, RuntimeFault
from actors.workers import Presence
from router.protocols.teller import Teller
from router.protocols.vigil import Vigil

logger = logging.getLogger("router.protocols.queue")

BEAT = 200  # ms between signs of life, and between looks at those of others
ALIVE = 900  # ms after its last sign of life that somebody is sent commands: three may be lost


class Roll:
    """Reports ``present()`` (``None``: nothing to report) and reads the rest, every beat. Thread-safe.

    Whoever reads first that somebody is gone (see ``Vigil``) lets go of its claims, so that others get them at once.
    What is known may be a second old: a command that is sent to a worker that just died waits in its queue, and is
    taken back or taken over there. ``on_change`` is called after somebody came, went or changed.
    """

    def __init__(
        self,
        named_queues: Callable[[], Teller],
        clock: Clock,
        worker: str,
        present: Callable[[], Presence | None],
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._named_queues = named_queues
        self._clock = clock
        self._worker = worker
        self._present = present
        self.on_change = on_change
        self._timer: Timer | None = None
        self._open = False
        self._vigil = Vigil()  # of the thread on which the store is asked
        self._reported: Presence | None = None
        self._alive: dict[str, Presence] = {}
        self._types: dict[tuple[str, str], bool] = {}  # (queue, type) -> whether every handler of it is idempotent

    def open(self) -> None:
        """Report and read from now on; may be called again."""
        if not self._open:
            self._open = True
            self._beat()

    def close(self) -> None:
        """No more; others see us go as far as the store can still be told."""
        self._open = False
        if self._timer is not None:
            self._timer.cancel()
        if self._reported is not None:
            self._reported = None
            self._look(lambda store, _: store.retire(self._worker), lambda _: None)

    def look(self) -> None:
        """Report and read now: something changed here."""
        if self._open:
            self._exchange()

    def reaches(self, queue: str, type_: str) -> bool:
        """Whether a worker that consumes this queue has a handler for this type."""
        return (queue, type_) in self._types

    def idempotent(self, queue: str, type_: str) -> bool:
        """Whether every such worker declares that executing it twice does no harm."""
        return self._types.get((queue, type_), False)

    def all(self) -> list[Presence]:
        """Who lives, as far as was seen."""
        return list(self._alive.values())

    def _beat(self) -> None:
        if not self._open:
            return
        self._exchange()
        try:
            self._timer = self._clock.call_later(BEAT / 1000, self._beat)
        except NotRunning:  # time itself has ended, and the process with it
            self._timer = None

    def _exchange(self) -> None:
        mine = self._present()
        gone = self._reported is not None and mine is None
        self._reported = mine

        def exchange(store: Any, now: int) -> list[Presence]:
            if mine is not None:
                store.report(mine, now, ALIVE)
            elif gone:
                store.retire(self._worker)
            found: list[Presence] = store.workers()
            others = [each for each in found if each.worker != self._worker]
            self._free(store, others, now)
            return [each for each in others if each.until > now]

        self._look(exchange, self._read)

    def _free(self, store: Any, others: list[Presence], now: int) -> None:
        lines = store.lines([each.worker for each in others])
        for gone in self._vigil.gone(others, lines, now):
            freed = store.free(gone)
            logger.warning("worker %s (%s) is gone; it held %d entries", gone.worker, gone.name, freed)

    def _look(self, fn: Callable[[Any, int], Any], reply: Callable[[Any], None]) -> None:
        try:
            self._named_queues().tell(Look(fn, reply))
        except RuntimeFault:
            return  # the actors are stopped or start again; at the next beat they are there, or we are not

    def _read(self, answer: Any) -> None:
        if isinstance(answer, Exception):
            self._vigil.again()
            logger.debug("who lives cannot be read: %s", answer)
            return
        before = self._types, self._alive.keys()
        self._alive = {each.worker: each for each in answer}
        types: dict[tuple[str, str], bool] = {}
        for each in self._alive.values():
            for queue in each.queues:
                for type_ in each.types:
                    types[queue, type_] = types.get((queue, type_), True) and type_ in each.idempotent
        self._types = types
        if before != (types, self._alive.keys()):
            self.on_change()
