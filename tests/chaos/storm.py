"""A fleet of routers under steady load, and faults by a seed: then rest, and the checker's verdict."""

from __future__ import annotations

import random
import statistics as figures
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from tests.chaos.daemon import HttpDoor
from tests.chaos.fleet import Fleet, FleetDoor, Slot
from tests.chaos.handover import history_of
from tests.chaos.load import Load, Order, call, converse, in_threads, wait_until
from tests.chaos.pauses import calms, freezes
from tests.chaos.run import Outcome, ask_store, left_in
from tests.history.checker import Limits, check, gaps, statistics
from tests.history.events import Event, Invoke
from tests.history.history import build
from tests.history.recorder import Recorder, read

FROZEN = 3.0
"""Seconds a router is stopped: six leases."""

STORE_AWAY = 2.0
"""Seconds the store is stopped: all leases run out together."""

SLOW = 100.0
"""ms a piece may take over a slow wire: a third of a lease, both ways."""

BAD = 0.02
"""Share of the pieces of answers that a bad wire loses."""

CALM = 60.0
"""Seconds until what a storm left is done."""


class Server(Protocol):
    """The store's server, as the nemesis sees it."""

    def paused(self) -> AbstractContextManager[None]:
        """SIGSTOP, and SIGCONT afterwards."""

    def restart(self, *, kill: bool = False) -> None:
        """End it, and start again on the same data."""


@dataclass(frozen=True)
class Weather:
    """What a storm is made of."""

    seed: int
    faults: Sequence[str]  #: of ``FAULTS``, in order
    guilds: int = 300
    clients: int = 6
    pause: float = 0.03  #: seconds between two calls of one client, at most
    failover_ms: int = 0  #: longest wait of a guild after a kill that is no violation; 0: only reported


class Storm:
    """One run."""

    def __init__(self, fleet: Fleet, server: Server, weather: Weather) -> None:
        self._fleet = fleet
        self._server = server
        self._weather = weather
        self._dice = random.Random(weather.seed)
        self._wait = threading.Event()
        self._over = threading.Event()

    def run(self) -> Outcome:
        """All of it; the fleet is stopped afterwards."""
        weather, fleet = self._weather, self._fleet
        fleet.start()
        guilds = [f"guild-{number}" for number in range(weather.guilds)]
        recorder = Recorder(fleet.folder, "client")
        doors = [FleetDoor(fleet.ports, number) for number in range(weather.clients)]
        jobs = []
        for number, door in enumerate(doors):
            load = Load(weather.seed + number, f"client-{number}", guilds=guilds, hot=0.05, pause=weather.pause)
            jobs.append(partial(converse, recorder, door, load, f"client-{number}", self._over.is_set))
        threads = in_threads(jobs)
        self._pass(0.5, 1.0)
        for fault in weather.faults:
            FAULTS[fault](self)
        self._over.set()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive(), "a client hangs"
        for door in doors:
            door.close()
        self._come_to_rest()
        fleet.stop()
        ask_store(Recorder(fleet.folder, "reader"), fleet.store, read(fleet.folder))
        events = read(fleet.folder)
        return Outcome(check(events, Limits(failover_ms=weather.failover_ms)), statistics(events))

    def _pass(self, least: float, most: float) -> None:
        """Time goes by: the load is real, and so is the time of leases."""
        self._wait.wait(self._dice.uniform(least, most))

    # ------------------------------------------------------------ faults

    def kill(self) -> None:
        """kill -9 of a router, whose slot comes back after a moment."""
        slot = self._anyone()
        self._fleet.kill(slot)
        self._pass(0.1, 0.8)
        slot.start().ready()
        self._pass(0.1, 0.8)

    def two(self) -> None:
        """Two of them, the second while the first one's guilds are being taken over."""
        first, second = self._dice.sample(self._fleet.slots, 2)
        self._fleet.kill(first)
        self._pass(0.0, 0.6)
        self._fleet.kill(second)
        self._pass(0.5, 1.0)
        for daemon in [first.start(), second.start()]:
            daemon.ready()
        self._pass(0.3, 0.8)

    def freeze(self) -> None:
        """SIGSTOP of a router for longer than its leases live, then SIGCONT."""
        slot = self._anyone()
        self._fleet.freeze(slot)
        self._wait.wait(FROZEN)
        self._fleet.thaw(slot)
        self._pass(0.5, 1.0)

    def store_away(self) -> None:
        """The store answers nobody for a while."""
        self._fleet.note("stop", "store")
        with self._server.paused():
            self._wait.wait(STORE_AWAY)
        self._fleet.note("cont", "store")
        self._pass(1.5, 2.0)

    def store_restart(self) -> None:
        """The store is killed and comes back with what it had written."""
        self._fleet.note("stop", "store")
        self._server.restart(kill=True)
        self._fleet.note("cont", "store")
        self._pass(1.5, 2.0)

    def cut_off(self) -> None:
        """One router and the store do not hear of each other for longer than its leases live; its clients reach it."""
        with self._fleet.being("dead", [self._dice.choice(self._fleet.lines)]):
            self._wait.wait(FROZEN)
        self._pass(0.5, 1.0)

    def slow_wires(self) -> None:
        """All routers are far from the store for a while."""
        with self._fleet.being("slow", self._fleet.lines, ms=SLOW):
            self._wait.wait(FROZEN)
        self._pass(0.5, 1.0)

    def bad_wires(self) -> None:
        """Answers of the store to all routers break off, or do not come."""
        with self._fleet.being("bad", self._fleet.lines, share=BAD):
            self._wait.wait(FROZEN)
        self._pass(1.0, 1.5)

    def roll(self) -> None:
        """A rolling restart: each in turn is told to go, and its successor is there before the next one is."""
        for slot in self._fleet.slots:
            self._fleet.retire(slot)
            self._pass(0.1, 0.3)
            slot.start().ready()
            self._pass(0.5, 0.8)

    def _anyone(self) -> Slot:
        return self._dice.choice(self._fleet.slots)

    # ------------------------------------------------------------ rest

    def _come_to_rest(self) -> None:
        fleet = self._fleet
        wait_until(lambda: self._left() == 0, CALM, lambda: f"{self._left()} commands are left")
        guilds = sorted({event.guild for event in read(fleet.folder) if isinstance(event, Invoke)})
        recorder = Recorder(fleet.folder, "last")
        with HttpDoor(fleet.ports[0]) as door:
            for guild in guilds:
                order = Order("CHAOS_STEP", guild, "probe", f"probe-{guild}")
                call(recorder, door, order, f"probe-{guild}", probe=True)
        wait_until(lambda: self._left() == 0, CALM, lambda: f"{self._left()} probes are left")

    def _left(self) -> int:
        daemons = [slot.daemon for slot in self._fleet.slots if slot.daemon is not None]
        known = sum(int(daemon.get("/api/metrics")["backlog"]) for daemon in daemons)
        return known or left_in(self._fleet.store)  # an owner may not have heard yet what another one accepted


