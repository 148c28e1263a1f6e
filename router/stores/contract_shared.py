# ruff: noqa: S101 - a suite that needs no test framework is made of plain asserts
"""What every store must do that several routers share, beyond ``BackendContract``, in one text.

::

    class TestMyStore(SharedContract):
        def routers(self, *names, partitions=4):
            return [MyStore(..., router=name, partitions=partitions) for name in names]   # one new, empty store

        def pass_time(self, ms):
            time.sleep(ms / 1000)   # the store's own clock goes on
"""

from __future__ import annotations

from typing import Any

from actors.ports import (
    Accepted,
    AuditFilter,
    Begin,
    DeadFilter,
    Defer,
    Duplicate,
    Enter,
    KeyReused,
    Note,
    Replay,
)
from actors.sharing import Lost
from router.stores.contract_base import NOW, accept, accepted
from router.stores.contract_leases import LeasesContract
from router.stores.contract_news import NewsContract
from router.stores.contract_queues import entry, take
from router.stores.contract_sharing import TTL, Keeper, bury, settle


class SharedContract(LeasesContract, NewsContract):
    """Several handles of one store, each that of a router."""

    # ------------------------------------------------------------ fencing

    def test_anybody_accepts_for_any_guild(self) -> None:
        a, b = self.opened("a", "b")
        self.own(a, 1)
        one, two = self.guilds(1, 2)
        (first,) = accepted(a, accept("x", guild=one))
        (second, other) = accepted(b, accept("y", guild=one), accept("z", guild=two))
        assert [first.sequence, second.sequence, other.sequence] == [1, 2, 1]
        assert first.position < second.position
        assert [each.position % self.partitions for each in (first, second, other)] == [1, 1, 2]
        assert b.write([accept("x", guild=one)], NOW) == [first]

    def test_what_is_known_is_known_to_all(self) -> None:
        a, b = self.opened("a", "b")
        self.own(a, 1)
        (one,) = self.guilds(1)
        accepted(a, accept("x", guild=one, key=b"k" * 16, idempotency_key="k"))
        again = accept("y", guild=one, key=b"k" * 16, idempotency_key="k")
        other = accept("z", guild=one, key=b"k" * 16, idempotency_key="k", fingerprint=b"o" * 16)
        assert b.write([again, other], NOW) == [Duplicate("y", "x", 1, b""), KeyReused("z", "x")]
        a.write([settle("x", one)], NOW)
        assert b.write([again], NOW) == [Duplicate("y", "x", 1, b"answer of x")]

    def test_the_owners_writes_are_lost_without_the_token(self) -> None:
        a, b = self.opened("a", "b")
        self.own(a, 1)
        (one,) = self.guilds(1)
        accepted(b, accept("x", guild=one), accept("d", guild=one, due_at=NOW + 50))
        writes = owners(one)
        assert b.write(writes, NOW) == [Lost(1)] * len(writes)
        b.hold(1, 999)
        assert b.write(writes, NOW) == [Lost(1)] * len(writes)
        assert a.get("x").state == "queued"
        assert a.get("d").state == "delayed"
        results = a.write(writes, NOW)
        assert Lost(1) not in results
        assert results[:3] == [results[0], True, True]
        assert a.get("x").state == "dead"

    def test_who_was_overtaken_writes_nothing(self) -> None:
        a, b = self.opened("a", "b")
        old = self.own(a, 1, TTL)
        (one,) = self.guilds(1)
        accepted(a, accept("x", guild=one))
        assert a.write([Begin("x", 1, "direct", one)], NOW) == [True]
        self.pass_time(TTL + 50)
        new = self.own(b, 1)
        assert new > old
        late = [Defer("x", NOW + 9, 1, b"", guild=one), settle("x", one), bury("x", one)]
        assert a.write(late, NOW) == [Lost(1)] * 3
        assert b.get("x").state == "started"
        assert b.write([Defer("x", 0, 0, b"", guild=one)], NOW) == [True]
        assert a.write(late, NOW) == [Lost(1)] * 3
        assert b.get("x").state == "queued"

    def test_a_released_partition_is_nobodys_to_write(self) -> None:
        (a,) = self.opened("a")
        token = self.own(a, 1)
        (one,) = self.guilds(1)
        accepted(a, accept("x", guild=one))
        with Keeper(a) as mine:
            mine.release("a", {1: token})
        assert a.write([settle("x", one)], NOW) == [Lost(1)]

    def test_a_dropped_partition_is_lost_without_asking(self) -> None:
        (a,) = self.opened("a")
        token = self.own(a, 1)
        (one,) = self.guilds(1)
        accepted(a, accept("x", guild=one))
        a.drop(1)
        assert a.write([settle("x", one)], NOW) == [Lost(1)]
        a.hold(1, token)
        a.close()
        a.open(NOW)
        assert a.write([settle("x", one)], NOW) == [True]

    def test_a_batch_is_done_where_it_is_held_and_lost_where_it_is_not(self) -> None:
        a, b = self.opened("a", "b")
        self.own(a, 1)
        self.own(b, 2)
        one, two = self.guilds(1, 2)
        accepted(a, accept("x", guild=one), accept("y", guild=two))
        note = Note(NOW, "operator", "x", one, "u", b"why")
        batch = [settle("y", two), note, settle("x", one), accept("z", guild=two)]
        results = a.write(batch, NOW)
        assert results[:3] == [Lost(2), True, True]
        assert isinstance(results[3], Accepted)
        assert b.get("y").state == "queued"
        assert b.get("x").state == "settled"
        assert [line.kind for line in b.audit(AuditFilter(guild=one))] == ["settled", "operator"]

    def test_a_repeated_batch_changes_nothing(self) -> None:
        (a,) = self.opened("a")
        self.own(a, 1)
        one, two = self.guilds(1, 2)
        batch = [accept("x", guild=one), accept("y", guild=two), Note(NOW, "operator", "x", one, "u", b"")]
        first = a.write(batch, NOW)
        assert a.write(batch, NOW + 1) == first
        ends = [Begin("x", 1, "direct", one), settle("x", one)]
        a.write(ends, NOW + 2)
        assert a.write(ends[1:], NOW + 3) == [True]
        assert a.write(batch, NOW + 4) == first
        assert len(a.audit(AuditFilter(id="x"))) == 2

    # ------------------------------------------------------------ reads

    def test_arrivals_are_read_by_partition_held_or_not(self) -> None:
        a, b = self.opened("a", "b")
        self.own(b, 1)
        one, two = self.guilds(1, 2)
        writes = [accept(f"{n}", guild=(one, two)[n % 2]) for n in range(6)]
        results = accepted(a, *writes, accept("d", guild=one, due_at=NOW + 50))
        assert frames(a.arrived({1: 0})) == ["0", "2", "4"]
        assert frames(a.arrived({1: 0}, 2)) == ["0", "2"]
        assert frames(b.arrived({1: results[0].position, 2: 0})) in (
            ["2", "4", "1", "3", "5"],
            ["1", "3", "5", "2", "4"],
        )
        assert b.arrived({1: results[4].position}) == []
        b.write([settle("2", one)], NOW)
        assert frames(a.arrived({1: 0})) == ["0", "4"]
        record = a.arrived({1: 0})[0]
        assert (record.sequence, record.position, record.attempts, record.until) == (1, results[0].position, 0, 0)

    def test_delayed_arrivals_are_read_by_partition_in_the_order_they_are_due(self) -> None:
        a, b = self.opened("a", "b")
        self.own(b, 1)
        one, two = self.guilds(1, 2)
        for name, at, guild in (("c", 60, one), ("a", 50, one), ("b", 60, one), ("x", 10, two)):
            accepted(a, accept(name, guild=guild, due_at=NOW + at))
        start = (0, "")
        assert frames(a.arrived_delayed({1: start})) == ["a", "b", "c"]
        assert frames(a.arrived_delayed({1: start}, 1)) == ["a"]
        assert frames(a.arrived_delayed({1: (NOW + 60, "b")})) == ["c"]
        assert frames(a.arrived_delayed({2: start})) == ["x"]
        assert a.arrived({1: 0, 2: 0}) == []
        (position,) = b.write([Enter("a", one)], NOW + 50)
        assert position % self.partitions == 1
        assert frames(a.arrived({1: 0})) == ["a"]
        assert frames(a.arrived_delayed({1: start})) == ["b", "c"]

    def test_what_is_pending_is_read_of_what_is_held(self) -> None:
        a, b = self.opened("a", "b")
        self.own(a, 1)
        self.own(a, 3)
        one, two, three = self.guilds(1, 2, 3)
        accepted(b, *(accept(f"{n}", guild=guild) for n, guild in enumerate((three, one, two, one))))
        accepted(b, accept("c", guild=three, due_at=NOW + 9), accept("b", guild=two, due_at=NOW + 5))
        accepted(b, accept("a", guild=one, due_at=NOW + 9))
        found = a.pending()
        assert sorted(frames(found)) == ["0", "1", "3"]
        assert [record.position for record in found] == sorted(record.position for record in found)
        assert a.pending("", found[0].position) == found[1:]
        assert b.pending() == []
        assert frames(b.pending(one)) == ["1", "3"]
        assert frames(a.delayed()) == ["a", "c"]
        assert b.delayed() == []
        a.drop(1)
        assert frames(a.pending()) == ["0"]
        assert frames(a.delayed()) == ["c"]

    def test_everything_else_is_read_of_everything(self) -> None:
        a, b = self.opened("a", "b")
        self.own(a, 1)
        self.own(b, 2)
        one, two = self.guilds(1, 2)
        accepted(a, accept("x", guild=one), accept("y", guild=two), accept("z", guild=one, queue="q"))
        a.write([bury("x", one)], NOW + 1)
        b.write([bury("y", two)], NOW + 2)
        for store in (a, b):
            assert [store.get(id_).state for id_ in "xyz"] == ["dead", "dead", "queued"]
            found = store.find(["y", "nobody", "x"])
            assert [stored and stored.state for stored in found] == ["dead", None, "dead"]
            assert sorted(letter.id for letter in store.dead_letters(DeadFilter())) == ["x", "y"]
            assert [letter.id for letter in store.dead_letters(DeadFilter(guild=two))] == ["y"]
            assert [line.id for line in store.audit(AuditFilter())] == ["y", "x"]
            assert store.stats()["bot:moderation"][:5] == (0, 0, 0, 2, 2)
            assert store.stats()["q"] == (1, 0, 0, 0, 0, NOW)
        assert a.purge_dead(DeadFilter(), 10) == 2
        assert b.dead_letters(DeadFilter()) == []

    def test_a_replayed_letter_arrives(self) -> None:
        a, b = self.opened("a", "b")
        self.own(a, 1)
        (one,) = self.guilds(1)
        accepted(b, accept("x", guild=one))
        a.write([bury("x", one)], NOW)
        assert b.write([Replay("x", 3, NOW + 99, one)], NOW) == [Lost(1)]
        (position,) = a.write([Replay("x", 3, NOW + 99, one)], NOW)
        assert [record.position for record in b.arrived({1: 0})] == [position]

    def test_named_queues_are_shared(self) -> None:
        a, b = self.opened("a", "b")
        assert a.append([entry("x"), entry("y")], NOW) == [True, True]
        assert b.append([entry("x")], NOW) == [False]
        tokens = take(b, 1)
        assert list(take(a)) == ["y"]
        assert b.ack([("x", tokens["x"])], NOW, 10) == [True]
        b.pause("q", True)
        assert a.paused() == {"q"}


def owners(guild: str) -> list[Any]:
    """One write of every kind that only an owner may do, for ``x``, and for ``d``, which is delayed."""
    return [
        Enter("d", guild),
        Begin("x", 1, "direct", guild),
        Defer("x", NOW + 9, 1, b"trail", "why", guild),
        bury("x", guild),
        settle("d", guild),
        Replay("x", 0, NOW + 99, guild),
    ]


def frames(records: Any) -> list[str]:
    """Whose records these are."""
    return [record.frame.decode().removeprefix("frame of ") for record in records]
