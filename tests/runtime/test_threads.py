"""Supervision with real threads: S4, S13, S17-S20, S27, S39, S42, and how a runtime ends."""

from __future__ import annotations

import contextlib
import gc
import logging
import subprocess
import sys
import threading
import time
from typing import Any

import psutil
import pykka
import pytest

from actors.runtime import (
    Actor,
    ActorCrashed,
    ActorFenced,
    ActorStopped,
    ChildSpec,
    NoSuchActor,
    NoSuchChild,
    NotRunning,
    PoolDispatcher,
    Runtime,
    StartError,
    SupervisorSpec,
    fence,
)
from actors.runtime.testing import Probe

from .conftest import CAP, Boom, Journal, Script, eventually

BOTH = pytest.mark.parametrize("dispatcher", ["thread", "pool"])


def script(name: str, journal: Journal, *args: Any, **options: Any) -> ChildSpec:
    return ChildSpec(name, lambda: Script(name, journal, *args), **options)


@BOTH
def test_s4_raising_in_on_start_is_a_failed_start(threaded: Runtime, journal: Journal, dispatcher: str) -> None:
    def bad(_: Script) -> None:
        raise SystemExit("in its own thread")

    with pytest.raises(StartError) as raised:
        threaded.start(
            SupervisorSpec("root", [script("good", journal), script("bad", journal, bad, dispatcher=dispatcher)])
        )
    assert raised.value.child == "bad"
    assert isinstance(raised.value.cause, SystemExit)
    assert journal.names("stopped") == ["good"]
    assert threaded.wait_stopped(CAP) == "stopped"


def test_s13_slow_failing_restarts_keep_nobody_waiting(
    threaded: Runtime, journal: Journal, gate: threading.Event
) -> None:
    attempts = threading.Semaphore(0)
    lives: list[int] = []

    def on_start(_: Script) -> None:
        lives.append(1)
        if len(lives) > 1:
            attempts.release()
            assert gate.wait(CAP)
            raise Boom("as slow as the network")

    children = [script("slow", journal, on_start), script("other", journal)]
    threaded.start(SupervisorSpec("root", children, intensity=8, period=10))
    root = threaded.supervisor("root")
    threaded.ref("slow").tell(("raise", Boom()))
    assert attempts.acquire(timeout=CAP)
    # the attempt hangs now; nothing else does
    assert {info.id: info.state for info in root.children()} == {"slow": "restarting", "other": "running"}
    root.terminate_child("other", timeout=CAP)
    stopped: list[Any] = []
    terminating = threading.Thread(target=lambda: stopped.append(root.terminate_child("slow", timeout=CAP)))
    terminating.start()
    root.restart_child("other", timeout=CAP)
    gate.set()
    terminating.join(CAP)
    assert stopped == [None]
    assert {info.id: info.state for info in root.children()} == {"slow": "stopped", "other": "running"}
    threaded.stop(CAP)


