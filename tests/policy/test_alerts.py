"""What is wrong now: each rule, and where it begins."""

from __future__ import annotations

import pytest

from actors.policy.alerts import REMEMBERED, BreakerSight, QueueSight, ServiceSight, Sight, alerts

MOVING = QueueSight("q", waiting=5, age=1_000, ended=10, dead=3, newly_dead=0, paused=False)
WELL = ServiceSight("websocket", well=True, detail="", calls=0, error_rate=0.0)


def codes(sight: Sight) -> list[tuple[str, str]]:
    return [(alert.code, alert.severity) for alert in alerts(sight)]


def test_nothing_is_wrong_with_a_router_of_which_nothing_is_known() -> None:
    assert codes(Sight()) == []
    assert codes(Sight(queues=[MOVING], services=[WELL], within={"normal": (20, 20)}, load=0.69)) == []


@pytest.mark.parametrize(
    ("queue", "expected"),
    [
        (MOVING._replace(age=30_000), []),
        (MOVING._replace(age=30_001), [("queue_behind", "warning")]),
        (MOVING._replace(age=30_001, ended=0), [("queue_stalled", "critical")]),
        (MOVING._replace(age=30_000, ended=0), []),
        (MOVING._replace(age=30_001, ended=0, paused=True), [("queue_paused", "warning")]),
        (MOVING._replace(age=30_001, ended=0, waiting=0), []),
        (MOVING._replace(newly_dead=1), [("dead_letters_growing", "warning")]),
        (MOVING._replace(newly_dead=-3), []),
    ],
)
def test_a_queue_is_judged_by_its_age_and_by_whether_anything_ends(
    queue: QueueSight, expected: list[tuple[str, str]]
) -> None:
    assert codes(Sight(queues=[queue])) == expected


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        (WELL._replace(well=False), [("service_unhealthy", "warning")]),
        (WELL._replace(name="store", well=False), [("store_unavailable", "critical")]),
        (WELL._replace(calls=19, error_rate=1.0), []),
        (WELL._replace(calls=20, error_rate=0.5), [("error_rate", "warning")]),
        (WELL._replace(calls=1_000, error_rate=0.49), []),
    ],
)
def test_a_service_is_judged_by_the_latest_look_and_by_its_calls(
    service: ServiceSight, expected: list[tuple[str, str]]
) -> None:
    assert codes(Sight(services=[service])) == expected


@pytest.mark.parametrize(
    ("load", "expected"),
    [(0.7, [("shedding", "warning")]), (0.999, [("shedding", "warning")]), (1.0, [("overloaded", "critical")])],
)
def test_load_is_a_warning_where_shedding_begins_and_critical_when_full(
    load: float, expected: list[tuple[str, str]]
) -> None:
    assert codes(Sight(load=load, load_cause="memory")) == expected
    assert "memory" in alerts(Sight(load=load, load_cause="memory"))[0].text


@pytest.mark.parametrize(("condition", "text"), [("open", "4 s"), ("half_open", "probe"), ("forced_open", "operator")])
def test_a_breaker_that_is_not_closed_is_told_with_what_comes_next(condition: str, text: str) -> None:
    (alert,) = alerts(Sight(breakers=[BreakerSight("rest:api", condition, 4_000)]))
    assert (alert.code, alert.about) == ("breaker_open", "rest:api")
    assert text in alert.text


@pytest.mark.parametrize(("well", "total", "missed"), [(19, 20, False), (18, 20, True), (0, 19, False)])
def test_an_objective_is_missed_below_its_share_of_enough_answers(well: int, total: int, missed: bool) -> None:
    assert codes(Sight(within={"high": (well, total)})) == [("objective_missed", "warning")] * missed


def test_the_worst_comes_first() -> None:
    sight = Sight(
        queues=[MOVING._replace(age=60_000, ended=0)],
        services=[WELL._replace(well=False)],
        breakers=[BreakerSight("b", "open", 1)],
        leaked_threads=2,
    )
    assert [alert.severity for alert in alerts(sight)] == ["critical", "warning", "warning", "warning"]
    assert codes(sight)[0][0] == "queue_stalled"


def test_that_the_store_was_emptied_is_told_for_an_hour() -> None:
    (alert,) = alerts(Sight(emptied_ago=REMEMBERED - 1))
    assert (alert.code, alert.severity, alert.about) == ("store_emptied", "critical", "store")
    assert alerts(Sight(emptied_ago=REMEMBERED)) == alerts(Sight(emptied_ago=None)) == []


def test_each_fault_of_the_stores_settings_is_a_warning() -> None:
    found = alerts(Sight(unfit=("it may evict", "it keeps nothing")))
    assert [(each.code, each.severity, each.text) for each in found] == [
        ("store_unfit", "warning", "it may evict"),
        ("store_unfit", "warning", "it keeps nothing"),
    ]
