"""Senders that number their messages: back in order, once each, and no gap holds anybody up for ever."""

from __future__ import annotations

from actors.errors import SequenceGap, SequenceRepeat, ShuttingDown
from actors.options import Options
from tests.engine.conftest import Make
from tests.engine.world import Sender, World


def numbered(world: World, number: int, **fields: object) -> Sender:
    return world.send(f"n{number}-{len(world.senders)}", sender="bot", sender_sequence=number, **fields)


def order(world: World) -> list[int]:
    return [int(id_[1:].split("-")[0]) for id_ in world.starts]


def test_what_overtook_on_the_way_is_put_back_into_order(make: Make) -> None:
    world = make()
    for number in (2, 3, 1, 5, 4):
        numbered(world, number)
    assert order(world) == [1, 2, 3, 4, 5]
    world.at_rest()


def test_a_gap_is_waited_for_a_while_and_then_left_behind(make: Make) -> None:
    world = make()
    numbered(world, 1)
    third = numbered(world, 3)
    world.advance(4.9)
    assert not third.accepted
    world.advance(0.2)
    assert third.status == "ok"
    late = numbered(world, 2)
    assert late.status == "ok"
    assert order(world) == [1, 3, 2]
    world.at_rest()


def test_a_number_that_came_before_is_refused(make: Make) -> None:
    world = make()
    numbered(world, 1)
    again = numbered(world, 1)
    assert isinstance(again.refusal, SequenceRepeat)
    assert order(world) == [1]


def test_a_number_that_came_before_with_its_key_gets_the_first_ones_answer(make: Make) -> None:
    world = make()
    first = numbered(world, 1, key="k")
    again = numbered(world, 1, key="k")
    assert (again.status, again.answer.original) == ("ok", first.id)


def test_too_many_that_wait_for_an_earlier_one_are_refused(make: Make) -> None:
    world = make()
    numbered(world, 1)
    for number in range(3, 103):
        numbered(world, number)
    beyond = numbered(world, 103)
    assert isinstance(beyond.refusal, SequenceGap)
    assert beyond.refusal.retry_after > 0
    numbered(world, 2)
    numbered(world, 103)
    assert order(world) == list(range(1, 104))
    world.at_rest()


def test_a_number_that_was_refused_for_a_while_may_come_again(make: Make) -> None:
    world = make(options=Options(guild_rate=1))
    numbered(world, 1)
    refused = numbered(world, 2)
    assert refused.fate == "rate_limited"
    world.advance(1)
    assert numbered(world, 2).status == "ok"
    assert order(world) == [1, 2]


def test_a_number_that_could_not_be_stored_may_come_again(make: Make) -> None:
    world = make()
    world.store.down = True
    assert numbered(world, 1).fate == "store_unavailable"
    world.store.down = False
    assert numbered(world, 1).status == "ok"
    assert isinstance(numbered(world, 1).refusal, SequenceRepeat)


def test_what_waits_for_an_earlier_number_survives_a_crash_of_the_door(make: Make) -> None:
    world = make()
    numbered(world, 1)
    third = numbered(world, 3)
    world.crash("intake")
    world.run()
    numbered(world, 2)
    assert third.status == "ok"
    assert order(world) == [1, 2, 3]


def test_what_waits_for_an_earlier_number_is_released_on_time_after_a_crash_of_the_door(make: Make) -> None:
    world = make()
    third = numbered(world, 3)
    world.crash("intake")
    world.run()
    world.advance(5)
    assert third.status == "ok"


def test_what_waits_for_an_earlier_number_is_refused_at_a_stop(make: Make) -> None:
    world = make()
    third = numbered(world, 3)
    world.engine.stop(1)
    assert isinstance(third.refusal, ShuttingDown)


def test_what_expired_while_it_waited_for_an_earlier_number_is_answered_so(make: Make) -> None:
    world = make()
    third = numbered(world, 3, expires_in=2)
    world.advance(6)
    assert third.status == "expired"
    assert not world.starts


def test_senders_do_not_wait_for_each_other(make: Make) -> None:
    world = make()
    numbered(world, 2)
    assert world.send(sender="other", sender_sequence=1).status == "ok"
    assert world.send().status == "ok"