def test_s17_a_child_that_ignores_stop_is_forced_after_its_time_and_named(
    journal: Journal, gate: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    runtime = Runtime()
    runtime.start(SupervisorSpec("root", [script("a", journal, shutdown=1.0), script("b", journal, shutdown=0.3)]))
    entered = threading.Event()
    runtime.ref("b").tell(("call", lambda _: (entered.set(), gate.wait(CAP))))
    assert entered.wait(CAP)
    begun = time.monotonic()
    with caplog.at_level(logging.ERROR):
        runtime.stop()
    assert 0.2 < time.monotonic() - begun < CAP
    assert "b did not stop within 0.3 s" in caplog.text
    assert "a did not" not in caplog.text
    assert journal.names("stopped") == ["a"]
    assert runtime.leaked_threads == 1
    assert [thread.name for thread in threading.enumerate() if thread.name in ("a", "b")] == ["b"]


def test_s18_infinity_waits_as_long_as_it_takes(journal: Journal, gate: threading.Event) -> None:
    runtime = Runtime()
    runtime.start(SupervisorSpec("root", [script("patient", journal, shutdown="infinity")]))
    entered = threading.Event()
    runtime.ref("patient").tell(("call", lambda _: (entered.set(), gate.wait(CAP))))
    assert entered.wait(CAP)
    stopping = threading.Thread(target=runtime.stop)
    stopping.start()
    assert runtime.wait_stopped(0.1) is None
    gate.set()
    stopping.join(CAP)
    assert journal.names("stopped") == ["patient"]
    assert runtime.leaked_threads == 0


@BOTH
def test_s19_a_hung_thread_is_fenced_and_its_successor_runs_elsewhere(
    threaded: Runtime, journal: Journal, gate: threading.Event, dispatcher: str
) -> None:
    probe, news = Probe(), Probe()
    entered = threading.Event()

    def hang(child: Script) -> None:
        entered.set()
        gate.wait(CAP)
        outcome: list[Any] = [child.fenced]
        for act in (
            lambda: threaded.ref("other").tell("emitted by a ghost"),
            lambda: threaded.ref("other").tell_many(["emitted by a ghost"]),
            lambda: threaded.ref("other").ask("who", block=False),
            child.check_fence,
            lambda: fence.check("the store"),
        ):
            try:
                act()
                outcome.append("went through")
            except ActorFenced:
                outcome.append("fenced")
        try:
            child.send_after(0, "ghost")
            outcome.append("went through")
        except ActorStopped:
            outcome.append("fenced")
        probe.tell(outcome)

    children = [script("hung", journal, shutdown=0.1, dispatcher=dispatcher), script("other", journal)]
    threaded.start(SupervisorSpec("root", children))
    ref = threaded.ref("hung")
    first = ref.ask("who", CAP)
    question = ref.ask(("call", hang), block=False)
    assert entered.wait(CAP)
    ref.tell("for the successor")
    threaded.restart("hung", timeout=CAP)
    assert ref.ask("who", CAP) > first  # while the old thread still hangs
    with pytest.raises(ActorCrashed):
        question.get(CAP)
    assert (threaded.leaked_threads, threaded.hung_threads) == (1, 1)
    assert [line[2] for line in journal.wait("handled")] == ["for the successor"]
    threaded.ref("other").tell(("call", lambda _: news.tell("healthy actors go on")))
    assert news.expect(str)
    gate.set()
    assert probe.expect(list) == [True, *["fenced"] * 6]
    assert threaded.ref("other").depth() == 0
    assert "emitted by a ghost" not in [line[2] for line in journal.lines("handled")]


@BOTH
def test_s19_a_ghost_that_comes_back_does_not_disturb_its_successors_batch(
    threaded: Runtime, journal: Journal, gate: threading.Event, dispatcher: str
) -> None:
    second = threading.Event()
    entered = [threading.Event(), threading.Event()]
    threaded.start(SupervisorSpec("root", [script("one", journal, dispatcher=dispatcher)], intensity=10))
    ref = threaded.ref("one")
    before = threading.Event()
    ref.tell(("call", lambda _: before.wait(CAP)))  # so that the rest is taken as one batch
    ref.tell_many(
        [
            ("call", lambda _: (entered[0].set(), gate.wait(CAP))),
            *range(3),
            ("call", lambda _: (entered[1].set(), second.wait(CAP))),
            *range(3, 6),
            ("raise", Boom()),
            *range(6, 9),
        ]
    )
    before.set()
    assert entered[0].wait(CAP)
    ref.kill()
    assert entered[1].wait(CAP)  # the successor is in the middle of the rest
    depth = ref.depth()
    gate.set()
    eventually(lambda: threaded.hung_threads == 0)
    assert ref.depth() == depth == 7
    second.set()
    assert [line[2] for line in journal.wait("handled", 9)] == list(range(9))


def test_s19_a_pool_keeps_its_strength_when_threads_hang(journal: Journal, gate: threading.Event) -> None:
    runtime = Runtime(dispatchers={"pool": PoolDispatcher(2, "small")})
    children = [script(f"h{n}", journal, dispatcher="pool", shutdown="brutal") for n in range(4)]
    runtime.start(SupervisorSpec("root", [*children, script("live", journal, dispatcher="pool")], intensity=100))
    for number in range(4):
        ref = runtime.ref(f"h{number}")
        entered = threading.Event()
        ref.tell(("call", lambda _, entered=entered: (entered.set(), gate.wait(CAP))))
        assert entered.wait(CAP)
        assert ref.kill()
    assert runtime.ref("live").ask("who", CAP)
    assert runtime.leaked_threads == 4
    gate.set()
    runtime.stop(CAP)
    assert not fence.fenced


def test_s20_a_dynamic_supervisor_stops_its_children_at_the_same_time(journal: Journal, gate: threading.Event) -> None:
    runtime = Runtime()
    runtime.start(SupervisorSpec("root", [SupervisorSpec("many", dynamic=True)]))
    many = runtime.supervisor("many")
    leave = threading.Event()
    waits = {"short": leave, "short too": leave, "long": gate}
    entered = threading.Semaphore(0)
    for name, wait in waits.items():
        ref = many.start_child(script(name, journal, shutdown=0.4))
        ref.tell(("call", lambda _, wait=wait: (entered.release(), wait.wait(CAP))))
    for _ in waits:
        assert entered.acquire(timeout=CAP)
    begun = time.monotonic()
    stopping = threading.Thread(target=runtime.stop)
    stopping.start()
    leave.set()
    stopping.join(CAP)
    assert 0.3 < time.monotonic() - begun < CAP
    assert sorted(journal.names("stopped")) == ["short", "short too"]
    assert runtime.leaked_threads == 1


@BOTH
def test_s27_dying_in_the_instant_of_the_stop_hangs_nothing(
    threaded: Runtime, journal: Journal, dispatcher: str
) -> None:
    threaded.start(SupervisorSpec("root", [SupervisorSpec("many", dynamic=True, intensity=10_000)]))
    many = threaded.supervisor("many")
    for number in range(500):
        ref = many.start_child(script(f"c{number}", journal, dispatcher=dispatcher, restart="transient"))
        ref.tell(("raise", Boom()) if number % 2 else "stop")
        with contextlib.suppress(NoSuchChild):  # it was faster
            many.terminate_child(f"c{number}", timeout=CAP)
    assert len(many.children()) == 0
    names = journal.names("started")
    # at most the first life and the one restart that raced with the stop; every life ended
    assert all(names.count(f"c{number}") <= 2 for number in range(500))
    assert len(names) == len(journal.names("stopped")) + len(journal.names("failed"))


@BOTH
@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), MemoryError(), GeneratorExit()])
def test_s39_no_exception_of_one_actor_ends_another(
    threaded: Runtime, journal: Journal, dispatcher: str, error: BaseException
) -> None:
    threaded.start(SupervisorSpec("root", [script(name, journal, dispatcher=dispatcher) for name in "ab"]))
    a, b = threaded.ref("a"), threaded.ref("b")
    lives = a.ask("who", CAP), b.ask("who", CAP)
    a.tell(("raise", error))
    assert a.ask("who", CAP) > lives[0]
    assert b.ask("who", CAP) == lives[1]


