"""The actor of named queues dies in the middle of things."""

from __future__ import annotations

from actors.entries import Entry
from actors.errand import Append
from actors.policy.consuming import QueueRules
from tests.queues.conftest import Build
from tests.queues.house import NAME, Bomb


def test_claims_in_hand_are_taken_over_by_the_successor(build: Build) -> None:
    house = build(QueueRules(lease=3_000))
    consumer = house.consumer()
    house.put("a")
    house.crash()
    house.advance(30)
    assert consumer.seen == ["a"], "the successor goes on extending it"
    consumer.ack()
    assert house.stats().completed == 1


def test_an_ending_said_while_the_actor_was_dead_is_not_forgotten(build: Build) -> None:
    house = build()
    consumer = house.consumer()
    house.put("a")
    delivery = consumer.take()
    house.runtime.ref(NAME).tell(Bomb())
    delivery.ack()
    house.run()
    assert house.made == 2
    assert house.stats().completed == 1


def test_a_crash_between_the_claim_and_its_delivery_loses_nothing(build: Build) -> None:
    house = build(QueueRules(lease=5_000))
    consumer = house.consumer()
    ref = house.runtime.ref(NAME)
    ref.tell(Append([Entry("a", "jobs", b"a", 5, house.now)], lambda _: None))
    house.stepper.step()  # the errand is on its way to the store
    ref.tell(Bomb())
    house.run()
    assert house.made == 2
    house.advance(20)
    assert consumer.seen == ["a"]
    assert consumer.hands[0].attempt == 1


def test_appends_of_the_crashed_slice_are_answered_by_the_successor(build: Build) -> None:
    house = build()
    answers: list[object] = []
    ref = house.runtime.ref(NAME)
    ref.tell(Append([Entry("a", "jobs", b"a", 5, house.now)], answers.append))
    ref.tell(Bomb())  # in the same slice
    house.run()
    assert answers == [[True]]
    assert house.stats().waiting == 1


def test_what_was_asked_of_an_actor_that_crashed_on_its_way_to_the_store_is_asked_once(build: Build) -> None:
    house = build()
    house.consumer()
    rules = house.desk.rules

    def break_once(_: str) -> QueueRules:
        house.desk.rules = rules
        raise RuntimeError("no rules")

    answers: list[object] = []
    house.desk.rules = break_once
    house.tell(Append([Entry("a", "jobs", b"a", 5, house.now)], answers.append))
    assert house.made == 2
    assert answers == [[True]]


def test_the_concurrency_holds_through_a_crash(build: Build) -> None:
    house = build(QueueRules(concurrency=2))
    consumer = house.consumer()
    house.put("a", "b", "c", "d")
    house.crash()
    house.advance(3)
    assert consumer.held() == ["a", "b"]
    consumer.ack()
    assert consumer.held() == ["b", "c"]


def test_a_reply_that_raises_is_contained(build: Build) -> None:
    house = build()

    def broken(_: object) -> None:
        raise RuntimeError("broken reply")

    house.tell(Append([Entry("a", "jobs", b"a", 5, house.now)], broken))
    assert house.made == 1
    assert house.stats().waiting == 1


def test_what_was_ended_before_the_stop_is_written(build: Build) -> None:
    house = build()
    consumer = house.consumer()
    house.put("a")
    consumer.take().ack()
    house.close()
    assert house.stats().completed == 1


def test_what_was_ended_while_the_actor_took_no_more_messages_is_written_at_the_stop(build: Build) -> None:
    house = build()
    consumer = house.consumer()
    house.put("a")
    house.desk.poke = lambda *_: None
    consumer.take().ack()
    house.close()
    assert house.stats().completed == 1
