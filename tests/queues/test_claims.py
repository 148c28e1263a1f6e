"""Claiming: order, concurrency, rate, who gets what and when."""

from __future__ import annotations

from actors.entries import Entry
from actors.errand import Append
from actors.errors import Overloaded
from actors.policy.consuming import QueueRules
from tests.queues.conftest import Build
from tests.queues.house import NAME


def test_entries_come_by_priority_and_then_in_their_order(build: Build) -> None:
    house = build(QueueRules(concurrency=1))
    house.put("low", priority=1)
    house.put("a", "b", priority=5)
    house.put("urgent", priority=10)
    house.put("c", priority=5)
    consumer = house.consumer()
    consumer.auto = lambda delivery: delivery.ack()
    consumer.ack()
    assert consumer.seen == ["urgent", "a", "b", "c", "low"]


def test_an_append_wakes_the_consumer_without_waiting_for_the_floor(build: Build) -> None:
    house = build()
    consumer = house.consumer()
    before = house.disk.calls
    house.put("a")
    assert consumer.held() == ["a"]
    assert house.disk.calls == before + 1, "appended and claimed in one call"


def test_an_append_while_a_claim_is_under_way_is_not_overlooked(build: Build) -> None:
    house = build()
    consumer = house.consumer()
    actor = house.runtime.ref(NAME)
    actor.tell(Append([Entry("a", "jobs", b"a", 5, house.now)], lambda _: None))
    house.stepper.step()  # that errand is on its way
    actor.tell(Append([Entry("b", "jobs", b"b", 5, house.now)], lambda _: None))
    house.run()
    assert consumer.held() == ["a", "b"]


def test_not_more_than_the_queues_concurrency_are_in_hand(build: Build) -> None:
    house = build(QueueRules(concurrency=2))
    house.put("a", "b", "c", "d")
    one, two = house.consumer(), house.consumer()
    assert len(one.hands) + len(two.hands) == 2
    assert house.stats().claimed == 2
    (one if one.hands else two).ack()
    assert len(one.hands) + len(two.hands) == 2
    assert house.stats().completed == 1


def test_a_consumer_gets_no_more_than_it_asked_for(build: Build) -> None:
    house = build(QueueRules(concurrency=10))
    house.put(*[f"e{number}" for number in range(9)])
    small = house.consumer(concurrency=3, batch_size=2)
    assert small.batches == [["e0", "e1"], ["e2"]]
    assert house.stats().claimed == 3
    assert house.stats().waiting == 6


def test_consumers_of_one_queue_share_it(build: Build) -> None:
    house = build(QueueRules(concurrency=4))
    one, two = house.consumer(), house.consumer()
    house.put("a", "b", "c", "d")
    assert len(one.hands) == len(two.hands) == 2
    assert sorted(one.held() + two.held()) == ["a", "b", "c", "d"]


def test_queues_do_not_wait_for_each_other(build: Build) -> None:
    house = build(QueueRules(concurrency=1))
    slow, quick = house.consumer("slow"), house.consumer("quick")
    house.put("s1", "s2", queue="slow")
    house.put("q1", "q2", queue="quick")
    assert (slow.held(), quick.held()) == (["s1"], ["q1"])
    quick.ack()
    assert (slow.held(), quick.held()) == (["s1"], ["q2"])


def test_two_per_minute_are_begun_and_no_more(build: Build) -> None:
    house = build(QueueRules(rate=2, rate_window=60_000))
    consumer = house.consumer()
    consumer.auto = lambda delivery: delivery.ack()
    house.advance(0.35)  # so that no look by the clock falls on the minute
    house.put(*[f"e{number}" for number in range(5)])
    assert consumer.seen == ["e0", "e1"]
    house.advance(59.9)
    assert consumer.seen == ["e0", "e1"]
    house.advance(0.1)
    assert consumer.seen == ["e0", "e1", "e2", "e3"]
    house.advance(59.9)
    assert len(consumer.seen) == 4
    house.advance(0.1)
    assert len(consumer.seen) == 5


def test_the_rate_holds_through_a_crash_of_the_actor(build: Build) -> None:
    house = build(QueueRules(rate=2, rate_window=60_000))
    consumer = house.consumer()
    consumer.auto = lambda delivery: delivery.ack()
    house.put("a", "b", "c")
    house.crash()
    house.advance(59)
    assert consumer.seen == ["a", "b"]
    house.advance(1)
    assert consumer.seen == ["a", "b", "c"]


