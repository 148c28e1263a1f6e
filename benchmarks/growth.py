"""What a command costs when there are more guilds: the same work spread over 1, 100, 10,000 and 100,000 live guilds."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from benchmarks.bot import ban, push, running
from benchmarks.measure import Case, Row, interleaved

GROUP = "cost of a command by number of live guilds, memory store"


def rows(*, guilds: Sequence[int], commands: int, repeats: int) -> list[Row]:
    """Microseconds a command, and the ratio to 100 guilds in the same run (goal: flat within 20 %)."""
    figures = interleaved({str(count): _case(count, commands) for count in guilds}, repeats=repeats, warm_up=False)
    base = figures[str(100 if 100 in guilds else guilds[0])]["cost"]
    return [
        Row(
            GROUP,
            f"{count:,} guild{'s' if count > 1 else ''}",
            "us/command",
            figures[str(count)]["cost"],
            "ratio 0.8 - 1.2",
            f"ratio {figures[str(count)]['cost'].over(base):.2f}",
        )
        for count in guilds
    ]


def _case(guilds: int, commands: int) -> Case:
    # A prime step visits the guilds in no order a cache could like.
    spread = [(number * 7_919) % guilds for number in range(commands)]

    def run() -> Mapping[str, float]:
        with running("memory://") as router:
            push(router, [ban(number, guilds) for number in range(max(guilds, 500))])
            first = (guilds + 500) // guilds * guilds + guilds  # a multiple of guilds beyond every user so far
            messages = [ban(first + number * guilds + guild, guilds) for number, guild in enumerate(spread)]
            began = time.perf_counter()
            push(router, messages)
            return {"cost": (time.perf_counter() - began) / commands * 1e6}

    return run
