"""``python -m benchmarks``: every number of this version, in one session."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from benchmarks import connections, crowd, growth, latency, redis_store, shared, throughput, workers
from benchmarks.measure import Row
from benchmarks.report import as_json, machine, print_table


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--json", action="store_true", help="JSON instead of tables")
    parser.add_argument("--quick", action="store_true", help="little work, one repeat: to see that it runs")
    parser.add_argument("--repeats", type=int, default=3, help="interleaved repeats (default 3)")
    parser.add_argument("--only", action="append", metavar="NAME", help=f"one of {', '.join(_groups(False, 1))}")
    given = parser.parse_args(arguments)
    if given.repeats < 1:
        parser.error(f"--repeats must be at least 1, not {given.repeats}")
    groups = _groups(given.quick, 1 if given.quick else given.repeats)
    chosen = given.only or list(groups)
    unknown = sorted(set(chosen) - set(groups))
    if unknown:
        parser.error(f"unknown benchmark {', '.join(unknown)}; there are {', '.join(groups)}")
    before = machine()
    rows: list[Row] = []
    for name in chosen:
        print(f"{name} ...", file=sys.stderr, flush=True)
        rows.extend(groups[name]())
    if given.json:
        print(as_json(rows, before))
    else:
        print_table(rows, before)
    return 0


def _groups(quick: bool, repeats: int) -> dict[str, Callable[[], list[Row]]]:
    part = 10 if quick else 1
    return {
        "throughput": lambda: throughput.rows(commands=20_000 // part, repeats=repeats),
        "latency": lambda: latency.rows(calls=500 // part, repeats=repeats),
        "growth": lambda: growth.rows(
            guilds=(1, 100, 1_000) if quick else (1, 100, 10_000, 100_000), commands=20_000 // part, repeats=repeats
        ),
        "redis": lambda: shared.rows(commands=20_000 // part, repeats=repeats),
        "redis-store": lambda: redis_store.rows(commands=20_000 // part, repeats=repeats),
        "redis-growth": lambda: shared.growth_rows(
            guilds=(1, 100) if quick else (1, 1_000, 100_000),
            queued=(0, 1_000) if quick else (0, 1_000_000),
            commands=10_000 // part,
            repeats=repeats,
        ),
        "workers": lambda: workers.rows(commands=5_000 // part, repeats=repeats),
        "connections": lambda: connections.rows(peers=20 if quick else 1_000, calls=500 // part, repeats=repeats),
        "crowd": lambda: crowd.rows(guilds=2_000 if quick else 100_000, repeats=1 if quick else min(repeats, 2)),
    }


if __name__ == "__main__":
    sys.exit(main())