def test_a_delayed_entry_comes_when_it_is_due_and_not_at_the_next_floor(build: Build) -> None:
    house = build()
    consumer = house.consumer()
    house.put("later", after=2_345)
    house.advance(2.34)
    assert consumer.seen == []
    house.advance(0.01)
    assert consumer.seen == ["later"]


def test_what_somebody_else_appended_is_found_within_a_second(build: Build) -> None:
    house = build()
    consumer = house.consumer()
    house.store.append([Entry("foreign", "jobs", b"x", 5, house.now)], house.now)
    house.advance(1.0)
    assert consumer.seen == ["foreign"]


def test_an_idle_queue_costs_one_call_a_second(build: Build) -> None:
    house = build()
    house.consumer()
    house.consumer("other")
    before = house.disk.calls
    house.advance(10)
    assert house.disk.calls - before == 10


def test_a_paused_queue_keeps_what_it_has_and_goes_on_when_resumed(build: Build) -> None:
    house = build()
    house.pause(True)
    consumer = house.consumer()
    house.put("a", "b")
    house.advance(5)
    assert consumer.seen == []
    assert house.stats().paused
    assert house.stats().waiting == 2
    house.pause(False)
    assert consumer.seen == ["a", "b"]


def test_a_purge_leaves_what_is_in_hand_to_its_consumer(build: Build) -> None:
    house = build(QueueRules(concurrency=1))
    consumer = house.consumer()
    house.put("a", "b", "c")
    assert house.purge() == 2
    consumer.ack()
    house.advance(2)
    assert consumer.seen == ["a"]
    assert house.stats().completed == 1


def test_an_entry_can_be_taken_back_while_nobody_has_it(build: Build) -> None:
    house = build(QueueRules(concurrency=1))
    consumer = house.consumer()
    house.put("a", "b")
    assert house.remove("a", "b", "unknown") == [False, True, False]
    consumer.ack()
    assert consumer.seen == ["a"]


def test_the_same_id_is_one_entry(build: Build) -> None:
    house = build()
    house.put("a")
    assert house.append(Entry("a", "jobs", b"again", 5, house.now)) == [False]


def test_a_full_queue_refuses_and_says_when_to_come_back(build: Build) -> None:
    house = build(QueueRules(depth=3))
    house.put("a", "b")
    refused = house.append(*[Entry(id_, "jobs", b"x", 5, house.now) for id_ in ("c", "d")])
    assert isinstance(refused, Overloaded)
    assert refused.retry_after > 0
    assert house.stats().waiting == 2, "all of them or none"
    house.put("c")
    assert isinstance(house.append(Entry("e", "jobs", b"x", 5, house.now)), Overloaded)


def test_a_cancelled_consumer_gets_nothing_more_and_may_end_what_it_has(build: Build) -> None:
    house = build(QueueRules(concurrency=1))
    consumer = house.consumer()
    house.put("a", "b")
    consumer.cancel()
    consumer.ack("a")
    house.advance(3)
    assert consumer.seen == ["a"]
    assert house.stats().waiting == 1
    assert house.desk.consumers("jobs") == []


def test_what_was_claimed_for_a_consumer_that_left_meanwhile_goes_back_uncharged(build: Build) -> None:
    house = build()
    consumer = house.consumer()
    ref = house.runtime.ref(NAME)
    ref.tell(Append([Entry("a", "jobs", b"a", 5, house.now)], lambda _: None))
    house.stepper.step()  # the errand is on its way
    house.desk.unsubscribe(consumer.subscription)
    house.run()
    assert consumer.seen == []
    late = house.consumer()
    assert late.held() == ["a"]
    assert late.hands[0].attempt == 1


def test_what_is_claimed_beyond_the_concurrency_goes_back_uncharged(build: Build) -> None:
    house = build(QueueRules(concurrency=1))
    consumer = house.consumer()
    ref = house.runtime.ref(NAME)
    for id_ in ("a", "b"):
        ref.tell(Append([Entry(id_, "jobs", b"x", 5, house.now)], lambda _: None))
        house.stepper.step()  # an errand with a claim is on its way
        house.desk.claiming.clear()  # and forgotten, as after a journal that lost it
    house.run()
    assert consumer.seen == ["a"]
    consumer.ack()
    assert consumer.seen == ["a", "b"]
    assert consumer.hands[0].attempt == 1
