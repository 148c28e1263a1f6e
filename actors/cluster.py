"""What a router adds to its tree when its store is shared by several: leases, news, and orders between routers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from actors.handover import Handover
from actors.news import NewsDesk
from actors.options import Options
from actors.partitions import Partitions
from actors.ports import Backend, ExecutionProtocol
from actors.relay import Relay
from actors.runtime.clock import Clock
from actors.runtime.ref import Ref
from actors.runtime.spec import ChildSpec, SupervisorSpec
from actors.sharing import SharedStore
from actors.steward import Steward
from actors.tables.backlog import Backlog
from actors.tables.breakers import Breakers
from actors.tables.deliveries import Desk
from actors.tables.flights import Flights
from actors.tables.gate import Gate
from actors.tables.guilds import Guilds
from actors.tables.holdings import Holdings
from actors.tables.landing import Landing
from actors.tables.waiters import Waiters
from actors.takeover import Takeover

Perform = Callable[[str, Sequence[Any], Callable[[Any], None]], None]


def shared(store: Backend) -> SharedStore | None:
    """The store as one that several routers share, if it is."""
    return cast("SharedStore", store) if getattr(store, "partitions", 0) else None


@dataclass(frozen=True, slots=True)
class Cluster:
    """What these actors are made of."""

    store: SharedStore
    name: str  #: for people
    about: Callable[[], Mapping[str, object]]
    perform: Perform
    options: Options
    clock: Clock
    holdings: Holdings
    protocols: Mapping[str, ExecutionProtocol]
    backlog: Backlog
    breakers: Breakers
    desk: Desk
    flights: Flights
    gate: Gate
    guilds: Guilds
    landing: Landing
    waiters: Waiters

    def spec(self, to: Callable[[str], Callable[[], Ref]]) -> SupervisorSpec:
        """They fail alone: what they know stands in the tables, and none of the others is built on them."""
        journal, scheduler, deduplicator = to("journal"), to("scheduler"), to("deduplicator")
        takeover = Takeover(
            holdings=self.holdings,
            journal=journal,
            deduplicator=deduplicator,
            scheduler=scheduler,
            backlog=self.backlog,
            gate=self.gate,
            waiters=self.waiters,
            clock=self.clock,
            retry=self.options.store_retry,
        )

        def keeper() -> Partitions:
            handover = Handover(
                self.store,
                holdings=self.holdings,
                journal=journal,
                scheduler=scheduler,
                guilds=self.guilds,
                flights=self.flights,
                landing=self.landing,
                gate=self.gate,
                backlog=self.backlog,
                protocols=self.protocols,
                clock=self.clock,
                patience=self.options.handover,
            )
            return Partitions(
                self.store,
                name=self.name,
                about=self.about,
                options=self.options,
                holdings=self.holdings,
                takeover=takeover,
                handover=handover,
                backlog=self.backlog,
            )

        def news() -> NewsDesk:
            return NewsDesk(
                self.store,
                holdings=self.holdings,
                waiters=self.waiters,
                gate=self.gate,
                breakers=self.breakers,
                desk=self.desk,
                journal=journal,
                deduplicator=deduplicator,
                scheduler=scheduler,
                keeper=to("partitions"),
                relay=to("relay"),
                steward=to("steward") if self.gate.shares else None,
                every=self.options.listen_again,
            )

        children = [
            ChildSpec("relay", lambda: Relay(self.holdings, journal, self.perform), dispatcher="pool"),
            ChildSpec("partitions", keeper),  # a thread of its own: no busy pool makes it late
            ChildSpec("news", news, dispatcher="pool"),
        ]
        if self.gate.shares:
            children.insert(0, ChildSpec("steward", lambda: Steward(self.store, self.gate, self.options)))
        return SupervisorSpec("cluster", children, intensity=10, period=10.0)
