"""The engine's numbers: every bound with its default, in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class QueueOptions:
    """Bounds of one queue of commands; ``0`` is "no bound"."""

    concurrency: int = 0  #: attempts running at once
    rate: int = 0  #: starts per ``rate_window``
    rate_window: int = 60_000  #: ms


@dataclass(frozen=True, slots=True)
class TypeOptions:
    """Bounds of one type of command; ``0`` is "no bound"."""

    concurrency: int = 0  #: attempts running at once
    backlog: int = 0  #: unsettled commands
    rate: int = 0  #: acceptances per ``rate_window``
    rate_window: int = 60_000  #: ms


@dataclass(frozen=True, slots=True)
class Options:
    """Bounds, tolerances and times (ms) of one engine."""

    max_running: int = 1_000  #: attempts at once in this router
    guild_running: int = 10  #: lanes of one guild that run at once
    max_backlog: int = 100_000  #: unsettled commands in this router
    guild_backlog: int = 10_000  #: unsettled commands of one guild
    user_backlog: int = 0  #: unsettled commands of one acting user; 0: no bound
    router_rate: int = 0  #: commands per second in all; 0: no bound
    user_rate: int = 0  #: commands per second of one acting user; 0: no bound
    guild_rate: int = 0  #: commands per second of one guild; 0: no bound
    clock_tolerance: int = 300_000  #: how far a sender's clock may be off
    sequence_gap: int = 5_000  #: how long a numbered message waits for the one before it
    passivate_after: int = 120_000  #: a guild without work is forgotten after this
    poison_limit: int = 3  #: crashes of our own actors on one envelope before it is buried
    max_replays: int = 3  #: of one dead letter
    store_retry: int = 200  #: between tries while the store cannot write
    store_doubt: int = 5_000  #: so long a command is tried again that may have been stored or not
    lease: int = 500  #: of a partition at a shared store; renewed at a third of it
    lease_margin: int = 75  #: a lease counts as over so long before the store may give it to others
    listen_again: int = 250  #: between looks for what news should have told
    handover: int = 10_000  #: how long a partition may take to come to rest before another is given away instead
    adapter_grace: int = 1_000  #: after a ticket's deadline, before the adapter stops waiting for its protocol
    pool_threads: int = 1  #: threads that run guild actors; a second one gains nothing but switches of the interpreter
    sweep_every: int = 5_000  #: between sweeps of the store
    queue_kept: int = 86_400_000  #: a named queue that holds nothing is forgotten so long after its last use
    probe_every: int = 60_000  #: between two looks at a service
    lag_limit: int = 2_000  #: at which lateness of our own actors the router counts as full
    types: Mapping[str, TypeOptions] = field(default_factory=dict)
    queues: Mapping[str, QueueOptions] = field(default_factory=dict)  #: those named here are never forgotten
