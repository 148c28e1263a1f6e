"""A named queue is forgotten while somebody else uses it: the list of names and the queue are in two slots."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from router.stores.contract_base import NOW
from router.stores.contract_queues import DAY, entry, take
from router.stores.redis.store import RedisStore
from tests.servers.shared import options, server

Handles = tuple[RedisStore, RedisStore, redis.Redis]


@pytest.fixture
def handles() -> Iterator[Handles]:
    """Two of one store, in which ``q`` was used at ``NOW``, by the first; and a plain client."""
    chosen = options()
    one, other = (RedisStore(server().url, chosen, router=name) for name in ("one", "other"))
    with redis.Redis.from_url(server().url) as client:
        for store in (one, other):
            store.open(NOW)
        one.append([entry("a")], NOW)
        one.ack([("a", take(one)["a"])], NOW, 10)
        yield one, other, client
        for store in (one, other):
            store.close()


def keys(store: RedisStore, client: redis.Redis) -> set[str]:
    """What is left of its named queues, but for receipts, which leave by themselves."""
    found: Any = client.keys(f"*{store.options.prefix}:q:*")
    return {key.decode() for key in found if b":receipt:" not in key}


def between(store: RedisStore, at: int, do: Callable[[], object]) -> None:
    """Have it done before the ``at``-th round trip to Redis from now."""
    run, count = store._run, 0

    def counting(calls: Any, **options: Any) -> Any:
        nonlocal count
        count += 1
        if count == at:
            store._run = run
            do()
        return run(calls, **options)

    store._run = counting


def test_nothing_of_a_forgotten_queue_is_left(handles: Handles) -> None:
    one, other, client = handles
    assert keys(one, client)
    assert other.forget_queues(NOW, NOW + DAY) == 1
    assert keys(one, client) == set()
    assert client.zcard(one.names.queues) == 0


@pytest.mark.parametrize("at", [1, 2, 3])
def test_what_is_appended_at_any_moment_of_it_is_in_a_queue_that_is_listed(handles: Handles, at: int) -> None:
    one, other, client = handles
    between(other, at, lambda: one.append([entry("b")], NOW + DAY))
    other.forget_queues(NOW, NOW + DAY)
    assert one.queue_stats()["q"].waiting == 1
    assert other.forget_queues(NOW + DAY - 1, NOW + 2 * DAY) == 0
    assert list(take(other, now=NOW + DAY, until=NOW + DAY + 9)) == ["b"]
    assert client.zcard(one.names.queues) == 1


@pytest.mark.parametrize("at", [1, 2, 3])
def test_what_is_forgotten_at_any_moment_of_an_append_is_listed_again(handles: Handles, at: int) -> None:
    one, other, _ = handles
    other.forget_queues(NOW, NOW + DAY)
    between(one, at, lambda: other.forget_queues(NOW, NOW + DAY))
    assert one.append([entry("b"), entry("c", queue="r")], NOW + DAY) == [True, True]
    assert {name: each.waiting for name, each in other.queue_stats().items()} == {"q": 1, "r": 1}


def test_whoever_died_in_the_middle_of_it_is_finished_by_the_next(handles: Handles) -> None:
    one, other, client = handles

    def die() -> None:
        raise KeyboardInterrupt

    between(other, 3, die)
    with pytest.raises(KeyboardInterrupt):
        other.forget_queues(NOW, NOW + DAY)
    assert keys(one, client) == set()
    assert client.zcard(one.names.queues) == 1
    assert one.forget_queues(NOW, NOW + DAY) == 1
    assert client.zcard(one.names.queues) == 0


def test_queues_in_use_are_not_asked_again_before_they_could_be_old(handles: Handles) -> None:
    one, _, _ = handles
    one.append([entry("b", queue="busy"), entry("c", queue="known")], NOW)
    assert one.forget_queues(NOW, NOW + DAY, keep=["known"]) == 1
    asked: list[Any] = []
    run = one._run
    one._run = lambda calls, **options: asked.append(calls) or run(calls, **options)
    assert one.forget_queues(NOW + DAY - 1, NOW + DAY + 1, keep=["known"]) == 0
    assert len(asked) == 1
