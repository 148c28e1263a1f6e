"""What other routers do: heard as news and passed on, and looked for from time to time, because news may be lost."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from actors.codec import unpack
from actors.messages import Arrivals, DelayedArrivals, Recheck, Reckon, StoreCall
from actors.runtime.actor import Actor
from actors.runtime.errors import RuntimeFault
from actors.runtime.ref import Ref
from actors.sharing import Answered, Arrived, Ears, Moved, News, SharedStore, Told
from actors.slots import SLOTS
from actors.tables.breakers import TOPIC as BREAKERS
from actors.tables.breakers import Breakers
from actors.tables.deliveries import Desk
from actors.tables.gate import Gate
from actors.tables.holdings import Holdings
from actors.tables.waiters import Waiters

logger = logging.getLogger("guild_router.news")

PAUSED = "paused"
"""Topic: a queue or a lane was paused or resumed; the detail is its name."""

SCANNED = 2_000
"""Senders that wait, looked at in one round."""

ASKED = 200
"""Of these, whose envelopes are asked about."""

SELDOM = 4
"""Rounds between looks for what seldom changes: paused queues, delayed envelopes."""


class NewsDesk(Actor):
    """Listens, passes on, and makes the rounds."""

    mailbox_capacity = 100_000

    def __init__(
        self,
        store: SharedStore,
        *,
        holdings: Holdings,
        waiters: Waiters,
        gate: Gate,
        breakers: Breakers,
        desk: Desk,
        journal: Callable[[], Ref],
        deduplicator: Callable[[], Ref],
        scheduler: Callable[[], Ref],
        keeper: Callable[[], Ref],
        relay: Callable[[], Ref],
        steward: Callable[[], Ref] | None,
        every: int,
    ) -> None:
        super().__init__()
        self._ears: Ears = store.ears()
        self._holdings = holdings
        self._waiters = waiters
        self._gate = gate
        self._breakers = breakers
        self._desk = desk
        self._journal = journal
        self._deduplicator = deduplicator
        self._scheduler = scheduler
        self._keeper = keeper
        self._relay = relay
        self._steward = steward
        self._every = every / 1_000
        self._rounds = 0
        self._waiting: list[str] = []  # left of this round

    def on_start(self) -> None:
        self._ears.open(self._hear)
        self.send_after(self._every, _Round())

    def on_stop(self) -> None:
        self._ears.close()

    def on_failure(self, *_: object) -> None:
        self._ears.close()

    # ------------------------------------------------------------ news, on the ears' thread

    def _hear(self, news: News) -> None:
        match news:
            case Arrived(partition, delayed):
                self._tell(self._journal(), Arrivals((partition,)))
                if delayed:
                    self._tell(self._scheduler(), DelayedArrivals((partition,)))
            case Answered():
                self._tell(self._deduplicator(), news)
            case Moved():
                self._tell(self._keeper(), news)
            case Told(topic) if topic == PAUSED:
                self._tell(self.me, news)
            case Told(topic) if topic == SLOTS:
                if self._steward is not None:
                    self._tell(self._steward(), Reckon())
            case Told(topic, detail) if topic == BREAKERS:
                self._breakers.heard(detail, self.clock.now())
            case Told():
                self._tell(self._relay(), news)

    def on_receive(self, message: object) -> None:
        match message:
            case Told(_, detail):
                self._read_paused(str(unpack(detail)))
            case _Round():
                self.send_after(self._every, _Round())
                self._make_round()

    # ------------------------------------------------------------ rounds

    def _make_round(self) -> None:
        self._rounds += 1
        held = tuple(holding.partition for holding in self._holdings.all())
        if held:
            self._tell(self._journal(), Arrivals())
        waiting = self._elsewhere()
        if waiting:
            self._tell(self._deduplicator(), Recheck(waiting))
        if self._rounds % SELDOM == 0:
            self._read_paused()
            if held:
                self._tell(self._scheduler(), DelayedArrivals(held))

    def _elsewhere(self) -> list[str]:
        """Some of those who wait for what another router does, in turn."""
        if not self._waiting:
            self._waiting = self._waiters.ids()
        chosen: list[str] = []
        scanned = 0
        while self._waiting and scanned < SCANNED and len(chosen) < ASKED:
            id_ = self._waiting.pop()
            scanned += 1
            envelope = self._waiters.envelope(id_)
            if envelope is not None and self._holdings.of(envelope.guild) is None:
                chosen.append(id_)
        return chosen

    def _read_paused(self, name: str = "") -> None:
        def done(names: Any) -> None:
            if not isinstance(names, Exception):  # else the next round
                before = self._gate.paused
                self._gate.set_paused(names)
                if name or names != before:
                    for each in {name, *(names ^ before)} - {""}:
                        self._desk.poke(each)

        self._tell(self._journal(), StoreCall(lambda store, _: frozenset(store.paused()), done))

    def _tell(self, ref: Ref, message: object) -> None:
        try:
            ref.tell(message)
        except RuntimeFault as error:
            logger.debug("%s was not told of a %s: %s", ref.name, type(message).__name__, error)


class _Round:
    """To itself: look what news should have told."""
