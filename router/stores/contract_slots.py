# ruff: noqa: S101 - a suite that needs no test framework is made of plain asserts
"""What every shared store must do for slots that are counted over all routers; used as ``contract_shared``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from actors.sharing import Told
from actors.slots import SLOTS, Claim
from router.stores.contract_base import NOW
from router.stores.contract_sharing import TTL, Ear


class SlotsContract:
    """Several handles of one store, each that of a router."""

    def routers(self, *names: str, partitions: int = 4) -> list[Any]:
        """Handles of one new, empty store, not opened."""
        raise NotImplementedError

    def pass_time(self, ms: int) -> None:
        """Let so much of the store's own time pass."""
        raise NotImplementedError

    @contextmanager
    def claiming(self, *names: str) -> Iterator[list[Any]]:
        """The slots of each handle."""
        *self._handles, self._other = self.routers(*names, "other")
        for store in (*self._handles, self._other):
            store.open(NOW)
        slots = [store.slots() for store in self._handles]
        for each in slots:
            each.open()
        try:
            yield slots
        finally:
            for each in slots:
                each.close()

    def test_all_hold_together_no_more_than_there_are(self) -> None:
        with self.claiming("a", "b", "c") as (a, b, c):
            assert held(a, target=2) == 2
            assert held(b, target=2) == 2
            assert held(c, target=2) == 1
            assert held(c, keep=1, target=4) == 1
            assert held(a, keep=1) == 1
            assert held(c, keep=1, target=4) == 2

    def test_each_learns_what_the_others_want(self) -> None:
        with self.claiming("a", "b") as (a, b):
            time, (first,) = a.claim([Claim("type:T", 5, 0, 4, 4)], TTL)
            assert (first.held, dict(first.others)) == (4, {})
            assert time > 0
            later, (second,) = b.claim([Claim("type:T", 5, 0, 3, 3)], TTL)
            assert (second.held, dict(second.others)) == (1, {"a": 4})
            assert later >= time
            assert dict(a.claim([Claim("type:T", 5, 4, 4, 4)], TTL)[1][0].others) == {"b": 3}

    def test_levels_know_nothing_of_one_another(self) -> None:
        names = ("type:T", "queue:T", "queue:{T}", "queue:ü \n", "queue:" + "x" * 300)
        with self.claiming("a", "b") as (a, b):
            assert [each.held for each in a.claim([Claim(name, 1, 0, 1, 1) for name in names], TTL)[1]] == [1] * 5
            assert [each.held for each in b.claim([Claim(name, 2, 0, 1, 1) for name in names], TTL)[1]] == [1] * 5

    def test_the_slots_of_who_gives_no_sign_of_life_are_free(self) -> None:
        with self.claiming("a", "b") as (a, b):
            assert held(a, target=5) == 5
            for _ in range(3):
                self.pass_time(TTL // 2)
                assert held(a, keep=5) == 5
            assert held(b, target=5) == 0
            self.pass_time(TTL + 50)
            assert held(b, target=5) == 5

    def test_what_runs_on_after_the_lease_is_counted_when_it_is_told(self) -> None:
        with self.claiming("a", "b") as (a, b):
            assert held(a, target=5) == 5
            self.pass_time(TTL + 50)
            assert held(b, target=3) == 3
            assert held(a, keep=4) == 4
            assert held(b, keep=1, target=3) == 1
            assert held(a, keep=0) == 0
            assert held(b, keep=1, target=3) == 3

    def test_whoever_wants_and_holds_nothing_is_forgotten(self) -> None:
        with self.claiming("a", "b") as (a, b):
            held(a, target=2, wanted=2)
            held(a)
            assert dict(b.claim([Claim("queue:q", 5, 0, 1, 1)], TTL)[1][0].others) == {}

    def test_a_claim_made_again_changes_nothing(self) -> None:
        with self.claiming("a", "b") as (a, b):
            assert [held(a, target=3) for _ in range(2)] == [3, 3]
            assert held(b, target=5) == 2

    def test_the_others_are_told_when_somebody_wants_more_and_when_something_is_free(self) -> None:
        with (
            self.claiming("a", "b") as (a, b),
            Ear(self._handles[0], self._other) as to_a,
            Ear(self._handles[1], self._other) as to_b,
        ):
            news = Told(SLOTS, b"")
            held(a, target=5, wanted=5)
            held(b, target=2, wanted=2)
            to_a.wait(news)
            held(b, target=2, wanted=2)  # it wanted so much before
            held(a, keep=3, wanted=3)
            to_b.wait(news)
            assert held(b, target=2, wanted=2) == 2
            held(a, keep=2, wanted=2)  # nobody waits
            for number, ear in enumerate((to_a, to_b)):
                self._other.announce("mark", b"%d" % number)
                ear.wait(Told("mark", b"%d" % number))
                assert not ear.has(news)


def held(slots: Any, *, keep: int = 0, target: int = 0, wanted: int = 0) -> int:
    """One level of five slots: how many it holds after this claim."""
    _, (standing,) = slots.claim([Claim("queue:q", 5, keep, wanted, target)], TTL)
    return int(standing.held)
