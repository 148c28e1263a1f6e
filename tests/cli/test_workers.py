"""Several router processes on one port: they share the work, replace the dead, and end together."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from socket import socket
from typing import Any

import psutil
import pytest
from typer.testing import CliRunner

from router.cli.client import Client
from router.cli.foreman import INTENSITY, Foreman
from router.cli.main import app
from router.http.server import bind
from router.scaling import Bounds
from router.signals import DRAIN, ECHO, STOP
from tests.cli.processes import Process, pass_the_echo, running
from tests.cli.test_serve import BOT, command
from tests.servers.shared import options, server

terminal = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"})
PATIENCE = 60.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bot.py").write_text(BOT)
    return tmp_path


def url() -> str:
    """A store of its own on the session's Redis."""
    return f"redis://127.0.0.1:{server().port}/0?prefix={options().prefix}"


def serve(*more: str) -> tuple[str, ...]:
    return ("serve", "--app", "bot:router", "--port", "0", "--store", url(), *more)


def look(client: Client, done: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The cluster, once it is so. Asked by whichever worker accepts."""
    found: dict[str, Any] = {}
    for _ in range(int(PATIENCE / 0.05)):
        _, found = client.ask("GET", "/api/cluster")
        if done(found):
            return found
        asyncio.run(asyncio.sleep(0.05))  # real time: leases lapse in it
    raise AssertionError(f"it never came to it: {found}")


def pids_of(view: dict[str, Any]) -> set[int]:
    return {int(each["name"].rpartition(":")[2]) for each in view["members"]}


def even(count: int) -> Callable[[dict[str, Any]], bool]:
    """So many live, and own everything in fair shares."""

    def done(view: dict[str, Any]) -> bool:
        shares = sorted(each["partitions"] for each in view["members"])
        return len(shares) == count and sum(shares) == len(view["partitions"]) and shares[-1] - shares[0] <= 1

    return done


def test_workers_share_the_port_and_the_work_and_replace_the_dead(folder: Path) -> None:
    with running(*serve("--workers", "2", "--drain", "5"), cwd=folder) as process:
        client = process.listening()
        view = look(client, even(2))
        pids = pids_of(view)
        assert pids == {child.pid for child in psutil.Process(process.process.pid).children()}
        for number in range(10):
            user = str(10**17 + number)
            status, answer = client.ask("POST", "/api/commands?wait=5000", command("BAN_USER", user=user))
            assert (status, answer["status"]) == (200, "ok")
        victim = min(pids)
        psutil.Process(victim).kill()
        process.line_with("died with status -9")
        look(client, lambda view: even(2)(view) and victim not in pids_of(view))
        status, answer = client.ask("POST", "/api/commands?wait=5000", command("BAN_USER", user="123456789012345678"))
        assert answer["status"] == "ok"
        process.signal(signal.SIGTERM)
        assert process.ended() == 0
    assert len((folder / "effects").read_text().splitlines()) == 11


def stuck(process: Process, folder: Path) -> Path:
    """Serving, with one handler that runs until somebody writes into the pipe."""
    os.mkfifo(pipe := folder / "pipe")
    client = process.listening()
    look(client, even(2))
    client.ask("POST", "/api/commands", command("KICK_USER", "pipe"))
    process.line_with("kick began")
    return pipe


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_whole_group_drains(folder: Path, number: signal.Signals) -> None:
    with running(*serve("--workers", "2", "--drain", "30"), cwd=folder, group=True) as process:
        pipe = stuck(process, folder)
        os.killpg(process.process.pid, number)
        process.line_with("draining")
        process.line_with("draining")
        pipe.write_text("go on")
        assert process.ended() == 0
    assert (folder / "effects").read_text().startswith("kick ")
    assert not any("second signal" in line for line in process.lines)


@pytest.mark.parametrize("whole", [True, False])
def test_a_second_signal_ends_all_at_once(folder: Path, whole: bool) -> None:
    with running(*serve("--workers", "2", "--drain", "600"), cwd=folder, group=True) as process:
        stuck(process, folder)
        send = os.killpg if whole else os.kill
        send(process.process.pid, signal.SIGTERM)
        process.line_with("draining")
        process.line_with("draining")
        pass_the_echo()
        send(process.process.pid, signal.SIGTERM)
        assert process.ended() == 1
    assert any("stopped at once by a second signal" in line for line in process.lines)
    assert not (folder / "effects").exists()


def test_workers_end_when_nobody_watches_them(folder: Path) -> None:
    with running(*serve("--workers", "2"), cwd=folder) as process:
        look(process.listening(), even(2))
        workers = psutil.Process(process.process.pid).children()
        process.process.kill()
        gone, alive = psutil.wait_procs(workers, PATIENCE)
        assert (len(gone), alive) == (2, [])


@pytest.mark.parametrize("store", ["memory://", "sqlite:///router.db"])
def test_a_store_for_one_router_is_refused(store: str) -> None:
    result = terminal.invoke(app, ["serve", "--workers", "2", "--store", store])
    assert result.exit_code == 2
    assert f"--workers needs a store that routers share, such as redis://localhost; {store}" in result.output


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (["--workers", "5", "--max-workers", "4"], "--workers 5 is above --max-workers 4"),
        (["--min-workers", "5", "--max-workers", "4"], "--min-workers 5 is above --max-workers 4"),
        (["--workers", "1", "--min-workers", "2"], "--workers 1 is below --min-workers 2"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(given: list[str], text: str) -> None:
    result = terminal.invoke(app, ["serve", "--store", "redis://localhost", *given])
    assert result.exit_code == 2
    assert text in result.output


# ---------------------------------------------------------------- the foreman alone

TELLING = """
import os, signal, sys
pipe = int(os.environ["GUILD_ROUTER_WORKER"].split(":")[1])
signal.signal(signal.SIGUSR1, lambda *_: os._exit(0))
os.write(pipe, b"ready\\nload LOAD\\n")
while True:
    signal.pause()
"""


class Steady:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def listening() -> Iterator[socket]:
    with bind("127.0.0.1", 0) as one:
        yield one


def foreman(script: str, listening: socket, count: int, bounds: Bounds, clock: Steady) -> Foreman:
    return Foreman([sys.executable, "-c", script], listening, count, bounds, monotonic=clock)


async def until(done: Callable[[], object]) -> None:
    for _ in range(int(PATIENCE / 0.01)):
        if done():
            return
        await asyncio.sleep(0.01)  # real time: processes start in it
    raise AssertionError("it never came to it")


def test_one_more_under_load_up_to_the_bound_and_none_within_the_cooldown(listening: socket) -> None:
    async def story() -> list[int]:
        clock = Steady()
        one = foreman(TELLING.replace("LOAD", "0.9"), listening, 1, Bounds(1, 3), clock)
        counts: list[int] = []
        running_it = asyncio.create_task(one.run(lambda: None))

        def told() -> list[float]:
            return [worker.load for worker in one._workers.values() if worker.load is not None]

        for now in (0.0, 10.0, 299.0, 300.0, 700.0, 1_100.0):
            clock.now = now
            await until(lambda: len(told()) == one._count)
            await one.look()
            counts.append(one._count)
        one._drain()
        assert await running_it == 0
        return counts

    assert asyncio.run(story()) == [2, 2, 2, 3, 3, 3]


def test_one_fewer_after_a_calm_time_down_to_the_bound(listening: socket) -> None:
    async def story() -> list[int]:
        clock = Steady()
        one = foreman(TELLING.replace("LOAD", "0.1"), listening, 3, Bounds(2, 3), clock)
        counts: list[int] = []
        running_it = asyncio.create_task(one.run(lambda: None))
        for now in (0.0, 599.0, 600.0, 700.0, 1_300.0):
            clock.now = now
            await until(lambda: sum(worker.load is not None for worker in one._workers.values()) == one._count)
            await one.look()
            counts.append(one._count)
        one._drain()
        assert await running_it == 0
        return counts

    assert asyncio.run(story()) == [3, 3, 2, 2, 2]


def test_a_signal_that_arrives_twice_drains_and_a_second_one_ends(listening: socket) -> None:
    words: list[int] = []

    class Listening(Foreman):
        def _end(self, worker: Any, word: int = DRAIN) -> None:
            words.append(word)

    async def story() -> None:
        clock = Steady()
        script = TELLING.replace("LOAD", "0.5")
        one = Listening([sys.executable, "-c", script], listening, 1, Bounds(), monotonic=clock)
        ready = asyncio.Event()
        running_it = asyncio.create_task(one.run(ready.set))
        await asyncio.wait_for(ready.wait(), PATIENCE)
        for clock.now in (0.0, 0.0, ECHO - 0.01, ECHO):
            one._on_signal(signal.SIGTERM)
        for worker in one._workers.values():
            worker.process.send_signal(DRAIN)
        assert await running_it == 0

    asyncio.run(story())
    assert words == [DRAIN, STOP]


def test_workers_that_always_die_are_given_up(listening: socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.cli.foreman.PAUSE", 0.0)

    async def story() -> Foreman:
        one = foreman("import sys; sys.exit(3)", listening, 1, Bounds(), Steady())
        assert await one.run(lambda: None) == 1
        return one

    assert asyncio.run(story()).cause == f"more than {INTENSITY} workers died within 30 s, the last with status 3"
