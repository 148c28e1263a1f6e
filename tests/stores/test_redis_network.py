"""What a network does to the Redis store: each call of a long story loses its answer once, and nothing is different."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from actors.entries import Nack
from actors.errors import StoreUnavailable
from actors.ports import AuditFilter, Begin, Bury, DeadFilter, Defer, Enter, Note, Replay, Settle
from actors.rates import Rated
from actors.schedules import Fire
from actors.sharing import partition_of
from actors.slots import Claim
from actors.workers import Finish, Presence, Undertake
from router.stores.contract import everything
from router.stores.contract_base import NOW, accept, accepted
from router.stores.contract_queues import entry, take
from router.stores.contract_schedules import claimed, schedule
from router.stores.redis import scripts
from router.stores.redis.store import RedisStore
from tests.servers.proxy import Proxy
from tests.servers.redis import wait_for
from tests.servers.shared import FOR_LONG, options, server

ONE, TWO = "1", next(f"{n}" for n in range(2, 99) if partition_of(f"{n}", 2) != partition_of("1", 2))
KEY = b"k" * 16


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with Proxy(server().port) as between:
        yield between


@pytest.fixture
def store(proxy: Proxy) -> Iterator[RedisStore]:
    made = RedisStore(f"redis://127.0.0.1:{proxy.port}/0", options(partitions=2, timeout=600), router="me")
    yield made
    made.close()


def is_script(words: list[bytes]) -> bool:
    return words[0] == b"EVALSHA"


def is_write(words: list[bytes]) -> bool:
    """A script, or a plain command that changes something."""
    return is_script(words) or words[0] in (b"HSET", b"HDEL", b"SADD", b"SREM")


def story(store: RedisStore) -> Iterator[Any]:
    """Every verb of every port, some with batches over two partitions; yields what was answered."""
    store.open(NOW)
    leases = store.leases()
    leases.open()
    yield [(each.router, each.name) for each in leases.join("me", "host", b"about", FOR_LONG)]
    won = {lease.partition: lease.token for lease in leases.acquire("me", [0, 1], FOR_LONG)}
    yield sorted(won)
    for partition, token in won.items():
        store.hold(partition, token)
    yield leases.renew("me", won, FOR_LONG)
    beat = leases.beat("me", "host", b"about", won, FOR_LONG)
    yield sorted(beat.kept), [each.router for each in beat.members], [lease.router for lease in beat.leases]
    yield [(lease.router, lease.token == won[lease.partition]) for lease in leases.look()]
    kept, members, owned = leases.beat("me", "host", b"about", won, FOR_LONG)
    yield sorted(kept), [member.router for member in members], [lease.router for lease in owned]
    rates, slow = store.rates(), Rated("guild", ONE, 3, FOR_LONG)
    yield [answer is None for answer in rates.take([[slow]] * 2)]
    yield [answer is None for answer in rates.take([[slow]] * 2)]
    rates.give_back({slow: 2})
    yield [answer is None for answer in rates.take([[slow]] * 3)]
    rates.close()
    slots = store.slots()
    for claim in (Claim("queue:q", 3, 0, 5, 5), Claim("queue:q", 3, 2, 2, 2), Claim("queue:q", 3, 0, 0, 0)):
        yield [each.held for each in slots.claim([claim], FOR_LONG)[1]]
    slots.close()
    once = {"key": KEY, "idempotency_key": "once"}
    names = [accept("a", guild=ONE), accept("b", guild=TWO, **once), accept("c", guild=ONE), accept("d", guild=TWO)]
    yield store.write([*names, accept("later", guild=ONE, due_at=NOW + 50)], NOW)
    yield store.write([accept("b2", guild=TWO, **once), accept("b3", guild=TWO, **once, fingerprint=b"x" * 16)], NOW)
    yield store.write([Begin("a", 1, "direct", ONE), Begin("b", 1, "direct", TWO), Enter("later", ONE)], NOW + 1)
    yield store.write(
        [Defer("a", NOW + 9, 1, b"trail", "why", ONE), Settle("b", "ok", b"fine", b"", True, (), TWO)], NOW
    )
    yield store.write([accept("b4", guild=TWO, **once)], NOW)
    yield store.write([Bury("c", "tried", b"dead", b"t", 3, ONE), Bury("d", "tried", b"dead", b"", 3, TWO)], NOW + 2)
    yield store.write([Replay("c", 3, NOW + 99, ONE), Note(NOW, "operator", "c", ONE, "u", b"again")], NOW + 3)
    yield store.pending(), store.delayed(), store.get("a"), store.dead_letters(DeadFilter())
    yield store.purge_dead(DeadFilter(), 10)
    rung: set[str] = set()
    bell = store.bell()
    bell.open(["q"], "asker", rung.add)
    wait_for(lambda: bell._line._hearing)
    yield store.append([entry(name) for name in "vwxyz"] + [entry("r", queue="other")], NOW)
    wait_for(lambda: "q" in rung)
    tokens = take(store, 3)
    yield tokens
    yield store.extend([("v", tokens["v"])], NOW + 5_000)
    yield store.begin([Undertake("q", "v", tokens["v"], "e", 1, "w")], NOW)
    yield store.finish([Finish("q", "v", tokens["v"], "e", b"done", "asker", done=False)], NOW, 10)
    wait_for(lambda: "" in rung)
    bell.close()
    yield rung, store.answers("asker", ["q"])
    store.heard("asker", [("q", "v")])
    yield store.ack([("w", tokens["w"])], NOW, 10)
    yield store.nack([Nack("x", tokens["x"], NOW, error="why", dead=True)], NOW, 0)
    yield store.remove(["y", "r"])
    tokens = take(store, 3)
    yield store.nack([Nack("z", tokens["z"], NOW, error="why", dead=True)], NOW, 10)
    yield store.replay_failed("q", [], NOW)
    yield store.append([entry("s"), entry("t")], NOW)
    yield store.purge("q")
    store.pause("q", True)
    store.report(Presence("w", "host", ("q",), (), (), 1), NOW, 100)
    store.report(Presence("gone", "host", ("other",), (), (), 1, holds=("other",)), NOW, 100)
    yield [claim.id for claim in store.claim("other", 1, NOW, NOW + 90_000, "gone")]
    gone, here = store.workers()
    yield gone.worker, here.worker, store.lines(["w"])
    yield store.free(gone), store.workers()
    store.retire("w")
    yield store.put_schedule(schedule("daily", NOW + 5), NOW), store.put_schedule(schedule("once", NOW + 1), NOW)
    yield store.put_schedule(schedule("once", NOW + 1), NOW), store.next_due(NOW)
    yield claimed(store, "me", NOW + 5), claimed(store, "you", NOW + 6), store.next_due(NOW + 6)
    yield store.fire(Fire("daily", NOW + 5, NOW + 90, "sent"), NOW + 7), store.fire(Fire("daily", NOW + 5, 0), NOW + 8)
    yield store.pause_schedule("daily", True, NOW + 90, NOW), store.fire(Fire("once", NOW + 1, 0), NOW + 9)
    yield store.pause_schedule("daily", False, NOW + 95, NOW + 9), store.schedules()
    yield store.remove_schedule("once"), store.schedules()
    yield everything(store), store.audit(AuditFilter(id="c"))
    while store.sweep(NOW + 10**12, 1_000):  # how many it says is no part of the story
        pass
    yield store.forget_queues(NOW + 10**12, NOW + 10**12), store.queue_stats()
    yield everything(store)
    leases.release("me", won)
    leases.leave("me")
    yield [lease.router for lease in leases.look()], leases.join("you", "host", b"", FOR_LONG)[0].router
    leases.close()


def told(store: RedisStore) -> list[Any]:
    answers = list(story(store))
    store.close()
    return answers


def test_the_story_has_every_script(proxy: Proxy, store: RedisStore) -> None:
    """M8: one that is new must be in it, or nobody has seen what it does when its answer is lost."""
    told(store)
    used = {words[1].decode() for words in proxy.commands if is_script(words)}
    assert [script for script in scripts.ALL if script.sha not in used] == []
    texts = [path.read_text("utf-8") for path in scripts.HERE.glob("*.lua")]
    assert len(texts) > len(scripts.ALL), "each has a file, and some share one more"
    assert [text for text in texts if not any(text in script.text for script in scripts.ALL)] == []


@pytest.mark.parametrize("how", ["reply", "request", "half", "half reply", "late"])
def test_no_single_fault_makes_a_difference(proxy: Proxy, how: str) -> None:
    """M8, M9: the story is told once for each of its calls, which fails; for every third of the lesser faults."""

    def fresh() -> RedisStore:
        return RedisStore(f"redis://127.0.0.1:{proxy.port}/0", options(partitions=2), router="me")

    wanted = told(fresh())
    proxy.commands.clear()
    assert told(fresh()) == wanted
    calls = sum(map(is_write, proxy.commands))  # all scripts are loaded by now
    assert calls > 50
    for number in range(0, calls, 1 if how == "reply" else 3):
        calls_left = iter(range(calls))
        proxy.fail(lambda words, n=number, left=calls_left: is_write(words) and next(left) == n, how)
        before = proxy.failed
        assert told(fresh()) == wanted, f"call {number}"
        assert proxy.failed == before + 1


def test_a_connection_that_breaks_at_any_byte_makes_no_difference(proxy: Proxy) -> None:
    """M9: of the request of a write and of its answer."""
    store = RedisStore(f"redis://127.0.0.1:{proxy.port}/0", options(), router="me")
    store.open(NOW)
    numbers = count(1)

    def write() -> tuple[int, list[int]]:
        """How long the request was, and the numbers that were given."""
        batch = [accept(f"{next(numbers):05}", key=b""), accept(f"{next(numbers):05}", key=b"")]
        before = len(proxy.commands)
        results = store.write(batch, NOW)
        words = next(each for each in proxy.commands[before:] if is_script(each))
        size = len(f"*{len(words)}\r\n") + sum(len(f"${len(word)}\r\n") + len(word) + 2 for word in words)
        return size, [result.sequence for result in results]

    size, given = write()
    for how, last in (("half", size), ("half reply", 20)):
        for at in range(0, last, 3 if how == "half" else 1):
            proxy.fail(is_script, how, at=at)
            given += write()[1]
    assert given == list(range(1, len(given) + 1))
    assert [record.sequence for record in store.arrived({0: 0}, 100_000)] == given
    store.close()


def test_an_answer_lost_twice_is_in_doubt_and_to_write_it_again_changes_nothing(
    proxy: Proxy, store: RedisStore
) -> None:
    store.open(NOW)
    batch = [accept("a", guild=ONE), accept("b", guild=TWO)]
    proxy.fail(lambda words: is_script(words) and b":p0}" in words[3], "reply", times=2)
    with pytest.raises(StoreUnavailable) as caught:
        store.write(batch, NOW)
    assert caught.value.doubt
    first = store.write(batch, NOW + 5)
    assert [result.sequence for result in first] == [1, 1]
    assert store.get("a").accepted_at == NOW
    assert store.stats()["bot:moderation"].pending == 2


def test_silence_is_in_doubt_and_is_not_asked_twice(proxy: Proxy, store: RedisStore) -> None:
    store.open(NOW)
    before = len(proxy.commands)
    proxy.fail(is_script, "silence")
    with pytest.raises(StoreUnavailable, match="in time") as caught:
        store.write([accept("a", guild=ONE)], NOW)
    assert caught.value.doubt
    assert sum(map(is_script, proxy.commands[before:])) == 1
    accepted(store, accept("b", guild=ONE))
    assert store.write([accept("a", guild=ONE)], NOW)[0].sequence == 1


def test_who_was_never_reached_leaves_no_doubt() -> None:
    store = RedisStore("redis://127.0.0.1:1/0", options())
    with pytest.raises(StoreUnavailable, match="cannot be reached") as caught:
        store.open(NOW)
    assert not caught.value.doubt


def test_a_broken_connection_is_mended_within_the_call(proxy: Proxy, store: RedisStore) -> None:
    store.open(NOW)
    proxy.cut()
    accepted(store, accept("a", guild=ONE))


def test_scripts_that_redis_forgot_are_loaded_again(store: RedisStore) -> None:
    store.open(NOW)
    client = server().client()
    client.script_flush()
    accepted(store, accept("a", guild=ONE), accept("b", guild=TWO))
    client.script_flush()
    client.close()
    assert [record.sequence for record in store.arrived({0: 0, 1: 0})] == [1, 1]
