"""What is wrong now, and how badly: pure rules over what is known of the router.

Depth alone says little: a queue that is deep and moves is busy, one that is shallow and stands still is broken. So what
waits is judged by its age, and by whether anything ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

from actors.policy.shedding import WATERMARKS

Severity: TypeAlias = Literal["warning", "critical"]

STALLED_AFTER = 30_000
"""Milliseconds the oldest due command may wait: the objective of normal priority."""

OBJECTIVE = 0.95
"""Share of the answers that should come within their priority's objective."""

ENOUGH = 20
"""Answers or calls from which on a share says something."""

ERROR_RATE = 0.5

REMEMBERED = 3_600_000
"""Milliseconds for which it is told that the store was emptied; then somebody knows, though what is lost stays lost."""

SHEDDING = WATERMARKS[-1].load
"""The load from which on the lowest priority is turned away."""


class Alert(NamedTuple):
    """One thing that is wrong."""

    code: str  #: stable
    severity: Severity
    about: str  #: a breaker, a queue, a service, a class of priority ...
    text: str


class QueueSight(NamedTuple):
    """One queue, now and over the last minutes."""

    name: str
    waiting: int
    age: int  #: ms since the oldest was due
    ended: int  #: over the span
    dead: int
    newly_dead: int  #: over the span
    paused: bool


class BreakerSight(NamedTuple):
    """One breaker that is not closed."""

    name: str
    condition: str
    remaining: int  #: ms until it may be asked


class ServiceSight(NamedTuple):
    """One service."""

    name: str
    well: bool
    detail: str
    calls: int
    error_rate: float


class Sight(NamedTuple):
    """All that is known."""

    queues: Sequence[QueueSight] = ()
    breakers: Sequence[BreakerSight] = ()
    services: Sequence[ServiceSight] = ()
    within: Mapping[str, tuple[int, int]] = {}  #: over the span, by class: answers within the objective, all answers
    load: float = 0.0
    load_cause: str = ""
    leaked_threads: int = 0
    unfit: Sequence[str] = ()  #: what of the store's own settings may lose commands
    emptied_ago: int | None = None  #: ms since it was found that the store had lost everything


def alerts(sight: Sight) -> list[Alert]:
    """The worst first; equally bad ones in a steady order."""
    found = [
        *_services(sight.services),
        *_store(sight.unfit, sight.emptied_ago),
        *_load(sight.load, sight.load_cause),
        *_breakers(sight.breakers),
        *(alert for queue in sight.queues for alert in _queue(queue)),
        *_objectives(sight.within),
    ]
    if sight.leaked_threads:
        text = f"{sight.leaked_threads} threads did not end in time and were given up"
        found.append(Alert("leaked_threads", "warning", "threads", text))
    return sorted(found, key=lambda alert: alert.severity != "critical")


def _services(services: Iterable[ServiceSight]) -> Iterable[Alert]:
    for service in services:
        if not service.well:
            code = "store_unavailable" if service.name == "store" else "service_unhealthy"
            severity: Severity = "critical" if service.name == "store" else "warning"
            yield Alert(code, severity, service.name, f"{service.name} is not well: {service.detail or 'no answer'}")
        elif service.calls >= ENOUGH and service.error_rate >= ERROR_RATE:
            text = f"{service.error_rate:.0%} of {service.calls} calls of the last minute failed"
            yield Alert("error_rate", "warning", service.name, text)


def _store(unfit: Iterable[str], emptied_ago: int | None) -> Iterable[Alert]:
    if emptied_ago is not None and emptied_ago < REMEMBERED:
        text = f"{emptied_ago / 60_000:.0f} min ago it was found emptied: every command it held is gone"
        yield Alert("store_emptied", "critical", "store", text)
    for what in unfit:
        yield Alert("store_unfit", "warning", "store", what)


def _load(load: float, cause: str) -> Iterable[Alert]:
    if load >= 1:
        yield Alert("overloaded", "critical", cause, f"{cause} is at {load:.0%}: nothing more is taken")
    elif load >= SHEDDING:
        yield Alert("shedding", "warning", cause, f"{cause} is at {load:.0%}: low priorities are turned away")


def _breakers(breakers: Iterable[BreakerSight]) -> Iterable[Alert]:
    for breaker in breakers:
        if breaker.condition == "forced_open":
            text = "opened by an operator, until it is reset"
        elif breaker.condition == "half_open":
            text = "a probe is under way"
        else:
            text = f"asked again in {breaker.remaining / 1000:.0f} s"
        yield Alert("breaker_open", "warning", breaker.name, text)


def _queue(queue: QueueSight) -> Iterable[Alert]:
    if queue.waiting and queue.age > STALLED_AFTER:
        seconds = f"{queue.age / 1000:.0f} s"
        if queue.paused:
            yield Alert("queue_paused", "warning", queue.name, f"paused, and its oldest command waits for {seconds}")
        elif not queue.ended:
            text = f"nothing ended lately, and its oldest command waits for {seconds}"
            yield Alert("queue_stalled", "critical", queue.name, text)
        else:
            yield Alert("queue_behind", "warning", queue.name, f"its oldest command waits for {seconds}")
    if queue.newly_dead > 0:
        text = f"{queue.newly_dead} more dead letters, {queue.dead} in all"
        yield Alert("dead_letters_growing", "warning", queue.name, text)


def _objectives(within: Mapping[str, tuple[int, int]]) -> Iterable[Alert]:
    for name, (well, all_) in within.items():
        if all_ >= ENOUGH and well < OBJECTIVE * all_:
            text = f"{well / all_:.0%} of {all_} answers came within the objective of {name} priority"
            yield Alert("objective_missed", "warning", name, text)
