"""What came into the partitions this router owns, from its own door and from others', in the order of position.

A guild takes places only in rising order, so nothing above a gap is passed on before the gap was read: a number that is
missing was given to somebody else's newcomer. Used by the journal alone, on its thread, between two commits.
"""

from __future__ import annotations

from collections.abc import Iterable

from actors.errors import StoreError
from actors.places import place_of
from actors.policy.lanes import Place
from actors.ports import Record
from actors.sharing import SharedStore
from actors.tables.backlog import Backlog
from actors.tables.holdings import Holding, Holdings, Stage

PAGE = 1_000
"""Records of one partition read at once."""


class Arrivals:
    """Collects the places of one slice, and reads what lies between them."""

    def __init__(self, holdings: Holdings, backlog: Backlog) -> None:
        self._holdings = holdings
        self._backlog = backlog
        self._own: dict[int, dict[int, Place]] = {}
        self._look: set[int] = set()

    def __bool__(self) -> bool:
        return bool(self._own or self._look)

    def own(self, place: Place) -> None:
        """This router's own commit gave it a position, or found that it has it."""
        partition = place.position % self._holdings.partitions
        if self.is_known(partition, place.position):
            return
        self._own.setdefault(partition, {})[place.position] = place

    def look(self, partitions: Iterable[int] = ()) -> None:
        """Others may have accepted into these; none: into any."""
        self._look.update(partitions or (holding.partition for holding in self._holdings.all()))

    def is_open(self, partition: int) -> bool:
        """Whether its places are passed on here; what is being taken over is read by who takes it."""
        return self._open(partition) is not None

    def is_known(self, partition: int, position: int) -> bool:
        """Whether an accepted position was passed on before."""
        holding = self._open(partition)
        return holding is not None and position <= holding.newest

    def collect(self, store: SharedStore) -> tuple[list[Place], list[Place]]:
        """All that may be passed on now; and own ones that the store does not have any more, for they had ended before.

        Raises ``StoreError``, and then they come with the next look.
        """
        own, self._own = self._own, {}
        look, self._look = self._look, set()
        places: list[Place] = []
        for partition, mine in own.items():
            holding = self._open(partition)
            if holding is not None and not self._in_a_row(holding, mine, places):
                look.add(partition)
        after = {partition: holding.newest for partition in look if (holding := self._open(partition)) is not None}
        asked = set(after)
        while after:
            after = self._read(store, after, own, places)
        if self._look or not own:
            return places, []
        passed = {place.position for place in places}
        return places, [
            place
            for partition, mine in own.items()
            if partition in asked
            for position, place in mine.items()
            if position not in passed
        ]

    def _in_a_row(self, holding: Holding, mine: dict[int, Place], places: list[Place]) -> bool:
        """Pass on those that follow without a gap; whether that were all.

        Until something new was read, what follows may be an old one that ended before this router came, and was sent
        again: then only the store knows.
        """
        if not holding.sure:
            return False
        for position in sorted(mine):
            if position <= holding.newest:
                continue
            if position != holding.newest + self._holdings.partitions:
                return False
            self._pass(holding, mine[position], places)
        return True

    def _read(
        self, store: SharedStore, after: dict[int, int], own: dict[int, dict[int, Place]], places: list[Place]
    ) -> dict[int, int]:
        """One page of each; where there may be more, and after what."""
        found: dict[int, int] = {}
        try:
            records = store.arrived(after, PAGE)
        except StoreError:
            # What was passed on to ``places`` is passed on; the rest is not lost, for ``newest`` has not moved.
            if not places:
                raise
            self._look.update(after)
            return {}
        for record in records:
            partition = record.position % self._holdings.partitions
            holding = self._open(partition)
            if holding is None:
                continue
            found[partition] = found.get(partition, 0) + 1
            holding.sure = True
            self._pass(holding, own.get(partition, {}).get(record.position) or self._place(record), places)
        return {
            partition: holding.newest
            for partition, count in found.items()
            if count >= PAGE and (holding := self._open(partition)) is not None
        }

    def _place(self, record: Record) -> Place:
        place = place_of(record)
        self._backlog.enter(place.envelope, place.envelope.due_at or place.accepted_at)
        return place

    def _pass(self, holding: Holding, place: Place, places: list[Place]) -> None:
        place.token = holding.token
        holding.newest = place.position
        places.append(place)

    def _open(self, partition: int) -> Holding | None:
        holding = self._holdings.taken(partition)
        return holding if holding is not None and holding.stage is not Stage.TAKING else None
