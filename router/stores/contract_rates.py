# ruff: noqa: S101 - a suite that needs no test framework is made of plain asserts
"""What every shared store must do for rates that hold over all routers, in one text; used as ``contract_shared``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from typing import Any

from actors.rates import Rated, Spent
from router.stores.contract_base import NOW

LONG = 60_000_000
"""A window (ms) in which nothing comes back while a test lasts."""


class RatesContract:
    """Several handles of one store, each that of a router."""

    time: Callable[[], int]  #: the store's own, in ms
    again: Callable[[], Any]  #: other rates of the first handle

    def routers(self, *names: str, partitions: int = 4) -> list[Any]:
        """Handles of one new, empty store, not opened."""
        raise NotImplementedError

    def pass_time(self, ms: int) -> None:
        """Let so much of the store's own time pass."""
        raise NotImplementedError

    @contextmanager
    def asking(self, *names: str) -> Iterator[list[Any]]:
        """The rates of each handle."""
        stores = self.routers(*names)
        for store in stores:
            store.open(NOW)
        leases = stores[0].leases()
        leases.open()
        self.time = leases.time
        self.again = stores[0].rates
        rates = [store.rates() for store in stores]
        for each in rates:
            each.open()
        try:
            yield rates
        finally:
            leases.close()
            for each in rates:
                each.close()

    def test_a_level_gives_to_all_routers_together_what_it_has(self) -> None:
        with self.asking("a", "b", "c") as rates:
            level = guild(10)
            given = [each.take([[level]] * 3) for _ in range(3) for each in rates]
            assert sum(answer is None for answers in given for answer in answers) == 10
            flat = [answer for answers in given for answer in answers]
            assert flat[:10] == [None] * 10
            assert all(isinstance(answer, Spent) for answer in flat[10:])

    def test_who_is_refused_is_told_the_level_and_when_to_come_back(self) -> None:
        with self.asking("a", "b") as (a, b):
            level = Rated("guild", "g", 2, 1_600)
            assert a.take([[level], [level]]) == [None, None]
            ((kind, name, wait),) = b.take([[level]])
            assert (kind, name) == ("guild", "g")
            assert 0 < wait <= 800
            self.pass_time(wait)
            assert b.take([[level]]) == [None]
            self.pass_time(1_700)
            assert [each is None for each in a.take([[level]] * 3)] == [True, True, False]

    def test_of_all_levels_or_of_none(self) -> None:
        with self.asking("a", "b") as (a, b):
            wide, narrow = guild(5), Rated("user", "u", 1, LONG)
            first, second, third = a.take([[wide, narrow], [wide, narrow], [wide]])
            assert (first, third) == (None, None)
            assert second is not None
            assert second.kind == "user"
            assert [each is None for each in b.take([[wide]] * 4)] == [True, True, True, False]

    def test_of_several_that_refuse_the_one_that_lasts_longest_is_told(self) -> None:
        with self.asking("a") as (a,):
            soon, late = Rated("guild", "g", 1, 60_000), Rated("type", "BAN", 1, 120_000)
            for levels in ([soon, late], [late, soon]):
                a.take([[soon, late]])
                (refused,) = a.take([levels])
                assert refused is not None
                assert (refused.kind, refused.retry_after > 60_000) == ("type", True)

    def test_levels_of_other_kinds_and_names_know_nothing_of_one_another(self) -> None:
        names = ("g", "g:h", "{g}", "g h", "ü\n", "asked:a", "", "x" * 300)
        levels = [Rated(kind, name, 1, LONG) for kind, name in product(("guild", "user"), names)]
        with self.asking("a", "b") as (a, b):
            assert a.take([[level] for level in levels]) == [None] * len(levels)
            assert all(b.take([[level] for level in levels]))

    def test_another_connection_of_the_same_router_asks_anew(self) -> None:
        with self.asking("a") as (first,):
            assert first.take([[guild(2)]]) == [None]
            again = self.again()
            assert again.take([[guild(2)]]) == [None]
            assert [each is None for each in again.take([[guild(2)], []])] == [False, True]
            again.close()

    def test_a_slice_of_thousands_is_counted_to_the_last(self) -> None:
        with self.asking("a", "b") as (a, b):
            asked = [[Rated("guild", f"{n % 1_500}", 2, LONG), Rated("type", "T", 2_500, LONG)] for n in range(2_200)]
            answers = a.take(asked) + b.take(asked)
            kinds = ["" if answer is None else answer.kind for answer in answers]
            assert kinds == [""] * 2_200 + ["guild"] * 700 + [""] * 300 + ["type"] * 500 + ["guild"] * 700

    def test_what_is_given_back_may_be_taken_again_and_no_more_than_a_level_can_hold(self) -> None:
        level, other = Rated("queue", "q", 3, LONG), Rated("queue", "p", 3, LONG)
        with self.asking("a", "b") as (a, b):
            assert a.take([[level]] * 3) == [None] * 3
            a.give_back({level: 2, other: 5})
            assert [each is None for each in b.take([[level]] * 3)] == [True, True, False]
            b.give_back({level: 9})
            assert [each is None for each in a.take([[level]] * 4)] == [True, True, True, False]
            assert [each is None for each in a.take([[other]] * 4)] == [True, True, True, False]

    def test_a_changed_rate_counts_from_the_next_question_on(self) -> None:
        with self.asking("a", "b") as (old, new):
            assert old.take([[Rated("guild", "g", 10, LONG)]] * 6) == [None] * 6
            assert [each is None for each in new.take([[Rated("guild", "g", 3, LONG)]] * 4)] == [True] * 3 + [False]
            assert [each is None for each in old.take([[Rated("guild", "g", 10, LONG)]])] == [False]
            assert old.take([[Rated("type", "t", 4, LONG)]] * 2) == [None] * 2
            slower = new.take([[Rated("type", "t", 4, 10 * LONG)]] * 3)
            assert [each is None for each in slower] == [True, True, False]

    def test_in_no_span_is_more_given_than_the_rate_allows(self) -> None:
        level = Rated("guild", "g", 7, 350)
        given: list[tuple[int, int]] = []  # of each token, the store's time before it was asked for and after
        with self.asking("a", "b") as rates:
            begun = self.time()
            while self.time() - begun < 700:
                for each in rates:
                    before = self.time()
                    count = each.take([[level]] * 3).count(None)
                    given += [(before, self.time())] * count
                self.pass_time(13)
        assert len(given) >= 14
        for first, (begin, _) in enumerate(given):
            for count, (_, end) in enumerate(given[first:], 1):
                assert count <= 7 + (end - begin + 1) * 7 / 350


def guild(rate: int) -> Rated:
    """A guild that gets nothing back while a test lasts."""
    return Rated("guild", "g", rate, LONG)
