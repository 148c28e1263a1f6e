"""The parts of a command's way at the Redis store, in batches: rates from one client, and what each costs the server.

The server's CPU time says more than the rate: it is what all routers together have to share.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import redis

from actors.envelope import Envelope
from actors.ports import Accept, Begin, Settle
from benchmarks.bot import store_url
from benchmarks.measure import Case, Row, interleaved
from benchmarks.shared import frames
from router.messages.moderation import BanUser
from router.stores.redis.options import RedisOptions
from router.stores.redis.store import RedisStore

GROUP = "the Redis store alone: 100 guilds, 16 partitions, a settled BAN_USER is three writes"
LEASE = 3_600_000
BATCHES = (100, 1_000)
STEPS = ("accept", "begin", "settle")


def rows(*, commands: int, repeats: int) -> list[Row]:
    """Writes per second, and microseconds of the server's time for each."""
    figures = interleaved({str(size): _case(size, commands) for size in BATCHES}, repeats=repeats)
    found = []
    for size, figure in figures.items():
        for step in STEPS:
            name = f"{step}, batches of {size}"
            found.append(Row(GROUP, name, "writes/s", figure[f"{step} rate"]))
            found.append(Row(GROUP, f"{name}: the server's time", "us", figure[f"{step} us"]))
        found.append(Row(GROUP, f"all three, batches of {size}", "commands/s", figure["rate"], ">= 0.5 of the XADD"))
    return found


def _case(size: int, commands: int) -> Case:
    def run() -> Mapping[str, float]:
        with store_url("redis") as url, _owned(url) as store, redis.Redis.from_url(url) as client:
            steps = _steps(commands)
            samples: dict[str, float] = {}
            total = 0.0
            for name in STEPS:
                before, began = _busy(client), time.perf_counter()
                for first in range(0, commands, size):
                    numbers = range(first, min(first + size, commands))
                    store.write([steps[name](number) for number in numbers], _now())
                taken = time.perf_counter() - began
                total += taken
                samples[f"{name} rate"] = commands / taken
                samples[f"{name} us"] = (_busy(client) - before) / commands * 1e6
            return samples | {"rate": commands / total}

    return run


@contextmanager
def _owned(url: str) -> Iterator[RedisStore]:
    store = RedisStore(url, RedisOptions())
    store.open(_now())
    keeper = store.leases()
    keeper.open()
    for lease in keeper.acquire(store.router, range(store.partitions), LEASE):
        store.hold(lease.partition, lease.token)
    keeper.close()
    try:
        yield store
    finally:
        store.close()


def _steps(commands: int) -> dict[str, Callable[[int], Any]]:
    opposes = tuple(sorted(BanUser.facts().opposes))
    now = _now()
    found = list(frames(commands))
    envelopes = [
        Envelope(
            f"0190{number:032x}",
            BanUser.type,
            "command",
            str(700_000_000_000_000_000 + number % 100),
            f"user:{number}",
            "bot:moderation",
            5,
            now,
            now + 900_000,
            key=number.to_bytes(16, "big"),
            fingerprint=number.to_bytes(16, "big"),
        )
        for number in range(commands)
    ]

    def accept(number: int) -> Accept:
        return Accept(envelopes[number], found[number], 300_000, opposes)

    def begin(number: int) -> Begin:
        return Begin(envelopes[number].id, 1, "direct", envelopes[number].guild)

    def settle(number: int) -> Settle:
        it = envelopes[number]
        return Settle(it.id, "ok", b"a" * 60, b"", True, opposes, it.guild)

    return {"accept": accept, "begin": begin, "settle": settle}


def _busy(client: redis.Redis) -> float:
    cpu: Any = client.info("cpu")
    return float(cpu["used_cpu_user"] + cpu["used_cpu_sys"])


def _now() -> int:
    return int(time.time() * 1000)
