"""Redis as it is run: with logins, over TLS, behind sentinels, as a cluster; and what becomes of it."""

from __future__ import annotations

import logging
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import trustme

from actors.errors import StoreError, StoreUnavailable, StoreVersion
from actors.ports import AuditFilter, Begin, Lost
from actors.sharing import Answered, Arrived, partition_of
from router.stores.contract import BackendContract
from router.stores.contract_base import NOW, accept, accepted, done, settle
from router.stores.contract_queues import entry, take
from router.stores.contract_rates import RatesContract
from router.stores.contract_shared import SharedContract
from router.stores.contract_slots import SlotsContract
from router.stores.redis.address import Address
from router.stores.redis.founding import inspect
from router.stores.redis.link import Link, plain
from router.stores.redis.options import RedisOptions
from router.stores.redis.store import RedisStore
from tests.servers.redis import RedisServer, cluster, wait_for
from tests.servers.shared import FOR_LONG, OwnedStore, options, server
from tests.servers.tls import tls_front


@pytest.fixture(scope="module")
def alone() -> Iterator[RedisServer]:
    """One for what changes a whole server."""
    server()  # skips where there is none
    with RedisServer() as made:
        yield made


@contextmanager
def opened(url: str, **values: Any) -> Iterator[OwnedStore]:
    store = OwnedStore(url, options(**values))
    try:
        store.open(NOW)
        yield store
    finally:
        store.close()


def works(store: OwnedStore) -> None:
    """A command's whole way, an entry's, and news."""
    done(store, accept("a", guild="g1"))
    assert store.get("a").status == "ok"
    assert [line.id for line in store.audit(AuditFilter())] == ["a"]
    store.append([entry("x")], NOW)
    assert list(take(store)) == ["x"]
    other = RedisStore(store.url, store.options, router="other")
    heard: list[Any] = []
    came = threading.Event()

    def hear(news: Any) -> None:
        heard.append(news)
        if isinstance(news, Answered):
            came.set()

    ears = other.ears()
    ears.open(hear)
    other.open(NOW)
    accepted(other, accept("b", guild="g1"))
    wait_for(lambda: ears._line._hearing)
    store.write([Begin("b", 1, "direct", "g1"), settle("b")._replace(guild="g1")], NOW)
    assert came.wait(5)
    assert heard == [Answered("b", b"answer of b")]
    ears.close()
    other.close()


# ---------------------------------------------------------------- who may come in


def test_a_password(alone: RedisServer) -> None:
    client = alone.client()
    client.config_set("requirepass", "s3cret p@ss")
    admin = alone.client(password="s3cret p@ss")
    try:
        with opened(f"redis://:s3cret%20p%40ss@{alone.address}/1") as store:
            works(store)
        for login, says in (("", "wants a password"), (":wrong@", "password of Redis is wrong")):
            stranger = RedisStore(f"redis://{login}{alone.address}/1", options())
            with pytest.raises(StoreUnavailable, match=says) as caught:
                stranger.open(NOW)
            assert not caught.value.doubt
            assert "s3cret" not in str(caught.value)
            assert "wrong@" not in str(caught.value)
            stranger.close()
    finally:
        admin.config_set("requirepass", "")
        admin.close()
        client.close()


def test_a_user_with_the_rights_that_are_described(alone: RedisServer) -> None:
    client = alone.client()
    rules = "on >pw resetkeys resetchannels ~{bots:* ~bots:* &bots:* +@all -@dangerous +info +config|get"
    client.execute_command("ACL", "SETUSER", "bot", *rules.split())
    try:
        with opened(f"redis://bot:pw@{alone.address}/0", prefix="bots:1") as store:
            assert store.durability == "kernel"
            works(store)
        foreign = RedisStore(f"redis://bot:pw@{alone.address}/0", options(prefix="others"))
        with pytest.raises(StoreUnavailable, match="may not do this"):
            foreign.open(NOW)
        foreign.close()
    finally:
        client.execute_command("ACL", "DELUSER", "bot")
        client.close()


def test_tls(alone: RedisServer, tmp_path: Any) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with tls_front(alone.port, context) as port:
        url = f"rediss://127.0.0.1:{port}/0"
        with opened(f"{url}?ssl_ca_certs={tmp_path}/ca.pem") as store:
            works(store)
        with opened(f"rediss://localhost:{port}/0?ssl_ca_certs={tmp_path}/ca.pem&ssl_check_hostname=false") as store:
            accepted(store, accept("a"))
        for wrong in (url, f"rediss://localhost:{port}/0?ssl_ca_certs={tmp_path}/ca.pem"):
            stranger = RedisStore(wrong, options())
            with pytest.raises(StoreUnavailable, match="cannot be reached"):
                stranger.open(NOW)
            stranger.close()


