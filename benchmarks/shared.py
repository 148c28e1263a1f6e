"""Routers over one Redis: commands per second from one process and from two, beside what redis-py alone can write."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import islice

import redis

from actors.codec import encode
from actors.envelope import Envelope
from actors.ports import Accept
from benchmarks.bot import ban, push, running, store_url
from benchmarks.measure import Case, Row, interleaved
from router import Router
from router.messages.seal import seal

GROUP = "end to end over Redis: durable (AOF everysec), deduplicated, ordered, 100 guilds"
GROWTH = "cost of a command over Redis"
DAY = 86_400_000
PIPELINE = 100
PAGE = 2_000


def rows(*, commands: int, repeats: int) -> list[Row]:
    """Commands per second, and the same bytes as a pipelined XADD in the same run."""
    cases = {"floor": floor(commands), "one": _one(commands), "two": _two(commands)}
    figures = interleaved(cases, repeats=repeats)
    written = figures["floor"]["rate"]
    names = {
        "floor": ("redis-py: XADD of the same frames, 100 a pipeline", "", "no logic, no answer"),
        "one": ("one process: producer, router and handler", ">= 15,000", ""),
        "two": ("two such processes, each with half of the guilds", "", ""),
    }
    return [
        Row(
            GROUP,
            names[kind][0],
            "commands/s",
            figures[kind]["rate"],
            names[kind][1],
            names[kind][2] or f"{figures[kind]['rate'].over(written):.2f} of the XADD",
        )
        for kind in cases
    ]


def frames(count: int) -> Iterator[bytes]:
    """The bytes that accepting the benchmark's commands stores."""
    now = int(time.time() * 1000)
    for number in range(count):
        yield encode(seal(ban(number, 100), id=f"floor-{number:012}", now=now, source="library"))


def floor(commands: int) -> Case:
    """What redis-py can write of the same bytes: ``rate``, frames per second."""

    def run() -> Mapping[str, float]:
        with store_url("redis") as url, redis.Redis.from_url(url) as client:
            source = list(frames(commands))
            began = time.perf_counter()
            for first in range(0, commands, PIPELINE):
                pipeline = client.pipeline(transaction=False)
                for frame in source[first : first + PIPELINE]:
                    pipeline.xadd("floor", {"f": frame})
                pipeline.execute()
            return {"rate": commands / (time.perf_counter() - began)}

    return run


def _one(commands: int) -> Case:
    def run() -> Mapping[str, float]:
        with store_url("redis") as url, running(url) as router:
            return {"rate": commands / timed(router, 0, commands)}

    return run


def _two(commands: int) -> Case:
    def run() -> Mapping[str, float]:
        with store_url("redis") as url, ExitStack() as stack:
            pair = [stack.enter_context(_worker(url, number, commands // 2)) for number in (1, 2)]
            for process in pair:  # both are there, and have shared the partitions out
                assert process.stdout is not None
                process.stdout.readline()
            for process in pair:
                assert process.stdin is not None
                process.stdin.write("go\n")
                process.stdin.flush()
            spans = []
            for process in pair:
                assert process.stdout is not None
                spans.append(json.loads(process.stdout.readline()))
            return {"rate": commands / (max(end for _, end in spans) - min(begin for begin, _ in spans))}

    return run


@contextmanager
def _worker(url: str, number: int, commands: int) -> Iterator[subprocess.Popen[str]]:
    arguments = [sys.executable, "-m", "benchmarks.shared", url, str(number), str(commands)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        process.wait(30)


def timed(router: Router, first: int, commands: int) -> float:
    """Seconds for so many commands, after a warm-up."""
    push(router, (ban(first + number, 100) for number in range(500)))
    messages = (ban(first + 1_000 + number, 100) for number in range(commands))
    began = time.perf_counter()
    push(router, messages)
    return time.perf_counter() - began


# ---------------------------------------------------------------- growth


def growth_rows(*, guilds: tuple[int, ...], queued: tuple[int, ...], commands: int, repeats: int) -> list[Row]:
    """Microseconds a command by number of live guilds, and by number of commands that wait in the store."""
    with ExitStack() as stack:
        cases: dict[str, Case] = {}
        for number in guilds:
            cases[f"guilds {number}"] = _growing(stack, number, 0, commands)
        for number in queued:
            cases[f"queued {number}"] = _growing(stack, 100, number, commands)
        figures = interleaved(cases, repeats=repeats)
    rows = []
    for what, numbers, base in (("guilds", guilds, guilds[0]), ("queued", queued, queued[0])):
        first = figures[f"{what} {base}"]["cost"]
        for number in numbers:
            figure = figures[f"{what} {number}"]["cost"]
            name = f"{number:,} guilds" if what == "guilds" else f"{number:,} delayed ones in the store"
            rows.append(Row(GROWTH, name, "us/command", figure, "ratio 0.8 - 1.2", f"ratio {figure.over(first):.2f}"))
    return rows


def _growing(stack: ExitStack, guilds: int, queued: int, commands: int) -> Case:
    url = stack.enter_context(store_url("redis"))
    if queued:
        fill(url, queued)
    router = stack.enter_context(running(url))
    push(router, (ban(number, guilds) for number in range(guilds)), timeout=300)
    spread = [number * 7_919 % guilds for number in range(commands)]
    rounds = iter(range(1, 1_000_000))

    def run() -> Mapping[str, float]:
        first = next(rounds) * commands * guilds
        messages = (ban(first + number * guilds + guild, guilds) for number, guild in enumerate(spread))
        began = time.perf_counter()
        push(router, messages)
        return {"cost": (time.perf_counter() - began) / commands * 1e6}

    return run


def fill(url: str, count: int) -> None:
    """Commands that are due tomorrow, straight into the store."""
    router = Router(store=url)
    store = router.store
    now = int(time.time() * 1000)
    store.open(now)
    try:
        source = iter(range(count))
        while page := list(islice(source, PAGE)):
            envelopes = [_delayed(number, now) for number in page]
            store.write([Accept(envelope, encode(envelope), 300_000) for envelope in envelopes], now)
    finally:
        store.close()


def _delayed(number: int, now: int) -> Envelope:
    message = ban(10_000_000_000 + number, 1_000)
    return seal(message, id=f"queued-{number:012}", now=now, source="library", delay_ms=DAY)


def main(url: str, number: str, commands: str) -> None:
    """One of two processes: ready, go, done."""
    with running(url) as router:
        first = int(number) * 1_000_000_000
        push(router, (ban(first + each, 100) for each in range(500)))
        print("ready", flush=True)
        sys.stdin.readline()
        began = time.monotonic()
        push(router, (ban(first + 1_000 + each, 100) for each in range(int(commands))))
        print(json.dumps([began, time.monotonic()]), flush=True)
        sys.stdin.readline()  # until the other one has ended, too


if __name__ == "__main__":
    main(*sys.argv[1:])
