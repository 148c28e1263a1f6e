"""SQLite and Redis against memory: the same steps, results and reads; closed, opened and failed in between."""

from __future__ import annotations

import tempfile
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from actors.entries import Entry, Nack
from actors.envelope import Envelope
from actors.errors import StoreUnavailable
from actors.ports import Accept, Begin, Bury, DeadFilter, Defer, Enter, Note, Replay, Settle
from actors.workers import Finish, Undertake
from router.stores import sqlite_log
from router.stores.contract import everything
from router.stores.memory import MemoryStore
from router.stores.redis.link import plain
from router.stores.retention import DAY, Retention
from router.stores.sqlite import SqliteStore
from tests.servers.shared import owned_store

NOW = 1_700_000_000_000
OPPOSES = {"BAN": ("UNBAN",), "UNBAN": ("BAN", "KICK"), "KICK": (), "PAUSE": ("PAUSE",)}
IDS = [f"e{n}" for n in range(14)]
KEYS = [b"", *(bytes([n]) * 16 for n in range(1, 5))]
RETENTION = Retention(audit_rows=8, audit_days=1, dead_rows=3, dead_days=2)

ids = st.sampled_from(IDS)
small = st.integers(0, 3)


@st.composite
def accepts(draw):
    kind = draw(st.sampled_from(sorted(OPPOSES)))
    key = draw(st.sampled_from(KEYS))
    keyed = bool(key) and key[0] == 1
    envelope = Envelope(
        draw(ids),
        kind,
        "command",
        draw(st.sampled_from(["g", "h"])),
        draw(st.sampled_from(["s", "t"])),
        draw(st.sampled_from(["q", "r"])),
        5,
        NOW,
        NOW + DAY,
        due_at=draw(st.sampled_from([0, 0, NOW + 50, NOW + 900])),
        # As the catalog does it: keys of different types never meet.
        key=key and bytes([len(kind)]) + key[1:],
        fingerprint=draw(st.sampled_from([b"1" * 16, b"2" * 16])),
        idempotency_key="k" if keyed else "",
        user=draw(st.sampled_from(["u", "v"])),
    )
    return Accept(envelope, b"frame " + envelope.id.encode(), draw(st.sampled_from([100, 5000])), OPPOSES[kind])


writes = st.one_of(
    accepts(),
    accepts(),
    st.builds(Enter, ids),
    st.builds(Begin, ids, small, st.sampled_from(["direct", "queue"])),
    st.builds(Defer, ids, st.sampled_from([0, NOW + 70]), small, st.sampled_from([b"", b"t"])),
    st.builds(
        lambda id_, status, opposes: Settle(id_, status, b"answer " + id_.encode(), b"", status == "ok", opposes),
        ids,
        st.sampled_from(["ok", "ok", "failed", "in_doubt"]),
        st.sampled_from(sorted(set(OPPOSES.values()))),
    ),
    st.builds(lambda id_, attempts: Bury(id_, "tried", b"dead", b"t", attempts), ids, small),
    st.builds(lambda id_, times: Replay(id_, times, NOW + 2 * DAY), ids, small),
    st.builds(Note, st.integers(NOW, NOW + 3), st.just("refused"), ids, st.just("g"), st.just("u"), st.just(b"")),
)
names = st.sampled_from(["i0", "i1", "i2", "i3", "i4"])
queues = st.sampled_from(["q", "r"])
entries = st.builds(Entry, names, queues, st.just(b"f"), small, st.integers(NOW, NOW + 90), st.just(0))


