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
    ("url", "says"),
    [
        ("redis://:secret@host/0", "not in this version"),
        ("rediss://:secret@host/0", "not in this version"),
        ("redis+sentinel://:secret@host/0", "not in this version"),
        ("redis+cluster://:secret@host/0", "not in this version"),
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
