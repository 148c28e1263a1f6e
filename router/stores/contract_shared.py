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

from collections.abc import Callable
from threading import Condition
from typing import Any
from uuid import uuid4

from actors.ports import (
    Accepted,
    AuditFilter,
    Begin,
    Bury,
    DeadFilter,
    Defer,
    Duplicate,
    Enter,
    KeyReused,
    Note,
    Replay,
    Settle,
)
from actors.sharing import Answered, Arrived, Lost, Moved, News, Told, partition_of
from actors.workers import Finish
from router.stores.contract_base import NOW, accept, accepted
from router.stores.contract_queues import entry, take

TTL = 400
"""Milliseconds a lease lasts that is to lapse; short, because that is waited for."""

LONG = 600_000
"""Milliseconds of one that is not, however slow the machine."""

PATIENCE = 30.0
"""Seconds that news may take."""

GLANCE = 0.02
"""Seconds between tries to be heard."""


class SharedContract:
    """Several handles of one store, each that of a router."""

    partitions = 4

    def routers(self, *names: str, partitions: int = 4) -> list[Any]:
        """Handles of one new, empty store, not opened."""
        raise NotImplementedError

    def pass_time(self, ms: int) -> None:
        """Let so much of the store's own time pass."""
        raise NotImplementedError

    def opened(self, *names: str) -> list[Any]:
        """Handles, opened."""
        *stores, self._other = self.routers(*names, "other", partitions=self.partitions)
        for store in (*stores, self._other):
            store.open(NOW)
        return stores

    # ------------------------------------------------------------ leases

    def test_a_free_partition_is_acquired_by_one(self) -> None:
        a, b = self.opened("a", "b")
        with Keeper(a) as mine, Keeper(b) as other:
            assert [lease.token for lease in mine.look()] == [0, 0, 0, 0]
            taken = mine.acquire("a", [1, 2], LONG)
            assert [(lease.partition, lease.router) for lease in taken] == [(1, "a"), (2, "a")]
            assert all(lease.token > 0 for lease in taken)
            assert [lease.partition for lease in other.acquire("b", [0, 1, 2], LONG)] == [0]
            assert [lease.router for lease in other.look()] == ["b", "a", "a", ""]
            assert [lease.left > 0 for lease in other.look()] == [True, True, True, False]

    def test_acquiring_again_gives_the_same_token(self) -> None:
        (a,) = self.opened("a")
        with Keeper(a) as mine:
            assert mine.acquire("a", [1], LONG)[0].token == mine.acquire("a", [1], LONG)[0].token

    def test_tokens_rise_with_every_acquisition(self) -> None:
        a, b = self.opened("a", "b")
        with Keeper(a) as mine, Keeper(b) as other:
            first = own(mine, "a", 1)
            mine.release("a", {1: first})
            second = own(other, "b", 1, TTL)
            self.pass_time(TTL + 50)
            third = own(mine, "a", 1)
            assert 0 < first < second < third

    def test_a_lease_lapses_unless_it_is_renewed(self) -> None:
        a, b = self.opened("a", "b")
        with Keeper(a) as mine, Keeper(b) as other:
            tokens = {1: own(mine, "a", 1, TTL), 2: own(mine, "a", 2, TTL)}
            for ttl in (TTL, TTL, LONG):
                self.pass_time(TTL // 2)
                assert mine.renew("a", {1: tokens[1]}, ttl) == {1}
            assert other.acquire("b", [1], TTL) == []
            assert own(other, "b", 2) > tokens[2]

    def test_a_lapsed_lease_is_renewed_unless_somebody_took_it(self) -> None:
        a, b = self.opened("a", "b")
        with Keeper(a) as mine, Keeper(b) as other:
            tokens = {number: own(mine, "a", number, TTL) for number in (1, 2, 3)}
            mine.release("a", {3: tokens[3]})
            self.pass_time(TTL + 50)
            taken = own(other, "b", 2)
            assert mine.look()[1].left == 0
            assert mine.renew("a", tokens, LONG) == {1}
            assert mine.look()[1].left > 0
            assert other.acquire("b", [1], LONG) == []
            assert other.renew("b", {2: taken}, LONG) == {2}
            assert own(mine, "a", 3) > tokens[3]

    def test_releasing_frees_at_once_and_leaves_anothers_lease_alone(self) -> None:
        a, b = self.opened("a", "b")
        with Keeper(a) as mine, Keeper(b) as other:
            first = own(mine, "a", 1)
            mine.release("a", {1: first})
            mine.release("a", {1: first})
            second = own(other, "b", 1)
            mine.release("a", {1: first})
            assert other.renew("b", {1: second}, LONG) == {1}
            assert mine.look()[1].router == "b"

    def test_members_are_who_gave_a_sign_of_life(self) -> None:
        a, b = self.opened("a", "b")
        with Keeper(a) as mine, Keeper(b) as other:
            mine.join("a", "host:1", b"about a", LONG)
            members = other.join("b", "host:2", b"about b", LONG)
            assert [(each.router, each.name, each.about) for each in members] == [
                ("a", "host:1", b"about a"),
                ("b", "host:2", b"about b"),
            ]
            assert [each.about for each in mine.join("a", "host:1", b"new", LONG)] == [b"new", b"about b"]
            other.join("b", "host:2", b"about b", TTL)
            self.pass_time(TTL + 50)
            assert [each.router for each in mine.join("a", "host:1", b"", LONG)] == ["a"]
            mine.leave("a")
            assert [each.router for each in other.join("b", "host:2", b"", LONG)] == ["b"]

    def test_a_beat_is_a_sign_of_life_and_a_renewal_and_a_look(self) -> None:
        a, b = self.opened("a", "b")
        with Keeper(a) as mine, Keeper(b) as other:
            first = other.beat("b", "host:2", b"about b", dict.fromkeys(range(4), 1), LONG)
            assert (first.kept, [each.router for each in first.members]) == (frozenset(), ["b"])
            tokens = {1: own(mine, "a", 1, TTL), 2: own(mine, "a", 2, TTL)}
            self.pass_time(TTL // 2)
            said = mine.beat("a", "host:1", b"about a", {**tokens, 3: 1}, LONG)
            assert said.kept == {1, 2}
            assert [(each.router, each.about) for each in said.members] == [("a", b"about a"), ("b", b"about b")]
            assert [(each.router, each.left > TTL // 2) for each in said.leases] == [
                ("", False), ("a", True), ("a", True), ("", False)
            ]  # fmt: skip
            mine.beat("a", "host:1", b"about a", tokens, TTL)
            other.beat("b", "host:2", b"about b", {}, TTL)
            self.pass_time(TTL + 50)
            own(other, "b", 1)
            late = mine.beat("a", "host:1", b"", tokens, LONG)
            assert late.kept == {2}
            assert [each.router for each in late.members] == ["a"]
            assert [each.router for each in late.leases] == ["", "b", "a", ""]

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

    # ------------------------------------------------------------ news

    def test_the_owner_hears_of_what_others_accept(self) -> None:
        a, b = self.opened("a", "b")
        self.own(a, 1)
        (one,) = self.guilds(1)
        with self.ear(a) as ear:
            accepted(b, accept("x", guild=one))
            ear.wait(Arrived(1))
            accepted(b, accept("y", guild=one, due_at=NOW + 50))
            ear.wait(Arrived(1, delayed=True))

    def test_whoever_may_wait_hears_the_answer(self) -> None:
        a, b, c = self.opened("a", "b", "c")
        self.own(a, 1)
        (one,) = self.guilds(1)
        with self.ear(b) as first, self.ear(c) as second:
            accepted(b, accept("x", guild=one, key=b"k" * 16), accept("y", guild=one))
            assert c.write([accept("z", guild=one, key=b"k" * 16)], NOW) == [Duplicate("z", "x", 1, b"")]
            assert c.write([accept("y", guild=one)], NOW) == b.write([accept("y", guild=one)], NOW)
            a.write([settle("x", one)], NOW)
            first.wait(Answered("x", b"answer of x"))
            second.wait(Answered("x", b"answer of x"))
            a.write([bury("y", one)], NOW)
            first.wait(Answered("y", b"answer of y"))
            second.wait(Answered("y", b"answer of y"))

    def test_an_owner_that_accepted_hears_from_its_successor(self) -> None:
        a, b = self.opened("a", "b")
        token = self.own(a, 1)
        (one,) = self.guilds(1)
        with self.ear(a) as ear:
            accepted(a, accept("x", guild=one))
            with Keeper(a) as mine:
                mine.release("a", {1: token})
            self.own(b, 1)
            b.write([settle("x", one)], NOW)
            ear.wait(Answered("x", b"answer of x"))

    def test_all_hear_that_something_moved(self) -> None:
        a, b = self.opened("a", "b")
        with self.ear(a) as ear, Keeper(b) as other:
            other.join("b", "host:2", b"", LONG)
            ear.wait(Moved())
            token = own(other, "b", 1)
            other.release("b", {1: token})
            ear.wait(Moved())
            other.leave("b")
            ear.wait(Moved())

    def test_all_others_hear_what_is_announced(self) -> None:
        a, b, c = self.opened("a", "b", "c")
        with self.ear(b) as first, self.ear(c) as second:
            a.announce("paused", b"\x00\xff")
            first.wait(Told("paused", b"\x00\xff"))
            second.wait(Told("paused", b"\x00\xff"))

    # ------------------------------------------------------------ the bell

    def test_the_bell_rings_when_something_comes_into_a_queue(self) -> None:
        a, b = self.opened("a", "b")
        with Ringing(b, ["q", "r"], "b", lambda: a.append([entry(uuid4().hex, "r")], NOW)) as bell:
            a.append([entry("later", "q", at=NOW + 10)], NOW)
            a.append([entry("elsewhere", "s")], NOW)
            a.append([entry("now", "q")], NOW)
            bell.wait("q")
            assert "s" not in bell.rung

    def test_the_bell_rings_when_an_outcome_lies_ready(self) -> None:
        a, b = self.opened("a", "b")
        with Ringing(b, ["r"], "b", lambda: a.append([entry(uuid4().hex, "r")], NOW)) as bell:
            a.append([entry("attempt/e:1")], NOW)
            (token,) = take(a).values()
            assert a.finish([Finish("q", "attempt/e:1", token, "e", b"done", "c")], NOW, 10) == [True]
            a.append([entry("attempt/f:1")], NOW)
            (token,) = take(a).values()
            assert "" not in bell.rung
            assert a.finish([Finish("q", "attempt/f:1", token, "f", b"done", "b")], NOW, 10) == [True]
            bell.wait("")
            assert [each.id for each in b.answers("b", ["q"])] == ["f"]

    def test_a_bell_that_is_closed_rings_no_more_and_opened_again_for_the_new_ones_alone(self) -> None:
        a, b = self.opened("a", "b")
        with Ringing(b, ["q"], "b", lambda: a.append([entry(uuid4().hex, "q")], NOW)) as first:
            pass
        before = len(first.rung)
        with Ringing(b, ["r"], "b", lambda: a.append([entry(uuid4().hex, "r")], NOW)) as second:
            a.append([entry("x", "q")], NOW)
            a.append([entry("y", "r")], NOW)
            second.wait("r", 2)
            assert "q" not in second.rung
        assert len(first.rung) == before

    # ------------------------------------------------------------ helpers

    def own(self, store: Any, partition: int, ttl: int = LONG) -> int:
        """The handle's router acquires a partition and holds it; the token."""
        with Keeper(store) as keeper:
            token = own(keeper, store.router, partition, ttl)
        store.hold(partition, token)
        return token

    def ear(self, store: Any) -> Ear:
        """What its router hears."""
        return Ear(store, self._other)

    def guilds(self, *partitions: int) -> list[str]:
        """A guild of each of these partitions."""
        names = [f"{number}" for number in range(1, 1_000)]
        return [next(name for name in names if partition_of(name, self.partitions) == each) for each in partitions]


class Keeper:
    """``with``: a handle's leases, open."""

    def __init__(self, store: Any) -> None:
        self._leases = store.leases()

    def __enter__(self) -> Any:
        self._leases.open()
        return self._leases

    def __exit__(self, *_: object) -> None:
        self._leases.close()


class Ear:
    """``with``: what a handle's router hears."""

    def __init__(self, store: Any, other: Any) -> None:
        self._other = other
        self._ears = store.ears()
        self._changed = Condition()
        self._heard: list[News] = []

    def __enter__(self) -> Ear:
        self._ears.open(self._hear)
        # It need not be connected when ``open`` returns, and nothing is kept for those who come later: it is told until
        # it hears.
        for _ in range(int(PATIENCE / GLANCE)):
            self._other.announce("mark", b"")
            with self._changed:
                if self._changed.wait_for(lambda: bool(self._heard), GLANCE):
                    return self
        raise AssertionError("it hears nothing")

    def __exit__(self, *_: object) -> None:
        self._ears.close()

    def _hear(self, news: News) -> None:
        with self._changed:
            self._heard.append(news)
            self._changed.notify_all()

    def wait(self, news: News) -> None:
        """These come; they are heard no more by the next wait."""
        with self._changed:
            assert self._changed.wait_for(lambda: news in self._heard, PATIENCE), f"no {news} in {self._heard}"
            self._heard.remove(news)

    def has(self, news: News) -> bool:
        """Whether these came and were not waited for."""
        with self._changed:
            return news in self._heard


def own(keeper: Any, router: str, partition: int, ttl: int = LONG) -> int:
    """The token of a partition that is free for it."""
    (lease,) = keeper.acquire(router, [partition], ttl)
    assert (lease.partition, lease.router) == (partition, router)
    return int(lease.token)


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


def settle(id: str, guild: str) -> Settle:  # noqa: A002 - the field's name
    """The write that ends a way well."""
    return Settle(id, "ok", b"answer of " + id.encode(), b"trail", True, (), guild)


def bury(id: str, guild: str) -> Bury:  # noqa: A002 - the field's name
    """The write that ends a way in the dead letters."""
    return Bury(id, "tried", b"answer of " + id.encode(), b"trail", 3, guild)


def frames(records: Any) -> list[str]:
    """Whose records these are."""
    return [record.frame.decode().removeprefix("frame of ") for record in records]


class Ringing:
    """``with``: a handle's bell, open; ``mark`` rings it, for it need not be connected when ``open`` returns."""

    def __init__(self, store: Any, queues: list[str], asker: str, mark: Callable[[], object]) -> None:
        self._bell = store.bell()
        self._queues = queues
        self._asker = asker
        self._mark = mark
        self._changed = Condition()
        self.rung: list[str] = []

    def __enter__(self) -> Ringing:
        self._bell.open(self._queues, self._asker, self._ring)
        for _ in range(int(PATIENCE / GLANCE)):
            self._mark()
            with self._changed:
                if self._changed.wait_for(lambda: bool(self.rung), GLANCE):
                    return self
        raise AssertionError("it never rings")

    def __exit__(self, *_: object) -> None:
        self._bell.close()

    def wait(self, queue: str, times: int = 1) -> None:
        """Until it rang for that."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.rung.count(queue) >= times, PATIENCE), self.rung

    def _ring(self, queue: str) -> None:
        with self._changed:
            self.rung.append(queue)
            self._changed.notify_all()
