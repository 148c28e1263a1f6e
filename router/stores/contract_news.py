# ruff: noqa: S101 - a suite that needs no test framework is made of plain asserts
"""What every shared store must do for news and bells; a part of ``contract_shared``."""

from __future__ import annotations

from collections.abc import Callable
from threading import Condition
from typing import Any
from uuid import uuid4

from actors.ports import (
    Duplicate,
)
from actors.sharing import Answered, Arrived, Moved, Told
from actors.workers import Finish
from router.stores.contract_base import NOW, accept, accepted
from router.stores.contract_queues import entry, take
from router.stores.contract_sharing import GLANCE, LONG, PATIENCE, Keeper, Sharing, bury, own, settle


class NewsContract(Sharing):
    """Who hears of what."""

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
