"""Commands that begin in one moment are said to the store together, each is answered, and none is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from actors.errand import Look
from actors.errors import StoreUnavailable
from actors.outcome import Verdict
from actors.runtime.errors import MailboxFull, NotRunning, RuntimeFault
from actors.workers import Undertake
from router.protocols.websocket.beginnings import AT_ONCE, Beginnings


class Queues:
    """Takes what it is told; a store that says how much it was asked at once."""

    def __init__(self) -> None:
        self.looks: list[Look] = []
        self.calls: list[list[str]] = []
        self.error: RuntimeFault | None = None

    def tell(self, message: Any) -> None:
        if self.error is not None:
            raise self.error
        self.looks.append(message)

    def begin(self, undertakings: list[Undertake], _now: int) -> list[str]:
        self.calls.append([one.id for one in undertakings])
        return [f"said of {one.id}" for one in undertakings]

    def run(self, number: int = 0) -> None:
        look = self.looks.pop(number)
        look.reply(look.fn(self, 1))


@pytest.fixture
def queues() -> Queues:
    return Queues()


@pytest.fixture
def beginnings(queues: Queues) -> Beginnings:
    return Beginnings(lambda: queues)


def wanted(id_: str) -> Undertake:
    return Undertake("bots:0", f"attempt/{id_}:1@0", 1, id_, 1, "worker")


def test_what_begins_until_the_store_is_asked_is_one_call(queues: Queues, beginnings: Beginnings) -> None:
    heard: list[Any] = []
    assert not any(beginnings.add(wanted(id_), heard.append) for id_ in "abc")
    assert len(queues.looks) == 1
    queues.run()
    assert queues.calls == [["a", "b", "c"]]
    assert heard == ["said of a", "said of b", "said of c"]


def test_what_begins_meanwhile_is_the_next_call(queues: Queues, beginnings: Beginnings) -> None:
    heard: list[Any] = []
    beginnings.add(wanted("a"), heard.append)
    look = queues.looks.pop()
    answer = look.fn(queues, 1)
    beginnings.add(wanted("b"), heard.append)
    look.reply(answer)
    assert heard == ["said of a"]
    queues.run()
    assert queues.calls == [["a"], ["b"]]


def test_a_call_that_is_made_again_is_the_same(queues: Queues, beginnings: Beginnings) -> None:
    beginnings.add(wanted("a"), lambda _: None)
    look = queues.looks.pop()
    look.fn(queues, 1)
    beginnings.add(wanted("b"), lambda _: None)
    look.fn(queues, 1)
    assert queues.calls == [["a"], ["a"]]


def test_whoever_waited_hears_that_the_store_could_not_be_asked(queues: Queues, beginnings: Beginnings) -> None:
    heard: list[Any] = []
    told: Callable[[Any], None] = heard.append
    beginnings.add(wanted("a"), told)
    away = StoreUnavailable("away")
    queues.looks.pop().reply(away)
    assert heard == [away]
    beginnings.add(wanted("b"), told)
    queues.run()
    assert heard[1:] == ["said of b"]
    for error, why in ((NotRunning("queues"), "shutting_down"), (MailboxFull("queues", 1), "busy")):
        queues.error = error
        refusal = beginnings.add(wanted("c"), told)
        assert refusal is not None
        assert refusal.fault is not None
        assert (refusal.verdict, refusal.fault.code) == (Verdict.DEFERRED, why)


def test_one_call_is_bounded(queues: Queues, beginnings: Beginnings) -> None:
    for number in range(AT_ONCE + 1):
        beginnings.add(wanted(str(number)), lambda _: None)
    queues.run()
    queues.run()
    assert [len(call) for call in queues.calls] == [AT_ONCE, 1]
