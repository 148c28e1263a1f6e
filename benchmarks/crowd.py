"""100,000 guilds in one process, each with a command: time, threads, memory. Measured in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

from benchmarks.bot import ban, push, running, threads
from benchmarks.measure import Figure, Row

GROUP = "guild actors: one command for each guild, memory store"
MAX_THREADS = 16


def rows(*, guilds: int, repeats: int) -> list[Row]:
    """Guilds per second, threads, and memory a live guild costs."""
    samples = [_in_own_process(guilds) for _ in range(repeats)]
    figures = {name: Figure.of([sample[name] for sample in samples]) for name in samples[0]}
    return [
        Row(
            GROUP,
            f"{guilds:,} guilds, one command each",
            "guilds/s",
            figures["rate"],
            "",
            "actor started, all answered",
        ),
        Row(GROUP, "threads at most", "threads", figures["threads"], f"<= {MAX_THREADS}", ""),
        Row(GROUP, "live guild actors afterwards", "actors", figures["actors"], f"= {guilds:,}", ""),
        Row(
            GROUP,
            "memory of the process over an empty router",
            "MB",
            figures["memory"],
            "<= 300",
            "with all guilds live",
        ),
    ]


def _in_own_process(guilds: int) -> dict[str, float]:
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.crowd", str(guilds)],
        stdout=subprocess.PIPE,
        check=True,
        cwd=Path(__file__).parents[1],
    )
    found: dict[str, float] = json.loads(run.stdout)
    return found


def measure(guilds: int) -> dict[str, float]:
    """One run in this process."""
    most, done = 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.02):
            most = max(most, threads() - 1)  # not this watcher

    with running("memory://") as router:
        push(router, (ban(number, 10) for number in range(100)))
        empty = resident()
        watcher = threading.Thread(target=watch)
        watcher.start()
        began = time.perf_counter()
        push(router, (ban(1_000_000 + number, guilds) for number in range(guilds)))
        took = time.perf_counter() - began
        done.set()
        watcher.join()
        return {
            "rate": guilds / took,
            "threads": most,
            "memory": (resident() - empty) / 1e6,
            "actors": router.metrics()["guildsLive"],
        }


def resident() -> int:
    """Bytes of this process in memory (Linux; elsewhere 0)."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))
