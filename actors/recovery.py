"""Recovery: the way of every unsettled envelope, entered at the store.

Runs at each start of the tree below the journal. New acceptances wait behind it at their guilds, so that the old order
comes first; the door is opened when it is done. Of a store that several routers share it reads the partitions held
already, which are none at the first start: those that are won later are read by ``actors.takeover``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from actors.codec import peek
from actors.envelope import Envelope
from actors.errors import EngineError
from actors.messages import Enqueue, StoreCall
from actors.places import place_of
from actors.policy.lanes import Place
from actors.ports import Backend, Record
from actors.runtime.actor import Actor
from actors.runtime.ref import Ref
from actors.tables.backlog import Backlog
from actors.tables.gate import Gate
from actors.tables.guilds import Guilds
from actors.tables.holdings import Holdings

PAGE = 2_000


class Recovery(Actor):
    """Reads the store page by page and puts every place into its guild."""

    def __init__(
        self,
        *,
        journal: Callable[[], Ref],
        guilds: Guilds,
        backlog: Backlog,
        gate: Gate,
        attach: Callable[[], None],
        finished: Callable[[int], None],
        holdings: Holdings | None = None,
    ) -> None:
        super().__init__()
        self._journal = journal
        self._guilds = guilds
        self._backlog = backlog
        self._gate = gate
        self._attach = attach
        self._finished = finished
        self._holdings = holdings
        self._count = 0

    def on_start(self) -> None:
        self._guilds.hold()
        self._attach()
        self._ask(_Page(0, ()))

    def on_stop(self) -> None:
        # Stopped before the guilds are: if they are restarted without their places, nothing new may reach them first.
        self._guilds.hold()

    def on_receive(self, message: object) -> None:
        match message:
            case _Page(after, EngineError()):
                self.send_after(0.5, _Again(after))
            case _Page(_, _Found() as found):
                self._take(found)
            case _Again(after):
                self._ask(_Page(after, ()))

    def _ask(self, page: _Page) -> None:
        me, after = self.me, page.after

        def read(store: Backend, _: int) -> _Found:
            if after:
                return _Found(None, [], store.pending("", after, PAGE))
            return _Found(store.paused(), _delayed(store), store.pending("", 0, PAGE))

        self._journal().tell(StoreCall(read, lambda found: me.tell(_Page(after, found))))

    def _take(self, found: _Found) -> None:
        paused, delayed, records = found
        if paused is not None:
            self._gate.set_paused(paused)
        for header in delayed:
            self._backlog.enter(header, header.due_at)
        by_guild: dict[str, list[Place]] = {}
        for record in records:
            place = place_of(record)
            if self._holdings is not None:
                holding = self._holdings.of(place.envelope.guild)
                if holding is None:
                    continue
                place.token = holding.token
            self._backlog.enter(place.envelope, place.envelope.due_at or place.accepted_at)
            by_guild.setdefault(place.envelope.guild, []).append(place)
        for guild, places in by_guild.items():
            self._guilds.tell_recovered(guild, Enqueue(places))
        self._count += len(records)
        if len(records) == PAGE:
            self._ask(_Page(records[-1].position, ()))
            return
        self._guilds.release()
        self._finished(self._count)


class _Found(NamedTuple):
    """What the store holds."""

    paused: frozenset[str] | None  #: on the first page
    delayed: list[Envelope]  #: likewise: the header of each delayed one
    records: list[Record]


class _Page:
    """The journal's answer: records above ``after``."""

    __match_args__ = ("after", "found")

    def __init__(self, after: int, found: object) -> None:
        self.after = after
        self.found = found


class _Again:
    """To itself: ask again."""

    __match_args__ = ("after",)

    def __init__(self, after: int) -> None:
        self.after = after


def _delayed(store: Backend) -> list[Envelope]:
    """The headers of the delayed envelopes, for the backlog's count."""
    found: list[Envelope] = []
    after = (0, "")
    while True:
        records = store.delayed(after, PAGE)
        for record in records:
            header = peek(record.frame)
            found.append(header)
            after = (header.due_at, header.id)
        if len(records) < PAGE:
            return found
