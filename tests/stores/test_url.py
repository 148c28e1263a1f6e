"""Store URLs."""

from __future__ import annotations

import pytest

from router.stores import open_store
from router.stores.contract_base import NOW, accept, accepted
from router.stores.memory import MemoryStore
from router.stores.sqlite import SqliteStore


def test_memory():
    assert isinstance(open_store("memory://"), MemoryStore)


def test_a_relative_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = open_store("sqlite:///some%20name.db")
    assert isinstance(store, SqliteStore)
    store.open(NOW)
    accepted(store, accept("a"))
    store.close()
    assert (tmp_path / "some name.db").stat().st_size > 0


def test_an_absolute_file(tmp_path):
    store = open_store(f"sqlite:///{tmp_path}/router.db?synchronous=normal")
    assert store.durability == "kernel"
    store.open(NOW)
    store.close()
    assert (tmp_path / "router.db").exists()


def test_durability_is_the_disk_by_default():
    assert open_store("sqlite:///x.db?synchronous=FULL").durability == open_store("sqlite:///x.db").durability == "disk"


@pytest.mark.parametrize(
    ("url", "kind", "nodes", "db", "login"),
    [
        ("redis://localhost", "single", (("localhost", 6379),), 0, ("", "")),
        ("rediss://u:p%40@[::1]:7/2", "single", (("::1", 7),), 2, ("u", "p@")),
        ("redis+sentinel://:p@a:1,b/main/3", "sentinel", (("a", 1), ("b", 26379)), 3, ("", "p")),
        ("rediss+cluster://u:p@a:1,b:2,[::2]:3", "cluster", (("a", 1), ("b", 2), ("::2", 3)), 0, ("u", "p")),
    ],
)
def test_redis(url, kind, nodes, db, login):
    store = open_store(f"{url}?prefix=bots:1&partitions=3&wait_replicas=1&strict=true")
    address = store.address
    assert (address.kind, address.nodes, address.db, (address.username, address.password)) == (kind, nodes, db, login)
    assert address.tls == url.startswith("rediss")
    assert (store.options.prefix, store.partitions, store.options.strict) == ("bots:1", 3, True)
    assert "p@" not in repr(address)
    assert address.master == ("main" if kind == "sentinel" else "")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("redis://:secret@host/x", "database number"),
        ("redis://:secret@host:99999/0", "must name a Redis host"),
        ("redis://:secret@a:1,b:2/0", "several hosts"),
        ("redis://:secret@host/0?ssl_ca_certs=x", "unknown option 'ssl_ca_certs'"),
        ("redis://:secret@host/0?partitions=many", "partitions must be a number"),
        ("redis://:secret@host/0?partitions=0", "partitions must be 1 to 1024"),
        ("redis://:secret@host/0?strict=perhaps", "strict must be true or false"),
        ("redis://:secret@host/0?prefix={a}", "prefix must be"),
        ("redis://:secret@host/0?prefix=bots:q", "no part after a colon"),
        ("redis+sentinel://:secret@host:26379/0?x=1", "unknown option 'x'"),
        ("redis+sentinel://:secret@host:26379", "master's name"),
        ("redis+cluster://:secret@host:1,host:2/3", "only database 0"),
        ("redis+unix://:secret@host", "must begin with"),
        ("sqlite://router.db", "three slashes"),
        ("sqlite:///", "path"),
        ("sqlite:///:memory:", "path"),
        ("sqlite:////tmp/", "path"),
        ("sqlite:///a.db?synchronous=off", "full or normal"),
        ("sqlite:///a.db?mode=ro", "unknown option"),
        ("memory://somewhere", "nothing else"),
        ("postgres://u:secret@host/db", "unknown scheme"),
        ("router.db", "unknown scheme"),
        ("", "unknown scheme"),
    ],
)
def test_a_wrong_url_says_what_is_wrong_and_no_secret(url, says):
    with pytest.raises(ValueError, match=says) as caught:
        open_store(url)
    assert "secret" not in str(caught.value)