# ---------------------------------------------------------------- a cluster


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[RedisServer]]:
    server()
    with cluster() as servers:
        yield servers


def cluster_url(nodes: list[RedisServer]) -> str:
    return "redis+cluster://" + ",".join(node.address for node in nodes[:2])


class TestClusterShared(SharedContract, RatesContract, SlotsContract):
    """Partitions on several nodes, news across all of them."""

    @pytest.fixture(autouse=True)
    def handles(self, nodes: list[RedisServer]) -> Iterator[None]:
        self.nodes = nodes
        self.stores: list[RedisStore] = []
        yield
        for store in self.stores:
            store.close()

    def routers(self, *names: str, partitions: int = 4) -> list[Any]:
        chosen = options(partitions=partitions)
        self.stores = [RedisStore(cluster_url(self.nodes), chosen, router=name) for name in names]
        return self.stores

    def pass_time(self, ms: int) -> None:
        time.sleep(ms / 1000)  # real time: Redis measures leases by its own clock


class TestCluster(BackendContract):
    one_order = False
    transactional = False

    @pytest.fixture(autouse=True)
    def handles(self, nodes: list[RedisServer]) -> Iterator[None]:
        self.nodes = nodes
        self.stores: list[RedisStore] = []
        yield
        for store in self.stores:
            store.close()

    def make(self) -> RedisStore:
        self.stores.append(OwnedStore(cluster_url(self.nodes), options(partitions=4)))
        return self.stores[-1]


def test_a_slot_that_moves_is_followed(nodes: list[RedisServer]) -> None:
    """MOVED, and ASK while it is on its way."""
    with opened(cluster_url(nodes), partitions=1) as store:
        accepted(store, accept("a"))
        link = Link(Address.parse(cluster_url(nodes))[0], connect_timeout=1_000, timeout=2_000)
        key = store.names.partitions[0]
        home = link.node(key)
        link.close()
        source = next(node for node in nodes if node.port == home[1])
        target = next(node for node in nodes if node is not source)
        there, here = target.client(), source.client()
        slot = here.execute_command("CLUSTER", "KEYSLOT", key)
        ids = {client: client.execute_command("CLUSTER", "MYID").decode() for client in (there, here)}
        there.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[here])
        here.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[there])
        keys = here.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 100)
        here.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
        accepted(store, accept("b"))  # ASK
        for node in nodes:
            client = node.client()
            client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", ids[there])
            client.close()
        accepted(store, accept("c"))  # MOVED
        assert [record.sequence for record in store.pending()] == [1, 2, 3]
        there.close()
        here.close()


# ---------------------------------------------------------------- sentinels


def test_a_failover_is_followed() -> None:
    server()
    master = RedisServer().start()
    replica = RedisServer(replicaof=f"127.0.0.1 {master.port}").start()
    watch = (
        f"sentinel monitor main 127.0.0.1 {master.port} 1\n"
        "sentinel down-after-milliseconds main 300\nsentinel failover-timeout main 2000"
    )
    sentinel = RedisServer(sentinel=watch).start()
    talk, copy = sentinel.client(), replica.client()
    try:
        wait_for(lambda: copy.info("replication")["master_link_status"] == "up")
        wait_for(lambda: len(talk.execute_command("SENTINEL", "REPLICAS", "main")) == 1)
        url = f"redis+sentinel://127.0.0.1:1,{sentinel.address}/main/0"
        with opened(url, wait_replicas=1, wait_timeout=1_000) as store:
            accepted(store, accept("a"))
            store._link._seal = None  # nobody is left to wait for
            master.kill()
            wait_for(lambda: copy.info("replication")["role"] == "master")
            wait_for(lambda: _new_master(talk) == replica.port)
            results: list[Any] = []

            def writes() -> bool:
                try:
                    results[:] = store.write([accept("b")], NOW)
                except StoreUnavailable:
                    return False
                return True

            wait_for(writes)
            assert results[0].sequence == 2, "what a replica had was kept"
    finally:
        for client in (talk, copy):
            client.close()
        for each in (sentinel, replica, master):
            each.close()


