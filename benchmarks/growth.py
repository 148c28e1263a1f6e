"""What a command costs when there are more guilds: the same work spread over 1, 100, 10,000 and 100,000 live guilds."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count

from benchmarks.bot import ban, push, running
from benchmarks.measure import Case, Row, interleaved
from router import Router

GROUP = "cost of a command by number of live guilds, memory store"


def rows(*, guilds: Sequence[int], commands: int, repeats: int) -> list[Row]:
    """Microseconds a command, and the ratio to 100 guilds in the same run (goal: flat within 20 %)."""
    with ExitStack() as stack:
        # Their guilds are made live once; what is measured is the command, not the making of actors.
        routers = {number: stack.enter_context(_with_live_guilds(number)) for number in guilds}
        cases = {str(number): _case(router, number, commands) for number, router in routers.items()}
        figures = interleaved(cases, repeats=repeats)
    base = figures[str(100 if 100 in guilds else guilds[0])]["cost"]
    return [
        Row(
            GROUP,
            f"{number:,} guild{'s' if number > 1 else ''}",
            "us/command",
            figures[str(number)]["cost"],
            "ratio 0.8 - 1.2",
            f"ratio {figures[str(number)]['cost'].over(base):.2f}",
        )
        for number in guilds
    ]


@contextmanager
def _with_live_guilds(guilds: int) -> Iterator[Router]:
    with running("memory://") as router:
        push(router, (ban(number, guilds) for number in range(guilds)))
        yield router


def _case(router: Router, guilds: int, commands: int) -> Case:
    # A prime step visits the guilds in no order a cache could like.
    spread = [number * 7_919 % guilds for number in range(commands)]
    rounds = count(1)

    def run() -> Mapping[str, float]:
        first = next(rounds) * commands * guilds  # users nobody banned before, in the guilds wanted
        messages = (ban(first + number * guilds + guild, guilds) for number, guild in enumerate(spread))
        began = time.perf_counter()
        push(router, messages)
        return {"cost": (time.perf_counter() - began) / commands * 1e6}

    return run
