"""Parting with a partition: giving it away in good order, or having lost it.

Given away: nothing of it starts any more, what waits for its executor is handed back, what runs may end, and when it
rests and the journal has written what the last attempts came to, it is free. Lost: at once, whatever runs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from actors.messages import Disown, StoreCall, Wake
from actors.outcome import Outcome, Verdict
from actors.ports import ExecutionProtocol
from actors.runtime.clock import Clock
from actors.runtime.errors import RuntimeFault
from actors.runtime.ref import Ref
from actors.sharing import SharedStore
from actors.tables.backlog import Backlog
from actors.tables.flights import Flight, Flights
from actors.tables.gate import Gate
from actors.tables.guilds import Guilds
from actors.tables.holdings import Holding, Holdings, Stage
from actors.tables.landing import Landing

logger = logging.getLogger("guild_router.partitions")

FORGOTTEN = Outcome(Verdict.NOT_APPLIED)


class Flushed(NamedTuple):
    """Handover -> lease keeper: what these partitions left is written, or (``error``) could not be."""

    holdings: list[Holding]
    error: bool


class Handover:
    """What the lease keeper calls for partitions that go. On its thread, and made anew with it.

    ``patience``: ms something that leaves may run before another partition is given away in its stead.
    """

    def __init__(
        self,
        store: SharedStore,
        *,
        holdings: Holdings,
        journal: Callable[[], Ref],
        scheduler: Callable[[], Ref],
        guilds: Guilds,
        flights: Flights,
        landing: Landing,
        gate: Gate,
        backlog: Backlog,
        protocols: Mapping[str, ExecutionProtocol],
        clock: Clock,
        patience: int,
    ) -> None:
        self._store = store
        self._holdings = holdings
        self._journal = journal
        self._scheduler = scheduler
        self._guilds = guilds
        self._flights = flights
        self._landing = landing
        self._gate = gate
        self._backlog = backlog
        self._protocols = protocols
        self._clock = clock
        self._patience = patience / 1_000
        self._flushing: set[Holding] = set()  # at rest; free when the journal has written what they left
        self._stuck: dict[int, float] = {}  # would not come to rest, since
        self._waking: set[int] = set()  # partitions whose guilds have something to look at

    # ------------------------------------------------------------ giving away

    def leave(self, holding: Holding) -> None:
        """Nothing of it starts any more; what waits for its executor is handed back, what runs may end."""
        if holding.stage is Stage.LEAVING:
            return
        holding.leave(self._clock.monotonic())
        for flight in self._flights_of(holding.partition):
            self._landing.hand_back(flight, self._protocols, self._clock.now())

    def stay(self, holding: Holding) -> None:
        """It is not given away after all."""
        if holding in self._flushing:
            return  # nearly gone
        holding.stage = Stage.OPEN
        self.wake(holding.partition)

    def rested(self) -> list[Holding]:
        """Those that leave and have come to rest since the last look; to be flushed."""
        leaving = self.leaving()
        starting = {holding.partition for holding in leaving if holding.starting}
        running = self.running()  # after the look at who is starting: what they start stands here, or they still do
        now = self._clock.monotonic()
        resting = []
        for holding in leaving:
            if holding in self._flushing or holding.interrupted:
                continue
            if holding.partition not in starting and not running.get(holding.partition):
                resting.append(holding)
            elif now - holding.left_at > self._patience and not self._holdings.departing:
                self._stuck[holding.partition] = now  # the next look gives away another, and this one stays
        return resting

    def flush(self, holdings: list[Holding], keeper: Ref) -> None:
        """Nothing runs and nothing starts; what the last attempts came to is on its way to the journal, or there."""
        self._flushing.update(holdings)
        call = StoreCall(lambda *_: None, lambda result: keeper.tell(Flushed(holdings, isinstance(result, Exception))))
        if not _tell(self._journal(), call):
            self._flushing.difference_update(holdings)  # the next look tries again

    def flushed(self, answer: Flushed) -> list[Holding]:
        """Those that may be released now: forgotten here, and nobody else's yet."""
        free = []
        for holding in answer.holdings:
            if holding in self._flushing:
                self._flushing.discard(holding)
                if not answer.error and self.forget(holding):
                    free.append(holding)
        if free:
            logger.info("gave away %s", ", ".join(str(holding.partition) for holding in free))
        return free

    # ------------------------------------------------------------ forgetting

    def forget(self, holding: Holding) -> bool:
        """Late outcomes are fenced, nothing is charged, and the next owner finds it all; ``False``: it was gone."""
        partition = holding.partition
        if not self._holdings.lose(holding):
            return False
        self._store.drop(partition)
        self._flushing.discard(holding)
        for flight in self._flights_of(partition):
            if flight.ticket.token == holding.token:
                self._strand(flight)
        self._backlog.leave_guilds(lambda guild: self._holdings.partition(guild) == partition)
        self.wake(partition)
        _tell(self._scheduler(), Disown(partition))
        return True

    def _strand(self, flight: Flight) -> None:
        if flight.handed and flight.outcome is None:
            self._protocols[flight.protocol].recall(flight.ticket.envelope.id)
        if self._flights.land(flight, FORGOTTEN, 0):
            self._gate.leave(flight.ticket.envelope)
        self._flights.drop([flight])

    # ------------------------------------------------------------ looking

    def leaving(self) -> list[Holding]:
        """Those that are given away and not free yet."""
        return [holding for holding in self._holdings.all() if holding.stage is Stage.LEAVING]

    def running(self) -> dict[int, int]:
        """Attempts under way, by partition."""
        counts: dict[int, int] = {}
        for flight in self._flights.all():
            partition = self._holdings.partition(flight.guild)
            counts[partition] = counts.get(partition, 0) + 1
        return counts

    def stuck(self) -> Collection[int]:
        """Partitions that would not come to rest when it was tried, and are not to be tried again yet."""
        now = self._clock.monotonic()
        self._stuck = {each: since for each, since in self._stuck.items() if now - since < 3 * self._patience}
        return self._stuck

    def _flights_of(self, partition: int) -> list[Flight]:
        return [each for each in self._flights.all() if self._holdings.partition(each.guild) == partition]

    # ------------------------------------------------------------ waking

    def wake(self, partition: int) -> None:
        """Its guilds have something to look at; told by ``wake_all``."""
        self._waking.add(partition)

    def wake_all(self) -> None:
        """All of them in one pass, and only guilds that have work: of 100,000 most have none."""
        waking, self._waking = self._waking, set()
        if waking:
            for guild in self._guilds.awake():
                if self._holdings.partition(guild) in waking:
                    self._guilds.wake(guild, Wake())


def _tell(ref: Ref, message: object) -> bool:
    try:
        ref.tell(message)
    except RuntimeFault as error:
        logger.debug("%s was not told: %s", ref.name, error)
        return False
    return True
