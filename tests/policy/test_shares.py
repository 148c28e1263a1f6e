"""Fair shares of slots: all that is there is used, nobody has more than is there, nobody waits for ever."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.policy.shares import TURN, share_of

WANTS = st.dictionaries(st.text("abcdef", min_size=1, max_size=2), st.integers(0, 20), min_size=1, max_size=6)


def shares(wanted: dict[str, int], limit: int, now: int) -> dict[str, int]:
    return {router: share_of(router, wanted, limit, now) for router in wanted}


@given(WANTS, st.integers(1, 40), st.integers(0, 10**13))
def test_together_they_are_never_more_than_there_are_and_nobody_who_wants_is_left_with_some_unused(
    wanted: dict[str, int], limit: int, now: int
) -> None:
    given_ = shares(wanted, limit, now)
    assert sum(given_.values()) <= limit
    if sum(wanted.values()) <= limit:
        assert all(given_[router] >= want for router, want in wanted.items())
        assert limit - sum(given_.values()) < len(wanted)
    else:
        assert sum(given_.values()) == limit
        assert all(given_[router] <= want for router, want in wanted.items())


@given(WANTS, st.integers(1, 40))
def test_who_gets_less_than_it_wants_gets_as_much_as_any_other_but_for_one(wanted: dict[str, int], limit: int) -> None:
    given_ = shares(wanted, limit, 0)
    for router, want in wanted.items():
        if given_[router] < want:
            assert given_[router] >= max(given_.values()) - 1


@given(WANTS, st.integers(1, 5))
def test_everybody_who_wants_has_a_slot_within_as_many_turns_as_there_are_routers(
    wanted: dict[str, int], limit: int
) -> None:
    had = {
        router
        for turn in range(len(wanted))
        for router, share in shares(wanted, limit, turn * TURN).items()
        if share and wanted[router]
    }
    assert had == {router for router, want in wanted.items() if want}


def test_examples() -> None:
    assert shares({"a": 1, "b": 9, "c": 9}, 9, 0) == {"a": 1, "b": 4, "c": 4}
    assert shares({"a": 0, "b": 2}, 10, 0) == {"a": 4, "b": 6}
    assert [shares({"a": 3, "b": 3}, 1, turn * TURN) for turn in range(3)] == [
        {"a": 1, "b": 0},
        {"a": 0, "b": 1},
        {"a": 1, "b": 0},
    ]
