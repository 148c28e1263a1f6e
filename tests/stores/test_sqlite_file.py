"""The file itself: one holder, versions, errors, what comes first on the disk."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap

import pytest

from actors.errors import StoreError, StoreInUse, StoreUnavailable, StoreVersion
from actors.ports import Begin, Duplicate
from router.stores.contract import everything
from router.stores.contract_base import NOW, accept, accepted, settle
from router.stores.sqlite import SqliteStore
from router.stores.sqlite_errors import translated
from router.stores.sqlite_schema import APPLICATION_ID, MIGRATIONS, VERSION, migrate


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "router.db")


@pytest.fixture
def store(path):
    store = SqliteStore(path)
    store.open(NOW)
    yield store
    store.close()


# ---------------------------------------------------------------- one holder


def test_a_second_store_in_this_process_is_refused(store, path):
    other = SqliteStore(path)
    with pytest.raises(StoreInUse, match=str(os.getpid())):
        other.open(NOW)
    accepted(store, accept("a"))
    store.close()
    other.open(NOW)
    assert other.get("a") is not None
    other.close()


def test_another_name_of_the_same_file_is_refused(store, path, tmp_path):
    link = tmp_path / "link.db"
    link.symlink_to(path)
    with pytest.raises(StoreInUse):
        SqliteStore(str(link)).open(NOW)


CHILD = """
    import sys
    from router.stores.sqlite import SqliteStore
    from router.stores.contract_base import NOW, accept
    store = SqliteStore(sys.argv[1])
    store.open(NOW)
