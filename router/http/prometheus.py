"""The numbers in Prometheus' text format, from a registry of our own that is made for each scrape.

Labels are bounded: protocols, queues, statuses, breakers (at most a thousand and one) and classes of priority. Guilds
and users are no labels; the ten guilds with the most waiting are in ``/api/metrics``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
STATES = ("closed", "open", "half_open", "forced_open")
P = "guild_router_"


class Figures(NamedTuple):
    """All that is exposed."""

    metrics: dict[str, Any]
    cross: dict[str, Any]
    deduplication: dict[str, Any]
    services: dict[str, Any]
    memory: int  #: bytes
    memory_limit: int  #: bytes; 0: none
    loop_lag: float | None  #: seconds


def exposition(figures: Figures) -> bytes:
    """One scrape."""
    registry = CollectorRegistry()
    registry.register(_Figures(figures))
    return generate_latest(registry)


class _Figures(Collector):
    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        yield from _ways(self._figures)
        yield from _queues(self._figures)
        yield from _times(self._figures)
        yield from _services(self._figures)
        yield from _process(self._figures)


def _ways(figures: Figures) -> Iterator[Metric]:
    metrics, cross, deduplication = figures.metrics, figures.cross, figures.deduplication
    yield _count("accepted", "Commands accepted.", metrics["messagesPublished"])
    yield _counts("refused", "Commands refused at the door.", "code", metrics["refused"])
    yield _counts("settled", "Commands whose way has ended.", "status", metrics["settled"])
    yield _count("retried", "Attempts after the first.", metrics["messagesRetried"])
    yield _count("duplicates", "Commands that were duplicates.", deduplication["duplicateOperations"])
    yield _count(
        "idempotency_conflicts", "Idempotency keys used for another payload.", deduplication["idempotencyConflicts"]
    )
    yield _counts("conflicts", "Commands that a conflict ended.", "resolution", deduplication["conflicts"])
    attempts = CounterMetricFamily(P + "attempts", "Attempts by what they came to.", labels=["protocol", "outcome"])
    for each in metrics["attempts"]:
        attempts.add_metric([each["protocol"], each["outcome"]], each["count"])
    yield attempts
    fallbacks = CounterMetricFamily(P + "fallbacks", "Ways that went on over another protocol.", labels=["from", "to"])
    for each in _added(metrics["fallbacks"] + metrics["diverted"]):
        fallbacks.add_metric([each[0], each[1]], each[2])
    yield fallbacks
    yield _count("protocol_failures", "Attempts that a protocol did not carry.", cross["totalProtocolFailures"])


def _queues(figures: Figures) -> Iterator[Metric]:
    scaling = figures.metrics["scaling"]
    backlog = GaugeMetricFamily(P + "queue_backlog", "Unsettled commands of this router.", labels=["queue"])
    age = GaugeMetricFamily(
        P + "queue_oldest_eligible_age_seconds", "Since when the oldest due command waits or runs.", labels=["queue"]
    )
    paused = GaugeMetricFamily(P + "queue_paused", "1: an operator holds the queue.", labels=["queue"])
    for name, queue in scaling["queues"].items():
        paused.add_metric([name], float(queue["paused"]))
        backlog.add_metric([name], queue["backlog"])
        age.add_metric([name], queue["oldestEligibleAge"] / 1000)
    yield backlog
    yield age
    yield paused
    if figures.metrics["queueDepths"] is not None:  # the store answered
        depths = GaugeMetricFamily(P + "queue_depth", "Commands and entries that wait in the store.", labels=["queue"])
        for name, depth in figures.metrics["queueDepths"].items():
            depths.add_metric([name], depth)
        yield depths
        yield _gauge("dead_letters", "Dead letters now.", figures.metrics["deadLetterMessages"])
    yield _gauge("backlog", "Unsettled commands of this router.", figures.metrics["backlog"])
    yield _gauge("running", "Attempts under way.", scaling["running"])
    yield _gauge("capacity", "Attempts that may be under way at once.", scaling["capacity"])
    yield _gauge("load", "How full this router is, 1 being full.", scaling["load"])
    yield _gauge("guilds", "Guild actors that live.", figures.metrics["guildsLive"])


def _times(figures: Figures) -> Iterator[Metric]:
    times = HistogramMetricFamily(
        P + "response_seconds", "From acceptance, or the time it was due, to the answer.", labels=["priority"]
    )
    within = CounterMetricFamily(
        P + "within_objective", "Answers within their priority's objective.", labels=["priority"]
    )
    objective = GaugeMetricFamily(P + "objective_seconds", "The priority's objective.", labels=["priority"])
    for name, each in figures.metrics["objectives"].items():
        buckets, seen = [], 0
        for bucket in each["histogram"]:
            seen += bucket["count"]
            edge = bucket["leMs"]
            buckets.append(("+Inf" if edge is None else repr(edge / 1000), float(seen)))
        times.add_metric([name], buckets, each["meanMs"] * each["answered"] / 1000)
        if each["objectiveMs"]:
            within.add_metric([name], each["withinObjective"])
            objective.add_metric([name], each["objectiveMs"] / 1000)
    yield times
    started = figures.metrics["started"]
    for name, text, mean in (
        ("wait", "From acceptance to the first attempt.", figures.metrics["averageWaitingTime"]),
        ("run", "In attempts, of one command.", figures.metrics["averageProcessingTime"]),
    ):
        yield SummaryMetricFamily(f"{P}{name}_seconds", text, count_value=started, sum_value=mean * started / 1000)
    yield within
    yield objective


def _services(figures: Figures) -> Iterator[Metric]:
    well = GaugeMetricFamily(P + "service_healthy", "1: well, 0: not; of those that are set up.", labels=["service"])
    rate = GaugeMetricFamily(P + "service_error_rate", "Of the last minute's attempts.", labels=["service"])
    for name, status in figures.services["services"].items():
        if status["configured"]:
            well.add_metric([name], float(status["healthy"]))
            if "errorRate" in status:
                rate.add_metric([name], status["errorRate"])
    yield well
    yield rate
    state = GaugeMetricFamily(P + "breaker_state", "1 for the state it is in.", labels=["breaker", "state"])
    opened = CounterMetricFamily(P + "breaker_opened", "How often it opened.", labels=["breaker"])
    rejected = CounterMetricFamily(P + "breaker_rejected", "Calls it did not permit.", labels=["breaker"])
    for breaker in figures.services["breakers"]:
        for each in STATES:
            state.add_metric([breaker["name"], each], float(breaker["state"] == each))
        opened.add_metric([breaker["name"]], breaker["opened"])
        rejected.add_metric([breaker["name"]], breaker["rejected"])
    yield state
    yield opened
    yield rejected


def _process(figures: Figures) -> Iterator[Metric]:
    yield GaugeMetricFamily("process_resident_memory_bytes", "Resident memory.", value=figures.memory)
    if figures.memory_limit:
        yield _gauge("memory_limit_bytes", "Where nothing more is taken.", figures.memory_limit)
    yield _gauge("actor_lag_seconds", "How late this router's actors are.", figures.metrics["actorLagMs"] / 1000)
    if figures.loop_lag is not None:
        yield _gauge("event_loop_lag_seconds", "How late the server's event loop is.", figures.loop_lag)
    yield _gauge("leaked_threads", "Threads that did not end in time.", figures.metrics["leakedThreads"])
    yield _gauge("actor_restarts", "Restarts of actors that still live.", figures.services["tree"]["restarts"])


def _count(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(P + name, text, value=value)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(P + name, text, value=value)


def _counts(name: str, text: str, label: str, values: dict[str, int]) -> Metric:
    family = CounterMetricFamily(P + name, text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _added(pairs: list[dict[str, Any]]) -> list[tuple[str, str, int]]:
    found: dict[tuple[str, str], int] = {}
    for each in pairs:
        key = each["from"], each["to"]
        found[key] = found.get(key, 0) + each["count"]
    return [(*key, count) for key, count in found.items()]
