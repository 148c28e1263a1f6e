"""kill -9 at any moment: what was answered is there, in order; nothing is there by half."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import textwrap

from actors.ports import AuditFilter, DeadFilter
from router.stores.contract_base import NOW
from router.stores.sqlite import SqliteStore

WRITER = textwrap.dedent(
    """
    import sys
    from actors.entries import Entry
    from actors.ports import Begin, Bury
    from router.stores import sqlite_log
    from router.stores.contract_base import NOW, accept, settle
    from router.stores.sqlite import SqliteStore

    sqlite_log.SLACK = 50_000
    store = SqliteStore(sys.argv[1], young=40)
    start = int(sys.argv[2])
    store.open(NOW)
    say = sys.stdout
    for turn in range(start, start + 100_000):
        ids = [f"{turn:06}-{n}" for n in range(6)]
        with store.together():
            store.write([accept(id_, guild=f"g{n % 2}") for n, id_ in enumerate(ids)], NOW + turn)
            store.append([Entry(f"entry {turn:06}", "q", b"frame", 5, 0)], NOW + turn)
        say.write(f"accepted {turn}\\n")
        say.flush()
        store.write([Begin(id_, 1, "direct") for id_ in ids], NOW + turn)
        store.write([settle(id_) for id_ in ids[:3]] + [Bury(ids[3], "tried", b"dead", b"", 1)], NOW + turn)
        say.write(f"settled {turn}\\n")
        say.flush()
    """
)


def test_what_was_answered_outlives_the_process(tmp_path):
    """Q1, Q15, Q17 at the store: eight lives, each ended by kill -9 at a random moment."""
    path = str(tmp_path / "router.db")
    chance = random.Random(4711)
    accepted: set[int] = set()
    settled: set[int] = set()
    start = 0
    for _ in range(8):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, path, str(start)], stdout=subprocess.PIPE, text=True, bufsize=1
        )
        for _ in range(chance.randrange(2, 160)):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        for line in process.stdout:
            _remember(line, accepted, settled)
        process.stdout.close()
        process.wait()
        start += 100_000
        _check(path, accepted, settled)


def _remember(line, accepted, settled):
    word, _, turn = line.partition(" ")
    if turn.endswith("\n"):
        (accepted if word == "accepted" else settled).add(int(turn))


def _check(path, accepted, settled):
    store = SqliteStore(path)
    store.open(NOW)
    try:
        audit = store.audit(AuditFilter(), 1_000_000)
        pending = [record.frame.removeprefix(b"frame of ").decode() for record in store.pending("", 0, 1_000_000)]
        ended = [line.id for line in audit]
        dead = [letter.id for letter in store.dead_letters(DeadFilter(), 0, 1_000_000)]
        known = sorted(set(pending) | set(ended))
        turns = {int(id_[:6]) for id_ in known}
        # Whole steps only, and all that were answered.
        assert [id_ for id_ in known if not id_.startswith("entry")] == [
            f"{turn:06}-{n}" for turn in sorted(turns) for n in range(6)
        ]
        assert turns >= accepted
        ended_turns = {int(id_[:6]) for id_ in ended}
        assert ended_turns >= settled
        assert sorted(ended) == [f"{turn:06}-{n}" for turn in sorted(ended_turns) for n in range(4)]
        assert dead == [f"{turn:06}-3" for turn in sorted(ended_turns)]
        # In the order they came, each guild counting on without a gap.
        assert pending == sorted(pending)
        for guild in ("g0", "g1"):
            numbers = sorted(store.get(id_).sequence for id_ in known if int(id_[-1]) % 2 == int(guild[1]))
            assert numbers == list(range(1, 3 * len(turns) + 1))
        stats = store.stats()["bot:moderation"]
        assert stats.pending + stats.processing == len(pending)
        assert (stats.completed, stats.dead) == (3 * len(ended_turns), len(ended_turns))
        assert store.queue_stats()["q"].waiting == len(turns)
    finally:
        store.close()