"""


def child(code, *arguments, before=()):
    text = textwrap.dedent(CHILD) + textwrap.dedent(code)
    return subprocess.Popen(
        [*before, sys.executable, "-c", text, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_a_second_process_is_refused_until_the_first_is_killed(path):
    with child("print('open', flush=True); sys.stdin.read()", path) as process:
        assert process.stdout.readline() == "open\n"
        store = SqliteStore(path)
        with pytest.raises(StoreInUse, match=str(process.pid)):
            store.open(NOW)
        process.send_signal(signal.SIGKILL)
        process.wait()
        store.open(NOW)
        store.close()


# ---------------------------------------------------------------- versions


def schema(path):
    connection = sqlite3.connect(path)
    try:
        tables = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name").fetchall()
        return tables, connection.execute("PRAGMA user_version").fetchone()
    finally:
        connection.close()


@pytest.mark.parametrize("version", range(VERSION))
def test_a_file_of_every_earlier_version_becomes_as_a_fresh_one(path, tmp_path, version):
    connection = sqlite3.connect(path, isolation_level=None)
    migrate(connection, path, to=version)
    connection.close()
    fresh = str(tmp_path / "fresh.db")
    for each in (path, fresh):
        store = SqliteStore(each)
        store.open(NOW)
        accepted(store, accept("a"))
        store.close()
    assert schema(path) == schema(fresh)
    assert schema(fresh)[1] == (VERSION,) == (len(MIGRATIONS),)


def test_a_file_of_a_newer_version_is_refused_and_left_alone(store, path):
    accepted(store, accept("a"))
    store.close()
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    before = schema(path)
    with pytest.raises(StoreVersion, match="newer"):
        store.open(NOW)
    assert schema(path) == before


def test_a_database_of_somebody_else_is_refused_and_left_alone(path):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (a)")
    connection.commit()
    connection.close()
    before = schema(path)
    with pytest.raises(StoreVersion, match="not a store"):
        SqliteStore(path).open(NOW)
    assert schema(path) == before


def test_the_file_says_whose_it_is(store, path):
    store.close()
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    connection.close()


# ---------------------------------------------------------------- errors


def sqlite_codes():
    # 256 and above are refinements of the codes below; 100 and 101 are results of a step, 0 is success.
    found = {
        name: getattr(sqlite3, name)
        for name in dir(sqlite3)
        if re.fullmatch(r"SQLITE_(?!LIMIT|DENY|IGNORE)[A-Z]+", name) and isinstance(getattr(sqlite3, name), int)
    }
    words = (
        "ERROR INTERNAL PERM ABORT BUSY LOCKED NOMEM READONLY INTERRUPT IOERR CORRUPT NOTFOUND FULL CANTOPEN PROTOCOL"
        " EMPTY SCHEMA TOOBIG CONSTRAINT MISMATCH MISUSE NOLFS AUTH FORMAT RANGE NOTADB"
    )
    return {f"SQLITE_{word}": found[f"SQLITE_{word}"] for word in words.split()}


@pytest.mark.parametrize("name", sorted(sqlite_codes()))
def test_every_code_of_sqlite_has_a_meaning(name):
    error = sqlite3.OperationalError("as told")
    error.sqlite_errorcode = sqlite_codes()[name] | (3 << 8)
    found = translated(error, "router.db", opened=False)
    assert isinstance(found, StoreUnavailable | StoreInUse)
    assert "as told" in str(found)
    assert type(translated(error, "router.db", opened=True)) is StoreUnavailable


@pytest.mark.parametrize(
    "error",
    [
        *(kind("x") for kind in vars(sqlite3).values() if isinstance(kind, type) and issubclass(kind, sqlite3.Error)),
        OSError(errno.ENOSPC, "x"),
        OSError(errno.EIO, "x"),
        MemoryError(),
        OverflowError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_every_class_of_error_has_a_meaning(error):
    assert isinstance(translated(error, "router.db", opened=True), StoreError)


def test_the_cause_is_kept(path, tmp_path):
    (tmp_path / "where.db.lock").mkdir()  # nothing can be locked there
    with pytest.raises(StoreUnavailable, match=re.escape(str(tmp_path / "where.db"))) as caught:
        SqliteStore(str(tmp_path / "where.db")).open(NOW)
    assert isinstance(caught.value.__cause__, OSError)


def test_a_file_that_is_no_database_is_refused(path):
    with open(path, "w") as file:
        file.write("not a database at all, whatever its name says" * 100)
    with pytest.raises(StoreUnavailable, match="not a database"):
        SqliteStore(path).open(NOW)


def test_a_log_that_cannot_be_read_is_refused(store, path):
    accepted(store, accept("a"))
    store.close()
    connection = sqlite3.connect(path)
    connection.execute("UPDATE log SET data = x'c1'")
    connection.commit()
    connection.close()
    with pytest.raises(StoreUnavailable, match="log"):
        store.open(NOW)
    with pytest.raises(StoreUnavailable):
        store.pending()


def test_a_full_disk_refuses_the_step_and_nothing_else(store):
    """Q21: the write is not answered, the store stays usable, earlier data is intact."""
    accepted(store, accept("a"), accept("b"))
    before = everything(store)
    pages = store._file.execute("PRAGMA page_count")[0][0]
    store._file.execute(f"PRAGMA max_page_count = {pages + 5}")
    big = accept("big")._replace(frame=b"x" * 200_000)
    for _ in range(3):
        with pytest.raises(StoreUnavailable, match="full"):
            store.write([settle("a"), big], NOW)
        assert everything(store) == before
    store._file.execute("PRAGMA max_page_count = 1000000")
    (result,) = accepted(store, big)
    assert result.sequence == 3
    assert store.write([settle("a")], NOW) == [True]


def test_a_failed_part_fails_the_whole_step_even_when_its_error_was_caught(store):
    def step():
        with store.together():
            accepted(store, accept("a"))
            with pytest.raises(StoreUnavailable), store.together():
                raise StoreUnavailable("inside")

    with pytest.raises(StoreUnavailable, match="part of the step"):
        step()
    assert store.get("a") is None
    accepted(store, accept("a"))


def test_a_connection_that_broke_is_made_anew(store):
    accepted(store, accept("a"))
    store._file._connection.close()
    with pytest.raises(StoreUnavailable):
        store.write([settle("a")], NOW)
    assert store.get("a").state == "queued"
    assert store.write([settle("a")], NOW) == [True]


def test_a_step_of_any_size_is_one_step(store, path):
    writes = [accept(f"{n}")._replace(frame=bytes([n]) * 1_000_000) for n in range(12)]
    accepted(store, *writes)
    assert store._file.execute("SELECT count(*) FROM log")[0][0] > 2
    store.close()
    store.open(NOW)
    assert [record.frame for record in store.pending()] == [write.frame for write in writes]


def test_the_log_stays_within_a_factor_of_what_is_live(store):
    frame = b"x" * 20_000
    keeper = accept("keeper")._replace(frame=frame)
    accepted(store, keeper)
    for turn in range(150):
        ids = [f"{turn}-{n}" for n in range(10)]
        store.write([accept(id_, key=b"", window=0)._replace(frame=frame) for id_ in ids], NOW + turn)
        store.write([settle(id_) for id_ in ids], NOW + turn)
        store.sweep(NOW + turn + 1, 100)
    ((size,),) = store._file.execute("SELECT sum(length(data)) FROM log")
    assert size < 12_000_000
    ((first,),) = store._file.execute("SELECT min(number) FROM log")
    assert first > 1
    store.close()
    store.open(NOW)
    assert [record.frame for record in store.pending()] == [frame]
    assert store.get("149-9").status == "ok"


def test_settled_rows_leave_memory_when_there_are_too_many(path):
    store = SqliteStore(path, young=20)
    store.open(NOW)
    ids = [f"{n:04}" for n in range(600)]
    accepted(store, *(accept(id_) for id_ in ids))
    store.write([settle(id_) for id_ in ids], NOW)
    assert len(store._rows) <= 100
    again = [accept(f"x{id_}", key=accept(id_).envelope.key) for id_ in ids]
    results = store.write(again, NOW + 1)
    assert [result.original for result in results if isinstance(result, Duplicate)] == ids
    store.close()


# ---------------------------------------------------------------- the order of things on the disk


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize(("synchronous", "syncs"), [("FULL", True), ("NORMAL", False)])
def test_a_write_returns_after_the_disk_has_it(path, tmp_path, synchronous, syncs):
    """Q5, the store's half: fdatasync has returned before ``write`` does."""
    trace = tmp_path / "trace"
    code = f"""
        store.close()
        store = SqliteStore(sys.argv[1], synchronous={synchronous!r})
        store.open(NOW)
        for n in range(5):
            store.write([accept(str(n))], NOW)
            print("accepted", flush=True)
        """
    strace = ["strace", "-f", "-e", "trace=fdatasync,fsync,write", "-o", str(trace)]
    process = child(code, path, before=strace)
    out, _ = process.communicate(timeout=150)
    if process.returncode and not trace.read_text():
        pytest.skip("strace may not trace here")
    assert out == "accepted\n" * 5
    events = [
        "said" if "accepted" in line else "synced"
        for line in trace.read_text().splitlines()
        if '"accepted' in line or re.search(r"(fdatasync|fsync).*= 0", line)
    ]
    first = events.index("said")
    rounds = " ".join(events[first:]).split("said")[1:-1]
    assert [("synced" in each) for each in rounds] == [syncs] * 4
    if syncs:
        assert "synced" in events[:first]


def test_a_store_says_what_it_survives(path):
    assert SqliteStore(path).durability == "disk"
    assert SqliteStore(path, synchronous="normal").durability == "kernel"
    with pytest.raises(ValueError, match="OFF"):
        SqliteStore(path, synchronous="off")


def test_one_connection_does_everything(store, path):
    accepted(store, accept("a"))
    store.write([Begin("a", 1, "direct")], NOW)
    with open(f"/proc/{os.getpid()}/maps" if os.path.exists("/proc") else os.devnull) as maps:
        # Exclusive locking keeps the index of the log in this process: no other one could follow it.
        assert "-shm" not in maps.read()
    assert not os.path.exists(path + "-shm")