@BOTH
def test_s42_a_thousand_crashes_leave_nothing_behind(threaded: Runtime, journal: Journal, dispatcher: str) -> None:
    logging.disable(logging.CRITICAL)  # a thousand tracebacks kept by the test's own log capture would be the leak
    try:
        threaded.start(SupervisorSpec("root", [script("one", journal, dispatcher=dispatcher)], intensity=10_000))
        ref = threaded.ref("one")
        process = psutil.Process()

        def cycle(times: int) -> None:
            for _ in range(times):
                ref.tell(("raise", Boom()))
                ref.ask("who", CAP)
            journal.clear()
            gc.collect()

        cycle(300)
        before = (threading.active_count(), process.num_fds(), process.memory_info().rss)
        cycle(1000)
        after = (threading.active_count(), process.num_fds(), process.memory_info().rss)
    finally:
        logging.disable(logging.NOTSET)
    assert after[0] <= before[0] + 1  # the thread that is just ending
    assert after[1] == before[1]
    assert after[2] < before[2] * 1.05


# ---------------------------------------------------------------- the ends of a runtime


def test_stop_is_idempotent_and_joins_every_thread(journal: Journal) -> None:
    before = set(threading.enumerate())
    runtime = Runtime()
    runtime.start(SupervisorSpec("root", [script("a", journal), script("b", journal, dispatcher="pool")]))
    stops = [threading.Thread(target=runtime.stop) for _ in range(4)]
    for thread in stops:
        thread.start()
    for thread in stops:
        thread.join(CAP)
    runtime.stop()
    assert runtime.wait_stopped(0) == "stopped"
    assert journal.names("stopped") == ["b", "a"]
    assert not [thread.name for thread in threading.enumerate() if thread not in before and thread not in stops]
    with pytest.raises(NotRunning):
        runtime.start(SupervisorSpec("root"))


