"""Limits at several levels: all or none, never more than the rate allows, nothing remembered for ever."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from actors.policy.limits import Admitted, Denied, LevelName, Limits, Rule, Usage

GUILD = ("guild", "81")
OTHER = ("guild", "82")
USER = ("user", "5")
GLOBAL = ("global", "")


def admitted(answer: Admitted | Denied) -> bool:
    return isinstance(answer, Admitted)


def test_two_per_minute_come_back_one_each_half_minute() -> None:
    limits = Limits([Rule("queue", rate=2, per=60_000)])
    queue = [("queue", "chat")]
    assert admitted(limits.admit(queue, 0))
    assert admitted(limits.admit(queue, 0))
    assert limits.admit(queue, 0) == Denied("queue", "chat", "rate", 30_000)
    assert limits.admit(queue, 29_999) == Denied("queue", "chat", "rate", 1)
    assert admitted(limits.admit(queue, 30_000))
    assert limits.admit(queue, 30_000) == Denied("queue", "chat", "rate", 30_000)


def test_burst_is_what_may_come_at_once_and_rate_what_comes_back() -> None:
    limits = Limits([Rule("guild", rate=1, per=1_000, burst=5)])
    assert [admitted(limits.admit([GUILD], 0)) for _ in range(6)] == [True] * 5 + [False]
    assert [admitted(limits.admit([GUILD], 2_000)) for _ in range(3)] == [True, True, False]
    assert [admitted(limits.admit([GUILD], 60_000)) for _ in range(6)] == [True] * 5 + [False]


def test_names_of_a_kind_are_counted_apart_and_unruled_kinds_are_free() -> None:
    limits = Limits([Rule("guild", rate=1)])
    assert admitted(limits.admit([GUILD, USER], 0))
    assert admitted(limits.admit([OTHER, USER], 0))
    assert not admitted(limits.admit([GUILD], 0))
    assert all(admitted(limits.admit([USER], 0)) for _ in range(100))


def test_a_rule_for_one_name_replaces_the_general_one() -> None:
    limits = Limits([Rule("guild", rate=1), Rule("guild", name="82", rate=3), Rule("guild", name="83")])
    assert [admitted(limits.admit([OTHER], 0)) for _ in range(4)] == [True, True, True, False]
    assert [admitted(limits.admit([GUILD], 0)) for _ in range(2)] == [True, False]
    assert all(admitted(limits.admit([("guild", "83")], 0)) for _ in range(10))


def test_all_levels_admit_or_none_is_charged() -> None:
    limits = Limits([Rule("global", rate=10), Rule("guild", rate=10, concurrency=5), Rule("user", rate=1)])
    assert admitted(limits.admit([GLOBAL, GUILD, USER], 0))
    assert limits.admit([GLOBAL, GUILD, USER], 0) == Denied("user", "5", "rate", 1_000)
    assert limits.usage(GLOBAL, 0) == Usage(9, 0, 0)
    assert limits.usage(GUILD, 0) == Usage(9, 1, 0)


def test_the_refusal_that_lasts_longest_is_told() -> None:
    limits = Limits([Rule("global", concurrency=1), Rule("guild", rate=1), Rule("user", rate=1, per=5_000)])
    levels = [GLOBAL, GUILD, USER]
    assert admitted(limits.admit(levels, 0))
    assert limits.admit(levels, 0) == Denied("user", "5", "rate", 5_000)
    assert limits.admit([GLOBAL, GUILD], 0) == Denied("guild", "81", "rate", 1_000)
    assert limits.admit([GLOBAL], 0) == Denied("global", "", "concurrency", 0)
    assert limits.admit(levels, 0, cost=2) == Denied("guild", "81", "rate", 0, forever=True)


def test_a_level_named_twice_is_charged_once() -> None:
    limits = Limits([Rule("guild", rate=2, concurrency=2)])
    assert admitted(limits.admit([GUILD, GUILD], 0))
    assert limits.usage(GUILD, 0) == Usage(1, 1, 0)
    limits.release([GUILD, GUILD])
    assert limits.usage(GUILD, 0) == Usage(1, 0, 0)


def test_a_cost_above_the_capacity_is_refused_for_good() -> None:
    limits = Limits([Rule("guild", rate=5, burst=10)])
    denied = limits.admit([GUILD], 0, cost=11)
    assert denied == Denied("guild", "81", "rate", 0, forever=True)
    assert limits.admit([GUILD], 10**9, cost=11) == denied
    assert admitted(limits.admit([GUILD], 0, cost=10))
    assert limits.admit([GUILD], 0, cost=10) == Denied("guild", "81", "rate", 2_000)


def test_concurrency_is_held_until_released() -> None:
    limits = Limits([Rule("guild", concurrency=2)])
    assert [admitted(limits.admit([GUILD], 0)) for _ in range(3)] == [True, True, False]
    assert limits.admit([GUILD], 10**9) == Denied("guild", "81", "concurrency", 0)
    limits.release([GUILD])
    assert [admitted(limits.admit([GUILD], 0)) for _ in range(2)] == [True, False]


def test_releasing_what_is_not_taken_is_an_error_and_changes_nothing() -> None:
    limits = Limits([Rule("guild", concurrency=2), Rule("user", concurrency=2)])
    with pytest.raises(ValueError, match="not taken"):
        limits.release([GUILD])
    limits.admit([GUILD], 0)
    with pytest.raises(ValueError, match="not taken"):
        limits.release([GUILD, USER])
    assert limits.usage(GUILD, 0) == Usage(0, 1, 0)


def test_a_full_backlog_refuses_until_something_leaves() -> None:
    limits = Limits([Rule("guild", backlog=2)])
    for _ in range(2):
        assert admitted(limits.admit([GUILD], 0))
        limits.enter([GUILD], 0)
    assert limits.admit([GUILD], 0) == Denied("guild", "81", "backlog", 0)
    limits.leave([GUILD])
    assert admitted(limits.admit([GUILD], 0))


def test_what_is_stored_already_enters_a_full_backlog() -> None:
    limits = Limits([Rule("guild", backlog=1)])
    for _ in range(3):
        limits.enter([GUILD, USER], 0)
    assert limits.usage(GUILD, 0) == Usage(0, 0, 3)
    for _ in range(3):
        assert not admitted(limits.admit([GUILD], 0))
        limits.leave([GUILD, USER])
    assert admitted(limits.admit([GUILD], 0))
    with pytest.raises(ValueError, match="not entered"):
        limits.leave([GUILD])


def test_a_clock_that_goes_back_gives_nothing_and_takes_nothing() -> None:
    limits = Limits([Rule("guild", rate=1)])
    assert admitted(limits.admit([GUILD], 10_000))
    assert not admitted(limits.admit([GUILD], 0))
    assert not admitted(limits.admit([GUILD], 10_999))
    assert admitted(limits.admit([GUILD], 11_000))


def test_odd_rates_lose_nothing_to_rounding() -> None:
    limits = Limits([Rule("guild", rate=7, per=9_973, burst=2)])
    assert [admitted(limits.admit([GUILD], 0)) for _ in range(3)] == [True, True, False]
    # 7 in 9,973 ms is one in 1,424.7 ms: the odd parts of a millisecond add up.
    taken = [now for now in range(1, 9_973 * 3 + 1) if admitted(limits.admit([GUILD], now))]
    assert taken == [-(-9_973 * number // 7) for number in range(1, 22)]


def test_idle_names_are_forgotten_while_others_come() -> None:
    limits = Limits([Rule("user", rate=10), Rule("guild", concurrency=1)])
    for number in range(20_000):
        limits.admit([("user", str(number)), ("guild", str(number))], number)
        limits.release([("guild", str(number))])
    # Ten a second leaves a user full again after 100 ms, in which 100 others came.
    assert len(limits) < 400


def test_names_in_use_are_bounded_and_their_bounds_kept() -> None:
    limits = Limits([Rule("user", rate=1, per=60_000)], max_names=100)
    answers = [limits.admit([("user", str(number))], 0) for number in range(1_000)]
    assert sum(map(admitted, answers)) == len(limits) == 100
    assert answers[-1] == Denied("user", "999", "rate", 60_000)
    assert not admitted(limits.admit([("user", "7")], 30_000))
    assert admitted(limits.admit([("user", "999")], 60_000))
    assert len(limits) <= 100


def test_a_name_that_holds_a_slot_or_waits_is_never_forgotten() -> None:
    limits = Limits([Rule("guild", rate=1_000, concurrency=1), Rule("user", rate=1_000), Rule("type", backlog=1)])
    limits.admit([GUILD], 0)
    limits.enter([("type", "BAN_USER")], 0)
    for number in range(1_000):
        limits.admit([("user", str(number))], number * 100)
    assert limits.usage(GUILD, 10**6) == Usage(1_000, 1, 0)
    assert not admitted(limits.admit([("type", "BAN_USER")], 10**6))


@pytest.mark.parametrize(
    "fields",
    [{"rate": -1}, {"per": 0}, {"burst": -1, "rate": 1}, {"burst": 5}, {"concurrency": -1}, {"backlog": -1}],
)
def test_a_bound_that_makes_no_sense_is_refused(fields: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="guild"):
        Rule("guild", **fields)


def test_two_rules_for_one_name_and_negative_costs_are_refused() -> None:
    with pytest.raises(ValueError, match="two limits"):
        Limits([Rule("guild", rate=1), Rule("guild", rate=2)])
    with pytest.raises(ValueError, match="cost"):
        Limits([]).admit([], 0, cost=-1)


@settings(max_examples=150)
@given(
    st.integers(1, 20),
    st.integers(1, 5_000),
    st.integers(0, 30),
    st.lists(st.tuples(st.integers(0, 2_000), st.integers(1, 5)), max_size=60),
)
def test_no_window_ever_admits_more_than_burst_and_rate(
    rate: int, per: int, burst: int, steps: list[tuple[int, int]]
) -> None:
    bound = Rule("guild", rate=rate, per=per, burst=burst)
    limits = Limits([bound])
    now, taken = 0, []
    for wait, cost in steps:
        now += wait
        answer = limits.admit([GUILD], now, cost)
        if isinstance(answer, Admitted):
            taken.append((now, cost))
        elif not answer.forever:
            # The advice is exact: not a millisecond earlier.
            assert answer.retry_after > 0
            assert not admitted(limits.admit([GUILD], now + answer.retry_after - 1, cost))
            now += answer.retry_after
            assert admitted(limits.admit([GUILD], now, cost))
            taken.append((now, cost))
    for start, (since, _) in enumerate(taken):
        total = 0
        for until, cost in taken[start:]:
            total += cost
            assert total * per <= bound.capacity * per + rate * (until - since)


class LimitsMachine(RuleBasedStateMachine):
    """Limits against a plain count of who holds what, over three kinds of levels."""

    def __init__(self) -> None:
        super().__init__()
        self.limits = Limits(
            [Rule("global", concurrency=4, backlog=6), Rule("guild", concurrency=2, rate=3), Rule("user", backlog=2)]
        )
        self.now = 0
        self.held: list[list[LevelName]] = []
        self.entered: list[list[LevelName]] = []

    def count(self, of: list[list[LevelName]], level: LevelName) -> int:
        return sum(level in levels for levels in of)

    @rule(guild=st.sampled_from("ab"), user=st.sampled_from("xyz"), wait=st.integers(0, 500))
    def admit(self, guild: str, user: str, wait: int) -> None:
        self.now += wait
        levels: list[LevelName] = [GLOBAL, ("guild", guild), ("user", user)]
        before = [self.limits.usage(level, self.now) for level in levels]
        answer = self.limits.admit(levels, self.now)
        free = (
            self.count(self.held, GLOBAL) < 4
            and self.count(self.held, levels[1]) < 2
            and self.count(self.entered, GLOBAL) < 6
            and self.count(self.entered, levels[2]) < 2
        )
        if isinstance(answer, Admitted):
            assert free
            self.held.append(levels)
        else:
            assert not free or answer.reason == "rate"
            assert [self.limits.usage(level, self.now) for level in levels] == before

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        if self.held:
            self.limits.release(self.held.pop(data.draw(st.integers(0, len(self.held) - 1))))

    @rule(guild=st.sampled_from("ab"), user=st.sampled_from("xyz"))
    def enter(self, guild: str, user: str) -> None:
        self.entered.append([GLOBAL, ("guild", guild), ("user", user)])
        self.limits.enter(self.entered[-1], self.now)

    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        if self.entered:
            self.limits.leave(self.entered.pop(data.draw(st.integers(0, len(self.entered) - 1))))

    @invariant()
    def counts_are_kept(self) -> None:
        for level in (GLOBAL, ("guild", "a"), ("guild", "b"), ("user", "x"), ("user", "y"), ("user", "z")):
            usage = self.limits.usage(level, self.now)
            assert usage is not None
            assert usage.running == (self.count(self.held, level) if level[0] != "user" else 0)
            assert usage.backlog == (self.count(self.entered, level) if level[0] != "guild" else 0)


TestLimitsMachine = LimitsMachine.TestCase
TestLimitsMachine.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
