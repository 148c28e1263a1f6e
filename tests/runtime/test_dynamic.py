"""Dynamic supervisors: S5, S20, S23-S25, S34, limits per child, and actors that go to sleep."""

from __future__ import annotations

import gc
import logging
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pykka
import pytest

from actors.runtime import (
    Actor,
    ActorStopped,
    AlreadyStarted,
    BadSpec,
    ChildCounts,
    ChildSpec,
    NameTaken,
    NoSuchActor,
    NoSuchChild,
    Ref,
    Runtime,
    StartError,
    SupervisorRef,
    SupervisorSpec,
)
from actors.runtime.testing import ManualClock, Stepper

from .conftest import CAP, Boom, Journal, Script, eventually


class Many:
    """A dynamic supervisor on a stepper."""

    def __init__(self, runtime: Runtime, journal: Journal, stepper: Stepper, clock: ManualClock) -> None:
        self.runtime = runtime
        self.journal = journal
        self.stepper = stepper
        self.clock = clock
        self.crashes: list[Any] = []
        self.given_up: list[Any] = []

    def start(self, **options: Any) -> SupervisorRef:
        spec = SupervisorSpec(
            "many",
            dynamic=True,
            on_crash=lambda *crash: self.crashes.append(crash),
            on_give_up=lambda *crash: self.given_up.append(crash),
            **options,
        )
        self.runtime.start(SupervisorSpec("root", [spec], intensity=0))
        self.ref = self.runtime.supervisor("many")
        return self.ref

    def spec(self, name: str, on_start: Callable[[Script], object] | None = None, **options: Any) -> ChildSpec:
        return ChildSpec(name, lambda: Script(name, self.journal, on_start), **{"dispatcher": "pool", **options})

    def child(self, name: str, **options: Any) -> Ref:
        return self.ref.start_child(self.spec(name, **options))

    def crash(self, ref: Ref) -> None:
        ref.tell(("raise", Boom(ref.name)))
        self.stepper.run()


@pytest.fixture
def many(stepped: Runtime, journal: Journal, stepper: Stepper, clock: ManualClock) -> Many:
    return Many(stepped, journal, stepper, clock)


def fail(_: Script) -> None:
    raise Boom("not today")


def test_start_child_answers_at_once_and_messages_wait_for_the_start(many: Many) -> None:
    many.start()
    ref = many.child("one")
    ref.tell("before it started")
    assert many.journal.lines() == []
    many.stepper.run()
    assert [line[0] for line in many.journal.lines()] == ["starting", "started", "handled"]
    assert many.runtime.ref("one") is ref


def test_a_failing_on_start_counts_as_a_crash(many: Many) -> None:
    many.start(intensity=2)
    many.ref.start_child(many.spec("bad", fail))
    many.stepper.run()
    assert many.journal.names("starting") == ["bad"] * 3
    assert many.runtime.wait_stopped(0) == "shutdown"


def test_s25_with_wait_the_failure_is_the_callers_and_nothing_stays(many: Many) -> None:
    many.start(intensity=0)
    with pytest.raises(StartError) as raised:
        many.ref.start_child(many.spec("bad", fail), wait=True)
    assert (raised.value.child, type(raised.value.cause)) == ("bad", Boom)
    assert many.ref.children() == []
    with pytest.raises(NoSuchActor):
        many.runtime.ref("bad")
    good = many.ref.start_child(many.spec("bad"), wait=True)
    assert many.journal.names("started") == ["bad"]
    assert good.alive()


def test_s21_a_name_that_lives_is_taken(many: Many) -> None:
    many.start()
    ref = many.child("one")
    with pytest.raises(AlreadyStarted) as raised:
        many.child("one")
    assert raised.value.ref is ref
    with pytest.raises(NameTaken):
        many.child("root")
    with pytest.raises(BadSpec):
        many.child("two", restart="maybe")
    for wish in (many.ref.restart_child, many.ref.delete_child, many.ref.terminate_child, many.ref.bounce_child):
        with pytest.raises(NoSuchChild):
            wish("nobody", timeout=1)


def test_terminate_frees_the_name(many: Many) -> None:
    many.start()
    ref = many.child("one")
    many.ref.terminate_child("one")
    assert many.journal.names("stopped") == ["one"]
    with pytest.raises(ActorStopped):
        ref.tell("gone")
    assert many.child("one").ask("who", timeout=1)


