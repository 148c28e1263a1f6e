"""Ticks of schedules."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.policy.ticks import BadRule, Due, Overlap, Rule, checked, due, following, has_room

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


def at(text: str, zone: str = "UTC") -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def moments(rule: Rule, start: int, count: int) -> list[str]:
    found = []
    for _ in range(count):
        start = following(rule, start)
        found.append(datetime.fromtimestamp(start / 1000, UTC).strftime("%m-%d %H:%M:%S"))
    return found


NOW = at("2026-03-01 12:00")


def test_cron_ticks_come_in_their_zone():
    assert moments(Rule(cron="0 4 * * *"), NOW, 2) == ["03-02 04:00:00", "03-03 04:00:00"]
    assert moments(Rule(cron="0 4 * * *", timezone="America/New_York"), NOW, 1) == ["03-02 09:00:00"]
    assert moments(Rule(cron="*/20 * * * * *"), NOW, 3) == ["03-01 12:00:20", "03-01 12:00:40", "03-01 12:01:00"]


def test_names_stand_for_expressions():
    assert checked(Rule(cron="@daily"), NOW).cron == "0 0 * * *"
    assert checked(Rule(cron=" 0  4 * * MON "), NOW).cron == "0 4 * * MON"


def test_where_the_clock_goes_forward_a_fixed_time_in_the_gap_comes_right_after_it():
    start = at("2026-03-28 12:00")
    rule = Rule(cron="30 2 * * *", timezone="Europe/Berlin")  # 02:00 to 03:00 is not there on 29 March
    assert moments(rule, start, 2) == ["03-29 01:00:00", "03-30 00:30:00"]


def test_where_the_clock_goes_back_a_fixed_time_comes_once_and_a_frequent_one_every_time():
    start = at("2026-10-24 12:00")
    fixed = Rule(cron="30 2 * * *", timezone="Europe/Berlin")  # 02:30 is there twice on 25 October
    assert moments(fixed, start, 2) == ["10-25 00:30:00", "10-26 01:30:00"]
    hourly = Rule(cron="30 * * * *", timezone="Europe/Berlin")
    assert moments(hourly, at("2026-10-24 23:45"), 3) == ["10-25 00:30:00", "10-25 01:30:00", "10-25 02:30:00"]


def test_periods_are_counted_from_their_anchor():
    rule = Rule(every=10 * MINUTE, anchor=NOW + 3)
    assert following(rule, NOW) == NOW + 3
    assert following(rule, NOW + 3) == NOW + 3 + 10 * MINUTE
    assert following(rule, NOW + 3 + 25 * MINUTE) == NOW + 3 + 30 * MINUTE


def test_a_moment_comes_once():
    rule = Rule(at=NOW + 5)
    assert (following(rule, NOW), following(rule, NOW + 5)) == (NOW + 5, 0)
    assert due(rule, NOW + 5, NOW + 6) == Due(NOW + 5, 0)
    assert due(rule, NOW + 5, NOW + 5 + 60_001) == Due(0, 0)


@pytest.mark.parametrize(
    ("rule", "late", "expected"),
    [
        (Rule(cron="0 * * * *"), 0, Due(NOW, NOW + HOUR)),
        (Rule(cron="0 * * * *"), 60_000, Due(NOW, NOW + HOUR)),
        (Rule(cron="0 * * * *"), 60_001, Due(0, NOW + HOUR)),
        (Rule(cron="0 * * * *"), 5 * HOUR + 7, Due(NOW + 5 * HOUR, NOW + 6 * HOUR)),
        (Rule(cron="0 * * * *", catch_up=0), 5 * HOUR + 7, Due(0, NOW + 6 * HOUR)),
        (Rule(cron="* * * * * *"), HOUR + 500, Due(NOW + HOUR, NOW + HOUR + 1_000)),
        (Rule(cron="0 12 * * *", catch_up=DAY), 3 * DAY + 5 * HOUR, Due(NOW + 3 * DAY, NOW + 4 * DAY)),
        (Rule(cron="0 12 1 * *", catch_up=DAY), 20 * DAY, Due(0, at("2026-04-01 12:00"))),
        (Rule(every=HOUR, anchor=NOW), 5 * HOUR + 7, Due(NOW + 5 * HOUR, NOW + 6 * HOUR)),
        (Rule(every=HOUR, anchor=NOW), 5 * HOUR + 60_001, Due(0, NOW + 6 * HOUR)),
        (Rule(every=1_000, anchor=NOW), 999, Due(NOW, NOW + 1_000)),
    ],
)
def test_however_many_ticks_have_passed_at_most_the_latest_is_fired(rule, late, expected):
    assert due(rule, NOW, NOW + late) == expected


@given(
    st.sampled_from(["*/7 * * * *", "0 4 * * *", "15 3 * * MON", "*/10 * * * * *", "0 0 29 2 *", "59 23 31 12 *"]),
    st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe"]),
    st.integers(NOW - 400 * DAY, NOW + 400 * DAY),
    st.integers(0, 3 * DAY),
    st.sampled_from([0, MINUTE, HOUR, DAY]),
)
def test_what_is_due_is_what_counting_every_tick_would_find(cron, zone, start, late, catch_up):
    rule = Rule(cron=cron, timezone=zone, catch_up=catch_up)
    tick = following(rule, start)
    now = tick + late
    latest, each = tick, tick
    while (each := following(rule, each)) <= now:
        latest = each
    found = due(rule, tick, now)
    assert found.next == each
    assert found.tick == (latest if now - latest <= catch_up else 0)


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        (Rule(), "schedule"),
        (Rule(cron="* * * * *", every=1_000), "schedule"),
        (Rule(cron="* * * *"), "cron"),
        (Rule(cron="* * * * * * *"), "cron"),
        (Rule(cron="61 * * * *"), "cron"),
        (Rule(cron="a b c d e"), "cron"),
        (Rule(cron="0 0 31 2 *"), "cron"),
        (Rule(cron="0 0 * 2 MON#6"), "cron"),
        (Rule(cron="@reboot"), "cron"),
        (Rule(cron="*/0 * * * *"), "cron"),
        (Rule(cron=f"{'1,' * 80}1 * * * *"), "cron"),
        (Rule(cron=f"1{'/1' * 70} * * * *"), "cron"),
        (Rule(cron="٣ * * * *"), "cron"),
        (Rule(cron="* * * * 0L,xL"), "cron"),
        (Rule(cron="* * * * *", timezone="Mars/Olympus"), "timezone"),
        (Rule(cron="* * * * *", timezone="../../etc/passwd"), "timezone"),
        (Rule(cron="* * * * *", timezone=""), "timezone"),
        (Rule(every=999), "every"),
        (Rule(every=367 * DAY), "every"),
        (Rule(at=NOW - 1), "at"),
        (Rule(at=1 << 60), "at"),
        (Rule(every=HOUR, catch_up=DAY + 1), "catch_up"),
        (Rule(every=HOUR, catch_up=-1), "catch_up"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_with_its_field(rule, field):
    with pytest.raises(BadRule) as refused:
        checked(rule, NOW)
    assert refused.value.field == field
    assert refused.value.rule


@given(st.text(max_size=200))
def test_no_text_breaks_the_door(text):
    try:
        rule = checked(Rule(cron=text), NOW)
    except BadRule:
        return
    assert following(rule, NOW) > NOW


def test_overlap_says_how_many_may_be_on_their_way():
    assert [has_room(Overlap.SKIP, count) for count in (0, 1, 2)] == [True, False, False]
    assert [has_room(Overlap.BUFFER_ONE, count) for count in (0, 1, 2)] == [True, True, False]
    assert has_room(Overlap.ALLOW, 2)
