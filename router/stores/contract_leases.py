# ruff: noqa: S101 - a suite that needs no test framework is made of plain asserts
"""What every shared store must do for the leases of partitions; a part of ``contract_shared``."""

from __future__ import annotations

from router.stores.contract_sharing import LONG, TTL, Keeper, Sharing, own


class LeasesContract(Sharing):
    """Who owns what, under which token, for how long."""

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