def test_a_runtime_never_started_can_be_stopped() -> None:
    runtime = Runtime()
    runtime.stop()
    assert runtime.wait_stopped(0) == "stopped"


def test_an_actor_may_stop_its_own_runtime(journal: Journal) -> None:
    runtime = Runtime()
    runtime.start(SupervisorSpec("root", [script("a", journal), script("b", journal, dispatcher="pool")]))
    runtime.ref("b").tell(("call", lambda child: child.runtime.stop()))
    assert runtime.wait_stopped(CAP) == "stopped"
    assert journal.names("stopped") == ["b", "a"]


def test_a_timer_may_stop_the_runtime_although_it_runs_on_the_clocks_thread(
    journal: Journal, gate: threading.Event
) -> None:
    runtime = Runtime()
    runtime.start(SupervisorSpec("root", [script("busy", journal, shutdown=0.1)]))
    entered = threading.Event()
    runtime.ref("busy").tell(("call", lambda _: (entered.set(), gate.wait(CAP))))
    assert entered.wait(CAP)
    runtime.clock.call_later(0, runtime.stop)  # needs the clock itself, for the stop's time limit
    assert runtime.wait_stopped(CAP) == "stopped"
    assert runtime.leaked_threads == 1


@BOTH
def test_a_ghost_in_a_factory_begins_nothing(
    threaded: Runtime, journal: Journal, gate: threading.Event, dispatcher: str
) -> None:
    made = threading.Semaphore(0)
    hung: list[int] = []

    def factory() -> Actor:
        made.release()
        if not hung:
            hung.append(1)
            gate.wait(CAP)
        return Script("one", journal)

    threaded.start(SupervisorSpec("root", [SupervisorSpec("many", dynamic=True)]))
    ref = threaded.supervisor("many").start_child(ChildSpec("one", factory, dispatcher=dispatcher))
    assert made.acquire(timeout=CAP)
    assert ref.kill()
    assert ref.ask("who", CAP)
    gate.set()
    eventually(lambda: threaded.hung_threads == 0)
    assert len(journal.lines("starting")) == 1


def test_stop_with_a_timeout_gives_up_on_who_still_runs(journal: Journal, gate: threading.Event) -> None:
    runtime = Runtime()
    inner = SupervisorSpec("inner", [script("deep", journal, shutdown="infinity")])
    runtime.start(SupervisorSpec("root", [inner]))
    entered = threading.Event()
    runtime.ref("deep").tell(("call", lambda _: (entered.set(), gate.wait(CAP))))
    assert entered.wait(CAP)
    begun = time.monotonic()
    runtime.stop(timeout=0.2)
    assert time.monotonic() - begun < CAP
    assert runtime.wait_stopped(0) == "stopped"
    assert runtime.leaked_threads == 1


def test_a_start_that_hangs_can_be_given_a_limit(journal: Journal, gate: threading.Event) -> None:
    runtime = Runtime()
    spec = script("slow", journal, lambda _: gate.wait(CAP), shutdown=0.1)
    with pytest.raises(pykka.Timeout):
        runtime.start(SupervisorSpec("root", [spec]), timeout=0.1)
    assert runtime.wait_stopped(CAP) == "stopped"