def test_bounce_gives_a_new_actor_behind_the_same_ref(many: Many) -> None:
    many.start(intensity=0)
    ref = many.child("one")
    before = ref.ask("who", timeout=1)
    many.runtime.restart("one")
    assert ref.ask("who", timeout=1) > before


def test_s23_counts_exclude_the_restarting_and_fall_to_nothing(many: Many) -> None:
    many.start(intensity=10_000, backoff=lambda _: 5)
    refs = [many.child(f"c{n}") for n in range(200)]
    temporary = [many.child(f"t{n}", restart="temporary") for n in range(100)]
    many.stepper.run()
    assert many.ref.count_children() == ChildCounts(1, 300, 0, 300)
    for ref in refs[:50]:
        many.crash(ref)
    assert many.ref.count_children() == ChildCounts(1, 250, 0, 300)
    many.clock.advance(5, many.stepper.run)
    assert many.ref.count_children() == ChildCounts(1, 300, 0, 300)
    for ref in temporary:
        ref.tell("stop")
    for ref in refs:
        many.ref.terminate_child(ref.name)
    many.stepper.run()
    assert many.ref.count_children() == ChildCounts(1, 0, 0, 0)


def test_s24_a_factory_that_declines_leaves_nothing(many: Many) -> None:
    many.start()
    ref = many.ref.start_child(ChildSpec("none", lambda: None, dispatcher="pool"))
    many.stepper.run()
    assert many.ref.children() == []
    assert not ref.alive()
    many.ref.start_child(ChildSpec("none", lambda: None, dispatcher="pool"), wait=True)


def test_a_supervisor_may_be_a_dynamic_child(many: Many) -> None:
    many.start()
    many.ref.start_child(SupervisorSpec("team", [many.spec("member")]), wait=True)
    assert many.runtime.ref("member").ask("who", timeout=1)
    assert many.ref.count_children() == ChildCounts(1, 1, 1, 0)
    many.ref.terminate_child("team")
    with pytest.raises(NoSuchActor):
        many.runtime.ref("member")


# ---------------------------------------------------------------- limits


def test_without_per_child_the_limit_is_the_supervisors(many: Many) -> None:
    many.start(intensity=2)
    for name in ("one", "two", "three"):
        many.crash(many.child(name))
    assert many.runtime.wait_stopped(0) == "shutdown"


def test_per_child_a_child_over_its_limit_is_given_up_and_the_others_live_on(many: Many) -> None:
    many.start(per_child=True, intensity=3, period=5)
    bad, good = many.child("bad"), many.child("good")
    life = good.ask("who", timeout=1)
    for _ in range(3):
        many.crash(bad)
    assert many.given_up == []
    assert bad.ask("who", timeout=1)
    bad.tell_many([("raise", Boom("last")), "left behind"])
    many.stepper.run()
    assert [(ref.name, str(error)) for ref, error in many.given_up] == [("bad", "last")]
    assert len(many.crashes) == 4
    assert good.ask("who", timeout=1) == life
    with pytest.raises(ActorStopped):
        bad.tell("again")
    assert many.runtime.dropped_messages == 1
    assert many.child("bad").ask("who", timeout=1)  # who needs it again may start it again


def test_per_child_old_crashes_age_out(many: Many) -> None:
    many.start(per_child=True, intensity=1, period=1)
    ref = many.child("one")
    for _ in range(5):
        many.crash(ref)
        many.clock.advance(1.1)
    assert ref.ask("who", timeout=1)
    assert many.given_up == []


def test_the_crash_hook_learns_the_message(many: Many) -> None:
    many.start()
    ref = many.child("one")
    bad = ("raise", Boom("it"))
    ref.tell(bad)
    many.stepper.run()
    assert [(r is ref, message, str(error)) for r, message, error in many.crashes] == [(True, bad, "it")]


# ---------------------------------------------------------------- sleep


def test_an_idle_child_goes_to_sleep_and_a_busy_one_does_not(many: Many) -> None:
    many.start()
    ref = many.child("one")
    assert not many.ref.stop_child_if_idle(ref)  # it has not started yet
    many.stepper.run()
    ref.tell("work")
    assert not many.ref.stop_child_if_idle(ref)
    many.stepper.run()
    assert many.ref.stop_child_if_idle(ref)
    assert many.journal.names("stopped") == ["one"]
    assert not many.ref.stop_child_if_idle(ref)
    with pytest.raises(ActorStopped):
        ref.tell("too late")
    woken = many.child("one")
    woken.tell("again")
    many.stepper.run()
    assert woken is not ref
    assert [line[2] for line in many.journal.lines("handled")] == ["work", "again"]
    assert many.given_up == many.crashes == []
    assert len(many.ref.children()) == 1