def _new_master(talk: Any) -> int:
    return int(talk.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main")[1])


def test_a_write_without_enough_replicas_is_not_acknowledged() -> None:
    """M11"""
    server()

    def wait(ms: int) -> None:
        store._link._seal = store._seal._replace(timeout=ms)

    with RedisServer() as master:
        store = RedisStore(master.url, options(wait_replicas=1, wait_timeout=50))
        with pytest.raises(StoreUnavailable, match="0 of 1 replicas"):
            store.open(NOW)
        with RedisServer(replicaof=f"127.0.0.1 {master.port}") as replica:
            copy = replica.client()
            wait_for(lambda: copy.info("replication")["master_link_status"] == "up")
            wait(5_000)  # returns as soon as the replica has it
            store.open(NOW)
            first = accepted(store, accept("a"))
            copy.close()
        wait(50)
        with pytest.raises(StoreUnavailable, match="0 of 1 replicas") as caught:
            store.write([accept("b")], NOW)
        assert caught.value.doubt
        with pytest.raises(StoreUnavailable, match="0 of 1 replicas"):
            store.write([accept("a"), accept("b")], NOW)  # a repeat, which changes nothing, is not acknowledged either
        with RedisServer(replicaof=f"127.0.0.1 {master.port}") as replica:
            copy = replica.client()
            wait_for(lambda: copy.info("replication")["master_link_status"] == "up")
            copy.close()
            wait(5_000)
            again = store.write([accept("a"), accept("b")], NOW)
            assert [again[0], again[1].sequence] == [first[0], 2]
        store.close()


# ---------------------------------------------------------------- what becomes of it


def test_what_was_accepted_outlives_a_killed_redis(alone: RedisServer) -> None:
    client = alone.client()
    # With everysec it would too, unless a slow fsync made Redis keep some of it to itself for up to two seconds.
    client.config_set("appendfsync", "always")
    client.close()
    with opened(alone.url, partitions=2) as store:
        written = [accept(f"{n}", guild=f"g{n % 3}") for n in range(50)]
        first = accepted(store, *written)
        alone.restart(kill=True)
        assert store.write(written, NOW) == first
        assert len(store.pending()) == 50


def test_a_lease_does_not_outlive_the_server_that_gave_it(alone: RedisServer) -> None:
    """Started again it may have forgotten its last second, and its owner remembers more than is stored."""
    store = RedisStore(alone.url, options(partitions=2))
    store.open(NOW)
    keeper = store.leases()
    keeper.open()
    (lease,) = keeper.acquire("me", [1], FOR_LONG)
    assert keeper.acquire("me", [1], FOR_LONG) == [lease], "asked again it is the same one"
    alone.restart()
    assert keeper.renew("me", {1: lease.token}, FOR_LONG) == frozenset()
    (again,) = keeper.acquire("me", [1], FOR_LONG)
    assert again.token > lease.token
    assert keeper.renew("me", {1: again.token}, FOR_LONG) == {1}
    keeper.close()
    store.close()


def test_without_info_a_lapsed_lease_is_lost(alone: RedisServer) -> None:
    store = RedisStore(alone.url, options(partitions=2))
    store.open(NOW)
    client = alone.client()
    client.execute_command("ACL", "SETUSER", "default", "-info")
    try:
        keeper = store.leases()
        keeper.open()
        (short,) = keeper.acquire("me", [1], 1)
        (long,) = keeper.acquire("me", [0], FOR_LONG)
        before = keeper.time()
        wait_for(lambda: keeper.time() > before + 1)
        assert keeper.renew("me", {1: short.token, 0: long.token}, FOR_LONG) == {0}
        keeper.close()
    finally:
        client.execute_command("ACL", "SETUSER", "default", "+info")
        client.close()
        store.close()


def test_a_redis_that_was_emptied_is_noticed_at_once(alone: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    """M10, M6"""
    with opened(alone.url, partitions=2) as store:
        accepted(store, accept("a", guild="1"))
        old = dict(store._tokens)
        client = alone.client()
        client.flushall()
        client.close()
        with caplog.at_level(logging.CRITICAL), pytest.raises(StoreUnavailable, match="emptied") as caught:
            store.write([settle("a")._replace(guild="1")], NOW)
        assert not caught.value.doubt
        assert "every command it held" in caplog.text
        partition = partition_of("1", 2)
        assert store.write([settle("a")._replace(guild="1")], NOW) == [Lost(partition)], "what was held is dropped"
        store.hold(partition, old[partition])
        assert store.write([settle("a")._replace(guild="1")], NOW) == [Lost(partition)], "old tokens count no more"
        keeper = store.leases()
        keeper.open()
        (lease,) = keeper.acquire(store.router, [partition], FOR_LONG)
        keeper.close()
        assert lease.token > old[partition]
        store.hold(partition, lease.token)
        (result,) = accepted(store, accept("a", guild="1"))
        assert result.sequence == 1
        assert store.write([settle("a")._replace(guild="1")], NOW) == [True]


@pytest.mark.parametrize("read", ["pending", "stats", "get"])
def test_an_emptied_redis_is_not_read_as_if_all_were_done(alone: RedisServer, read: str) -> None:
    with opened(alone.url) as store:
        accepted(store, accept("a"))
        client = alone.client()
        client.flushall()
        client.close()
        with pytest.raises(StoreUnavailable, match="emptied"):
            getattr(store, read)(*(["a"] if read == "get" else []))


def test_a_redis_that_stands_still_is_in_doubt_and_comes_back(alone: RedisServer) -> None:
    """M7 at the store"""
    with opened(alone.url, timeout=150, wait_timeout=100) as store:
        accepted(store, accept("a"))
        with alone.paused(), pytest.raises(StoreUnavailable, match="in time") as caught:
            store.write([accept("b")], NOW)
        assert caught.value.doubt
        store._link._options["socket_timeout"] = 5
        assert [result.sequence for result in store.write([accept("b"), accept("c")], NOW)] == [2, 3]


def test_a_full_redis_refuses_newcomers_and_lets_owners_end(alone: RedisServer) -> None:
    client = alone.client()
    with opened(alone.url) as store:
        accepted(store, accept("a"))
        client.config_set("maxmemory", 1)
        try:
            with pytest.raises(StoreUnavailable, match="out of memory") as caught:
                store.write([accept("b")], NOW)
            assert not caught.value.doubt
            assert store.write([Begin("a", 1, "direct"), settle("a")], NOW) == [True, True]
            store.sweep(NOW + 10**12, 100)
            assert store.get("a") is None
        finally:
            client.config_set("maxmemory", 0)
            client.close()
        accepted(store, accept("b"))


@pytest.mark.parametrize(
    ("setting", "value", "calm", "says"),
    [
        ("min-replicas-to-write", 1, 0, "too few replicas"),
        ("replicaof", "127.0.0.1 1", "no one", "takes no writes"),
    ],
)
def test_a_refusal_leaves_no_doubt_and_no_trace(
    alone: RedisServer, setting: str, value: Any, calm: Any, says: str
) -> None:
    """M19"""
    client = alone.client()

    def configure(given: Any) -> None:
        if setting == "replicaof":
            client.execute_command("REPLICAOF", *given.split())
        else:
            client.config_set(setting, given)

    with opened(alone.url) as store:
        configure(value)
        try:
            with pytest.raises(StoreUnavailable, match=says) as caught:
                store.write([accept("a")], NOW)
            assert not caught.value.doubt
        finally:
            configure(calm)
            client.close()
        assert accepted(store, accept("a"))[0].sequence == 1


def test_a_busy_redis_is_a_refusal(alone: RedisServer) -> None:
    client = alone.client()
    client.config_set("lua-time-limit", 10)
    with opened(alone.url) as store:
        stuck = threading.Thread(target=_run_for_ever, args=(alone,), daemon=True)
        stuck.start()
        probe = alone.client()

        def busy() -> bool:
            try:
                probe.get("x")
            except Exception as error:
                return "BUSY" in str(error)
            return False

        wait_for(busy)
        with pytest.raises(StoreUnavailable, match="keeps Redis busy") as caught:
            store.write([accept("a")], NOW)
        assert not caught.value.doubt
        probe.script_kill()
        stuck.join(5)
        probe.close()
        client.config_set("lua-time-limit", 5000)
        client.close()
        assert accepted(store, accept("a"))[0].sequence == 1


def _run_for_ever(alone: RedisServer) -> None:
    client = alone.client(socket_timeout=30)
    try:
        client.eval("while true do end", 0)
    except Exception:
        pass  # it is killed
    finally:
        client.close()


# ---------------------------------------------------------------- before the first command


@pytest.mark.parametrize(
    ("config", "durability", "says"),
    [
        ({"appendonly": "no"}, "process", "appendonly no"),
        ({"maxmemory_policy": "allkeys-lru"}, "kernel", "allkeys-lru"),
        ({"appendfsync": "always"}, "disk", ""),
    ],
)
def test_a_redis_that_may_forget_is_warned_of_or_refused(
    config: dict[str, str], durability: str, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    server()
    with RedisServer(**config) as made:
        with opened(made.url) as store:
            assert store.durability == durability
        assert (says in caplog.text) if says else not caplog.text
        careful = RedisStore(made.url, options(strict=True))
        if says:
            with pytest.raises(StoreError, match=says):
                careful.open(NOW)
        else:
            careful.open(NOW)
        careful.close()


@pytest.mark.parametrize(
    ("config", "values", "says"),
    [
        ({"appendfsync": "always"}, {}, ""),
        ({"appendfsync": "everysec"}, {"wait_timeout": 2_500, "timeout": 5_000}, ""),
        ({"appendfsync": "everysec"}, {}, "everysec needs a wait_timeout of 2000 or more"),
        ({"appendfsync": "no"}, {}, "not no"),
        ({"appendonly": "no"}, {}, "appendonly yes"),
    ],
)
def test_waiting_for_the_disk_needs_a_redis_that_can(config: dict[str, str], values: dict[str, int], says: str) -> None:
    """M11: ``WAITAOF``, where the server has it; an older one is refused, and so is one that would keep us waiting."""
    server()
    with RedisServer(**config) as made:
        client = made.client()
        version = tuple(map(int, client.info("server")["redis_version"].split(".")[:2]))
        client.close()
        store = RedisStore(made.url, options(wait_disk=True, **values))
        if version < (7, 2) or says:
            with pytest.raises(StoreError, match=says if version >= (7, 2) else r"needs Redis 7\.2"):
                store.open(NOW)
        else:
            store.open(NOW)
            assert store.durability == "disk"
            accepted(store, accept("a"))
        store.close()


def test_a_redis_that_is_too_old_is_refused_with_its_version() -> None:
    class Old:
        """A link to a server of 2020, of which there is none here."""

        def run(self, calls: Any) -> list[bytes]:
            return [b"redis_version:6.0.16\r\n", b"aof_enabled:1\r\n", b"maxmemory_policy:noeviction\r\n"]

    with pytest.raises(StoreError, match=r"6\.0\.16 is too old; 6\.2"):
        inspect(Old(), RedisOptions())


@pytest.mark.parametrize(("schema", "says"), [(2, "newer version"), (0, "older version")])
def test_another_layout_is_refused(schema: int, says: str) -> None:
    """M22"""
    chosen = options()
    client = server().client()
    client.hset(f"{chosen.prefix}:meta", "schema", schema)
    client.close()
    store = RedisStore(server().url, chosen)
    with pytest.raises(StoreVersion, match=says):
        store.open(NOW)
    store.close()


def test_another_number_of_partitions_is_refused() -> None:
    with opened(server().url, partitions=3) as store:
        other = RedisStore(server().url, RedisOptions(prefix=store.options.prefix, partitions=4))
        with pytest.raises(StoreVersion, match="made with 3 partitions, not 4"):
            other.open(NOW)
        other.close()


def test_deployments_of_different_prefixes_do_not_see_one_another() -> None:
    """M23"""
    with opened(server().url, prefix="one:x") as one, opened(server().url, prefix="one") as other:
        accepted(one, accept("a", key=b"k" * 16))
        one.append([entry("e")], NOW)
        one.pause("q", True)
        assert other.get("a") is None
        assert accepted(other, accept("a", key=b"k" * 16))[0].sequence == 1
        assert other.paused() == frozenset()
        assert take(other) == {}
        keeper = one.leases()
        keeper.open()
        keeper.join(one.router, "host", b"", 1_000)
        keeper.close()
        keeper = other.leases()
        keeper.open()
        assert [each.router for each in keeper.join(other.router, "host", b"", 1_000)] == [other.router]
        keeper.close()
        news: list[Any] = []
        ears = other.ears()
        ears.open(news.append)
        wait_for(lambda: ears._line._hearing)
        one.announce("paused", b"q")
        other._run([plain("", "PUBLISH", other.names.everybody, b"\xc1")])  # what cannot be read is passed over
        ears.close()
        assert news == []


def test_news_are_heard_again_after_a_restart(alone: RedisServer) -> None:
    with opened(alone.url) as store:
        heard: list[Any] = []
        ears = store.ears()
        ears.open(heard.append)
        wait_for(lambda: ears._line._hearing)
        alone.restart(kill=True)
        wait_for(lambda: heard)  # time to look, for what was said meanwhile is lost
        heard.clear()
        other = RedisStore(alone.url, store.options, router="other")
        other.open(NOW)
        accepted(other, accept("a"))
        wait_for(lambda: heard)
        assert heard == [Arrived(0)]
        ears.close()
        other.close()
