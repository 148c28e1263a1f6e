"""Commands per second, end to end: producer, engine and handler in one process, every command answered."""

from __future__ import annotations

import time
from collections.abc import Mapping

from benchmarks.bot import ban, push, running, store_url
from benchmarks.measure import Case, Row, interleaved

GROUP = "end to end, embedded: producer, engine and handler in one process, 100 guilds"
GOALS = {"memory": "40,000", "sqlite": "20,000"}


def rows(*, commands: int, repeats: int) -> list[Row]:
    """Commands per second on the memory store and on SQLite with ``synchronous=FULL``."""
    figures = interleaved({kind: _case(kind, commands) for kind in GOALS}, repeats=repeats)
    names = {"memory": "memory", "sqlite": "SQLite, synchronous=FULL"}
    return [
        Row(GROUP, names[kind], "commands/s", figures[kind]["rate"], f">= {goal}", f"{commands:,} a repeat")
        for kind, goal in GOALS.items()
    ]


def _case(kind: str, commands: int) -> Case:
    def run() -> Mapping[str, float]:
        with store_url(kind) as url, running(url) as router:
            push(router, (ban(number, 100) for number in range(500)))
            messages = (ban(1_000 + number, 100) for number in range(commands))
            began = time.perf_counter()
            push(router, messages)
            return {"rate": commands / (time.perf_counter() - began)}

    return run