def test_only_its_own_supervisor_can_put_an_actor_to_bed(many: Many) -> None:
    many.start()
    with pytest.raises(NoSuchChild):
        many.ref.stop_child_if_idle(many.runtime.ref("root"))


def test_the_heir_of_a_name_starts_only_after_the_other_is_over(many: Many) -> None:
    many.start()
    first = many.child("one")
    many.stepper.run()
    many.runtime.ref("one").tell(("call", lambda child: child.passivate()))
    many.stepper.step()  # it sleeps now; its end is not yet reported
    assert not first.alive()
    heir = many.child("one")
    assert heir is not first
    assert many.runtime.ref("one") is heir
    heir.tell("for the heir")
    many.stepper.run()
    kinds = [line[0] for line in many.journal.lines()]
    assert kinds == ["starting", "started", "stopped", "starting", "started", "handled"]


def test_an_heir_stopped_before_it_began_never_begins(many: Many) -> None:
    many.start()
    many.child("one").tell(("call", lambda child: child.passivate()))
    many.stepper.step()
    many.stepper.step()
    heir = many.child("one")
    stopping = threading.Event()
    many.ref._call("terminate", "one").add_done_callback(lambda _: stopping.set())
    many.stepper.run()
    assert stopping.is_set()
    assert not heir.alive()
    assert many.ref.children() == []
    many.child("one")
    many.stepper.run()
    assert len(many.ref.children()) == 1


def test_passivate_waits_for_the_messages_that_came_meanwhile(many: Many) -> None:
    many.start()
    ref = many.child("one")
    ref.tell_many([("call", lambda child: child.passivate()), 1, 2])
    many.stepper.run()
    assert [line[2] for line in many.journal.lines("handled")] == [1, 2]
    assert not ref.alive()
    assert many.ref.children() == []
    assert many.runtime.dropped_messages == 0


@pytest.mark.parametrize("dispatcher", ["thread", "pool"])
def test_senders_who_wake_sleepers_lose_nothing(threaded: Runtime, journal: Journal, dispatcher: str) -> None:
    threaded.start(SupervisorSpec("root", [SupervisorSpec("many", dynamic=True)]))
    many = threaded.supervisor("many")
    spec = ChildSpec("guild", lambda: Script("guild", journal), dispatcher=dispatcher)
    over = threading.Event()
    slept: list[int] = []

    def tell(message: Any) -> None:
        while True:
            try:
                threaded.ref("guild").tell(message)
            except (NoSuchActor, ActorStopped):
                try:
                    many.start_child(spec)
                except AlreadyStarted:
                    continue
            else:
                return

    def send(first: int) -> None:
        for number in range(first, first + 300):
            tell(number)

    def put_to_bed() -> None:
        while not over.is_set():
            try:
                slept.append(many.stop_child_if_idle(threaded.ref("guild")))
            except NoSuchActor:
                continue

    threads = [threading.Thread(target=send, args=(first,)) for first in (0, 1000, 2000)]
    sleeper = threading.Thread(target=put_to_bed)
    for thread in (*threads, sleeper):
        thread.start()
    for thread in threads:
        thread.join(30)
    handled = [line[2] for line in journal.wait("handled", 900)]
    eventually(lambda: any(slept))
    over.set()
    sleeper.join(CAP)
    assert sorted(handled) == [*range(300), *range(1000, 1300), *range(2000, 2300)]
    for first in (0, 1000, 2000):
        mine = [n for n in handled if first <= n < first + 1000]
        assert mine == sorted(mine)
    life = 0  # never two alive: what the journal says of one life ends before the next begins
    for line in journal.lines():
        assert line[-1] >= life
        life = max(life, line[-1])


# ---------------------------------------------------------------- ends


def test_s20_the_stop_is_bounded_by_the_longest_limit_not_by_their_sum(many: Many, gate: threading.Event) -> None:
    many.start()
    for number in range(50):
        many.child(f"c{number}", shutdown=2)
    many.stepper.run()
    many.runtime.stop()
    assert sorted(many.journal.names("stopped")) == sorted(f"c{n}" for n in range(50))
    assert many.runtime.tree().children[0].children == ()


def test_no_child_starts_while_the_supervisor_stops(many: Many) -> None:
    many.start()
    many.runtime.stop()
    with pytest.raises(ActorStopped):
        many.child("late")


