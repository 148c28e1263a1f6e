"""Static supervisors, step by step: cases S1-S18, S21, S22, S24-S33 without a thread or a clock of their own."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from actors.runtime import (
    ActorStopped,
    AlreadyPresent,
    AlreadyStarted,
    BadSpec,
    ChildCounts,
    ChildRestarting,
    ChildRunning,
    ChildSpec,
    NameTaken,
    Node,
    NoSuchActor,
    NoSuchChild,
    NotRunning,
    Runtime,
    StartError,
    SupervisorSpec,
    add_restart,
)
from actors.runtime.testing import ManualClock, Stepper

from .conftest import Boom, Journal, Script


class Faults:
    """Makes chosen starts of a child fail: ``fail("c2", 2, 3)`` its second and third."""

    def __init__(self) -> None:
        self.starts: dict[str, int] = {}
        self._bad: dict[str, Callable[[int], bool]] = {}

    def fail(self, name: str, *which: int) -> None:
        self._bad[name] = lambda number: number in which

    def fail_from(self, name: str, first: int) -> None:
        self._bad[name] = lambda number: number >= first

    def __call__(self, child: Script) -> None:
        number = self.starts[child.name] = self.starts.get(child.name, 0) + 1
        if self._bad.get(child.name, lambda _: False)(number):
            raise Boom(f"{child.name} start {number}")


class Harness:
    def __init__(self, runtime: Runtime, journal: Journal, stepper: Stepper, clock: ManualClock) -> None:
        self.runtime = runtime
        self.journal = journal
        self.stepper = stepper
        self.clock = clock
        self.faults = Faults()
        self.escalations: list[BaseException | None] = []
        runtime.on_escalation(self.escalations.append)

    def child(self, name: str, **options: Any) -> ChildSpec:
        return ChildSpec(name, lambda: Script(name, self.journal, self.faults), **options)

    def start(self, *names: str | ChildSpec | SupervisorSpec, **options: Any) -> None:
        children = [self.child(one) if isinstance(one, str) else one for one in names]
        self.runtime.start(SupervisorSpec("root", children, **options))

    def crash(self, name: str, error: BaseException | None = None) -> None:
        self.runtime.ref(name).tell(("raise", error or Boom(name)))
        self.stepper.run()

    def end(self, name: str, how: str) -> None:
        ref = self.runtime.ref(name)
        match how:
            case "normal":
                ref.tell("stop")
            case "shutdown":
                ref.stop()
            case "error":
                ref.tell(("raise", Boom(name)))
            case "kill":
                ref.kill()
        self.stepper.run()

    def who(self, name: str) -> int:
        number = self.runtime.ref(name).ask("who", timeout=1)
        assert isinstance(number, int)
        return number

    def states(self, supervisor: str = "root") -> dict[str, str]:
        return {info.id: info.state for info in self.runtime.supervisor(supervisor).children()}

    @property
    def ended(self) -> str | None:
        return self.runtime.wait_stopped(0)


@pytest.fixture
def tree(stepped: Runtime, journal: Journal, stepper: Stepper, clock: ManualClock) -> Harness:
    return Harness(stepped, journal, stepper, clock)


FIVE = ("c7", "c3", "c10", "c2", "c5")


def test_s1_children_start_in_the_order_of_the_spec(tree: Harness) -> None:
    tree.start(*FIVE)
    assert tree.journal.names("started") == list(FIVE)
    assert [info.id for info in tree.runtime.supervisor("root").children()] == list(FIVE)


def test_s2_children_stop_in_reverse_each_before_the_next_begins(tree: Harness) -> None:
    tree.start(*FIVE)
    tree.journal.clear()
    tree.runtime.stop()
    assert tree.journal.names("stopped") == list(reversed(FIVE))
    assert tree.ended == "stopped"


def test_s3_a_failed_first_start_undoes_all_and_names_child_and_cause(tree: Harness) -> None:
    tree.faults.fail("c10", 1)
    with pytest.raises(StartError) as raised:
        tree.start(*FIVE)
    assert raised.value.child == "c10"
    assert isinstance(raised.value.cause, Boom)
    assert tree.journal.names("starting") == ["c7", "c3", "c10"]
    assert tree.journal.names("stopped") == ["c3", "c7"]
    assert tree.ended == "stopped"
    with pytest.raises(NotRunning):
        tree.start("again")


def test_s3_a_failure_deep_in_the_tree_names_the_innermost_child(tree: Harness) -> None:
    tree.faults.fail("deep", 1)
    with pytest.raises(StartError) as raised:
        tree.start("first", SupervisorSpec("inner", [tree.child("sibling"), tree.child("deep")]))
    assert raised.value.child == "deep"
    assert tree.journal.names("stopped") == ["sibling", "first"]


RESTARTED = {
    ("permanent", "normal"): True,
    ("permanent", "shutdown"): True,
    ("permanent", "error"): True,
    ("permanent", "kill"): True,
    ("transient", "normal"): False,
    ("transient", "shutdown"): False,
    ("transient", "error"): True,
    ("transient", "kill"): True,
    ("temporary", "normal"): False,
    ("temporary", "shutdown"): False,
    ("temporary", "error"): False,
    ("temporary", "kill"): False,
}


@pytest.mark.parametrize(("restart", "how"), RESTARTED)
def test_s5_the_restart_table(tree: Harness, restart: str, how: str) -> None:
    tree.start(tree.child("one", restart=restart), SupervisorSpec("inner"))
    root = tree.runtime.supervisor("root")
    assert root.count_children() == ChildCounts(2, 2, 1, 1)
    before = tree.who("one")
    tree.end("one", how)
    if RESTARTED[restart, how]:
        assert tree.who("one") > before
        assert root.count_children() == ChildCounts(2, 2, 1, 1)
    elif restart == "transient":
        assert root.count_children() == ChildCounts(2, 1, 1, 1)
    else:
        assert root.count_children() == ChildCounts(1, 1, 1, 0)


def test_s6_one_for_one_leaves_the_sibling_alone(tree: Harness) -> None:
    tree.start("one", "two")
    two = tree.who("two")
    tree.crash("one")
    assert tree.who("two") == two


def test_s7_one_for_all_stops_in_reverse_and_starts_in_order(tree: Harness) -> None:
    tree.start(*FIVE, strategy="one_for_all")
    before = {name: tree.who(name) for name in FIVE}
    tree.journal.clear()
    tree.crash("c10")
    lives = [line[:2] for line in tree.journal.lines() if line[0] in ("stopped", "started")]
    assert lives == [("stopped", name) for name in ("c5", "c2", "c3", "c7")] + [("started", name) for name in FIVE]
    assert all(tree.who(name) > max(before.values()) for name in FIVE)


def test_s8_rest_for_one_restarts_only_those_after(tree: Harness) -> None:
    tree.start("one", "two", "three", strategy="rest_for_one")
    one = tree.who("one")
    tree.journal.clear()
    tree.crash("two")
    assert tree.journal.names("stopped") == ["three"]
    assert tree.journal.names("started") == ["two", "three"]
    assert tree.who("one") == one


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
def test_s9_a_temporary_bystander_is_stopped_and_forgotten(tree: Harness, strategy: str) -> None:
    tree.start("one", tree.child("bystander", restart="temporary"), strategy=strategy)
    tree.crash("one")
    assert tree.states() == {"one": "running"}
    assert tree.journal.names("stopped") == ["bystander"]
    with pytest.raises(NoSuchActor):
        tree.runtime.ref("bystander")


def test_s10_the_limit_is_more_than_not_at_least(tree: Harness) -> None:
    tree.start("sibling", "one", intensity=2, period=3600)
    tree.crash("one")
    tree.crash("one")
    assert tree.ended is None
    assert tree.states() == {"sibling": "running", "one": "running"}
    last = Boom("third")
    tree.crash("one", last)
    assert tree.journal.names("stopped") == ["sibling"]
    assert tree.ended == "shutdown"
    assert tree.escalations == [last]
    assert tree.runtime.last_cause is last


def test_s11_old_crashes_age_out_and_the_wall_clock_does_not_matter(tree: Harness) -> None:
    tree.start("one", intensity=1, period=1)
    for jump in (0, 3600, -3600, 0):
        tree.crash("one")
        tree.clock.jump_wall(jump)
        tree.clock.advance(2.1)
    assert tree.ended is None
    assert tree.who("one")


def test_s11_the_window_is_a_pure_rule() -> None:
    restarts: tuple[float, ...] = ()
    for now in (0.0, 2.1, 4.2, 6.3):
        restarts, exceeded = add_restart(restarts, now, 1.0, 1)
        assert not exceeded
        assert restarts == (now,)
    assert add_restart((6.3,), 7.3, 1.0, 1) == ((7.3, 6.3), True)
    assert add_restart((), 0.0, 5.0, 0)[1]


def test_s12_each_failed_restart_counts_and_nothing_loops(tree: Harness) -> None:
    tree.faults.fail_from("one", 2)
    tree.start("one", intensity=4, period=3600)
    tree.crash("one")
    assert tree.faults.starts["one"] == 5
    assert tree.ended == "shutdown"


def test_s12_a_backoff_spaces_the_attempts(tree: Harness) -> None:
    tree.faults.fail_from("one", 2)
    tree.start("one", intensity=4, period=3600, backoff=lambda failures: 2.0**failures)
    tree.crash("one")
    starts = []
    for _ in range(40):
        starts.append(tree.faults.starts["one"])
        tree.clock.advance(1, tree.stepper.run)
    changes = [second for second in range(1, 40) if starts[second] != starts[second - 1]]
    assert changes == [2, 6, 14, 30]
    assert tree.ended == "shutdown"


@pytest.mark.parametrize("bad", [lambda _: 1 / 0, lambda _: float("nan"), lambda _: "soon"])
def test_a_bad_backoff_does_not_take_the_supervisor_down(tree: Harness, bad: Any) -> None:
    tree.start("one", backoff=bad)
    tree.crash("one")
    assert tree.states() == {"one": "running"}


def test_the_backoff_begins_anew_after_a_long_good_life(tree: Harness) -> None:
    asked: list[int] = []

    def backoff(failures: int) -> float:
        asked.append(failures)
        return 0

    tree.start("one", backoff=backoff, intensity=10)
    tree.crash("one")
    tree.crash("one")
    tree.clock.advance(6)
    tree.crash("one")
    assert asked == [1, 2, 1]


def test_s14_one_for_all_whose_restart_fails_halfway_starts_again(tree: Harness) -> None:
    tree.faults.fail("two", 2)
    tree.start("one", "two", strategy="one_for_all")
    tree.journal.clear()
    tree.crash("two")
    # one stopped and restarted, two failed: one is stopped again, then both start
    assert [line[:2] for line in tree.journal.lines() if line[0] in ("started", "stopped")] == [
        ("stopped", "one"),
        ("started", "one"),
        ("stopped", "one"),
        ("started", "one"),
        ("started", "two"),
    ]


def test_s15_rest_for_one_whose_restart_fails_retries_only_that(tree: Harness) -> None:
    tree.faults.fail("two", 2)
    tree.start("one", "two", strategy="rest_for_one")
    tree.crash("one")
    assert tree.faults.starts == {"one": 2, "two": 3}


def test_s16_an_inner_supervisor_over_its_limit_counts_once_outside(tree: Harness) -> None:
    tree.start("sibling", SupervisorSpec("inner", [tree.child("leaf")], intensity=0), intensity=1, period=3600)
    sibling = tree.who("sibling")
    leaf = tree.runtime.ref("leaf")
    tree.crash("leaf")
    assert tree.ended is None
    assert tree.who("sibling") == sibling
    assert leaf.ask("who", timeout=1)  # the old ref reaches the new leaf
    assert next(info.restarts for info in tree.runtime.supervisor("root").children() if info.id == "inner") == 1
    last = Boom("again")
    tree.crash("leaf", last)
    assert tree.ended == "shutdown"
    assert tree.escalations == [last]


def test_s16_messages_wait_while_the_supervisor_above_is_replaced(tree: Harness) -> None:
    tree.start(SupervisorSpec("inner", [tree.child("leaf")], intensity=0))
    leaf = tree.runtime.ref("leaf")
    leaf.tell_many([("raise", Boom()), 1, 2])
    tree.stepper.run()
    assert [line[2] for line in tree.journal.lines("handled")] == [1, 2]


def test_s18_supervisors_wait_for_their_children_without_limit() -> None:
    assert SupervisorSpec("any").shutdown == "infinity"
    assert ChildSpec("any", lambda: None).shutdown == 5.0


def test_s21_what_operators_may_do_when(tree: Harness) -> None:
    tree.start("one")
    root = tree.runtime.supervisor("root")
    with pytest.raises(AlreadyStarted) as started:
        root.start_child(tree.child("one"))
    assert started.value.ref is tree.runtime.ref("one")
    for wish in (root.restart_child, root.delete_child):
        with pytest.raises(ChildRunning):
            wish("one")
    for wish in (root.terminate_child, root.restart_child, root.delete_child, root.bounce_child):
        with pytest.raises(NoSuchChild):
            wish("nobody")
    root.terminate_child("one")
    root.terminate_child("one")
    with pytest.raises(AlreadyPresent):
        root.start_child(tree.child("one"))
    assert root.restart_child("one") is tree.runtime.ref("one")
    root.terminate_child("one")
    root.delete_child("one")
    assert tree.states() == {}
    two = root.start_child(tree.child("two"))
    assert two.ask("who", timeout=1)


def test_s21_a_name_is_taken_once_in_the_whole_tree(tree: Harness) -> None:
    tree.start("one", SupervisorSpec("inner"))
    with pytest.raises(NameTaken):
        tree.runtime.supervisor("inner").start_child(tree.child("one"))
    assert tree.states("inner") == {}


def test_s22_an_operators_stop_is_no_crash(tree: Harness) -> None:
    tree.start("one", "two")
    root = tree.runtime.supervisor("root")
    ref = tree.runtime.ref("one")
    root.terminate_child("one")
    assert root.count_children() == ChildCounts(2, 1, 0, 2)
    with pytest.raises(ActorStopped):
        ref.tell("anybody?")
    root.restart_child("one")
    assert ref.ask("who", timeout=1)
    assert root.count_children().active == 2


def test_s22_messages_accepted_before_the_stop_are_reported(
    journal: Journal, clock: ManualClock, stepper: Stepper
) -> None:
    dropped: list[Any] = []
    runtime = Runtime(clock, stepper=stepper, on_dropped=lambda ref, messages: dropped.append((ref.name, messages)))
    runtime.start(SupervisorSpec("root", [ChildSpec("one", lambda: Script("one", journal))]))
    ref = runtime.ref("one")
    ref.tell_many([1, 2])
    question = ref.ask("who", block=False)
    root = runtime.supervisor("root")
    ref._cell.stop(final=True)  # the stop overtakes what waits
    root.terminate_child("one")
    assert dropped == [("one", [1, 2])]
    with pytest.raises(ActorStopped):
        question.get(1)
    assert runtime.dropped_messages == 2
    runtime.stop()


@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
def test_s24_a_factory_may_decline(tree: Harness, restart: str) -> None:
    tree.start("before", ChildSpec("not-here", lambda: None, restart=restart), "after")
    expected = {"before": "running", "not-here": "stopped", "after": "running"}
    if restart == "temporary":
        del expected["not-here"]
    assert tree.states() == expected
    tree.runtime.stop()
    assert tree.journal.names("stopped") == ["after", "before"]


def test_s25_a_child_added_later_that_cannot_start_leaves_no_trace(tree: Harness) -> None:
    tree.start("one", intensity=0)
    tree.faults.fail("late", 1)
    root = tree.runtime.supervisor("root")
    with pytest.raises(StartError) as raised:
        root.start_child(tree.child("late"))
    assert raised.value.child == "late"
    assert tree.states() == {"one": "running"}
    assert root.start_child(tree.child("late")).ask("who", timeout=1)


def test_s25_a_restart_by_hand_that_fails_is_told_and_not_retried(tree: Harness) -> None:
    tree.faults.fail("one", 2)
    tree.start("one", intensity=0)
    root = tree.runtime.supervisor("root")
    root.terminate_child("one")
    with pytest.raises(StartError):
        root.restart_child("one")
    assert tree.states() == {"one": "stopped"}
    root.restart_child("one")
    assert tree.states() == {"one": "running"}


def test_s26_dying_of_something_else_while_stopped_is_logged_and_not_restarted(
    tree: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    class Clumsy(Script):
        def on_stop(self) -> None:
            raise Boom("fell down the stairs")

    tree.start(ChildSpec("clumsy", lambda: Clumsy("clumsy", tree.journal)))
    with caplog.at_level(logging.ERROR):
        tree.runtime.supervisor("root").terminate_child("clumsy")
    assert "clumsy: shutdown error" in caplog.text
    assert tree.states() == {"clumsy": "stopped"}
    assert tree.journal.names("started") == ["clumsy"]


def make(**options: Any) -> SupervisorSpec:
    return SupervisorSpec("root", **options)


def worker(**options: Any) -> ChildSpec:
    return ChildSpec(**{"id": "one", "start": Script, **options})


BAD_SPECS = {
    "strategy": lambda: make(strategy="all_for_none"),
    "negative intensity": lambda: make(intensity=-1),
    "endless intensity": lambda: make(intensity=float("inf")),
    "intensity of truth": lambda: make(intensity=True),
    "no period": lambda: make(period=0),
    "endless period": lambda: make(period=float("inf")),
    "auto shutdown": lambda: make(auto_shutdown="sometimes"),
    "restart": lambda: make(children=[worker(restart="always")]),
    "shutdown": lambda: make(children=[worker(shutdown=-1)]),
    "shutdown word": lambda: make(children=[worker(shutdown="gently")]),
    "type": lambda: make(children=[worker(type="boss")]),
    "no id": lambda: make(children=[worker(id="")]),
    "id of a number": lambda: make(children=[worker(id=3)]),
    "no start": lambda: make(children=[worker(start=None)]),
    "dispatcher": lambda: make(children=[worker(dispatcher="elsewhere")]),
    "capacity": lambda: make(children=[worker(mailbox_capacity=0)]),
    "no spec": lambda: make(children=["one"]),
    "no list": lambda: make(children=5),
    "twice": lambda: make(children=[worker(), worker()]),
    "twice apart": lambda: make(children=[worker(), SupervisorSpec("inner", [worker()])]),
    "deep": lambda: make(children=[SupervisorSpec("inner", [worker(restart="never")])]),
    "dynamic with children": lambda: make(dynamic=True, children=[worker()]),
    "dynamic in groups": lambda: make(dynamic=True, strategy="one_for_all"),
    "per child but static": lambda: make(per_child=True),
    "hook": lambda: make(on_crash="call me"),
    "significant for never": lambda: make(children=[worker(significant=True, restart="transient")]),
    "significant and permanent": lambda: make(
        auto_shutdown="any_significant", children=[worker(significant=True, restart="permanent")]
    ),
    "significance": lambda: make(auto_shutdown="any_significant", children=[worker(significant=1)]),
}


@pytest.mark.parametrize("name", BAD_SPECS)
def test_s28_s29_bad_specs_are_refused_before_anything_starts(tree: Harness, name: str) -> None:
    with pytest.raises(BadSpec) as raised:
        tree.runtime.start(BAD_SPECS[name]())
    assert raised.value.code == "bad_spec"
    assert raised.value.field in str(raised.value)
    tree.start("it is still new and can start")


def test_s28_the_root_is_a_supervisor(tree: Harness) -> None:
    with pytest.raises(BadSpec):
        tree.runtime.start(tree.child("alone"))


def test_s28_children_added_later_are_checked_too(tree: Harness) -> None:
    tree.start("one")
    with pytest.raises(BadSpec):
        tree.runtime.supervisor("root").start_child(tree.child("late", restart="whenever"))


@pytest.mark.parametrize(
    ("restart", "how", "ends"),
    [
        ("transient", "normal", True),
        ("transient", "shutdown", True),
        ("transient", "error", False),
        ("temporary", "normal", True),
        ("temporary", "error", True),
    ],
)
def test_s30_any_significant(tree: Harness, restart: str, how: str, ends: bool) -> None:
    tree.start("other", tree.child("main", restart=restart, significant=True), auto_shutdown="any_significant")
    tree.end("main", how)
    assert tree.ended == ("shutdown" if ends else None)
    assert tree.journal.names("stopped").count("other") == ends


def test_s31_all_significant(tree: Harness) -> None:
    tree.start(
        "other",
        tree.child("first", restart="transient", significant=True),
        tree.child("second", restart="temporary", significant=True),
        auto_shutdown="all_significant",
    )
    tree.end("first", "normal")
    assert tree.ended is None
    tree.end("second", "normal")
    assert tree.ended == "shutdown"


def test_s32_an_operators_stop_of_a_significant_child_ends_nothing(tree: Harness) -> None:
    tree.start(tree.child("main", restart="transient", significant=True), auto_shutdown="any_significant")
    tree.runtime.supervisor("root").terminate_child("main")
    tree.stepper.run()
    assert tree.ended is None


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
@pytest.mark.parametrize("restart", ["transient", "temporary"])
def test_s32_a_significant_bystander_ends_nothing(tree: Harness, strategy: str, restart: str) -> None:
    main = tree.child("main", restart=restart, significant=True)
    tree.start("one", main, strategy=strategy, auto_shutdown="any_significant")
    tree.crash("one")
    assert tree.ended is None
    assert tree.states()["one"] == "running"


@pytest.mark.parametrize("significant", [True, False])
def test_s33_the_outer_follows_only_a_significant_inner(tree: Harness, significant: bool) -> None:
    inner = SupervisorSpec(
        "inner",
        [tree.child("main", restart="transient", significant=True)],
        auto_shutdown="any_significant",
        restart="transient",
        significant=significant,
    )
    tree.start("other", inner, auto_shutdown="any_significant" if significant else "never")
    tree.end("main", "normal")
    assert tree.ended == ("shutdown" if significant else None)
    assert tree.states()["inner"] == "stopped"


def test_one_for_all_brings_back_a_finished_transient_but_not_what_an_operator_stopped(tree: Harness) -> None:
    tree.start("one", tree.child("done", restart="transient"), "halted", strategy="one_for_all")
    tree.end("done", "normal")
    tree.runtime.supervisor("root").terminate_child("halted")
    tree.crash("one")
    assert tree.states() == {"one": "running", "done": "running", "halted": "stopped"}


def test_a_bounce_replaces_the_actor_keeps_its_messages_and_is_not_charged(tree: Harness) -> None:
    tree.start("one", intensity=0)
    ref = tree.runtime.ref("one")
    before = tree.who("one")
    ref.tell_many([1, 2])
    tree.runtime.restart("one")
    tree.stepper.run()
    assert tree.who("one") > before
    assert [line[2] for line in tree.journal.lines("handled")] == [1, 2]
    with pytest.raises(NoSuchActor):
        tree.runtime.restart("nobody")


def test_a_restarting_child_cannot_be_deleted_or_restarted_by_hand(tree: Harness) -> None:
    tree.start("one", backoff=lambda _: 10)
    tree.crash("one")
    assert tree.states() == {"one": "restarting"}
    root = tree.runtime.supervisor("root")
    for wish in (root.delete_child, root.restart_child):
        with pytest.raises(ChildRestarting):
            wish("one")
    root.terminate_child("one")
    tree.clock.advance(20, tree.stepper.run)
    assert tree.states() == {"one": "stopped"}
    assert tree.journal.names("started") == ["one"]


def test_the_supervisor_can_stop_while_a_child_waits_for_its_restart(tree: Harness) -> None:
    tree.start("one", backoff=lambda _: 1000)
    tree.crash("one")
    tree.runtime.stop()
    assert tree.ended == "stopped"
    assert tree.clock.pending() == 0


def test_on_crash_is_told_before_the_restart_and_may_be_faulty(tree: Harness) -> None:
    told: list[Any] = []

    def on_crash(ref: Any, message: Any, exception: Any) -> None:
        told.append((ref.name, message, type(exception), len(tree.journal.names("started"))))
        raise Boom("in the hook")

    tree.start("one", on_crash=on_crash)
    bad = ("raise", Boom())
    tree.runtime.ref("one").tell(bad)
    tree.stepper.run()
    assert told == [("one", bad, Boom, 1)]
    assert tree.states() == {"one": "running"}


def test_the_tree_is_a_picture_with_states_depths_and_errors(tree: Harness) -> None:
    assert tree.runtime.tree() is None
    tree.start(tree.child("one", mailbox_capacity=50), SupervisorSpec("inner", [tree.child("leaf")]))
    tree.crash("leaf", Boom("leaf"))
    tree.runtime.ref("one").tell_many([1, 2, 3])
    picture = tree.runtime.tree()
    assert picture is not None
    one, inner = picture.children
    assert one == Node("one", "worker", "running", 0, 3, 50, "", ())
    assert (inner.type, inner.state, inner.restarts) == ("supervisor", "running", 0)
    leaf = inner.children[0]
    assert (leaf.restarts, leaf.last_error) == (1, "Boom('leaf')")
    tree.runtime.stop()
    after = tree.runtime.tree()
    assert after is not None
    assert [after.state, *(node.state for node in after.children)] == ["stopped"] * 3


def test_an_operator_who_comes_after_the_end_gets_an_answer(tree: Harness) -> None:
    tree.start("one")
    root = tree.runtime.supervisor("root")
    tree.runtime.stop()
    for wish in (root.terminate_child, root.restart_child):
        with pytest.raises(ActorStopped):
            wish("one", timeout=1)
    with pytest.raises(ActorStopped):
        root.start_child(tree.child("late"), timeout=1)


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
def test_any_order_of_events_ends_with_all_running_once_and_all_messages_handled(
    journal: Journal, clock: ManualClock, seed: int, strategy: str
) -> None:
    """A model test: crashes, stops, kills and messages interleaved by chance; at rest the promise holds."""
    stepper = Stepper(seed=seed, slice_size=1)
    runtime = Runtime(clock, stepper=stepper)
    names = ["a", "b", "c"]
    spec = [ChildSpec(name, lambda name=name: Script(name, journal)) for name in names]
    runtime.start(SupervisorSpec("root", spec, strategy=strategy, intensity=1000))
    for number in range(60):
        name = names[(number * 7 + seed) % 3]
        ref = runtime.ref(name)
        if (number + seed) % 11 == 0:
            ref.kill()
        elif (number + seed) % 7 == 0:
            ref.tell(("raise", Boom()))
        elif (number + seed) % 13 == 0:
            ref.stop()
        else:
            ref.tell(number)
        if number % (1 + seed % 4) == 0:
            stepper.step()
    stepper.run()
    assert {info.state for info in runtime.supervisor("root").children()} == {"running"}
    sent = [n for n in range(60) if (n + seed) % 11 and (n + seed) % 7 and (n + seed) % 13]
    handled = [line[2] for line in journal.lines("handled")]
    assert sorted(handled) == sent
    for name in names:
        mine = [line[2] for line in journal.lines("handled") if line[1] == name]
        assert mine == sorted(mine)
        life = 0  # an incarnation does nothing any more once its successor has begun
        for line in journal.lines():
            if line[1] == name:
                assert line[-1] >= life, f"{line} after incarnation {life} began"
                life = max(life, line[-1])
    runtime.stop()
