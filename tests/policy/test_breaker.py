"""The circuit breaker; the numbered cases are those every breaker is known to get wrong."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event, Thread

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from actors.policy.breaker import Breaker, BreakerSettings, Condition, Open, Permit, Snapshot, Transition
from actors.policy.breaker_box import OTHERS, BreakerBox

CLOSED, OPEN, HALF_OPEN, FORCED = Condition.CLOSED, Condition.OPEN, Condition.HALF_OPEN, Condition.FORCED_OPEN
BREAK = 30_000
RUN_ONLY = BreakerSettings(error_rate=0)


def allowed(breaker: Breaker, now: int) -> Permit:
    answer = breaker.permit(now)
    assert isinstance(answer, Permit)
    return answer


def refused(breaker: Breaker, now: int) -> int:
    answer = breaker.permit(now)
    assert isinstance(answer, Open)
    return answer.remaining


def fail(breaker: Breaker, now: int, times: int = 1) -> None:
    for _ in range(times):
        breaker.fail(allowed(breaker, now), now)


def succeed(breaker: Breaker, now: int, times: int = 1, ms: int = 0) -> None:
    for _ in range(times):
        breaker.succeed(allowed(breaker, now), now, ms)


def opened(now: int = 0, settings: BreakerSettings | None = None, **options: Callable[[Transition], None]) -> Breaker:
    breaker = Breaker("websocket", settings, **options)
    fail(breaker, now, breaker.settings.failure_threshold)
    assert breaker.condition is OPEN
    return breaker


def probing(now: int = BREAK, settings: BreakerSettings | None = None) -> tuple[Breaker, Permit]:
    breaker = opened(now - BREAK, settings)
    permit = allowed(breaker, now)
    assert breaker.condition is HALF_OPEN
    return breaker, permit


def test_c1_a_success_ends_the_run_and_the_fifth_failure_in_a_row_opens_once() -> None:
    heard: list[Transition] = []
    breaker = Breaker("rest", RUN_ONLY, listener=heard.append)
    fail(breaker, 0, 4)
    succeed(breaker, 0)
    fail(breaker, 0, 4)
    assert breaker.condition is CLOSED
    assert heard == []
    fail(breaker, 7)
    assert heard == [Transition("rest", CLOSED, OPEN, 7, "failures")]


def test_failures_in_a_row_open_it_however_far_apart() -> None:
    breaker = Breaker("rest", RUN_ONLY)
    for hour in range(5):
        fail(breaker, hour * 3_600_000)
    assert breaker.condition is OPEN


def test_c2_an_overdue_call_counts_when_it_is_overdue_and_its_late_success_changes_nothing() -> None:
    breaker = Breaker("rest", BreakerSettings(failure_threshold=2))
    fail(breaker, 0)
    late = allowed(breaker, 0)
    breaker.fail(late, 50)
    assert breaker.condition is OPEN
    before = breaker.snapshot()
    breaker.succeed(late, 1_000)
    assert breaker.snapshot() == before


def test_c2_a_late_success_does_not_end_a_run_either() -> None:
    breaker = Breaker("rest", RUN_ONLY)
    late = allowed(breaker, 0)
    breaker.fail(late, 50)
    breaker.succeed(late, 1_000)
    fail(breaker, 1_000, 4)
    assert breaker.condition is OPEN


def test_c3_an_open_one_refuses_with_the_time_that_remains_and_counts_the_refusal() -> None:
    breaker = opened(1_000)
    assert refused(breaker, 1_000) == BREAK
    assert refused(breaker, 1_001) == BREAK - 1
    assert refused(breaker, 1_000 + BREAK - 1) == 1
    assert breaker.snapshot().rejected == 3
    allowed(breaker, 1_000 + BREAK)
    assert breaker.snapshot().rejected == 3


def test_c4_reports_from_outside_leave_an_open_one_open() -> None:
    breaker = Breaker("rest", RUN_ONLY)
    before = [allowed(breaker, 0) for _ in range(3)]
    fail(breaker, 0, 5)
    was = breaker.snapshot()
    breaker.succeed(before[0], 1)
    breaker.fail(before[1], 1)
    breaker.release(before[2], 1)
    assert breaker.snapshot() == was
    assert refused(breaker, 1) == BREAK - 1


def test_c5_calls_of_an_older_state_do_not_open_close_or_prolong_a_newer_one() -> None:
    heard: list[Transition] = []
    breaker = Breaker("rest", RUN_ONLY, listener=heard.append)
    old = [allowed(breaker, 0) for _ in range(20)]
    fail(breaker, 0, 5)
    for permit in old[:5]:
        breaker.fail(permit, 10)
    assert refused(breaker, 10) == BREAK - 10
    probe = allowed(breaker, BREAK)
    breaker.succeed(old[5], BREAK)
    assert breaker.condition is HALF_OPEN
    breaker.fail(old[6], BREAK)
    assert breaker.condition is HALF_OPEN
    breaker.fail(probe, BREAK)
    again = allowed(breaker, 3 * BREAK)
    breaker.succeed(probe, 3 * BREAK)
    assert breaker.condition is HALF_OPEN
    breaker.succeed(again, 3 * BREAK)
    for permit in old[7:]:
        breaker.fail(permit, 3 * BREAK)
    assert breaker.condition is CLOSED
    assert breaker.snapshot().failures == 0
    assert [(each.before, each.after) for each in heard] == [
        (CLOSED, OPEN),
        (OPEN, HALF_OPEN),
        (HALF_OPEN, OPEN),
        (OPEN, HALF_OPEN),
        (HALF_OPEN, CLOSED),
    ]


@pytest.mark.parametrize("probes", [1, 3])
def test_c6_of_a_hundred_threads_only_the_probes_pass_in_every_round(probes: int) -> None:
    breaker = opened(0, BreakerSettings(probes=probes, reset_factor=1.0))
    barrier = Barrier(100)
    now = 0

    def ask() -> Permit | Open:
        barrier.wait(timeout=20)
        return breaker.permit(now)

    with ThreadPoolExecutor(100) as pool:
        for _ in range(5):
            now += BREAK
            answers = [each.result(timeout=20) for each in [pool.submit(ask) for _ in range(100)]]
            permits = [answer for answer in answers if isinstance(answer, Permit)]
            assert len(permits) == probes
            assert all(0 < answer.remaining <= BREAK for answer in answers if isinstance(answer, Open))
            breaker.fail(permits[0], now)
            assert breaker.condition is OPEN


def test_c7_a_probe_that_succeeds_closes_it_and_forgets_everything() -> None:
    breaker, probe = probing(BREAK)
    breaker.fail(probe, BREAK)
    assert refused(breaker, BREAK) == 2 * BREAK
    probe = allowed(breaker, 3 * BREAK)
    breaker.succeed(probe, 3 * BREAK)
    assert breaker.condition is CLOSED
    fail(breaker, 3 * BREAK, 4)
    assert breaker.condition is CLOSED
    fail(breaker, 3 * BREAK)
    assert refused(breaker, 3 * BREAK) == BREAK


def test_c7_a_probe_that_fails_makes_the_break_longer_up_to_the_cap() -> None:
    breaker, now, breaks = opened(0, BreakerSettings(reset_factor=3.5)), 0, []
    for _ in range(2_000):
        breaks.append(refused(breaker, now))
        now += breaks[-1]
        breaker.fail(allowed(breaker, now), now)
    assert breaks[:4] == [30_000, 105_000, 300_000, 300_000]
    assert set(breaks[2:]) == {300_000}


def test_c7_several_probes_must_all_succeed() -> None:
    breaker = opened(0, BreakerSettings(probes=3))
    first, second, third = (allowed(breaker, BREAK) for _ in range(3))
    breaker.succeed(first, BREAK)
    breaker.succeed(second, BREAK)
    assert breaker.condition is HALF_OPEN
    refused(breaker, BREAK)
    breaker.succeed(third, BREAK)
    assert breaker.condition is CLOSED


def test_c8_a_probe_that_hangs_makes_room_after_one_break() -> None:
    breaker, hanging = probing(BREAK)
    assert 0 < refused(breaker, BREAK + 1) <= 1_000
    assert refused(breaker, 2 * BREAK - 1) == 1
    fresh = allowed(breaker, 2 * BREAK)
    breaker.succeed(hanging, 2 * BREAK)
    assert breaker.condition is HALF_OPEN
    breaker.succeed(fresh, 2 * BREAK)
    assert breaker.condition is CLOSED


def test_c8_a_probe_that_is_released_makes_room_at_once() -> None:
    breaker, probe = probing(BREAK)
    refused(breaker, BREAK)
    breaker.release(probe, BREAK)
    breaker.release(probe, BREAK)
    again = allowed(breaker, BREAK)
    refused(breaker, BREAK)
    breaker.succeed(again, BREAK)
    assert breaker.condition is CLOSED


def test_c8_one_of_several_probes_that_hangs_does_not_keep_it_half_open() -> None:
    breaker = opened(0, BreakerSettings(probes=2))
    allowed(breaker, BREAK)
    breaker.succeed(allowed(breaker, BREAK), BREAK)
    refused(breaker, BREAK)
    for _ in range(2):
        breaker.succeed(allowed(breaker, 2 * BREAK), 2 * BREAK)
    assert breaker.condition is CLOSED


def test_c9_what_is_ignored_is_neither_failure_nor_success() -> None:
    breaker = Breaker("rest", BreakerSettings(min_calls=10))
    fail(breaker, 0, 4)
    for _ in range(100):
        breaker.release(allowed(breaker, 0), 0)
    assert breaker.snapshot().failures == 4
    fail(breaker, 0)
    assert breaker.condition is OPEN


def test_c10_a_success_can_complete_the_number_of_calls_that_opens_it() -> None:
    breaker = Breaker("rest", BreakerSettings(failure_threshold=0, error_rate=0.5, min_calls=5))
    fail(breaker, 0, 3)
    succeed(breaker, 0)
    assert breaker.condition is CLOSED
    succeed(breaker, 0)
    assert breaker.condition is OPEN


def test_c11_too_few_calls_never_open_it_by_rate() -> None:
    breaker = Breaker("rest", BreakerSettings(failure_threshold=0, error_rate=0.5, min_calls=10))
    fail(breaker, 0, 9)
    assert breaker.condition is CLOSED
    fail(breaker, 0)
    assert breaker.condition is OPEN


def test_c11_failures_count_across_the_edges_of_any_fixed_window() -> None:
    breaker = Breaker("rest", BreakerSettings(failure_threshold=0, min_calls=10, window=10_000))
    fail(breaker, 9_500, 5)
    fail(breaker, 10_500, 5)
    assert breaker.condition is OPEN


@pytest.mark.parametrize(("now", "expected"), [(9_999, OPEN), (10_000, CLOSED)])
def test_c11_a_call_leaves_the_window_at_its_edge(now: int, expected: Condition) -> None:
    breaker = Breaker("rest", BreakerSettings(failure_threshold=0, min_calls=10, window=10_000))
    fail(breaker, 0, 9)
    fail(breaker, now)
    assert breaker.condition is expected


def test_c11_calls_that_left_the_window_do_not_dilute_the_rate() -> None:
    breaker = Breaker("rest", BreakerSettings(failure_threshold=0, min_calls=10, window=10_000))
    succeed(breaker, 0, 1_000)
    fail(breaker, 5_000, 20)
    assert breaker.condition is CLOSED
    fail(breaker, 10_000)
    assert breaker.condition is OPEN


def test_c12_slow_successes_alone_open_it() -> None:
    breaker = Breaker("rest", BreakerSettings(slow_call_ms=1_000))
    succeed(breaker, 0, 100, ms=999)
    assert breaker.condition is CLOSED
    breaker.reset(0)
    succeed(breaker, 0, 5, ms=1_000)
    assert breaker.condition is OPEN


def test_c12_a_slow_probe_does_not_close_it() -> None:
    breaker, probe = probing(BREAK, BreakerSettings(slow_call_ms=1_000))
    breaker.succeed(probe, BREAK, 5_000)
    assert breaker.condition is OPEN


def test_c13_forced_open_stays_so_past_any_time_until_reset() -> None:
    breaker = Breaker("rest")
    running = allowed(breaker, 0)
    breaker.force_open(0)
    breaker.force_open(0)
    for now in (0, BREAK, 10**12):
        assert refused(breaker, now) > 0
    breaker.succeed(running, 0)
    assert breaker.condition is FORCED
    breaker.reset(5)
    assert breaker.condition is CLOSED
    assert breaker.snapshot().failures == 0
    allowed(breaker, 5)


@pytest.mark.parametrize("start", [lambda: opened(0), lambda: probing(BREAK)[0], lambda: Breaker("rest")])
def test_c13_reset_closes_at_once_with_nothing_counted(start: Callable[[], Breaker]) -> None:
    breaker = start()
    if breaker.condition is CLOSED:
        fail(breaker, 0, 4)
    breaker.reset(BREAK)
    fail(breaker, BREAK, 4)
    assert breaker.condition is CLOSED
    fail(breaker, BREAK)
    assert refused(breaker, BREAK) == BREAK


def test_c14_a_listener_that_raises_changes_nothing_and_still_hears_everything_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    heard: list[Condition] = []

    def listen(transition: Transition) -> None:
        heard.append(transition.after)
        raise RuntimeError("the listener's own fault")

    with caplog.at_level(logging.ERROR):
        breaker = opened(0, listener=listen)
        breaker.succeed(allowed(breaker, BREAK), BREAK)
    assert breaker.condition is CLOSED
    assert heard == [OPEN, HALF_OPEN, CLOSED]
    assert len(caplog.records) == 3


def test_c14_a_listener_that_blocks_holds_nobody_else_up_and_hears_all_in_order() -> None:
    heard: list[Condition] = []
    inside, go_on = Event(), Event()

    def listen(transition: Transition) -> None:
        heard.append(transition.after)
        if len(heard) == 1:
            inside.set()
            go_on.wait(timeout=20)

    breaker = Breaker("rest", listener=listen)
    blocked = Thread(target=fail, args=(breaker, 0, 5))
    blocked.start()
    assert inside.wait(timeout=20)
    breaker.succeed(allowed(breaker, BREAK), BREAK)
    breaker.force_open(BREAK)
    assert breaker.condition is FORCED
    assert heard == [OPEN]
    go_on.set()
    blocked.join(timeout=20)
    assert heard == [OPEN, HALF_OPEN, CLOSED, FORCED]


def test_c14_a_listener_may_use_the_breaker() -> None:
    heard: list[Condition] = []

    def listen(transition: Transition) -> None:
        heard.append(transition.after)
        if transition.after is OPEN:
            breaker.reset(transition.at)

    breaker = Breaker("rest", listener=listen)
    fail(breaker, 0, 5)
    assert heard == [OPEN, CLOSED]
    assert breaker.condition is CLOSED


def test_c15_a_hundred_threads_that_fail_together_open_it_once() -> None:
    heard: list[Transition] = []
    breaker = Breaker("rest", listener=heard.append)
    permits = [allowed(breaker, 0) for _ in range(100)]
    barrier = Barrier(100)

    def break_it(permit: Permit) -> None:
        barrier.wait(timeout=20)
        breaker.fail(permit, 1)

    with ThreadPoolExecutor(100) as pool:
        list(pool.map(break_it, permits))
    assert [each.after for each in heard] == [OPEN]
    snapshot = breaker.snapshot()
    assert (snapshot.opened, snapshot.failed, snapshot.permitted) == (1, 5, 100)


def test_c16_a_breaker_for_each_target_and_any_number_of_them_may_be_open() -> None:
    box = BreakerBox()
    for name in "abc":
        fail(box.get(name), 0, 5)
    assert [box.get(name).condition for name in "abcd"] == [OPEN, OPEN, OPEN, CLOSED]
    allowed(box.get("d"), 0)


def test_c17_asking_an_open_one_changes_nothing_however_often() -> None:
    heard: list[Transition] = []
    breaker = opened(0, listener=heard.append)
    was = breaker.snapshot()
    for now in range(0, BREAK, 3):
        assert refused(breaker, now) == BREAK - now
    assert breaker.snapshot()._replace(rejected=0) == was
    assert len(heard) == 1


def test_c18_no_clock_but_the_argument_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_clock() -> float:
        raise AssertionError("a breaker looked at a clock")

    for name in ("time", "monotonic", "perf_counter", "time_ns", "monotonic_ns"):
        monkeypatch.setattr(time, name, no_clock)
    breaker = opened(0)
    remaining = refused(breaker, 0)
    permit = breaker.permit(remaining)
    monkeypatch.undo()
    assert isinstance(permit, Permit)


def test_c18_a_now_before_the_opening_waits_one_break_at_most() -> None:
    assert refused(opened(10_000_000), 5_000_000) == BREAK


def test_c19_open_is_restored_for_the_rest_of_its_break_and_then_probes() -> None:
    before = opened(0, BreakerSettings(probes=2))
    after = Breaker("websocket", BreakerSettings(probes=2))
    after.restore(before.snapshot(), 10_000)
    assert refused(after, 10_000) == BREAK - 10_000
    answers = [after.permit(BREAK) for _ in range(50)]
    assert sum(isinstance(answer, Permit) for answer in answers) == 2


def test_c19_half_open_is_restored_to_probes_only() -> None:
    before, _ = probing(BREAK)
    after = Breaker("websocket")
    after.restore(before.snapshot(), BREAK + 5)
    answers = [after.permit(BREAK + 5) for _ in range(50)]
    assert sum(isinstance(answer, Permit) for answer in answers) == 1


def test_c19_a_longer_break_and_an_operators_order_survive_and_closed_begins_anew() -> None:
    prolonged, probe = probing(BREAK)
    prolonged.fail(probe, BREAK)
    after = Breaker("websocket")
    after.restore(prolonged.snapshot(), BREAK)
    assert refused(after, BREAK) == 2 * BREAK
    after.fail(allowed(after, 3 * BREAK), 3 * BREAK)
    assert refused(after, 3 * BREAK) == 4 * BREAK

    forced = Breaker("websocket")
    forced.force_open(0)
    after.restore(forced.snapshot(), 0)
    assert refused(after, 10**12) > 0

    nearly = Breaker("websocket")
    fail(nearly, 0, 4)
    after.restore(nearly.snapshot(), 0)
    fail(after, 0, 4)
    assert after.condition is CLOSED


def test_c19_a_snapshot_from_a_clock_far_ahead_keeps_it_open_one_break_at_most() -> None:
    breaker = Breaker("websocket")
    breaker.restore(Snapshot("websocket", OPEN, until=10**15, timeout=BREAK), 0)
    assert refused(breaker, 0) == BREAK
    breaker.restore(Snapshot("websocket", OPEN, until=10**15, timeout=10**15), 0)
    assert refused(breaker, 0) == breaker.settings.reset_cap


def test_c19_a_snapshot_can_be_written_down() -> None:
    snapshot = opened(0).snapshot()
    read = Snapshot(*json.loads(json.dumps(snapshot)))
    breaker = Breaker("websocket")
    breaker.restore(read, 10)
    assert refused(breaker, 10) == BREAK - 10


def test_c20_names_are_bounded_and_what_is_open_is_not_forgotten() -> None:
    box = BreakerBox(max_names=10)
    for name in "abc":
        fail(box.get(name), 0, 5)
    for number in range(10_000):
        succeed(box.get(f"guild-{number}"), 0)
    names = [snapshot.name for snapshot in box.snapshots()]
    assert len(names) == 10
    assert {"a", "b", "c"} <= set(names)
    assert box.get("a").condition is OPEN


def test_c20_the_one_asked_for_longest_ago_makes_room() -> None:
    box = BreakerBox(max_names=2)
    first = box.get("a")
    box.get("b")
    assert box.get("a") is first
    box.get("c")
    assert box.get("a") is first
    assert box.find("b") is None


def test_c20_when_all_are_open_new_names_share_one() -> None:
    heard: list[Transition] = []
    box = BreakerBox(max_names=2, listener=heard.append)
    for name in "ab":
        fail(box.get(name), 0, 5)
    shared = box.get("c")
    assert shared is box.get("d") is box.get(OTHERS) is box.find(OTHERS)
    assert [snapshot.name for snapshot in box.snapshots()] == ["a", "b"]
    fail(shared, 0, 5)
    assert {snapshot.name for snapshot in box.snapshots()} == {"a", "b", OTHERS}
    assert [each.name for each in heard] == ["a", "b", OTHERS]
    box.get("a").reset(0)
    assert box.get("c") is not shared


def test_a_box_is_restored_name_by_name() -> None:
    box, after = BreakerBox(), BreakerBox()
    fail(box.get("a"), 0, 5)
    box.get("b")
    after.restore(box.snapshots(), 10)
    assert after.get("a").condition is OPEN
    assert after.get("b").condition is CLOSED


@pytest.mark.parametrize(
    "wrong",
    [
        {"failure_threshold": -1},
        {"recovery_timeout": 0},
        {"window": 9},
        {"reset_factor": 0.5},
        {"reset_factor": float("nan")},
        {"reset_cap": 29_999},
        {"probes": 0},
        {"error_rate": 1.1},
        {"min_calls": 0},
        {"slow_call_ms": -1},
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        BreakerSettings(**wrong)


class BreakerMachine(RuleBasedStateMachine):
    """Any history of calls: a break is kept, probes are few, transitions are a path, and it always recovers."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Transition] = []
        self.breaker = Breaker(
            "rest",
            BreakerSettings(
                failure_threshold=3, recovery_timeout=100, reset_cap=800, probes=2, window=100, min_calls=6
            ),
            listener=self.heard.append,
        )
        self.now = 0
        self.out: list[tuple[Permit, int]] = []

    @rule(wait=st.integers(0, 120))
    def ask(self, wait: int) -> None:
        self.now += wait
        changes = len(self.heard)
        answer = self.breaker.permit(self.now)
        if isinstance(answer, Permit):
            self.out.append((answer, len(self.heard)))
        else:
            assert 0 < answer.remaining <= 800
            assert changes == len(self.heard)

    @rule(data=st.data(), end=st.sampled_from(["succeed", "fail", "release"]))
    def end(self, data: st.DataObject, end: str) -> None:
        if self.out:
            permit, given = self.out.pop(data.draw(st.integers(0, len(self.out) - 1)))
            changes = len(self.heard)
            getattr(self.breaker, end)(permit, self.now)
            if given != changes:
                assert len(self.heard) == changes

    @rule()
    def recover(self) -> None:
        """However it stands, whatever hangs: after a break or two, a few good calls close it."""
        self.now += 800
        for _ in range(4):
            answer = self.breaker.permit(self.now)
            if isinstance(answer, Open):
                self.now += 800
                answer = self.breaker.permit(self.now)
            assert isinstance(answer, Permit)
            self.breaker.succeed(answer, self.now)
        assert self.breaker.condition is CLOSED

    @invariant()
    def transitions_are_a_path(self) -> None:
        at = CLOSED
        for each in self.heard:
            assert each.before is at
            assert each.after is not at
            assert (each.before, each.after) != (CLOSED, HALF_OPEN)
            assert (each.before, each.after) != (OPEN, CLOSED)
            at = each.after
        assert self.breaker.condition is at

    @invariant()
    def few_probes_are_out(self) -> None:
        if self.breaker.condition is HALF_OPEN:
            current = [permit for permit, given in self.out if given == len(self.heard)]
            newest = [each for each in current if each.generation == max(other.generation for other in current)]
            assert len(newest) <= 2


TestBreakerMachine = BreakerMachine.TestCase
TestBreakerMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
