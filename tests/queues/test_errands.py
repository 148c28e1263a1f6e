"""What is asked of the store together: one errand at a time, and what gathers behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from actors.entries import Entry
from actors.errand import Append, Look
from actors.errors import Overloaded
from actors.policy.consuming import QueueRules
from tests.queues.conftest import Build
from tests.queues.house import NAME, Bomb, House


def tell(house: House, *ids: str) -> list[Any]:
    """Have these appended, and nothing done yet; where the answer will be."""
    answers: list[Any] = []
    entries = [Entry(id_, "jobs", id_.encode(), 5, house.now) for id_ in ids]
    house.runtime.ref(NAME).tell(Append(entries, answers.append))
    return answers


def test_what_gathers_while_an_errand_is_on_its_way_is_one_call(build: Build) -> None:
    house = build()
    appended: list[list[str]] = []
    append = house.store.append
    house.store.append = lambda entries, now: (  # the store's, watched
        appended.append([entry.id for entry in entries]) or append(entries, now)
    )
    first = tell(house, "a")
    house.stepper.step()  # its errand is on its way
    before = house.disk.calls
    others = [tell(house, *ids) for ids in (["b"], ["c", "a"], ["d"])]
    for _ in range(2):
        house.stepper.step()
    house.run()
    assert (first, others) == ([[True]], [[[True]], [[True, False]], [[True]]])
    assert appended == [["a"], ["b", "c", "a", "d"]]
    assert house.disk.calls - before == 2


def test_what_is_appended_together_is_taken_or_refused_each_by_itself(build: Build) -> None:
    house = build(QueueRules(depth=4))
    house.put("a")
    answers = [tell(house, *ids) for ids in (["b", "c"], ["d", "e"], ["f"], ["g"])]
    house.run()
    assert [answers[0], answers[2]] == [[[True, True]], [[True]]]
    assert [type(each[0]) for each in (answers[1], answers[3])] == [Overloaded, Overloaded]
    assert house.stats().waiting == 4


def test_a_question_between_two_appends_is_answered_between_them(build: Build) -> None:
    house = build()
    tell(house, "a")
    seen: list[Any] = []
    house.runtime.ref(NAME).tell(Look(lambda store, _: store.depths(["jobs"]), seen.append))
    tell(house, "b")
    house.run()
    assert seen == [[1]]
    assert house.stats().waiting == 2


def test_what_comes_may_have_the_name_of_what_ends_with_it(build: Build) -> None:
    house = build()
    consumer = house.consumer()
    house.put("a")
    consumer.take().discard()
    again = tell(house, "a")
    house.run()
    assert again == [[True]]
    assert consumer.seen == ["a", "a"]


def test_an_errand_that_nobody_answers_is_not_waited_for_for_ever(build: Build) -> None:
    house = build()
    tell(house, "a")
    house.stepper.step()
    house.stepper.step()  # done, and its answer lies on the desk
    assert len(house.desk.answered) == 1
    house.desk.answered.clear()
    answers = tell(house, "b")
    house.run()
    assert answers == [], "it stands behind the one that is out"
    house.advance(1.0)
    assert answers == [[True]]
    assert house.stats().waiting == 2


def test_what_stands_behind_an_errand_outlives_the_actor(build: Build) -> None:
    house = build()
    tell(house, "a")
    house.stepper.step()
    answers = tell(house, "b")
    while house.runtime.ref(NAME).depth():
        house.stepper.step()
    house.runtime.ref(NAME).tell(Bomb())
    house.run()
    assert house.made == 2
    assert answers == [[True]]
    assert house.stats().waiting == 2


def test_how_full_a_roomy_queue_is_is_asked_once_a_second(build: Build) -> None:
    house = build(QueueRules(depth=10))
    asked = watched(house)
    for id_ in "abc":
        house.put(id_)
    assert len(asked) == 1
    house.advance(1.0)
    house.put("d")
    assert len(asked) == 2
    house.put("e")
    house.put("f")
    assert len(asked) == 3, "and each time when it is more than half full"
    house.put("g")
    assert len(asked) == 4


def test_a_purge_makes_room_at_once(build: Build) -> None:
    house = build(QueueRules(depth=2))
    house.put("a", "b")
    answers: list[Any] = []
    assert house.purge() == 2
    house.put("c", "d")
    house.tell(Append([Entry("e", "jobs", b"e", 5, house.now)], answers.append))
    assert isinstance(answers[0], Overloaded)


def watched(house: House) -> list[Sequence[str]]:
    """What its store is asked the depths of."""
    asked: list[Sequence[str]] = []
    depths = house.store.depths
    house.store.depths = lambda queues: asked.append(queues) or depths(queues)
    return asked
