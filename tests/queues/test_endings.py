"""What becomes of a claim: done, again, dead, lapsed, lost."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Thread

from actors.entries import Entry
from actors.policy.consuming import QueueRules
from actors.policy.facts import Backoff
from actors.tables.deliveries import Delivery, Subscription
from tests.queues.conftest import Build
from tests.queues.house import House

EXACT = Backoff(initial=2_000, factor=2, cap=30_000, jitter=0.0)


def test_a_failure_comes_again_after_its_backoff_and_is_dead_after_the_last(build: Build) -> None:
    house = build(QueueRules(attempts=3, backoff=EXACT))
    consumer = house.consumer()
    house.put("a")
    for attempt, pause in ((1, 2.0), (2, 4.0)):
        delivery = consumer.take()
        assert delivery.attempt == attempt
        delivery.fail("broken")
        house.run()
        house.advance(pause - 0.1)
        assert consumer.hands == []
        house.advance(0.1)
    consumer.take().fail("broken for good")
    house.run()
    assert house.store.failed("jobs") == [("a", b"a", "broken for good", house.now)]
    assert house.events == [("entry_dead", {"queue": "jobs", "id": "a", "attempts": 3, "error": "broken for good"})]
    house.advance(60)
    assert consumer.seen == ["a", "a", "a"]


def test_a_final_failure_is_dead_at_once(build: Build) -> None:
    house = build()
    consumer = house.consumer()
    house.put("a")
    consumer.take().fail("hopeless", final=True)
    house.run()
    assert house.stats().dead == 1
    assert house.events[0][1]["attempts"] == 1


def test_what_is_given_back_costs_no_attempt(build: Build) -> None:
    house = build(QueueRules(attempts=2))
    consumer = house.consumer()
    house.put("a")
    for _ in range(5):
        consumer.take().nack(after=1_000, spent=False)
        house.run()
        house.advance(1)
    assert consumer.hands[0].attempt == 1


def test_a_nack_with_a_delay_comes_back_then(build: Build) -> None:
    house = build()
    consumer = house.consumer()
    house.put("a")
    consumer.take().nack(after=700)
    house.run()
    house.advance(0.69)
    assert consumer.hands == []
    house.advance(0.02)
    assert consumer.hands[0].attempt == 2


def test_the_newest_done_and_failed_entries_are_kept_by_number(build: Build) -> None:
    house = build(QueueRules(concurrency=1, attempts=1, retention_done=2, retention_failed=3))
    consumer = house.consumer()
    consumer.auto = lambda delivery: delivery.fail("no") if delivery.id.startswith("bad") else delivery.ack()
    house.put(*[f"bad{number}" for number in range(5)], *[f"good{number}" for number in range(5)])
    assert [id_ for id_, *_ in house.store.failed("jobs")] == ["bad2", "bad3", "bad4"]
    known = house.append(*[_entry(house, f"good{number}") for number in range(5)])
    assert known == [True, True, True, False, False]
    assert (house.stats().failed, house.stats().completed) == (5, 8)


def test_a_second_word_about_a_delivery_changes_nothing(build: Build) -> None:
    house = build()
    consumer = house.consumer()
    house.put("a")
    delivery = consumer.take()
    assert delivery.ack()
    assert not delivery.ack()
    assert not delivery.nack()
    assert not delivery.fail("too late")
    house.run()
    assert house.stats().completed == 1


def test_many_threads_end_a_delivery_once(build: Build) -> None:
    house = build()
    consumer = house.consumer()
    house.put("a")
    delivery = consumer.take()
    said: list[bool] = []
    threads = [Thread(target=lambda: said.append(delivery.ack())) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(said) == [False] * 19 + [True]


def test_a_long_job_keeps_its_claim(build: Build) -> None:
    house = build(QueueRules(lease=10_000))
    consumer = house.consumer()
    house.put("long")
    house.advance(100)
    assert consumer.seen == ["long"]
    consumer.ack()
    assert house.stats().completed == 1


def test_a_short_lease_is_extended_in_time_too(build: Build) -> None:
    house = build(QueueRules(lease=400))
    consumer = house.consumer()
    house.put("long")
    house.advance(5)
    assert consumer.seen == ["long"]


def test_a_claim_that_lapsed_is_claimed_again_and_was_an_attempt(build: Build) -> None:
    house = build(QueueRules(lease=30_000))
    house.put("a")
    (claim,) = house.store.claim("jobs", 1, house.now, house.now + 30_000)  # by a process that died
    consumer = house.consumer()
    house.advance(29.9)
    assert consumer.seen == []
    house.advance(1.1)
    assert consumer.hands[0].attempt == 2
    assert consumer.hands[0].token > claim.token


def test_what_kills_its_consumer_every_time_is_dead_and_not_delivered_again(build: Build) -> None:
    house = build(QueueRules(attempts=2, lease=1_000))
    house.put("poison")
    for _ in range(2):
        house.store.claim("jobs", 1, house.now, house.now + 1_000)
        house.advance(1.1)
    consumer = house.consumer()
    house.advance(1)
    assert consumer.seen == []
    assert "went away 2 times" in house.store.failed("jobs")[0][2]


def test_a_lost_claim_changes_nothing_when_it_is_ended(build: Build) -> None:
    house = build(QueueRules(lease=1_000, attempts=0))
    consumer = house.consumer(concurrency=1)
    house.put("a")
    delivery = consumer.take()
    house.disk.full = True
    house.advance(3)  # no extension can be written
    house.store.claim("jobs", 1, house.now, house.now + 60_000)  # somebody else takes it
    house.disk.full = False
    house.advance(2)
    assert delivery.lost
    delivery.ack()
    house.advance(1)
    assert house.stats().completed == 0
    assert house.stats().claimed == 1


def test_endings_survive_a_store_that_cannot_write(build: Build) -> None:
    house = build()
    consumer = house.consumer()
    house.put("a", "b")
    house.disk.full = True
    consumer.ack("a")
    consumer.take("b").fail("no", final=True)
    house.advance(5)
    assert house.stats().completed == 0
    house.disk.full = False
    house.advance(0.3)
    assert (house.stats().completed, house.stats().dead) == (1, 1)


def test_an_append_to_a_store_that_cannot_write_is_refused(build: Build) -> None:
    house = build()
    house.disk.full = True
    assert getattr(house.append(_entry(house, "a")), "code", "") == "store_unavailable"
    house.disk.full = False
    house.advance(0.2)
    house.put("a")


def test_what_nobody_extends_is_given_up_after_a_lease(build: Build) -> None:
    house = build(QueueRules(lease=5_000, concurrency=1))
    consumer = house.consumer()
    house.put("a")
    consumer.hands[0].let_go = True
    house.advance(4)
    assert consumer.seen == ["a"]
    house.advance(3)
    assert consumer.seen == ["a", "a"]
    assert not consumer.hands[0].ack(), "the first claim is over"
    assert consumer.hands[1].ack()


def test_a_discarded_entry_leaves_no_trace_and_may_come_again(build: Build) -> None:
    house = build()
    consumer = house.consumer()
    house.put("a")
    consumer.take().discard()
    house.run()
    assert house.stats().completed == house.stats().dead == house.stats().waiting == 0
    house.put("a")
    assert consumer.seen == ["a", "a"]


def test_a_consumer_that_raises_is_a_failed_attempt_and_not_a_crashed_actor(build: Build) -> None:
    house = build(QueueRules(backoff=EXACT))

    def broken(_: Sequence[Delivery]) -> None:
        raise RuntimeError("broken consumer")

    house.desk.subscribe(Subscription("jobs", broken))
    house.put("a")
    assert house.made == 1
    assert house.stats().claimed == 0
    assert house.stats().delayed == 1


def _entry(house: House, id_: str) -> Entry:
    return Entry(id_, "jobs", b"x", 5, house.now)
