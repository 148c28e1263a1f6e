"""Taking over a partition: everything the store holds of it goes to its guilds, in order, before anything new does.

A chain of store calls on the journal's thread, page by page. It hangs on no actor, so none that crashes breaks it: the
calls lie in the journal's mailbox, which outlives the journal.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from actors.codec import peek
from actors.errors import EngineError
from actors.messages import Entered, Recheck, Reread, StoreCall
from actors.places import place_of
from actors.ports import Record
from actors.runtime.clock import Clock
from actors.runtime.errors import RuntimeFault
from actors.runtime.ref import Ref
from actors.sharing import SharedStore
from actors.tables.backlog import Backlog
from actors.tables.gate import Gate
from actors.tables.holdings import Holding, Holdings, Stage
from actors.tables.waiters import Waiters

logger = logging.getLogger("guild_router.partitions")

PAGE = 100
"""Records of one partition read at once. A page is handed on before the next is read, and the journal writes between
the two: of ten thousand guilds with work the first begins after the first page, not after the last."""

ASKED = 1_000
"""Ids of those who wait, asked about at once."""


class _Page(NamedTuple):
    paused: frozenset[str] | None  #: with the first
    records: list[Record]


class Takeover:
    """What the lease keeper calls for partitions that were won."""

    def __init__(
        self,
        *,
        holdings: Holdings,
        journal: Callable[[], Ref],
        deduplicator: Callable[[], Ref],
        scheduler: Callable[[], Ref],
        backlog: Backlog,
        gate: Gate,
        waiters: Waiters,
        clock: Clock,
        retry: int,
    ) -> None:
        self._holdings = holdings
        self._journal = journal
        self._deduplicator = deduplicator
        self._scheduler = scheduler
        self._backlog = backlog
        self._gate = gate
        self._waiters = waiters
        self._clock = clock
        self._retry = retry / 1000

    def take(self, won: Sequence[Holding]) -> None:
        """Read these from the beginning. From any thread."""
        self._ask(list(won), first=True)

    # ------------------------------------------------------------ positions

    def _ask(self, holdings: list[Holding], *, first: bool = False) -> None:
        def read(store: Any, _: int) -> _Page:
            here = self._hold(store, holdings)
            records = store.arrived({holding.partition: holding.newest for holding in here}, PAGE) if here else []
            return _Page(store.paused() if first else None, records)

        self._call(StoreCall(read, lambda found: self._found(holdings, found, first=first)), holdings, first=first)

    def _hold(self, store: SharedStore, holdings: list[Holding]) -> list[Holding]:
        """Here, on the journal's thread, so that no commit of an earlier ownership goes out under the new token."""
        here = []
        for holding in holdings:
            if not holding.gone and holding.stage is Stage.WON:
                store.hold(holding.partition, holding.token)
                holding.stage = Stage.TAKING
                if holding.gone:  # lost in this very moment; whoever wins it next holds it anew
                    store.drop(holding.partition)
            if not holding.gone and holding.stage is Stage.TAKING:
                here.append(holding)
        return here

    def _found(self, holdings: list[Holding], found: _Page | Exception, *, first: bool) -> None:
        if isinstance(found, Exception):
            self._again(holdings, found, first=first)
            return
        if found.paused is not None:
            self._gate.set_paused(found.paused)
        by_partition = {holding.partition: holding for holding in holdings if not holding.gone}
        counts = dict.fromkeys(by_partition, 0)
        places = []
        for record in found.records:
            holding = by_partition.get(record.position % self._holdings.partitions)
            if holding is None:
                continue
            place = place_of(record, token=holding.token)
            self._backlog.enter(place.envelope, place.envelope.due_at or place.accepted_at)
            counts[holding.partition] += 1
            holding.newest = place.position
            places.append(place)
        if places:
            self._tell(self._deduplicator(), Entered(places))
        whole = [by_partition[partition] for partition, count in counts.items() if count < PAGE]
        for holding in whole:
            if holding.stage is Stage.TAKING:
                holding.stage = Stage.OPEN
        if whole:
            self._opened(whole)
        rest = [by_partition[partition] for partition, count in counts.items() if count >= PAGE]
        if rest:
            self._ask(rest)

    def _opened(self, holdings: list[Holding]) -> None:
        logger.info("took over %s", ", ".join(str(holding.partition) for holding in holdings))
        self._tell(self._scheduler(), Reread())
        self._count_delayed({holding.partition: (0, "") for holding in holdings})
        partitions = {holding.partition for holding in holdings}
        # An end may have been written, and its news been lost, while the partition was another's.
        ids = self._waiters.of(lambda envelope: self._holdings.partition(envelope.guild) in partitions)
        for at in range(0, len(ids), ASKED):
            self._tell(self._deduplicator(), Recheck(ids[at : at + ASKED]))

    # ------------------------------------------------------------ delayed ones, for the backlog's count

    def _count_delayed(self, after: dict[int, tuple[int, str]]) -> None:
        def found(records: list[Record] | Exception) -> None:
            if isinstance(records, Exception):
                self._clock.call_later(self._retry, lambda: self._count_delayed(after))
                return
            counts: dict[int, int] = {}
            last: dict[int, tuple[int, str]] = {}
            for record in records:
                header = peek(record.frame)
                self._backlog.enter(header, header.due_at)
                partition = self._holdings.partition(header.guild)
                counts[partition] = counts.get(partition, 0) + 1
                last[partition] = (header.due_at, header.id)
            more = {partition: last[partition] for partition, count in counts.items() if count >= PAGE}
            if more:
                self._count_delayed(more)

        def read(store: Any, _: int) -> list[Record]:
            here = {each: top for each, top in after.items() if self._holdings.taken(each) is not None}
            return store.arrived_delayed(here, PAGE) if here else []

        self._tell(self._journal(), StoreCall(read, found))

    # ------------------------------------------------------------ failures

    def _call(self, call: StoreCall, holdings: list[Holding], *, first: bool) -> None:
        try:
            self._journal().tell(call)
        except RuntimeFault as error:
            self._again(holdings, error, first=first)

    def _again(self, holdings: list[Holding], error: Exception, *, first: bool) -> None:
        left = [holding for holding in holdings if not holding.gone]
        if not left or self._holdings.departing:
            return
        if not isinstance(error, EngineError):
            logger.error("a partition could not be read: %r", error)
        self._clock.call_later(self._retry, lambda: self._ask(left, first=first))

    def _tell(self, ref: Ref, message: object) -> None:
        try:
            ref.tell(message)
        except RuntimeFault as error:
            # Only while the tree stops; the partition is read again by whoever owns it next.
            logger.debug("a takeover was not told on: %s", error)
