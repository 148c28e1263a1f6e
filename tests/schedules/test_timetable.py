"""The timetable: several routers on one store, stepped by hand, under a clock that the test turns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from actors.errors import EngineError, Overloaded, Refused
from actors.messages import Submission
from actors.policy.ticks import Overlap, Rule, following
from actors.ports import Accept, Accepted, AuditFilter, Begin, Settle
from actors.rules import encode_rule
from actors.runtime.actor import Actor
from actors.runtime.context import context
from actors.runtime.runtime import Runtime
from actors.runtime.spec import ChildSpec, SupervisorSpec
from actors.runtime.testing import ManualClock, Stepper
from actors.schedules import Schedule
from actors.timetable import Look, Timetable
from router.stores.contract_base import envelope
from router.stores.memory import MemoryStore
from tests.queues.store_keeper import Disk, StoreKeeper

HOUR = 3_600


class Door(Actor):
    """Stores what it is sent, as intake and journal do; or refuses it, or forgets it."""

    def __init__(self, town: Town, refusals: list[Any]) -> None:
        super().__init__()
        self._town = town
        self._refusals = refusals

    def on_receive(self, message: Any) -> None:
        refusal = self._refusals.pop(0) if self._refusals else None
        if refusal == "lost":
            return
        if isinstance(refusal, EngineError):
            message.waiter.on_refused(refusal)
            return
        id_ = message.envelope.id
        (result,) = self._town.store.write([Accept(message.envelope, message.frame, 300_000)], self.clock.now())
        assert isinstance(result, Accepted)
        self._town.sent.append((id_, self.clock.now()))
        if refusal is None:
            message.waiter.on_accepted(id_, result.sequence, 0, "")


class Router:
    """A timetable, its journal and its door."""

    def __init__(self, town: Town, name: str) -> None:
        self.town = town
        self.name = name
        self.disk = Disk(town.store)
        self.refusals: list[Any] = []
        self.stepper = Stepper()
        self.runtime = Runtime(clock=town.clock, stepper=self.stepper)
        self.runtime.start(
            SupervisorSpec(
                name,
                [
                    ChildSpec("journal", lambda: StoreKeeper(self.disk)),
                    ChildSpec("intake", lambda: Door(town, self.refusals)),
                    ChildSpec("timetable", self._timetable),
                ],
                intensity=20,
            )
        )
        self.stepper.run()

    def _timetable(self) -> Timetable:
        ref = self.runtime.ref
        return Timetable(lambda: ref("journal"), lambda: ref("intake"), self.town.make, self.name)

    def look(self) -> None:
        self.runtime.ref("timetable").tell(Look())
        self.town.run()

    def stop(self) -> None:
        context.stepper = self.stepper  # this thread runs one at a time
        self.runtime.stop()


class Town:
    """One store, one clock, any number of routers."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore()
        self.store.open(self.clock.now())
        self.sent: list[tuple[str, int]] = []  # (command, when), each time it was stored or stored again
        self.start = self.clock.now()
        self.routers: list[Router] = []
        self.broken: Exception | None = None

    def router(self, name: str = "r1") -> Router:
        router = Router(self, name)
        self.routers.append(router)
        return router

    def make(self, schedule: Schedule, tick: int) -> Submission:
        if self.broken is not None:
            raise self.broken
        id_ = f"{schedule.id}.{tick}"
        return Submission(envelope(id_, idempotency_key=id_), b"frame")

    def put(self, rule: Rule, id_: str = "s") -> None:
        now = self.clock.now()
        rule = rule._replace(anchor=now) if rule.every else rule
        self.store.put_schedule(Schedule(id_, b"", encode_rule(rule), following(rule, now)), now)
        for router in self.routers:
            router.look()

    def advance(self, seconds: float, *, settle: bool = True) -> None:
        """Time passes, and everybody does what is due; commands end at once, unless they are to go on."""

        def step() -> None:
            self.run()
            if settle:
                self.settle()

        self.clock.advance(seconds, step)
        step()

    def run(self) -> None:
        for router in self.routers:
            router.stepper.run()

    def settle(self) -> None:
        for record in self.store.pending():
            id_ = next(id_ for id_, _ in self.sent if self.store.get(id_).position == record.position)
            now = self.clock.now()
            self.store.write([Begin(id_, 1, "direct"), Settle(id_, "ok", b"", b"", True)], now)

    def ticks(self, id_: str = "s") -> list[int]:
        """The ticks that were sent, in seconds from the start, in their order and without repeats."""
        found = dict.fromkeys(command for command, _ in self.sent if command.startswith(f"{id_}."))
        return [(int(command.rpartition(".")[2]) - self.start) // 1000 for command in found]

    def known(self, id_: str = "s") -> Schedule:
        return next(each for each in self.store.schedules() if each.id == id_)

    def close(self) -> None:
        for router in self.routers:
            router.stop()


@pytest.fixture
def town() -> Iterator[Town]:
    town = Town()
    yield town
    town.close()


def test_each_tick_is_sent_once_at_its_time(town: Town) -> None:
    town.router()
    town.put(Rule(every=60_000))
    town.advance(200)
    assert town.ticks() == [60, 120, 180]
    assert [at - town.start for _, at in town.sent] == [60_000, 120_000, 180_000]
    assert (town.known().fired, town.known().passed) == (3, 0)


def test_over_any_number_of_routers_there_is_one_firing_per_tick(town: Town) -> None:
    for number in range(4):
        town.router(f"r{number}")
    town.put(Rule(cron="* * * * * *"))
    town.advance(60)
    assert town.ticks() == list(range(town.ticks()[0], town.ticks()[0] + 60))
    assert len(town.sent) == 60, "and nobody sent one a second time"


def test_a_schedule_made_at_another_router_is_found(town: Town) -> None:
    town.router("r1")
    rule = Rule(every=60_000, anchor=town.start)
    town.store.put_schedule(Schedule("s", b"", encode_rule(rule), following(rule, town.start)), town.start)
    town.advance(61)
    assert town.ticks() == [60]


def test_after_an_hour_down_one_tick_is_made_up_for_if_it_is_not_too_late(town: Town) -> None:
    town.put(Rule(every=600_000), "soon")
    town.put(Rule(every=600_000, catch_up=0), "never")
    town.clock.advance(HOUR + 30)
    town.router()
    assert town.ticks("soon") == [3_600]
    assert town.ticks("never") == []
    assert (town.known("never").passed, town.known("never").fired) == (1, 0)
    town.advance(600)
    assert town.ticks("soon") == [3_600, 4_200]
    assert town.ticks("never") == [4_200]


def test_a_tick_that_is_too_late_is_missed_and_said_so(town: Town) -> None:
    town.put(Rule(every=600_000))
    town.clock.advance(HOUR + 61)
    town.router()
    assert town.ticks() == []
    assert town.known().passed == 1
    (note,) = town.store.audit(AuditFilter())
    assert note.kind == "schedule"
    assert b"missed" in note.detail


def test_what_is_due_while_the_router_is_down_runs_once_promptly_and_not_before(town: Town) -> None:
    town.put(Rule(at=town.start + 5_000))
    first = town.router("r1")
    town.advance(2)
    first.stop()
    town.routers.clear()
    town.clock.advance(50)
    assert town.sent == []
    town.router("r2")
    assert town.ticks() == [5]
    town.advance(600)
    assert len(town.sent) == 1
    assert town.known().next == 0


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_wall_clock_that_is_set_brings_no_burst_and_no_delay(town: Town, hours: int) -> None:
    town.router()
    town.put(Rule(every=60_000))
    town.advance(30)
    town.clock.jump_wall(hours * HOUR)
    town.advance(100)
    assert town.ticks() == [60, 120]


def test_a_router_that_dies_before_it_heard_that_the_command_is_stored_leaves_the_tick_to_another(town: Town) -> None:
    first = town.router("r1")
    town.put(Rule(every=60_000))
    first.refusals.append("stored, and silent")
    town.advance(61, settle=False)
    assert len(town.sent) == 1
    assert town.known().fired == 0, "it is stored, and the schedule has not moved on"
    first.stop()
    town.routers.clear()
    town.router("r2")
    town.advance(11)
    assert town.ticks() == [60]
    assert len(town.sent) == 2, "it was sent again, and the store knew it"
    assert town.known().fired == 1
    assert town.store.stats()["bot:moderation"].pending + town.store.stats()["bot:moderation"].completed == 1


def test_a_router_that_loses_a_command_on_its_way_sends_it_again_when_its_claim_has_ended(town: Town) -> None:
    router = town.router()
    town.put(Rule(every=60_000))
    router.refusals.append("lost")
    town.advance(59)
    town.advance(20)
    assert town.ticks() == [60]
    assert town.known().fired == 1


def test_a_crash_of_the_timetable_loses_no_tick(town: Town) -> None:
    router = town.router()
    town.put(Rule(every=60_000))
    for _ in range(3):
        router.runtime.ref("timetable").tell(_Bomb())
        town.run()
        town.advance(60)
    assert town.ticks() == [60, 120, 180]


def test_while_the_store_is_away_nothing_is_sent_and_later_nothing_twice(town: Town) -> None:
    router = town.router()
    town.put(Rule(every=60_000))
    router.disk.full = True
    town.advance(70)
    assert town.sent == []
    router.disk.full = False
    town.advance(20)
    assert town.ticks() == [60]
    town.advance(60)
    assert town.ticks() == [60, 120]


def test_a_full_door_is_tried_again_and_a_door_that_says_never_costs_the_tick(town: Town) -> None:
    router = town.router()
    town.put(Rule(every=60_000))
    router.refusals += [Overloaded("full", retry_after=2_000), Overloaded("full", retry_after=2_000)]
    town.advance(66)
    assert town.ticks() == [60]
    router.refusals.append(Refused("never"))
    town.advance(60)
    assert town.ticks() == [60]
    assert town.known().passed == 1
    town.advance(60)
    assert town.ticks() == [60, 180]


def test_a_tick_is_skipped_while_the_command_before_is_not_done(town: Town) -> None:
    town.router()
    town.put(Rule(every=60_000))
    town.advance(190, settle=False)
    assert town.ticks() == [60]
    assert (town.known().fired, town.known().passed) == (1, 2)
    town.settle()
    town.advance(60)
    assert town.ticks() == [60, 240]


def test_one_tick_may_wait_behind_it_if_it_is_told_so(town: Town) -> None:
    town.router()
    town.put(Rule(every=60_000, overlap=Overlap.BUFFER_ONE))
    town.advance(250, settle=False)
    assert town.ticks() == [60, 120]
    assert town.known().passed == 2


def test_or_all_of_them(town: Town) -> None:
    town.router()
    town.put(Rule(every=60_000, overlap=Overlap.ALLOW))
    town.advance(250, settle=False)
    assert town.ticks() == [60, 120, 180, 240]


def test_what_cannot_be_made_costs_its_tick_and_nothing_else(town: Town) -> None:
    town.router()
    town.put(Rule(every=60_000))
    town.broken = LookupError("its type is gone")
    town.advance(70)
    town.broken = None
    town.advance(60)
    assert town.ticks() == [120]
    assert town.known().passed == 1


def test_a_rule_nobody_can_read_ends_its_schedule_and_no_other(town: Town) -> None:
    town.router()
    town.store.put_schedule(Schedule("odd", b"", b"\xc1", town.start + 1_000), town.start)
    town.put(Rule(every=60_000))
    town.advance(61)
    assert town.ticks() == [60]
    assert town.known("odd").next == 0


def test_a_paused_schedule_sends_nothing_and_goes_on_with_what_comes(town: Town) -> None:
    router = town.router()
    town.put(Rule(every=60_000))
    town.store.pause_schedule("s", True, 0, town.clock.now())
    town.advance(130)
    assert town.sent == []
    now = town.clock.now()
    town.store.pause_schedule("s", False, town.start + 180_000, now)
    router.look()
    town.advance(60)
    assert town.ticks() == [180]


class _Bomb:
    """Breaks whoever looks at its class, once."""

    @property
    def __class__(self) -> Any:
        if not self.__dict__:
            self.__dict__["gone"] = True
            raise RuntimeError("a bomb")
        return _Bomb