FAULTS: Mapping[str, Callable[[Storm], None]] = {
    "kill": Storm.kill,
    "two": Storm.two,
    "freeze": Storm.freeze,
    "store-away": Storm.store_away,
    "store-restart": Storm.store_restart,
    "cut-off": Storm.cut_off,
    "slow-wires": Storm.slow_wires,
    "bad-wires": Storm.bad_wires,
    "roll": Storm.roll,
}

WIRED = frozenset({"cut-off", "slow-wires", "bad-wires"})
"""Faults of a fleet that reaches its store over lines of its own."""


def distribution(events: Iterable[Event]) -> str:
    """The gaps after kills (see ``checker.gaps``), in ms, a line each for guilds that had work and that got some."""
    found = list(gaps(build(sorted(events, key=lambda event: event.at))))
    return "\n".join(
        _shares(name, sorted(gap.ms for gap in found if gap.waiting is waiting))
        for name, waiting in (("had work at a kill", True), ("were sent some in the second after it", False))
    )


def told(folder: Path) -> list[str]:
    """What came of each time that somebody stood still, a line each."""
    history = history_of(read(folder))
    return [str(each) for each in (*freezes(history), *calms(history))]


def _shares(name: str, waits: Sequence[float]) -> str:
    if not waits:
        return f"guilds that {name}: none"
    shares = [(share, waits[min(len(waits) - 1, int(len(waits) * part))]) for share, part in SHARES]
    line = ", ".join(f"{share} {wait:.0f} ms" for share, wait in shares)
    mean = figures.fmean(waits)
    return f"guilds that {name}: {len(waits)}, next begin after mean {mean:.0f} ms, {line}, longest {waits[-1]:.0f} ms"


SHARES = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))


def took(seconds: float) -> str:
    """For people."""
    return time.strftime("%M:%S", time.gmtime(seconds))
