"""Promises of several routers on one Redis that need no crash: told twice, deaf, alike, and beside others."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack
from typing import Any

import pytest

from actors.errors import KeyReusedError
from router import Router
from router.messages import BanUser
from router.stores.contract_base import NOW, WINDOW, accept, done
from router.stores.redis.options import RedisOptions
from router.stores.redis.store import RedisStore
from router.stores.retention import Retention
from tests.http.daemons import MODERATOR, Served, serve
from tests.servers.proxy import Proxy
from tests.servers.redis import wait_for
from tests.servers.shared import options, owned_store, server
from tests.stores.house import House, ban, fresh_url, owners
from tests.stores.test_redis_network import story

# ---------------------------------------------------------------- told twice


def test_d3_fifty_at_two_routers_over_two_protocols_are_one_operation() -> None:
    effects: list[str] = []

    def prepare(router: Router) -> None:
        @router.handler(BanUser, idempotent=True)
        def _(command: BanUser, ctx: Any) -> None:
            effects.append(command.reason or "")

    told: list[tuple[str, str, str]] = []  # payload, what was answered, the id it was answered about
    with ExitStack() as stack:
        url = fresh_url()
        daemons = [stack.enter_context(serve(prepare, store=url)) for _ in range(2)]
        wait_for(lambda: len(owners(daemons[0].router.store)) == 2)
        ready = threading.Barrier(50)

        def knock(number: int) -> None:
            door = (over_http, called)[number // 2 % 2]
            ready.wait(20)
            told.append(door(daemons[number % 2], "ab"[number // 4 % 2]))

        threads = [threading.Thread(target=knock, args=(number,)) for number in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        (accepted,) = [each for each in told if each[1] == "new"]
        path = f"/api/commands/{accepted[2]}"  # asked of either, whichever of them executes it
        wait_for(lambda: all(daemon.client.get(path).json()["result"] for daemon in daemons))
        assert {daemon.client.get(path).json()["result"]["status"] for daemon in daemons} == {"ok"}
    like = [each for each in told if each[0] == accepted[0] and each != accepted]
    assert {each[1:] for each in like} == {("duplicate", accepted[2])}
    assert {each[1] for each in told if each[0] != accepted[0]} == {"conflict"}
    assert len(told) == 50
    assert effects == [accepted[0]]


def over_http(served: Served, payload: str) -> tuple[str, str, str]:
    data = {"userId": ban(1).user_id, "reason": payload}
    answer = served.send(data=data, headers_={"Idempotency-Key": "X"})
    if answer.status_code == 409:
        assert answer.json()["code"] == "idempotency_key_reused"
        return payload, "conflict", ""
    assert answer.status_code == 202, answer.text
    body = answer.json()
    return payload, "duplicate" if body["duplicate"] else "new", body["originalId"] or body["jobId"]


def called(served: Served, payload: str) -> tuple[str, str, str]:
    where = {"guild_id": "81384788765712384", "user_id": ban(1).user_id, "moderator_id": MODERATOR}
    try:
        answer = served.router.send(BanUser(**where, reason=payload), idempotency_key="X").accepted(timeout=60)
    except KeyReusedError:
        return payload, "conflict", ""
    return payload, "duplicate" if answer.duplicate else "new", answer.original or answer.id


def test_d6_a_duplicate_is_one_at_any_router_after_any_end_over_a_restart_and_a_purge() -> None:
    url = fresh_url()
    types = {"BAN_USER": {"attempts": 1}}
    one, two, three = (House(url, types=types) for _ in range(3))
    with two.router:
        with one.router:
            done = two.router.request(ban(1), timeout=60, idempotency_key="done")
            one.fails = two.fails = True
            dead = one.router.request(ban(2), timeout=60, idempotency_key="dead")
            assert (done.status, dead.status) == ("ok", "dead")
            one.fails = two.fails = False
        with three.router:
            for router in (two.router, three.router):
                for first, user, key in ((done, 1, "done"), (dead, 2, "dead")):
                    again = router.request(ban(user), timeout=60, idempotency_key=key)
                    assert (again.duplicate, again.status, again.data) == (True, first.status, first.data)
            assert three.router.dead_letters.purge() == 1
            again = two.router.request(ban(2), timeout=60, idempotency_key="dead")
            assert (again.duplicate, again.status) == (True, "dead")
    assert len(one.done) + len(two.done) + len(three.done) == 2


def test_d8_what_is_remembered_is_bounded_and_gone_when_its_window_is_over() -> None:
    """Of six thousand in three windows no more than one window's are there, and in the end nothing is."""
    store = owned_store(Retention(audit_rows=0))
    store.open(NOW)
    client = server().client()
    prefix = store.options.prefix

    def held() -> int:
        """Whatever Redis has of this store, in elements."""
        keys = [*client.keys(f"{prefix}:*"), *client.keys(f"{{{prefix}:*")]
        sizes = {b"hash": client.hlen, b"zset": client.zcard, b"set": client.scard, b"string": lambda _: 1}
        return sum(int(sizes[client.type(key)](key)) for key in keys)

    one = accept("first")
    done(store, one)
    each = held()
    full = []
    for turn in range(3):
        now = NOW + turn * 2 * WINDOW
        while store.sweep(now, 10_000):
            pass
        for first in range(0, 2_000, 500):
            done(store, *(accept(f"{turn}-{number}") for number in range(first, first + 500)), now=now)
        full.append(held())
    assert full[0] > 2_000
    assert max(full) - min(full) < each, full
    while store.sweep(NOW + 10 * WINDOW, 10_000):
        pass
    assert held() < each
    assert store.write([accept("0-1")], NOW + 10 * WINDOW)[0].sequence == 6_002
    store.close()
    client.close()


