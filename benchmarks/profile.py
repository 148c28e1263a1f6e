"""``python -m benchmarks.profile``: where the microseconds of a command go.

Three views of the same load: wall and CPU time of each thread, cProfile of each actor's and pool's thread added up, and
the figure per command. cProfile makes Python calls look dearer than they are: read its shares, not its sums.
"""

from __future__ import annotations

import argparse
import cProfile
import io
import pstats
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.bot import ban, push, running, store_url


class ThreadProfiles:
    """A profiler in every thread started while it is installed."""

    def __init__(self) -> None:
        self._profiles: dict[str, cProfile.Profile] = {}
        self._lock = threading.Lock()

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Threads started in here profile themselves, and so does this one."""
        original = threading.Thread.run

        def run(thread: threading.Thread) -> None:
            with self._one(thread.name):
                original(thread)

        threading.Thread.run = run  # the only door all threads pass
        try:
            with self._one("producer"):
                yield
        finally:
            threading.Thread.run = original

    @contextmanager
    def _one(self, name: str) -> Iterator[None]:
        profile = cProfile.Profile()
        profile.enable()
        try:
            yield
        finally:
            profile.disable()
            with self._lock:
                self._profiles[f"{name} #{len(self._profiles)}"] = profile

    def tables(self, lines: int) -> Iterator[tuple[str, str]]:
        """(thread, its dearest functions by own time)."""
        for name, profile in self._profiles.items():
            out = io.StringIO()
            stats = pstats.Stats(profile, stream=out).strip_dirs().sort_stats("tottime")
            if stats.total_tt > 0.01:
                stats.print_stats(lines)
                yield name, out.getvalue()


def cpu_of_threads() -> dict[str, float]:
    """Seconds of CPU each live thread has used so far (Linux)."""
    ticks = 100.0  # USER_HZ: fixed on every Linux that Python runs on
    used: dict[str, float] = {}
    for thread in threading.enumerate():
        stat = Path(f"/proc/self/task/{thread.native_id}/stat")
        if stat.exists():
            fields = stat.read_text().rpartition(")")[2].split()
            used[thread.name] = used.get(thread.name, 0.0) + (int(fields[11]) + int(fields[12])) / ticks
    return used


def plain(kind: str, commands: int, guilds: int) -> None:
    """Without a profiler: the true rate, and whose CPU it cost."""
    with store_url(kind) as url, running(url) as router:
        push(router, (ban(number, guilds) for number in range(2_000)))
        messages = (ban(10_000 + number, guilds) for number in range(commands))
        before, began, cpu = cpu_of_threads(), time.perf_counter(), time.process_time()
        push(router, messages)
        wall, cpu = time.perf_counter() - began, time.process_time() - cpu
        after = cpu_of_threads()
    micro = 1e6 / commands
    print(
        f"{kind}: {commands / wall:,.0f} commands/s, {wall * micro:.1f} us wall and {cpu * micro:.1f} us CPU a command"
    )
    for name, seconds in sorted(after.items(), key=lambda item: -item[1]):
        spent = seconds - before.get(name, 0.0)
        if spent > 0.01:
            print(f"  {name:<40} {spent * micro:6.1f} us a command")


def profiled(kind: str, commands: int, guilds: int, lines: int) -> None:
    """The dearest functions of every thread."""
    profiles = ThreadProfiles()
    messages = (ban(number, guilds) for number in range(commands))
    with store_url(kind) as url, profiles.installed(), running(url) as router:
        push(router, messages)
    for name, table in profiles.tables(lines):
        print(f"==== {name}\n{table}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description="Where a command's time goes.")
    parser.add_argument("--store", choices=("memory", "sqlite", "redis"), default="memory")
    parser.add_argument("--commands", type=int, default=20_000)
    parser.add_argument("--guilds", type=int, default=100)
    parser.add_argument("--lines", type=int, default=15, help="functions shown for each thread")
    parser.add_argument("--plain", action="store_true", help="no cProfile")
    given = parser.parse_args()
    plain(given.store, given.commands, given.guilds)
    if sys.version_info >= (3, 12) and not given.plain:
        print("cProfile takes one thread at a time from Python 3.12 on; run this with 3.11 to see the functions")
    elif not given.plain:
        profiled(given.store, given.commands, given.guilds, given.lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
