"""Latency on an idle router: one command at a time, the next when the last is answered."""

from __future__ import annotations

import time
from collections.abc import Mapping

from benchmarks.bot import ban, running, store_url
from benchmarks.measure import Case, Row, interleaved, percentile

GROUP = "latency on an idle router, in process"
GOALS = {("start", "p50"): "< 0.5", ("trip", "p50"): "< 1"}


def rows(*, calls: int, repeats: int) -> list[Row]:
    """Milliseconds from ``send`` to the handler's start, and to the answer."""
    figures = interleaved({kind: _case(kind, calls) for kind in ("memory", "sqlite")}, repeats=repeats)
    words = {"start": "call to handler start", "trip": "round trip"}
    return [
        Row(
            GROUP,
            f"{kind}: {words[what]}, {share}",
            "ms",
            figures[kind][f"{what} {share}"],
            GOALS.get((what, share), f"< 3x p50 = {3 * figures[kind][f'{what} p50'].median:.2f}"),
        )
        for kind in figures
        for what in words
        for share in ("p50", "p99")
    ]


def _case(kind: str, calls: int) -> Case:
    def run() -> Mapping[str, float]:
        started = 0

        def note(_command: object, _ctx: object) -> None:
            nonlocal started
            started = time.perf_counter_ns()

        starts, trips = [], []
        with store_url(kind) as url, running(url, note) as router:
            for number in range(calls + 20):
                message = ban(number, 1)
                began = time.perf_counter_ns()
                response = router.send(message).result(timeout=10)
                ended = time.perf_counter_ns()
                if response.status != "ok":
                    raise RuntimeError(f"a ban of the benchmark ended {response.status}: {response.error}")
                if number >= 20:
                    starts.append((started - began) / 1e6)
                    trips.append((ended - began) / 1e6)
        return {
            f"{what} {name}": percentile(values, share)
            for what, values in (("start", starts), ("trip", trips))
            for name, share in (("p50", 0.5), ("p99", 0.99))
        }

    return run
