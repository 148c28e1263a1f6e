"""Answers kept for a while, within bounds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.outcome import Answer, Status
from router.query_cache import OVERHEAD, Key, QueryCache


def key(number: int, guild: str = "1", type_: str = "LOOK") -> Key:
    return Key(guild, type_, number.to_bytes(2, "big"))


def answer(size: int = 0) -> Answer:
    return Answer("a", Status.OK, b"x" * size)


def test_an_answer_is_good_until_its_time_and_not_at_it() -> None:
    cache = QueryCache(10, 100_000)
    kept = answer()
    cache.put(key(1), kept, until=1_000)
    assert cache.get(key(1), 999) is kept
    assert cache.get(key(1), 1_000) is None
    assert (len(cache), cache.size) == (0, 0)


def test_what_was_used_longest_ago_goes_first() -> None:
    cache = QueryCache(2, 100_000)
    for number in (1, 2):
        cache.put(key(number), answer(), 9)
    cache.get(key(1), 0)
    cache.put(key(3), answer(), 9)
    assert [cache.get(key(number), 0) is not None for number in (1, 2, 3)] == [True, False, True]


def test_forgetting_a_type_in_a_guild_leaves_all_others() -> None:
    cache = QueryCache(10, 100_000)
    keys = [key(1), key(2), key(1, guild="2"), key(1, type_="OTHER")]
    for each in keys:
        cache.put(each, answer(), 9)
    cache.forget("1", "LOOK")
    assert [cache.get(each, 0) is not None for each in keys] == [False, False, True, True]


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 3_000), st.booleans()), max_size=60))
def test_it_never_holds_more_than_it_may_and_always_knows_how_much(steps: list[tuple[int, int, bool]]) -> None:
    cache = QueryCache(5, 6_000)
    for number, size, forget in steps:
        if forget:
            cache.forget("1", "LOOK" if number % 2 else "OTHER")
        else:
            cache.put(key(number, type_="LOOK" if number % 2 else "OTHER"), answer(size), 9)
        assert len(cache) <= 5
        assert cache.size <= 6_000
        held = [found for n in range(21) for t in ("LOOK", "OTHER") if (found := cache.get(key(n, type_=t), 0))]
        assert cache.size == sum(len(each.data) + OVERHEAD for each in held)
