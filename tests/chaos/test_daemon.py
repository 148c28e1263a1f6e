"""The daemon, killed with kill -9 at random moments while clients send over HTTP, and restarted on the same file."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.chaos.daemon import Daemon, HttpDoor, Site
from tests.chaos.load import Load, Order, call, converse, in_threads, wait_until
from tests.chaos.nursery import Nursery, said
from tests.chaos.run import ask_store
from tests.history.checker import check, statistics
from tests.history.events import Invoke, Nemesis, Rest
from tests.history.recorder import Recorder, read

KILLS = int(os.environ.get("CHAOS_KILLS", "50"))
CLIENTS = 3


class Clients:
    """They send while the daemon is up, and stop when it is over."""

    def __init__(self, recorder: Recorder, port: int, seed: int) -> None:
        self.up = threading.Event()
        self._over = threading.Event()
        self._doors = [HttpDoor(port) for _ in range(CLIENTS)]
        jobs = [
            partial(converse, recorder, door, Load(seed + number, f"client-{number}"), f"client-{number}", self._wait)
            for number, door in enumerate(self._doors)
        ]
        self._threads = in_threads(jobs)

    def _wait(self) -> bool:
        self.up.wait()
        return self._over.is_set()

    def stop(self) -> None:
        """No more calls; those under way are answered first."""
        self._over.set()
        self.up.set()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()
        for door in self._doors:
            door.close()


def unsettled(daemon: Daemon) -> int:
    return int(daemon.get("/api/metrics")["backlog"])


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    with Nursery(tmp_path_factory.mktemp("nursery") / "log", "tests.chaos.served") as nursery:
        yield nursery


@pytest.mark.timeout(300)
def test_fifty_kills_of_the_daemon_lose_double_and_reorder_nothing(tmp_path: Path, served: Nursery, seed: int) -> None:
    site = Site(tmp_path)
    with said(served):
        found = torture(site, lambda: site.fork(served), seed=seed, kills=KILLS)
    assert found["kills"] == KILLS
    assert found["new"] > 5 * KILLS
    assert found["cut_runs"] > 0
    assert found["unknown"] > 0
    assert found["recovered"] > 0


@pytest.mark.timeout(300)
def test_a_daemon_started_from_nothing_each_time_survives_too(tmp_path: Path, seed: int) -> None:
    site = Site(tmp_path)
    found = torture(site, site.execute, seed=seed, kills=3)
    assert found["kills"] == 3
    assert found["new"] > 0


def torture(site: Site, start: Callable[[], Daemon], *, seed: int, kills: int) -> dict[str, int]:
    """Kill the daemon at random moments, some of them while it starts; then let it come to rest, and check."""
    print(f"CHAOS_SEED={seed}, {kills} kills")
    dice = random.Random(seed)
    nemesis, starts = Recorder(site.folder, "nemesis"), []
    clients = Clients(Recorder(site.folder, "client"), site.port, seed)
    for _ in range(kills):
        daemon = start()
        if dice.random() < 0.1:
            daemon.live(dice.uniform(0, 0.3))
        else:
            starts.append(daemon.ready())
            clients.up.set()
            daemon.live(dice.uniform(0.02, 0.6))
        daemon.kill()
        clients.up.clear()
        nemesis.record(Nemesis, action="kill", target=daemon.name)
    daemon = start()
    starts.append(daemon.ready())
    clients.stop()
    come_to_rest(daemon, Recorder(site.folder, "last"))
    daemon.process.signal(signal.SIGTERM)
    assert daemon.process.wait(20) == 0
    ask_store(nemesis, site.store, read(site.folder))
    events = read(site.folder)
    found = statistics(events)
    print(f"ready after {min(starts):.2f} to {max(starts):.2f} s; {found}")
    assert check(events) == []
    return found


def come_to_rest(daemon: Daemon, recorder: Recorder) -> None:
    wait_until(lambda: unsettled(daemon) == 0, 60, lambda: f"{unsettled(daemon)} commands are left")
    guilds = sorted({event.guild for event in read(recorder.folder) if isinstance(event, Invoke)})
    with HttpDoor(daemon.port) as door:
        for guild in guilds:
            call(recorder, door, Order("CHAOS_STEP", guild, "probe", f"probe-{guild}"), f"probe-{guild}", probe=True)
    wait_until(lambda: unsettled(daemon) == 0, 60, lambda: f"{unsettled(daemon)} probes are left")
    figures = daemon.get("/api/metrics")
    dead = sum(each["dead"] for each in daemon.get("/api/queue/status")["queues"])  # metrics do not wait for the store
    counts = {"dead": dead, "queued": figures["backlog"], "running": figures["running"]}
    recorder.record(Rest, source="http", counts=counts)
