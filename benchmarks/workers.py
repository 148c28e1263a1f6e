"""A command over Redis to a worker in another process and its outcome back: commands per second, CPU, and latency."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psutil

from benchmarks.bot import LIVE, ban, push, store_url
from benchmarks.measure import Case, Row, interleaved, percentile
from benchmarks.shared import floor
from router import Router
from router.messages import BanUser
from router.worker import Worker

GROUP = "worker over Redis: a router without handlers, a worker in another process, 100 guilds"
HANDS = {"as it comes": 0, "200 at once": 200}
"""Commands the worker executes at once; 0: as the queue's rules say (10)."""

TRIPS = 300


def rows(*, commands: int, repeats: int) -> list[Row]:
    """Commands per second of wall time, microseconds of CPU in each process, round trips of one at a time."""
    cases = {name: _case(hands, commands) for name, hands in HANDS.items()}
    figures = interleaved({"floor": floor(commands), **cases}, repeats=repeats)
    rate = figures["floor"]["rate"]
    found = [
        Row(GROUP, "redis-py: XADD of the same frames, 100 a pipeline", "commands/s", rate, "", "no logic, no answer")
    ]
    for name in HANDS:
        figure = figures[name]
        cpu = ", ".join(f"{who} {figure[who].median:.0f}" for who in ("router", "worker", "redis"))
        note = f"{figure['rate'].over(rate):.3f} of the XADD; us of CPU a command: {cpu}"
        found += [
            Row(GROUP, f"{name}: end to end", "commands/s", figure["rate"], "", note),
            Row(GROUP, f"{name}: idle, round trip, p50", "ms", figure["p50"]),
            Row(GROUP, f"{name}: idle, round trip, p99", "ms", figure["p99"]),
        ]
    return found


def _case(hands: int, commands: int) -> Case:
    def run() -> Mapping[str, float]:
        with (
            store_url("redis") as url,
            Router(store=url, passivate_after_ms=LIVE) as router,
            _worker(url, hands) as pid,
        ):
            _until_reached(router)
            push(router, (ban(number, 100) for number in range(500)))
            processes = {"router": psutil.Process(), "worker": psutil.Process(pid), "redis": _server(url)}
            before = {name: _cpu(process) for name, process in processes.items()}
            began = time.perf_counter()
            push(router, (ban(1_000 + number, 100) for number in range(commands)))
            wall = time.perf_counter() - began
            cpu = {name: (_cpu(process) - before[name]) / commands * 1e6 for name, process in processes.items()}
            trips = [_trip(router, 10_000_000 + number) for number in range(min(TRIPS, commands))]
        return {"rate": commands / wall, "p50": percentile(trips, 0.5), "p99": percentile(trips, 0.99), **cpu}

    return run


def _trip(router: Router, number: int) -> float:
    began = time.perf_counter()
    push(router, [ban(number, 100)])
    return (time.perf_counter() - began) * 1000


def _until_reached(router: Router) -> None:
    roll = router.protocols.queue.roll
    assert roll is not None
    end = time.monotonic() + 30
    while not roll.reaches("bot:moderation", "BAN_USER"):
        if time.monotonic() > end:
            raise RuntimeError("the worker did not come")
        time.sleep(0.01)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _server(url: str) -> psutil.Process:
    port = int(url.partition("?")[0].rpartition(":")[2].partition("/")[0])
    for process in psutil.Process().children(recursive=True):
        if any(each.status == psutil.CONN_LISTEN and each.laddr.port == port for each in process.net_connections()):
            return process
    raise RuntimeError(f"nobody listens on {port}")


@contextmanager
def _worker(url: str, hands: int) -> Iterator[int]:
    arguments = [sys.executable, "-m", "benchmarks.workers", url, str(hands)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE) as process:
        yield process.pid
        assert process.stdin is not None
        process.stdin.close()
        process.wait(30)


def main(url: str, hands: str) -> None:
    """The worker, until its input ends."""
    worker = Worker(url, concurrency=int(hands) or None)
    worker.handler(BanUser)(_nothing)
    with worker:
        sys.stdin.read()


def _nothing(_command: BanUser, _ctx: object) -> None:
    """The work of the bot."""


if __name__ == "__main__":
    main(*sys.argv[1:])
