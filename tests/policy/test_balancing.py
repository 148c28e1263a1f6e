"""Which of several executors gets the next command."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from actors.policy.balancing import Balance, Balancer, Candidate, shard_of

NAMES = "abc"


def three(**weights: float) -> list[Candidate]:
    return [Candidate(name, weight=weights.get(name, 1.0)) for name in NAMES]


def names(balancer: Balancer, candidates: list[Candidate], turns: int) -> str:
    chosen = [balancer.pick(candidates) for _ in range(turns)]
    return "".join(one.name for one in chosen if one is not None)


def test_round_robin_gives_each_its_turn_in_order() -> None:
    assert names(Balancer(), three(), 7) == "abcabca"


def test_round_robin_does_not_make_a_newcomer_catch_up() -> None:
    balancer = Balancer()
    assert names(balancer, three()[:2], 100) == "ab" * 50
    assert Counter(names(balancer, three(), 30)) == {"a": 10, "b": 10, "c": 10}


def test_round_robin_does_not_make_one_that_was_full_for_long_catch_up() -> None:
    balancer = Balancer()
    names(balancer, three(), 3)
    full = [Candidate("a", running=1, capacity=1), *three()[1:]]
    names(balancer, full, 100)
    assert Counter(names(balancer, three(), 30))["a"] <= 11


def test_one_that_left_comes_again_as_a_newcomer() -> None:
    balancer = Balancer()
    names(balancer, three(), 30)
    names(balancer, three()[1:], 100)
    balancer.forget("a")
    assert Counter(names(balancer, three(), 30))["a"] in (10, 11)


def test_least_connections_takes_the_one_that_runs_the_least() -> None:
    busy = [Candidate("a", running=3), Candidate("b", running=1), Candidate("c", running=2)]
    assert names(Balancer(Balance.LEAST_CONNECTIONS), busy, 3) == "bbb"


def test_least_connections_takes_turns_among_equals() -> None:
    assert names(Balancer(Balance.LEAST_CONNECTIONS), three(), 6) == "abcabc"


def test_least_connections_counts_by_weight() -> None:
    pair = [Candidate("a", running=3, weight=4), Candidate("b", running=1, weight=1)]
    assert names(Balancer(Balance.LEAST_CONNECTIONS), pair, 1) == "a"


def test_weighted_gives_turns_by_weight_spread_evenly() -> None:
    given_turns = names(Balancer(Balance.WEIGHTED), three(a=2), 8)
    assert Counter(given_turns) == {"a": 4, "b": 2, "c": 2}
    assert "aaa" not in given_turns * 2


@given(
    st.sampled_from(Balance),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.floats(0.1, 10)), max_size=6),
)
def test_whoever_is_full_is_never_chosen_and_somebody_is_when_one_is_not(
    how: Balance, drawn: list[tuple[int, int, float]]
) -> None:
    candidates = [Candidate(str(number), *values) for number, values in enumerate(drawn)]
    balancer = Balancer(how)
    for _ in range(5):
        chosen = balancer.pick(candidates)
        assert (chosen is None) == all(one.full for one in candidates)
        assert chosen is None or not chosen.full


@given(st.lists(st.floats(0.25, 8), min_size=1, max_size=5))
def test_weighted_turns_stay_within_one_of_their_share(weights: list[float]) -> None:
    candidates = [Candidate(str(number), weight=weight) for number, weight in enumerate(weights)]
    turns = 200
    chosen = Counter(names(Balancer(Balance.WEIGHTED), candidates, turns))
    for one in candidates:
        assert abs(chosen[one.name] - turns * one.weight / sum(weights)) <= 1 + one.weight / min(weights)


def test_a_shard_is_by_the_rule_of_discord() -> None:
    assert shard_of("81384788765712384", 1) == 0
    assert shard_of("613425648685547541", 4) == (613425648685547541 >> 22) % 4
    assert {shard_of(str(number << 22), 3) for number in range(9)} == {0, 1, 2}


def test_what_is_no_snowflake_has_no_shard() -> None:
    assert [shard_of(guild, 4) for guild in ("global", "user:1", "", "-1", "٣", "1" * 21)] == [None] * 6
    assert shard_of("81384788765712384", 0) is None