def test_s16_the_outermost_escalation_is_told_after_everything_stopped(journal: Journal) -> None:
    runtime = Runtime()
    told: list[Any] = []
    done = threading.Event()

    def on_escalation(cause: BaseException | None) -> None:
        told.append((cause, runtime.wait_stopped(0), journal.names("stopped")))
        done.set()

    runtime.on_escalation(on_escalation)
    runtime.start(SupervisorSpec("root", [script("a", journal), script("b", journal)], intensity=0))
    cause = Boom("the last straw")
    runtime.ref("b").tell(("raise", cause))
    assert done.wait(CAP)
    assert told == [(cause, "shutdown", ["a"])]
    assert runtime.last_cause is cause


def test_refs_by_name(threaded: Runtime, journal: Journal) -> None:
    threaded.start(SupervisorSpec("root", [script("a", journal)]))
    assert threaded.ref("a") is threaded.ref("a")
    assert threaded.ref("a").name == "a"
    for look in (threaded.ref, threaded.supervisor):
        with pytest.raises(NoSuchActor):
            look("nobody")
    with pytest.raises(NoSuchActor):
        threaded.supervisor("a")


FORGOTTEN = """
from actors.runtime import Actor, ChildSpec, Runtime, SupervisorSpec
runtime = Runtime()
runtime.start(SupervisorSpec("root", [ChildSpec("a", Actor), ChildSpec("b", Actor, dispatcher="pool")]))
runtime.clock.call_later(3600, print)
print("left", flush=True)
"""


def test_a_forgotten_runtime_does_not_keep_the_process_alive() -> None:
    ended = subprocess.run([sys.executable, "-c", FORGOTTEN], capture_output=True, timeout=150, check=False)
    assert (ended.returncode, ended.stdout) == (0, b"left\n"), ended.stderr


def test_one_actor_is_never_run_by_two_threads_at_once(threaded: Runtime) -> None:
    overlaps: list[int] = []

    class Alone(Actor):
        slice_size = 3

        def __init__(self) -> None:
            self.inside = 0
            self.count = 0

        def on_receive(self, message: Any) -> Any:
            self.inside += 1
            if self.inside != 1:
                overlaps.append(self.inside)
            self.count += 1
            self.inside -= 1
            return self.count

    threaded.start(
        SupervisorSpec("root", [ChildSpec(f"a{n}", Alone, dispatcher="pool", mailbox_capacity=100_000) for n in "12"])
    )
    refs = [threaded.ref("a1"), threaded.ref("a2")]
    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=lambda: [ref.tell(0) for _ in range(2500) for ref in refs]) for _ in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert [ref.ask(0, 30) for ref in refs] == [10_001, 10_001]
    finally:
        sys.setswitchinterval(switch)
    assert overlaps == []


def test_kills_and_sends_that_race_never_run_an_actor_twice_or_lose_a_wake_up(threaded: Runtime) -> None:
    class Counting(Actor):
        inside = 0
        overlaps = 0
        seen = 0

        def on_receive(self, message: Any) -> Any:
            cls = type(self)
            cls.inside += 1
            cls.overlaps += cls.inside != 1
            cls.seen += message == "count"
            cls.inside -= 1
            return message

    threaded.start(
        SupervisorSpec("root", [ChildSpec("one", Counting, dispatcher="pool", mailbox_capacity=100)], intensity=10**6)
    )
    ref = threaded.ref("one")
    over = threading.Event()

    def send() -> None:
        while not over.is_set():
            ref.ask("noise", 30)  # paced, so that the actor falls asleep and is woken all the time

    senders = [threading.Thread(target=send) for _ in range(2)]
    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for sender in senders:
            sender.start()
        for _ in range(200):
            incarnation = ref._cell.incarnation
            # only between slices: a kill in mid-handler leaves a ghost in there, which is allowed to overlap
            with ref._cell.mailbox.lock:
                if incarnation is not None and incarnation.thread == 0:
                    incarnation.fence()
            ref.ask("still there", 30)
    finally:
        over.set()
        for sender in senders:
            sender.join(CAP)
        sys.setswitchinterval(switch)
    ref.tell("count")
    assert ref.ask("last", 30) == "last"
    assert (Counting.overlaps, Counting.seen) == (0, 1)
