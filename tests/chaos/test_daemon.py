"""The daemon, killed with kill -9 at random moments while clients send over HTTP, and restarted on the same file."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
from functools import partial
from pathlib import Path

import pytest

from tests.chaos.daemon import Daemon, HttpDoor, free_port
from tests.chaos.load import Load, Order, call, converse, in_threads, wait_until
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
        jobs = [
            partial(
                converse,
                recorder,
                HttpDoor(port),
                Load(seed + number, f"client-{number}"),
                f"client-{number}",
                self._wait,
            )
            for number in range(CLIENTS)
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


def unsettled(daemon: Daemon) -> int:
    return int(daemon.get("/api/metrics")["backlog"])


@pytest.mark.timeout(600)
def test_fifty_kills_of_the_daemon_lose_double_and_reorder_nothing(tmp_path: Path, seed: int) -> None:
    print(f"CHAOS_SEED={seed} CHAOS_KILLS={KILLS}")
    dice = random.Random(seed)
    store, port = f"sqlite:///{tmp_path / 'router.db'}", free_port()
    nemesis, starts = Recorder(tmp_path, "nemesis"), []
    clients = Clients(Recorder(tmp_path, "client"), port, seed)
    for life in range(1, KILLS + 1):
        daemon = Daemon(tmp_path, store, f"router-{life}", port)
        if dice.random() < 0.1:  # while it starts
            live_for(daemon, dice.uniform(0, 1.5))
        else:
            starts.append(daemon.ready())
            clients.up.set()
            live_for(daemon, dice.uniform(0.02, 0.6))
        daemon.kill()
        clients.up.clear()
        nemesis.record(Nemesis, action="kill", target=daemon.name)
    daemon = Daemon(tmp_path, store, f"router-{KILLS + 1}", port)
    starts.append(daemon.ready())
    clients.stop()
    come_to_rest(daemon, Recorder(tmp_path, "last"))
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(20) == 0
    ask_store(nemesis, store, read(tmp_path))
    events = read(tmp_path)
    found = statistics(events)
    print(f"start-up {min(starts):.2f} to {max(starts):.2f} s; {found}")
    assert check(events) == []
    assert found["kills"] == KILLS
    assert found["new"] > 5 * KILLS
    assert found["cut_runs"] > 0
    assert found["unknown"] > 0
    assert found["recovered"] > 0


def live_for(daemon: Daemon, seconds: float) -> None:
    try:
        code = daemon.process.wait(seconds)
    except subprocess.TimeoutExpired:
        return
    raise AssertionError(f"{daemon.name} ended by itself with {code}")


def come_to_rest(daemon: Daemon, recorder: Recorder) -> None:
    door = HttpDoor(daemon.port)
    wait_until(lambda: unsettled(daemon) == 0, 60, lambda: f"{unsettled(daemon)} commands are left")
    for guild in sorted({event.guild for event in read(recorder.folder) if isinstance(event, Invoke)}):
        call(recorder, door, Order("CHAOS_STEP", guild, "probe", f"probe-{guild}"), f"probe-{guild}", probe=True)
    wait_until(lambda: unsettled(daemon) == 0, 60, lambda: f"{unsettled(daemon)} probes are left")
    figures = daemon.get("/api/metrics")
    counts = {"dead": figures["deadLetterMessages"], "queued": figures["backlog"], "running": figures["running"]}
    recorder.record(Rest, source="http", counts=counts)
