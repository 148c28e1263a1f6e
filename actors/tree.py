"""The supervision tree, as one readable list."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from actors.adapter import Adapter
from actors.arrivals import Arrivals
from actors.cluster import Cluster, Perform, shared
from actors.deduplicator import Deduplicator
from actors.envelope import Envelope
from actors.guild import GuildActor
from actors.health import HealthMonitor
from actors.hub import Hub, Listeners
from actors.intake import Intake
from actors.journal import Held, Journal
from actors.messages import Published, Submission
from actors.meter import Meter, is_metered
from actors.options import Options
from actors.outbox import GuildTools
from actors.outcome import Answer
from actors.policy.consuming import QueueRules
from actors.policy.facts import Facts
from actors.policy.sequence import Sequences
from actors.ports import Backend, ExecutionProtocol, LoadMeter, Probe
from actors.queues import NamedQueues
from actors.recovery import Recovery
from actors.retry import RetryScheduler
from actors.runtime.errors import RuntimeFault
from actors.runtime.ref import Ref
from actors.runtime.runtime import Runtime
from actors.runtime.spec import ChildSpec, SupervisorSpec
from actors.tables.backlog import Backlog
from actors.tables.blame import Blame
from actors.tables.breakers import Breakers
from actors.tables.counters import Counters
from actors.tables.deliveries import Desk
from actors.tables.depths import Depths
from actors.tables.flights import Flights
from actors.tables.gate import Gate
from actors.tables.guilds import Guilds
from actors.tables.holdings import Holdings
from actors.tables.landing import Landing
from actors.tables.load import Load
from actors.tables.services import Services
from actors.tables.waiters import Waiters

GUILD = "guild:"
"""Before a guild's id it is its actor's name."""


@dataclass(slots=True)
class Tables:
    """What outlives every actor of one engine."""

    gate: Gate
    guilds: Guilds
    sequences: Sequences[Submission]
    breakers: Breakers
    load: Load
    services: Services
    backlog: Backlog
    flights: Flights = field(default_factory=Flights)
    blame: Blame = field(default_factory=Blame)
    waiters: Waiters = field(default_factory=Waiters)
    desk: Desk = field(default_factory=lambda: Desk(lambda _: QueueRules()))
    depths: Depths = field(default_factory=Depths)
    counters: Counters = field(default_factory=Counters)
    held: Held = field(default_factory=Held)
    listeners: Listeners = field(default_factory=Listeners)
    holdings: Holdings | None = None  #: of a store that several routers share

    @property
    def landing(self) -> Landing:
        """Where outcomes come in."""
        return Landing(self.flights, self.gate, self.guilds, self.services)


def engine_tree(
    runtime: Runtime,
    *,
    store: Backend,
    protocols: Mapping[str, ExecutionProtocol],
    probes: Sequence[Probe],
    meters: Sequence[LoadMeter],
    facts: Callable[[str], Facts],
    options: Options,
    tables: Tables,
    random: Random,
    recovered: Callable[[int], None],
    pause_lane: Callable[[str], None],
    reply: Callable[[Envelope, Answer], None],
    on_guild_given_up: Callable[[Ref, BaseException | None], None],
    on_queue_event: Callable[[str, Mapping[str, object]], None] | None = None,
    name: str = "",
    perform: Perform | None = None,
    about: Callable[[], Mapping[str, object]] | None = None,
    extras: tuple[ChildSpec | SupervisorSpec, ...] = (),
) -> SupervisorSpec:
    """The engine from the store (first up, last down) to the door (last up, first down).

    ``rest_for_one``: whatever fails takes down what was started after it, because that was built on its state. Only
    the guilds and the adapters fail alone.
    """

    def to(name: str) -> Callable[[], Ref]:
        # Refs are stable, and looked up when first used: the tree is data, its names come alive later.
        found: list[Ref] = []

        def ref() -> Ref:
            if not found:
                found.append(runtime.ref(name))
            return found[0]

        return ref

    def publish(events: list[Published]) -> None:
        try:
            hub().tell_many(events)
        except RuntimeFault:
            tables.listeners.dropped += len(events)  # a slow listener loses events, nobody else loses anything

    adapter_refs = {name: to(f"adapter:{name}") for name in protocols}
    journal, deduplicator, scheduler, hub = to("journal"), to("deduplicator"), to("scheduler"), to("hub")
    guild_tools = GuildTools(
        options=options,
        facts=facts,
        protocols=dict(protocols),
        adapters=lambda name: adapter_refs[name](),
        journal=journal,
        deduplicator=deduplicator,
        scheduler=scheduler,
        publish=publish,
        listening=lambda: bool(tables.listeners),
        gate=tables.gate,
        breakers=tables.breakers,
        guilds=tables.guilds,
        flights=tables.flights,
        blame=tables.blame,
        random=random,
        pause_lane=pause_lane,
        holdings=tables.holdings,
    )
    holdings = tables.holdings
    together: list[SupervisorSpec] = []
    sharing = shared(store)
    if sharing is not None and holdings is not None and perform is not None:
        cluster = Cluster(
            store=sharing,
            name=name,
            about=about or dict,
            perform=perform,
            options=options,
            clock=runtime.clock,
            holdings=holdings,
            protocols=protocols,
            backlog=tables.backlog,
            breakers=tables.breakers,
            desk=tables.desk,
            flights=tables.flights,
            gate=tables.gate,
            guilds=tables.guilds,
            landing=tables.landing,
            waiters=tables.waiters,
        )
        together = [cluster.spec(to)]

    # Who asks the store blocks; on a thread of its own it is only those who ask that wait.
    metered = sharing if sharing is not None and is_metered(options) else None

    def adapter(name: str) -> Callable[[], Adapter]:
        return lambda: Adapter(
            protocols[name],
            breakers=tables.breakers,
            flights=tables.flights,
            landing=tables.landing,
            guilds=tables.guilds,
            blame=tables.blame,
            grace=options.adapter_grace,
        )

    return SupervisorSpec(
        "router",
        [
            ChildSpec(
                "journal",
                lambda: Journal(
                    store,
                    facts=facts,
                    deduplicator=deduplicator,
                    intake=to("intake"),
                    backlog=tables.backlog,
                    held=tables.held,
                    retry=options.store_retry,
                    doubt=options.store_doubt,
                    arrived=None if holdings is None else Arrivals(holdings, tables.backlog),
                    holdings=holdings,
                    keeper=to("partitions"),
                ),
                shutdown="infinity",
            ),
            # Nothing is built on the events, so their actor's crash is nobody else's.
            SupervisorSpec("events", [ChildSpec("hub", lambda: Hub(tables.listeners))], intensity=10, period=10.0),
            # Nor on its reports; what it looks after outlives it. Above the adapters, so that they find the breakers
            # as they were.
            SupervisorSpec(
                "watch",
                [
                    ChildSpec(
                        "health",
                        lambda: HealthMonitor(
                            probes=probes,
                            meters=meters,
                            breakers=tables.breakers,
                            services=tables.services,
                            load=tables.load,
                            gate=tables.gate,
                            backlog=tables.backlog,
                            counters=tables.counters,
                            depths=tables.depths,
                            journal=journal,
                            publish=publish,
                            listening=lambda: bool(tables.listeners),
                            interval=options.probe_every,
                        ),
                        dispatcher="pool",
                    )
                ],
                intensity=10,
                period=10.0,
            ),
            ChildSpec(
                "scheduler",
                lambda: RetryScheduler(
                    guilds=tables.guilds,
                    journal=journal,
                    passivate_after=options.passivate_after,
                    sweep_every=options.sweep_every,
                    queue_kept=options.queue_kept,
                    queues=options.queues.keys(),
                    backlog=None if holdings is None else tables.backlog,
                    holdings=holdings,
                ),
                dispatcher="pool",
            ),
            ChildSpec(
                "deduplicator",
                lambda: Deduplicator(
                    waiters=tables.waiters,
                    guilds=tables.guilds,
                    backlog=tables.backlog,
                    journal=journal,
                    scheduler=scheduler,
                    publish=publish,
                    listening=lambda: bool(tables.listeners),
                    counters=tables.counters,
                    reply=reply,
                    holdings=holdings,
                ),
                dispatcher="pool",
            ),
            ChildSpec(
                "queues",
                lambda: NamedQueues(journal, tables.desk, random=random, on_event=on_queue_event),
                dispatcher="pool",
            ),
            SupervisorSpec(
                "adapters",
                [ChildSpec(f"adapter:{name}", adapter(name), dispatcher="pool") for name in protocols],
                intensity=10,
                period=10.0,
            ),
            SupervisorSpec(
                "guilds", [], dynamic=True, per_child=True, intensity=10, period=10.0, on_give_up=on_guild_given_up
            ),
            ChildSpec(
                "recovery",
                lambda: Recovery(
                    journal=journal,
                    guilds=tables.guilds,
                    backlog=tables.backlog,
                    gate=tables.gate,
                    attach=lambda: attach_guilds(runtime, tables.guilds, guild_tools),
                    finished=recovered,
                    holdings=holdings,
                ),
                dispatcher="pool",
            ),
            *together,
            ChildSpec(
                "intake",
                lambda: Intake(
                    options=options,
                    backlog=tables.backlog,
                    load=tables.load,
                    counters=tables.counters,
                    sequences=tables.sequences,
                    journal=journal,
                    meter=None if metered is None else Meter(metered.rates(), options),
                ),
                dispatcher="pool" if metered is None else "thread",
            ),
            SupervisorSpec("doors", list(extras), intensity=10, period=10.0),
        ],
        strategy="rest_for_one",
        intensity=5,
        period=10.0,
    )


def attach_guilds(runtime: Runtime, guilds: Guilds, tools: GuildTools) -> None:
    """The guilds' supervisor is up: from now on a guild's first message starts its actor.

    The first incarnation knows everything by being told; one that follows a crash reads the store.
    """
    supervisor = runtime.supervisor("guilds")

    def start(guild: str) -> Ref:
        fresh = [not guilds.read(guild)]

        def make() -> GuildActor:
            first, fresh[0] = fresh[0], False
            return GuildActor(guild, tools, fresh=first)

        return supervisor.start_child(ChildSpec(GUILD + guild, make, restart="permanent", dispatcher="pool"))

    guilds.attach(start, supervisor.stop_child_if_idle)
