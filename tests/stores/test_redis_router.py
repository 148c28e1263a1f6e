"""Routers on one Redis, as users start them."""

from __future__ import annotations

import logging
import threading
from time import monotonic

import pytest

from actors.errors import RateLimited
from actors.runtime.clock import SystemClock
from router import Reply
from router.messages import UnbanUser
from router.stores.timing import take_time_of
from router.stores.url import open_store
from tests.servers.redis import wait_for
from tests.stores.house import MODERATOR, House, ban, fresh_url, owners


@pytest.fixture
def url() -> str:
    return fresh_url()


def test_a_command_and_its_duplicate_and_its_story(url: str) -> None:
    house = House(url)
    with house.router as router:
        first = router.request(ban(1), timeout=60)
        again = router.request(ban(1), timeout=60)
        assert (first.status, again.duplicate) == ("ok", True)
        story = router.explain(first.request_id)
        assert story is not None
        assert router.find(first.request_id).state == "settled"
        assert router.health()["protocols"]["redis"]["healthy"]


def test_what_was_accepted_outlives_the_router(url: str) -> None:
    one = House(url)
    with one.router as router:
        router.queues.pause("bot:moderation")
        replies = router.send_many([ban(user) for user in range(5)])
        for reply in replies:
            assert reply.accepted(timeout=60)
    two = House(url)
    with two.router as router:
        assert "bot:moderation" in {name for name, each in router.queues.stats().items() if each.paused}
        router.queues.resume("bot:moderation")
        wait_for(lambda: len(two.done) == 5)
    assert one.done == []
    assert two.done == [ban(user).user_id for user in range(5)]


def test_two_routers_share_the_work_and_answer_each_others_senders(url: str) -> None:
    one, two = House(url), House(url)
    with one.router, two.router:
        wait_for(lambda: len(owners(one.router.store)) == 2)
        replies = [
            house.router.send(ban(user, user % 20)) for user, house in zip(range(60), [one, two] * 30, strict=True)
        ]
        assert {reply.result(timeout=60).status for reply in replies} == {"ok"}
        same = [house.router.send(ban(1_000)) for house in (one, two)]
        assert sorted(reply.result(timeout=60).duplicate for reply in same) == [False, True]
    assert len(one.done) + len(two.done) == 61
    assert one.done
    assert two.done


def test_a_router_that_goes_hands_over(url: str) -> None:
    one, two = House(url), House(url)
    with two.router:
        with one.router:
            wait_for(lambda: len(owners(two.router.store)) == 2)
        assert {two.router.request(ban(user, user), timeout=60).status for user in range(8)} == {"ok"}
    assert len(two.done) == 8


def test_an_opposed_command_of_another_router_ends_the_window(url: str) -> None:
    one, two = House(url), House(url)
    for house in (one, two):
        house.router.handler(UnbanUser, idempotent=True)(lambda command, ctx: None)
    with one.router, two.router:
        assert not one.router.request(ban(1), timeout=60).duplicate
        unban = UnbanUser(guild_id=ban(1).guild_id, user_id=ban(1).user_id, moderator_id=MODERATOR, reason="sorry")
        assert two.router.request(unban, timeout=60).status == "ok"
        assert not one.router.request(ban(1), timeout=60).duplicate


def test_the_time_of_the_store_counts(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """M13: a machine whose clock is an hour off."""
    clock = SystemClock()
    right = clock.now()
    clock.set(right - 3_600_000)
    with caplog.at_level(logging.WARNING):
        take_time_of(open_store(url), clock)
    assert abs(clock.now() - right) < 5_000
    assert "-3600" in caplog.text
    clock.close()


def test_a_store_that_cannot_be_reached_leaves_the_clock_alone() -> None:
    clock = SystemClock()
    before = clock.now()
    take_time_of(open_store("redis://127.0.0.1:1/0"), clock)
    assert 0 <= clock.now() - before < 60_000
    clock.close()


def test_a_rate_is_what_was_set_over_both_doors(url: str) -> None:
    """Twenty commands for one guild in one instant, ten a second allowed."""
    houses = [House(url, guild_rate=10), House(url, guild_rate=10)]
    with houses[0].router, houses[1].router:
        wait_for(lambda: len(owners(houses[0].router.store)) == 2)
        ready = threading.Barrier(2)
        accepted: list[Reply] = []
        refused: list[RateLimited] = []
        times: list[float] = []

        def knock(house: House, users: range) -> None:
            ready.wait(10)
            times.append(monotonic())
            for reply in house.router.send_many([ban(user) for user in users]):
                try:
                    reply.accepted(timeout=60)
                    accepted.append(reply)
                except RateLimited as error:
                    refused.append(error)
            times.append(monotonic())

        threads = [
            threading.Thread(target=knock, args=(house, range(10 * n, 10 * n + 10))) for n, house in enumerate(houses)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        # The instant is shorter than the tenth of a second in which one more is due, unless the machine stands still.
        assert 10 <= len(accepted) <= 10 + (max(times) - min(times)) * 10
        assert len(accepted) + len(refused) == 20
        assert {reply.result(timeout=60).status for reply in accepted} == {"ok"}
    assert all(0 < error.retry_after <= 1_000 for error in refused)
    assert {error.limit for error in refused} == {"guild rate"}
    assert len(houses[0].done) + len(houses[1].done) == len(accepted)
