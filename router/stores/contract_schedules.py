# ruff: noqa: S101, TRY301 - a suite that needs no test framework is made of plain asserts
"""Schedules."""

from __future__ import annotations

from typing import Any

from actors.schedules import Fire, Schedule
from router.stores.contract_base import NOW, Contract


def schedule(id: str = "s", next: int = NOW + 100, frame: bytes = b"frame", rule: bytes = b"rule") -> Schedule:
    """A schedule that ticks next at that time."""
    return Schedule(id, frame, rule, next)


def claimed(backend: Any, router: str = "r", now: int = NOW, until: int = NOW + 10_000) -> list[str]:
    """The ids this router claims."""
    return [each.id for each in backend.claim_due(router, now, until)]


class SchedulesContract(Contract):
    """The port ``Schedules``."""

    def test_a_schedule_is_there_until_it_is_removed(self) -> None:
        store = self.opened()
        assert store.schedules() == []
        assert store.put_schedule(schedule("b"), NOW) is True
        assert store.put_schedule(schedule("a", NOW + 5), NOW + 1) is True
        assert store.schedules() == [
            schedule("a", NOW + 5)._replace(made_at=NOW + 1),
            schedule("b")._replace(made_at=NOW),
        ]
        assert [each.id for each in store.schedules("a")] == ["b"]
        assert [each.id for each in store.schedules("", 1)] == ["a"]
        assert store.remove_schedule("a") is True
        assert store.remove_schedule("a") is False
        assert [each.id for each in store.schedules()] == ["b"]

    def test_put_again_it_keeps_its_tick_unless_it_changed(self) -> None:
        store = self.opened()
        store.put_schedule(schedule(), NOW)
        store.fire(Fire("s", NOW + 100, NOW + 200, "c1"), NOW + 100)
        assert store.put_schedule(schedule(next=NOW + 999), NOW + 150) is False
        (known,) = store.schedules()
        assert known == Schedule("s", b"frame", b"rule", NOW + 200, False, NOW, NOW + 100, 1, 0, ("c1",))
        assert store.put_schedule(schedule(next=NOW + 999, rule=b"other"), NOW + 150) is True
        assert store.schedules() == [known._replace(rule=b"other", next=NOW + 999)]

    def test_what_is_due_is_claimed_by_tick_and_id(self) -> None:
        store = self.opened()
        for id_, at in (("c", 20), ("b", 10), ("a", 20), ("d", 30), ("never", -NOW)):
            store.put_schedule(schedule(id_, NOW + at), NOW)
        assert claimed(store, now=NOW + 9) == []
        assert claimed(store, now=NOW + 20) == ["b", "a", "c"]
        assert [each.id for each in store.claim_due("r", NOW + 20, NOW + 99, 1)] == ["b"]

    def test_what_one_router_claimed_no_other_gets_until_the_claim_has_ended(self) -> None:
        store = self.opened()
        store.put_schedule(schedule(next=NOW), NOW)
        assert claimed(store, "r1", NOW, NOW + 50) == ["s"]
        assert claimed(store, "r2", NOW + 49) == []
        assert claimed(store, "r1", NOW + 10, NOW + 50) == ["s"], "the same one may ask again"
        assert claimed(store, "r2", NOW + 50, NOW + 90) == ["s"]
        assert claimed(store, "r1", NOW + 51) == []

    def test_a_tick_is_fired_once(self) -> None:
        store = self.opened()
        store.put_schedule(schedule(next=NOW), NOW)
        claimed(store)
        fire = Fire("s", NOW, NOW + 60, "c1")
        assert store.fire(fire, NOW + 7) is True
        assert store.fire(fire, NOW + 8) is False
        assert store.fire(fire._replace(next=NOW + 90, command="c2"), NOW + 8) is False
        (known,) = store.schedules()
        assert (known.next, known.last, known.fired, known.passed, known.recent) == (NOW + 60, NOW + 7, 1, 0, ("c1",))
        assert claimed(store, "r2", NOW + 59) == []
        assert claimed(store, "r2", NOW + 60) == ["s"], "the claim ended with the tick"

    def test_a_tick_that_is_passed_over_is_counted_as_such(self) -> None:
        store = self.opened()
        store.put_schedule(schedule(next=NOW), NOW)
        assert store.fire(Fire("s", NOW, NOW + 60), NOW) is True
        (known,) = store.schedules()
        assert (known.next, known.last, known.fired, known.passed, known.recent) == (NOW + 60, 0, 0, 1, ())

    def test_the_latest_firings_are_known(self) -> None:
        store = self.opened()
        store.put_schedule(schedule(next=NOW), NOW)
        for number in range(4):
            store.fire(Fire("s", NOW + number, NOW + number + 1, f"c{number}"), NOW)
        assert store.schedules()[0].recent == ("c2", "c3")

    def test_after_its_last_tick_it_is_not_due_any_more(self) -> None:
        store = self.opened()
        store.put_schedule(schedule(next=NOW), NOW)
        assert store.fire(Fire("s", NOW, 0, "c"), NOW) is True
        assert claimed(store, now=NOW + 10**9) == []
        assert store.next_due(NOW) == 0
        assert [each.next for each in store.schedules()] == [0]

    def test_a_paused_schedule_keeps_still(self) -> None:
        store = self.opened()
        store.put_schedule(schedule(next=NOW), NOW)
        claimed(store, "r1")
        assert store.pause_schedule("s", True, 0, NOW) is True
        assert store.pause_schedule("s", True, NOW + 7, NOW) is True
        assert store.pause_schedule("nobody", True, 0, NOW) is False
        assert claimed(store, now=NOW + 10**6) == []
        assert store.fire(Fire("s", NOW, NOW + 60, "c"), NOW) is False
        assert store.next_due(NOW) == 0
        assert [(each.paused, each.next) for each in store.schedules()] == [(True, NOW)]
        assert store.pause_schedule("s", False, NOW + 80, NOW + 50) is True
        assert store.pause_schedule("s", False, NOW + 99, NOW + 50) is True
        assert [(each.paused, each.next) for each in store.schedules()] == [(False, NOW + 80)]
        assert claimed(store, "r2", NOW + 80) == ["s"]

    def test_it_says_when_to_look_again(self) -> None:
        store = self.opened()
        assert store.next_due(NOW) == 0
        store.put_schedule(schedule("a", NOW + 50), NOW)
        store.put_schedule(schedule("b", NOW + 20), NOW)
        assert store.next_due(NOW) == NOW + 20
        assert store.next_due(NOW + 30) == NOW + 30, "it has come"
        store.claim_due("r", NOW + 30, NOW + 40)
        assert store.next_due(NOW + 30) == NOW + 40, "should the router that claimed it be gone"
        store.fire(Fire("b", NOW + 20, NOW + 70, "c"), NOW + 31)
        assert store.next_due(NOW + 31) == NOW + 50

    def test_schedules_outlive_the_process(self) -> None:
        if not self.durable:
            return
        store = self.opened()
        for id_ in "abc":
            store.put_schedule(schedule(id_, NOW), NOW)
        store.fire(Fire("a", NOW, NOW + 60, "c1"), NOW)
        store.pause_schedule("b", True, 0, NOW)
        store.remove_schedule("c")
        before = store.schedules()
        store = self.reopen(store)
        assert store.schedules() == before
        assert len(before) == 2

    def test_a_step_that_fails_fired_nothing(self) -> None:
        if not self.transactional:
            return
        store = self.opened()
        store.put_schedule(schedule(next=NOW), NOW)
        before = store.schedules()
        try:
            with store.together():
                store.fire(Fire("s", NOW, NOW + 60, "c1"), NOW)
                store.put_schedule(schedule("t"), NOW)
                raise KeyError("the caller's")
        except KeyError:
            pass
        assert store.schedules() == before
        assert store.fire(Fire("s", NOW, NOW + 60, "c1"), NOW) is True
