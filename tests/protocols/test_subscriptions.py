"""A user's function for what lies in a named queue."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from actors.codec import encode
from actors.entries import Entry
from actors.policy.consuming import QueueRules
from actors.policy.facts import Backoff
from router.errors import BadSubscription
from router.messages.seal import unseal
from router.protocols.handlers import Handlers
from router.protocols.rehearsal import CAP, Outcomes, say
from router.protocols.signals import Reject, RetryLater
from router.protocols.subscriptions import Received, Subscriptions
from tests.protocols.benches import QueueBench
from tests.protocols.tickets import ticket

QUEUE = "discord:events"
EXACT = Backoff(initial=2_000, factor=2, cap=30_000, jitter=0.0)


class Desk:
    """A bench with subscriptions; ``seen`` waits for what handlers got."""

    def __init__(self, rules: QueueRules | None = None) -> None:
        self.bench = QueueBench(Handlers(), rules=rules or QueueRules(backoff=EXACT))
        self.subscriptions = Subscriptions(self.bench.desk, lambda: self.bench.executor.workshop, unseal)
        self.seen = Outcomes()

    def subscribe(self, handler: Any, **options: Any) -> Any:
        return self.subscriptions.subscribe(QUEUE, handler, **options)

    def put(self, *texts: str) -> None:
        now = self.bench.now()
        entries = [Entry(text, QUEUE, ticket(self.bench, say(text)).frame, 5, now) for text in texts]
        assert self.bench.store.append(entries, now) == [True] * len(texts)
        self.advance(1.0)

    def advance(self, seconds: float) -> None:
        self.bench.settled()
        self.bench.advance(seconds)
        self.bench.settled()

    def stats(self, **expected: int) -> None:
        """Wait until the queue looks like this."""

        def found() -> dict[str, int]:
            counts = self.bench.store.queue_stats()[QUEUE]._asdict()
            return {name: counts[name] for name in expected}

        changed = self.bench.disk.changed
        with changed:
            assert changed.wait_for(lambda: found() == expected, CAP), f"{found()}, not {expected}"


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.bench.close()


def test_a_message_is_handed_over_and_acked(desk: Desk) -> None:
    desk.subscribe(lambda message: desk.seen(message.content))
    desk.put("a", "b")
    assert sorted(desk.seen.wait(2)) == ["a", "b"]
    desk.stats(completed=2, claimed=0)


def test_a_handler_may_ask_for_what_it_received(desk: Desk) -> None:
    desk.subscribe(lambda message, received: desk.seen(received))
    desk.put("a")
    received = desk.seen.one
    assert isinstance(received, Received)
    assert (received.queue, received.attempt, received.lost) == (QUEUE, 1, False)
    assert received.id == received.envelope.id


def test_async_handlers_are_served_too(desk: Desk) -> None:
    async def handler(message: Any) -> None:
        await asyncio.sleep(0)
        desk.seen(message.content)

    desk.subscribe(handler)
    desk.put("a")
    assert desk.seen.one == "a"
    desk.stats(completed=1)


def test_a_handler_that_raises_is_tried_again_and_dead_at_last(desk: Desk) -> None:
    def handler(message: Any, received: Received) -> None:
        desk.seen(received.attempt)
        raise RuntimeError("broken")

    desk.subscribe(handler)
    desk.put("a")
    for count, pause in ((1, 2.0), (2, 4.0)):
        desk.seen.wait(count)
        desk.stats(delayed=1)
        desk.advance(pause)
    assert desk.seen.wait(3) == [1, 2, 3]
    desk.stats(dead=1)
    assert desk.bench.store.failed(QUEUE)[0][2] == "handler_error: RuntimeError: broken"


def test_without_retry_the_first_failure_is_the_last(desk: Desk) -> None:
    desk.subscribe(lambda message: 1 / 0, retry_on_failure=False)
    desk.put("a")
    desk.stats(dead=1)


def test_retry_later_costs_no_attempt_and_reject_is_final(desk: Desk) -> None:
    def handler(message: Any, received: Received) -> None:
        desk.seen(received.attempt)
        raise RetryLater(3) if len(desk.seen.all) < 3 else Reject("no", "never")

    desk.subscribe(handler)
    desk.put("a")
    for count in (1, 2):
        desk.seen.wait(count)
        desk.stats(delayed=1)
        desk.advance(3)
    assert desk.seen.wait(3) == [1, 1, 1]
    desk.stats(dead=1)


def test_a_body_that_is_no_message_is_dead_without_calling_the_handler(desk: Desk) -> None:
    desk.subscribe(desk.seen)
    envelope = ticket(desk.bench, say()).envelope._replace(body=b"\x80")
    desk.bench.store.append([Entry("x", QUEUE, encode(envelope), 5, desk.bench.now())], desk.bench.now())
    desk.bench.store.append([Entry("y", QUEUE, b"\xc1", 5, desk.bench.now())], desk.bench.now())
    desk.advance(1)
    desk.stats(dead=2)
    assert desk.seen.all == []


def test_without_auto_ack_the_handler_says_what_becomes_of_it(desk: Desk) -> None:
    desk.subscribe(lambda message, received: desk.seen(received), auto_ack=False)
    desk.put("a")
    first = desk.seen.one
    desk.stats(claimed=1, completed=0)
    assert first.nack(2.0)
    assert not first.ack()
    desk.stats(delayed=1)
    desk.advance(2)
    second = desk.seen.wait(2)[1]
    assert second.attempt == 2
    assert second.ack()
    desk.stats(completed=1, claimed=0)


def test_what_is_neither_acked_nor_nacked_comes_again_after_a_lease() -> None:
    desk = Desk(QueueRules(lease=5_000, concurrency=1))
    desk.subscribe(lambda message, received: desk.seen(received.attempt), auto_ack=False)
    desk.put("a")
    desk.seen.wait(1)
    for _ in range(8):
        desk.advance(1)
    assert desk.seen.wait(2) == [1, 2]
    desk.bench.close()


def test_a_long_handler_keeps_its_message() -> None:
    desk = Desk(QueueRules(lease=2_000))
    release = threading.Event()

    def handler(message: Any) -> None:
        desk.seen(message.content)
        assert release.wait(CAP)

    desk.subscribe(handler)
    desk.put("a")
    desk.seen.wait(1)
    for _ in range(20):
        desk.advance(1)
    release.set()
    desk.stats(completed=1)
    assert desk.seen.all == ["a"]
    desk.bench.close()


def test_a_handler_that_takes_too_long_has_failed(desk: Desk) -> None:
    release = threading.Event()

    def handler(message: Any) -> None:
        desk.seen(message.content)
        assert release.wait(CAP)

    desk.subscribe(handler, timeout=3)
    desk.put("a")
    desk.seen.wait(1)
    desk.advance(3)
    desk.stats(delayed=1, completed=0)
    release.set()


def test_a_stop_hands_back_what_was_not_begun_uncharged() -> None:
    desk = Desk()
    release = threading.Event()

    def handler(message: Any, received: Received) -> None:
        desk.seen(received.attempt)
        assert release.wait(CAP)

    desk.subscribe(handler, concurrency=6)
    desk.put(*"abcdef")  # four threads take four
    desk.seen.wait(4)
    desk.stats(claimed=6)
    closing = threading.Thread(target=desk.bench.protocol.close, args=(CAP,))
    closing.start()
    desk.stats(claimed=4)
    release.set()
    closing.join(CAP)
    desk.stats(completed=4, claimed=0)
    assert [claim.attempt for claim in desk.bench.store.claim(QUEUE, 9, desk.bench.now() + 10**6, 10**14)] == [1, 1]
    desk.bench.close()


def test_cancel_stops_the_flow(desk: Desk) -> None:
    subscription = desk.subscribe(lambda message: desk.seen(message.content))
    desk.put("a")
    desk.seen.wait(1)
    subscription.cancel()
    subscription.cancel()
    desk.put("b")
    desk.stats(waiting=1, completed=1)
    assert subscription.queue == QUEUE


@pytest.mark.parametrize(
    ("handler", "options"),
    [
        (lambda: None, {}),
        (lambda a, b, c: None, {}),
        ("no function", {}),
        (lambda message: None, {"auto_ack": False}),
        (lambda message: None, {"batch_size": 0}),
        (lambda message: None, {"concurrency": 0}),
        (lambda message: None, {"timeout": 0}),
    ],
)
def test_a_subscription_that_cannot_work_is_refused(desk: Desk, handler: Any, options: dict[str, Any]) -> None:
    with pytest.raises(BadSubscription):
        desk.subscribe(handler, **options)