# ---------------------------------------------------------------- deaf


def test_m18_deaf_routers_find_commands_and_answers_by_looking() -> None:
    """No subscription ever stands, neither to news of other routers nor to the bells of queues."""
    prefix = options().prefix
    with Proxy(server().port) as proxy:
        proxy.fail(lambda words: words[0] == b"SUBSCRIBE", "request", times=1_000_000)
        url = f"redis://127.0.0.1:{proxy.port}/0?prefix={prefix}&partitions=4&lease_timeout=2000"
        one, two = House(url), House(url)
        with one.router, two.router:
            wait_for(lambda: len(owners(one.router.store)) == 2)
            began = time.monotonic()
            replies = [
                house.router.send(ban(user, user), requires_reliability=bool(user % 3))
                for user, house in zip(range(40), [one, two] * 20, strict=True)
            ]
            assert {reply.result(timeout=60).status for reply in replies} == {"ok"}
            print(f"forty commands of two deaf routers took {time.monotonic() - began:.2f} s")
        assert one.done
        assert two.done
        assert proxy.failed >= 4
    assert Counter(one.done + two.done).most_common(1)[0][1] == 1


# ---------------------------------------------------------------- alike


def test_m21_routers_of_one_process_are_told_apart_and_one_that_starts_again_is_another() -> None:
    url = fresh_url()
    one, two = House(url), House(url)
    with one.router, two.router:
        wait_for(lambda: len(owners(one.router.store)) == 2 and len(one.router.cluster()["members"]) == 2)
        members = one.router.cluster()["members"]
        assert len({member["name"] for member in members}) == 1
        assert {member["router"] for member in members} == {one.router.store.router, two.router.store.router}
    three = House(url)
    assert three.router.store.router not in {one.router.store.router, two.router.store.router}
    with three.router:
        assert three.router.request(ban(1), timeout=60).status == "ok"


FORK = """
import os, sys
from router import Router
router = Router(store=sys.argv[1])
if not os.fork():
    try:
        router.start()
    except Exception as error:
        print(type(error).__name__, error.cause, flush=True)
    else:
        print("it runs", flush=True)
    os._exit(0)
os.wait()
with router:
    print("its parent runs", flush=True)
"""


def test_m21_a_router_that_was_made_before_a_fork_runs_in_the_parent_alone() -> None:
    """Both would have one name, and what one owns the other would take for its own."""
    found = subprocess.run(
        [sys.executable, "-c", FORK, fresh_url()], capture_output=True, text=True, timeout=150, check=False
    )
    said = found.stdout.splitlines()
    assert len(said) == 2, found.stderr
    assert "before its process forked" in said[0]
    assert said[1] == "its parent runs"


# ---------------------------------------------------------------- beside others


def test_m23_everything_a_deployment_writes_and_hears_is_under_its_prefix() -> None:
    chosen = options(partitions=2, timeout=600)
    client = server().client()
    before = set(client.keys())
    found: set[bytes] = set()
    with Proxy(server().port) as proxy:
        store = RedisStore(f"redis://127.0.0.1:{proxy.port}/0", chosen, router="me")
        for _ in story(store):
            found |= set(client.keys()) - before
        store.close()
        heard = [word for words in proxy.commands if words[0] == b"SUBSCRIBE" for word in words[1:]]
    client.close()
    mine = tuple(f"{bracket}{chosen.prefix}:".encode() for bracket in ("", "{"))
    assert len(found) > 30
    assert [key for key in found if not key.startswith(mine)] == []
    assert [channel for channel in heard if not channel.startswith(mine)] == []


@pytest.mark.parametrize("prefix", ["bots:q", "bots:q:music", "a:b:q:c"])
def test_m23_a_prefix_that_could_be_anothers_queue_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="part"):
        RedisOptions(prefix=prefix)
    RedisOptions(prefix="q:queue:quiet")