def test_children_waiting_for_their_restart_are_dropped_with_the_supervisor(many: Many) -> None:
    many.start(backoff=lambda _: 100)
    ref = many.child("one")
    many.crash(ref)
    ref.tell("waits")
    many.runtime.stop()
    assert many.runtime.wait_stopped(0) == "stopped"
    assert many.runtime.dropped_messages == 1


def test_a_supervisor_that_is_replaced_begins_empty_and_its_children_are_over(many: Many) -> None:
    spec = SupervisorSpec("many", dynamic=True, intensity=0)
    many.runtime.start(SupervisorSpec("root", [spec], intensity=1))
    many.ref = many.runtime.supervisor("many")
    one, two = many.child("one"), many.child("two")
    many.stepper.run()
    many.crash(one)
    assert many.runtime.wait_stopped(0) is None
    assert many.ref.children() == []
    for ref in (one, two):
        assert not ref.alive()
    assert many.journal.names("stopped") == ["two"]
    assert many.child("one").ask("who", timeout=1)


def test_a_faulty_supervisor_takes_its_children_along_and_is_replaced(
    many: Many, monkeypatch: pytest.MonkeyPatch
) -> None:
    from actors.runtime.dynamic import DynamicSupervisor

    many.runtime.start(SupervisorSpec("root", [SupervisorSpec("many", dynamic=True)], intensity=1))
    many.ref = many.runtime.supervisor("many")
    one, two = many.child("one"), many.child("two")
    many.stepper.run()
    real, faults = DynamicSupervisor._exited, [ZeroDivisionError()]

    def exited(self: DynamicSupervisor, *news: Any) -> None:
        if faults:
            raise faults.pop()
        real(self, *news)

    monkeypatch.setattr(DynamicSupervisor, "_exited", exited)
    many.crash(one)
    assert not one.alive()
    assert not two.alive()
    assert many.child("one").ask("who", timeout=1)


def test_s34_a_dead_childs_arguments_are_not_kept_not_even_by_its_ref(many: Many) -> None:
    many.start()

    class Argument:
        pass

    argument = Argument()
    gone = weakref.ref(argument)
    spec = ChildSpec("one", lambda a=argument: Script(str(a), many.journal), restart="temporary", dispatcher="pool")
    ref = many.ref.start_child(spec)
    many.stepper.run()
    ref.tell(("raise", Boom()))
    many.stepper.run()
    many.crashes.clear()
    del spec, argument
    gc.collect()
    assert gone() is None
    assert not ref.alive()


def test_a_child_that_does_not_stop_when_terminated_is_fenced(
    threaded: Runtime, journal: Journal, gate: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    threaded.start(SupervisorSpec("root", [SupervisorSpec("many", dynamic=True)]))
    many = threaded.supervisor("many")
    ref = many.start_child(ChildSpec("one", lambda: Script("one", journal), dispatcher="pool", shutdown=0.1))
    entered = threading.Event()
    ref.tell(("call", lambda _: (entered.set(), gate.wait(CAP))))
    assert entered.wait(CAP)
    with caplog.at_level(logging.ERROR):
        many.terminate_child("one", timeout=CAP)
    assert "one did not stop within 0.1 s" in caplog.text
    assert threaded.leaked_threads == 1
    assert many.start_child(ChildSpec("one", lambda: Script("one", journal), dispatcher="pool")).ask("who", CAP)


def test_start_child_is_safe_from_many_threads(threaded: Runtime) -> None:
    threaded.start(SupervisorSpec("root", [SupervisorSpec("many", dynamic=True)]))
    many = threaded.supervisor("many")
    won: list[str] = []

    def start(number: int) -> None:
        for name in range(200):
            try:
                many.start_child(ChildSpec(f"c{name}", Actor, dispatcher="pool"))
                won.append(f"c{name}")
            except AlreadyStarted:
                continue

    threads = [threading.Thread(target=start, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(CAP)
    assert sorted(won) == sorted(f"c{n}" for n in range(200))
    assert len(many.children()) == 200


def test_a_wait_for_a_start_has_a_limit(many: Many, gate: threading.Event, threaded: Runtime) -> None:
    threaded.start(SupervisorSpec("root", [SupervisorSpec("many", dynamic=True)]))
    spec = ChildSpec("slow", lambda: Script("slow", many.journal, lambda _: gate.wait(CAP)), shutdown=0.1)
    with pytest.raises(pykka.Timeout):
        threaded.supervisor("many").start_child(spec, wait=True, timeout=0.05)