class Twins(RuleBasedStateMachine):
    """Whatever is done is done to both."""

    def queue(self, name):
        """The queue that is meant."""
        return name

    @initialize(young=st.sampled_from([0, 2, 1000]), slack=st.sampled_from([0, 600, 10**7]))
    def start(self, young, slack):
        self.now = NOW
        self.directory = tempfile.TemporaryDirectory()
        self.slack, sqlite_log.SLACK = sqlite_log.SLACK, slack
        self.young = young
        self.memory = MemoryStore(RETENTION)
        self.memory.open(self.now)
        self.open()

    def open(self):
        path = str(Path(self.directory.name) / "twin.db")
        self.ours = SqliteStore(path, synchronous="NORMAL", young=self.young, retention=RETENTION)
        self.ours.open(self.now)

    def teardown(self):
        if hasattr(self, "ours"):
            self.ours.close()
            self.directory.cleanup()
            sqlite_log.SLACK = self.slack

    def both(self, do):
        ours = do(self.ours)
        assert ours == do(self.memory)
        return ours

    @rule(batch=st.lists(writes, max_size=8))
    def write(self, batch):
        self.both(lambda store: store.write(batch, self.now))

    @rule(batch=st.lists(writes, max_size=4), more=st.lists(writes, max_size=4))
    def write_together(self, batch, more):
        with self.ours.together():
            ours = [self.ours.write(batch, self.now), self.ours.write(more, self.now)]
        assert ours == [self.memory.write(batch, self.now), self.memory.write(more, self.now)]

    @rule(batch=st.lists(writes, min_size=1, max_size=6))
    def repeat(self, batch):
        self.both(lambda store: store.write(batch, self.now))

    @rule(batch=st.lists(writes, max_size=6))
    def fail(self, batch):
        try:
            with self.ours.together():
                self.ours.write(batch, self.now)
                self.ours.append([Entry("i9", "q", b"", 5, 0)], self.now)
                self.ours.claim("r", 1, self.now, self.now + 50)
                self.ours.purge("q")
                raise StoreUnavailable("as if the disk were full")
        except StoreUnavailable:
            pass

    @rule(ms=st.sampled_from([1, 20, 60, 100, 4000, DAY // 2]))
    def wait(self, ms):
        self.now += ms

    @rule()
    def reopen(self):
        self.ours.close()
        self.open()

    @rule(entries=st.lists(entries, max_size=3))
    def append(self, entries):
        entries = [entry._replace(queue=self.queue(entry.queue)) for entry in entries]
        self.both(lambda store: store.append(entries, self.now))

    @rule(entry=st.builds(Entry, names, queues, st.just(b"f"), small, st.just(0), st.integers(NOW + 1, NOW + 200)))
    def append_for_a_while(self, entry):
        entry = entry._replace(queue=self.queue(entry.queue))
        self.both(lambda store: store.append([entry], self.now))

    @rule(queue=queues, limit=small, ms=st.sampled_from([10, 80]))
    def claim(self, queue, limit, ms):
        self.both(lambda store: store.claim(self.queue(queue), limit, self.now, self.now + ms))

    @rule(id_=names, token=st.integers(1, 12), keep=small)
    def ack(self, id_, token, keep):
        self.both(lambda store: store.ack([(id_, token)], self.now, keep))

    @rule(
        id_=names,
        token=st.integers(1, 12),
        keep=small,
        ms=st.sampled_from([0, 40]),
        dead=st.booleans(),
        spent=st.booleans(),
    )
    def nack(self, id_, token, keep, ms, dead, spent):
        nack = Nack(id_, token, self.now + ms, spent, "why", dead)
        self.both(lambda store: store.nack([nack], self.now, keep))

    @rule(id_=names, token=st.integers(1, 12), ms=st.sampled_from([10, 80]))
    def extend(self, id_, token, ms):
        self.both(lambda store: store.extend([(id_, token)], self.now + ms))

    @rule(some=st.lists(names, max_size=2))
    def remove(self, some):
        self.both(lambda store: store.remove(some))

    @rule(entry=names, queue=queues, token=st.integers(1, 12), id_=st.sampled_from("ab"), over=st.integers(0, 12))
    def begin(self, entry, queue, token, id_, over):
        undertaking = Undertake(queue, entry, token, id_, 1, "w", (entry, over))
        self.both(lambda store: store.begin([undertaking], self.now))

    @rule(
        entry=names,
        queue=queues,
        token=st.integers(1, 12),
        id_=st.sampled_from("ab"),
        remember=st.sampled_from([True, False, None]),
        done=st.booleans(),
        keep=small,
    )
    def finish(self, entry, queue, token, id_, remember, done, keep):
        end = Finish(queue, entry, token, id_, b"o", "asker", remember, done)
        self.both(lambda store: store.finish([end], self.now, keep))

    @rule(entry=names, queue=queues)
    def heard(self, entry, queue):
        self.both(lambda store: store.heard("asker", [(queue, entry)]))

    @rule(queue=queues, paused=st.booleans())
    def pause(self, queue, paused):
        self.both(lambda store: store.pause(self.queue(queue), paused))

    @rule(queue=queues)
    def purge(self, queue):
        self.both(lambda store: store.purge(self.queue(queue)))

    @rule(queue=queues, some=st.lists(names, max_size=1))
    def replay_failed(self, queue, some):
        self.both(lambda store: store.replay_failed(self.queue(queue), some, self.now))

    @rule(guild=st.sampled_from(["", "g"]), limit=small)
    def purge_dead(self, guild, limit):
        self.both(lambda store: store.purge_dead(DeadFilter(guild=guild), limit))

    @rule()
    def sweep(self):
        # How many rows a sweep counts is each store's own affair; where it ends is not.
        for store in (self.memory, self.ours):
            while store.sweep(self.now, 3):
                pass

    @rule()
    def look(self):
        assert everything(self.ours) == everything(self.memory)
        for id_ in IDS:
            assert self.ours.get(id_) == self.memory.get(id_)
        for queue in "qr":
            assert self.ours.executions(queue, "ab") == self.memory.executions(queue, "ab")
            assert sorted(self.ours.answers("asker", queue)) == sorted(self.memory.answers("asker", queue))


class RedisTwins(Twins):
    """Redis counts claims per queue, and ids are one entry per queue: all entries go into one."""

    def queue(self, name):
        return "q"

    @initialize()
    def start(self):
        self.now = NOW
        self.memory = MemoryStore(RETENTION)
        self.memory.open(self.now)
        self.ours = owned_store(RETENTION)
        self.ours.open(self.now)
        key = self.ours.names.queue("q")
        self.ours._run([plain(key, "HSET", key, "token", 0)], writes=True)  # else they begin at the time

    def open(self):
        self.ours.open(self.now)

    def teardown(self):
        if hasattr(self, "ours"):
            self.ours.close()

    def fail(self, batch):
        """Single steps are not undone."""


SETTINGS = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

TestTwins = Twins.TestCase
TestTwins.settings = SETTINGS
TestRedisTwins = RedisTwins.TestCase
TestRedisTwins.settings = SETTINGS
