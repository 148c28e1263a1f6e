"""Senders that number their messages: back into order, each number once, nothing held for ever."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.policy.sequence import GAPS_KEPT, RANGES_KEPT, Gap, Offered, Order, Sequences

TIMEOUT = 5_000


def sequences(**bounds: int) -> Sequences[str]:
    return Sequences(gap_timeout=TIMEOUT, **bounds)


def offer(of: Sequences[str], *numbers: int, now: int = 0, sender: str = "panel") -> list[Offered[str]]:
    return [of.offer(sender, number, f"{sender}-{number}", now) for number in numbers]


def released(answers: list[Offered[str]]) -> list[int]:
    return [int(item.split("-")[1]) for answer in answers for item in answer.released]


def test_in_order_every_message_goes_on_at_once() -> None:
    answers = offer(sequences(), 1, 2, 3)
    assert [answer.verdict for answer in answers] == [Order.NEXT] * 3
    assert released(answers) == [1, 2, 3]


def test_what_overtook_is_held_until_the_missing_ones_came() -> None:
    of = sequences()
    answers = offer(of, 1, 4, 3)
    assert [answer.verdict for answer in answers] == [Order.NEXT, Order.HELD, Order.HELD]
    assert of.next_due() == TIMEOUT
    assert released(offer(of, 2)) == [2, 3, 4]
    assert of.next_due() == 0
    assert of.due(10**9) == []
    assert of.take_gaps() == []


def test_the_very_first_message_may_be_overtaken_too() -> None:
    assert released(offer(sequences(), 3, 2, 1)) == [1, 2, 3]


def test_a_number_that_was_released_is_a_repeat() -> None:
    of = sequences()
    offer(of, 1, 2)
    for answer in offer(of, 1, 2):
        assert answer.released == ()
        assert answer.verdict is Order.DUPLICATE
        assert answer.repeat
        assert not answer.refused


def test_a_number_that_is_held_is_not_held_twice() -> None:
    of = sequences()
    answers = offer(of, 1, 3, 3)
    assert answers[-1].released == ()
    assert answers[-1].verdict is Order.WAITING
    assert answers[-1].refused
    assert not answers[-1].repeat
    assert released(offer(of, 2)) == [2, 3]
    assert offer(of, 3)[0].repeat


def test_senders_are_apart() -> None:
    of = sequences()
    assert released(offer(of, 1, sender="a")) == [1]
    assert released(offer(of, 2, sender="b")) == []
    assert released(offer(of, 2, sender="a")) == [2]
    assert released(offer(of, 1, sender="b")) == [1, 2]


def test_a_gap_ends_at_its_time_and_is_noted() -> None:
    of = sequences()
    offer(of, 1)
    offer(of, 4, now=100)
    offer(of, 5, now=200)
    assert of.due(100 + TIMEOUT - 1) == []
    assert of.next_due() == 100 + TIMEOUT
    assert of.due(100 + TIMEOUT) == ["panel-4", "panel-5"]
    assert of.take_gaps() == [Gap("panel", 2, 3, 100 + TIMEOUT)]
    assert of.take_gaps() == []
    assert of.next_due() == 0
    assert released(offer(of, 6)) == [6]


def test_what_waits_behind_a_second_gap_has_its_own_time() -> None:
    of = sequences()
    offer(of, 1)
    offer(of, 3, now=0)
    offer(of, 6, 5, now=1_000)
    offer(of, 9, now=2_000)
    assert of.due(TIMEOUT) == ["panel-3"]
    assert of.next_due() == 1_000 + TIMEOUT
    assert of.due(1_000 + TIMEOUT) == ["panel-5", "panel-6"]
    assert of.take_gaps() == [Gap("panel", 2, 2, TIMEOUT), Gap("panel", 4, 4, 1_000 + TIMEOUT)]
    assert of.due(10**6) == ["panel-9"]


def test_an_early_message_with_a_high_number_takes_the_lower_ones_along() -> None:
    of = sequences()
    offer(of, 1)
    offer(of, 9, now=0)
    offer(of, 5, now=4_000)
    assert of.due(TIMEOUT) == ["panel-5", "panel-9"]
    assert [(gap.first, gap.last) for gap in of.take_gaps()] == [(2, 4), (6, 8)]


def test_a_missing_number_that_comes_late_is_released_once() -> None:
    of = sequences()
    offer(of, 1, 6)
    of.due(TIMEOUT)
    for number in (3, 2, 5, 4):
        assert offer(of, number)[0] == ((f"panel-{number}",), Order.LATE)
    assert all(answer.repeat for answer in offer(of, 2, 3, 4, 5, 6))


def test_a_sender_that_is_far_on_goes_on_from_there() -> None:
    of = sequences(max_held=100)
    first, next_, before, repeat, again = offer(of, 5_000, 5_001, 4_999, 5_000, 4_999)
    assert first.verdict is next_.verdict is Order.NEXT
    assert before == (("panel-4999",), Order.LATE)
    assert repeat.repeat
    assert again.repeat


def test_what_is_remembered_of_missing_numbers_is_bounded() -> None:
    of = sequences(max_held=100)
    offer(of, 100_000)
    answers = offer(of, *range(99_998, 99_000, -2))
    assert {answer.verdict for answer in answers[: RANGES_KEPT - 1]} == {Order.LATE}
    assert answers[-1].repeat  # of a range that was forgotten
    assert offer(of, 99_999)[0].verdict is Order.LATE
    assert all(len(known.missing) == RANGES_KEPT - 1 for known in of._calm.values())


def test_no_sender_has_more_than_its_share_held() -> None:
    of = sequences(max_held=3)
    answers = offer(of, 1, 3, 4, 5, 6)
    assert [answer.refused for answer in answers] == [False, False, False, False, True]
    assert answers[-1] == ((), Order.REFUSED)
    assert released(offer(of, 2, 6)) == [2, 3, 4, 5, 6]


def test_the_longest_silent_sender_is_forgotten_but_never_one_that_waits() -> None:
    of = sequences(max_senders=3)
    offer(of, 2, sender="waits")
    offer(of, 1, sender="old")
    offer(of, 1, sender="new")
    offer(of, 2, sender="old")
    offer(of, 1, sender="newer")
    assert len(of) == 3
    assert offer(of, 2, sender="old")[0].repeat
    assert released(offer(of, 1, sender="waits")) == [1, 2]
    assert released(offer(of, 1, sender="new")) == [1]


def test_when_all_senders_wait_a_new_one_is_refused() -> None:
    of = sequences(max_senders=2)
    offer(of, 2, sender="a")
    offer(of, 2, sender="b")
    assert offer(of, 1, sender="c")[0].refused
    assert len(of.due(TIMEOUT)) == 2
    assert released(offer(of, 1, sender="c")) == [1]


def test_everything_is_bounded_under_a_flood_of_senders() -> None:
    of = sequences(max_senders=100, max_held=5)
    for number in range(5_000):
        offer(of, 1, 2, 4, 3, now=number, sender=f"s{number}")
    assert len(of) == 100
    assert of.next_due() == 0
    assert len(of._deadlines) < 2_000
    for number in range(5_000):
        offer(of, 2, now=number, sender=f"t{number}")
        of.due(number)
    assert len(of) == 100
    assert len(of.take_gaps()) <= GAPS_KEPT


def test_a_number_below_one_is_a_mistake() -> None:
    for number in (0, -1):
        with pytest.raises(ValueError, match="first is 1"):
            sequences().offer("panel", number, "x", 0)


@pytest.mark.parametrize("bounds", [{"gap_timeout": 0}, {"max_held": 0}, {"max_senders": 0}])
def test_bounds_are_at_least_one(bounds: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Sequences[str](**bounds)


@given(st.permutations(range(1, 30)))
def test_any_shuffle_comes_out_in_order(numbers: list[int]) -> None:
    assert released(offer(sequences(), *numbers)) == list(range(1, 30))


@settings(max_examples=150)
@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(1, 25), st.integers(0, 3_000)),
        max_size=80,
    )
)
def test_each_accepted_message_is_released_once_in_order_or_late_and_in_time(steps: list[tuple[str, int, int]]) -> None:
    of: Sequences[tuple[str, int, int]] = Sequences(gap_timeout=TIMEOUT, max_held=6, max_senders=2)
    now = 0
    out: list[tuple[str, int, int]] = []
    accepted: list[tuple[str, int, int]] = []
    in_order: dict[str, list[int]] = {"a": [], "b": []}

    def take(items: list[tuple[str, int, int]], ordered: bool) -> None:
        for sender, number, since in items:
            assert now - since <= TIMEOUT
            out.append((sender, number, since))
            if ordered:
                in_order[sender].append(number)

    for sender, number, wait in steps:
        until = now + wait
        while (at := of.next_due()) and at <= until:
            now = at
            take(of.due(now), ordered=True)
        now = until
        item = (sender, number, now)
        answer = of.offer(sender, number, item, now)
        if not answer.repeat and not answer.refused:
            accepted.append(item)
        take(list(answer.released), ordered=answer.verdict is Order.NEXT)
    now += TIMEOUT
    while at := of.next_due():
        now = at
        take(of.due(now), ordered=True)
    assert sorted(out) == sorted(accepted)
    assert len({(sender, number) for sender, number, _ in out}) == len(out)
    for numbers in in_order.values():
        assert numbers == sorted(set(numbers))
