"""Q5 and Q9: when the daemon answers, and how it leaves."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.codec import peek
from router.stores.url import open_store
from tests.chaos.daemon import Daemon, HttpDoor, Site
from tests.chaos.load import HOLD, Order, call, wait_until
from tests.cli.processes import pass_the_echo
from tests.history.events import Begin, Effect, End, Event, Ok
from tests.history.recorder import Recorder, read

Start = Callable[..., Daemon]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts lives of one daemon on one file and port; what is left of them is killed."""
    lives: list[Daemon] = []
    site = Site(tmp_path)

    def one(*wrapper: str) -> Daemon:
        daemon = site.execute(*wrapper)
        lives.append(daemon)
        daemon.ready()
        return daemon

    yield one
    for daemon in lives:
        if not daemon.process.ended(within=0):
            daemon.kill()
    print(site.log.read_text(errors="replace")[-10_000:])


def order(key: str, **fields: Any) -> Order:
    return Order("CHAOS_STEP", "guild-1", "ann", key, **fields)


def seen(folder: Path, kind: type[Event], key: str) -> bool:
    return any(isinstance(event, kind) and getattr(event, "key", "") == key for event in read(folder))


def unsettled(folder: Path) -> list[tuple[str, int]]:
    """(subject, attempts) of what the file still holds, read with no router running."""
    store = open_store(f"sqlite:///{folder / 'router.db'}")
    store.open(0)
    try:
        return [(peek(record.frame).subject, record.attempts) for record in store.pending()]
    finally:
        store.close()


# ---------------------------------------------------------------- Q5


def test_q5_the_202_is_written_after_fdatasync_returned(tmp_path: Path, start: Start) -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed: the order of system calls cannot be seen")
    if subprocess.run([strace, "-qq", "-o", "/dev/null", "true"], check=False).returncode:
        pytest.skip("strace may not trace here")
    trace = tmp_path / "trace"
    calls = "trace=read,recvfrom,recvmsg,fdatasync,fsync,write,writev,sendto,sendmsg"
    daemon = start(strace, "-f", "-qq", "-y", "-s", "300", "-e", calls, "-o", str(trace))
    with Recorder(tmp_path, "client") as recorder, HttpDoor(daemon.port) as door:
        assert call(recorder, door, order("the-one"), "c1").kind is Ok
    child = int(Path(f"/proc/{daemon.process.pid}/task/{daemon.process.pid}/children").read_text().split()[0])
    subprocess.run(["kill", "-TERM", str(child)], check=True)
    daemon.process.wait(30)
    lines = trace.read_text(errors="replace").splitlines()
    asked = next(index for index, line in enumerate(lines) if "POST /api/commands" in line)
    answered = next(index for index, line in enumerate(lines) if "HTTP/1.1 202" in line)
    synced = [index for index, line in enumerate(_returned(lines)) if line]
    assert any(asked < index < answered for index in synced), "\n".join(lines[asked : answered + 1])


def _returned(lines: list[str]) -> Iterator[bool]:
    """Of each line, whether a sync of the store's log returned 0 in it; calls may be told in two parts."""
    unfinished: set[str] = set()
    for line in lines:
        process = line.split(maxsplit=1)[0]
        if re.search(r"f(data)?sync\(\d+<[^>]*router\.db[^>]*>", line):
            if "unfinished" in line:
                unfinished.add(process)
            yield line.endswith("= 0")
        elif process in unfinished and re.search(r"f(data)?sync resumed>", line):
            unfinished.discard(process)
            yield line.endswith("= 0")
        else:
            yield False


# ---------------------------------------------------------------- Q9


def test_q9_sigterm_finishes_what_runs_and_leaves_the_rest_uncharged(tmp_path: Path, start: Start) -> None:
    daemon = start()
    with Recorder(tmp_path, "client") as recorder, HttpDoor(daemon.port) as door:
        assert call(recorder, door, order("running", before=1_500), "c1").kind is Ok
        assert call(recorder, door, order("waiting"), "c2").kind is Ok
        wait_until(lambda: seen(tmp_path, Begin, "running"), 10, lambda: "it did not begin")
        daemon.process.signal(signal.SIGTERM)
        wait_until(lambda: refuses(daemon), 5, lambda: "it still takes commands")
    assert daemon.process.wait(15) == 0
    assert seen(tmp_path, Effect, "running")
    assert any(isinstance(event, End) for event in read(tmp_path))
    left = [line for line in unsettled(tmp_path) if line[0] == "ann"]
    assert left in ([], [("ann", 0)])  # finished in the drain, or handed back without a charge
    assert bool(left) is not seen(tmp_path, Effect, "waiting")


def refuses(daemon: Daemon) -> bool:
    """Whether a new command is turned away: 503, or nobody listens any more."""
    with HttpDoor(daemon.port) as door:
        return door.submit(Order("CHAOS_STEP", "guild-2", "late", "late")).kind is not Ok


def test_q9_a_second_sigterm_stops_at_once_and_loses_nothing(tmp_path: Path, start: Start) -> None:
    daemon = start()
    with Recorder(tmp_path, "client") as recorder, HttpDoor(daemon.port) as door:
        assert call(recorder, door, order("running", before=HOLD), "c1").kind is Ok
        assert call(recorder, door, order("waiting"), "c2").kind is Ok
        wait_until(lambda: seen(tmp_path, Begin, "running"), 10, lambda: "it did not begin")
        daemon.process.signal(signal.SIGTERM)
        wait_until(lambda: refuses(daemon), 5, lambda: "it still takes commands")
        assert not daemon.process.ended(within=0)
        pass_the_echo()
        daemon.process.signal(signal.SIGTERM)
    daemon.process.wait(3)  # far below its drain of 5 s and its handler's minute
    start()
    wait_until(lambda: seen(tmp_path, Effect, "waiting"), 15, lambda: "the next life did not do it")
    effects = [event.key for event in read(tmp_path) if isinstance(event, Effect)]
    # The question whether it still takes commands may have been answered by taking one.
    assert [key for key in effects if key != "late"] == ["running", "waiting"]
