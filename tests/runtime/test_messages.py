"""What becomes of messages: S36-S38, S40, S41, mailboxes, redelivery, flushes, timers, orderly ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from actors.runtime import (
    Actor,
    ActorCrashed,
    ActorStopped,
    ChildSpec,
    Mailbox,
    MailboxFull,
    Promise,
    Runtime,
    SupervisorSpec,
)
from actors.runtime.testing import ManualClock, Probe, Stepper

from .conftest import CAP, Boom, Journal, Script


def start(runtime: Runtime, factory: Callable[[], Actor], **options: Any) -> Any:
    options = {"intensity": 100, **options}
    child = {key: options.pop(key) for key in ("mailbox_capacity", "dispatcher", "restart") if key in options}
    runtime.start(SupervisorSpec("root", [ChildSpec("one", factory, **child)], **options))
    return runtime.ref("one")


# ---------------------------------------------------------------- mailbox


def test_a_mailbox_is_bounded_and_says_so() -> None:
    box = Mailbox(2, "box")
    box.put(1)
    box.put(2)
    with pytest.raises(MailboxFull) as raised:
        box.put(3)
    assert (raised.value.name, raised.value.capacity, raised.value.code) == ("box", 2, "mailbox_full")
    box.put("stop", urgent=True)
    assert box.depth() == 2
    assert box.take_urgent() == "stop"
    assert list(box.take(10).items) == [1, 2]


def test_a_batch_taken_and_not_begun_still_counts_and_goes_back_to_the_front() -> None:
    box = Mailbox(3)
    box.put_many([1, 2])
    box.take(2).at = 1
    box.put(3)
    box.put(4)
    with pytest.raises(MailboxFull):
        box.put(5)
    assert list(box.give_back()) == [1]
    assert list(box.take(9).items) == [2, 3, 4]


def test_many_messages_at_once_are_accepted_together_or_not_at_all() -> None:
    box = Mailbox(3)
    box.put(1)
    with pytest.raises(MailboxFull):
        box.put_many([2, 3, 4])
    box.put_many([2, 3])
    box.put_many([])
    assert list(box.take(9).items) == [1, 2, 3]


def test_a_closed_mailbox_refuses_and_hands_over_what_it_had() -> None:
    box = Mailbox(3, "box")
    box.put(1)
    assert box.close() == [1]
    assert box.close() == []
    for put in (lambda: box.put(2), lambda: box.put_many([2]), lambda: box.put(2, force=True)):
        with pytest.raises(ActorStopped):
            put()


def test_the_owner_is_woken_once_however_much_comes() -> None:
    class Owner:
        woken = 0

        def ready(self) -> None:
            self.woken += 1

    owner = Owner()
    box = Mailbox(9, "box", owner)
    box.put(1)
    box.put(2)
    box.put_urgent(3)
    assert owner.woken == 1


def test_the_owner_is_woken_under_the_lock_so_that_no_wake_up_reaches_a_successor() -> None:
    others: list[bool] = []

    class Owner:
        def ready(self) -> None:
            prober = threading.Thread(target=lambda: others.append(box.lock.acquire(blocking=False)))
            prober.start()
            prober.join(CAP)

    box = Mailbox(9, "box", Owner())
    for put in (lambda: box.put(1), lambda: box.put_many([1]), lambda: box.put_urgent(1)):
        box.scheduled = False
        put()
    assert others == [False, False, False]


def test_a_second_thread_does_not_enter_an_actor_that_runs(stepped: Runtime, journal: Journal) -> None:
    ref = start(stepped, lambda: Script("one", journal))
    ref.tell("waits")
    assert ref.ask(("call", lambda child: child._incarnation.run_slice())) == 0
    assert [line[2] for line in journal.lines("handled")] == ["waits"]


def test_what_racing_senders_had_accepted_is_handled_or_handed_over_when_the_box_closes() -> None:
    for _ in range(50):
        box = Mailbox(10_000)
        accepted: list[list[int]] = [[], [], []]
        go = threading.Barrier(4)

        def send(mine: list[int], box: Mailbox = box, go: threading.Barrier = go) -> None:
            go.wait(CAP)
            for number in range(300):
                try:
                    box.put(number)
                except ActorStopped:
                    return
                mine.append(number)

        threads = [threading.Thread(target=send, args=(mine,)) for mine in accepted]
        for thread in threads:
            thread.start()
        go.wait(CAP)
        left = box.close()
        for thread in threads:
            thread.join(CAP)
        assert sorted(left) == sorted(number for mine in accepted for number in mine)


# ---------------------------------------------------------------- crashes and the messages behind


@pytest.mark.parametrize("dispatcher", ["thread", "pool"])
def test_s36_the_messages_behind_a_crash_are_handled_once_in_order_by_the_new_instance(
    threaded: Runtime, journal: Journal, dispatcher: str
) -> None:
    hold = threading.Event()
    ref = start(threaded, lambda: Script("one", journal), dispatcher=dispatcher)
    ref.tell(("call", lambda _: hold.wait(CAP)))
    ref.tell_many([("raise", Boom()) if number == 50 else number for number in range(1, 101)])
    hold.set()
    handled = journal.wait("handled", 99)
    assert [line[2] for line in handled] == [number for number in range(1, 101) if number != 50]
    assert len({line[3] for line in handled if line[2] < 50}) == 1
    assert {line[3] for line in handled if line[2] > 50}.isdisjoint({line[3] for line in handled if line[2] < 50})


def test_s37_sends_between_death_and_restart_wait_for_the_successor(
    stepped: Runtime, clock: ManualClock, stepper: Stepper, journal: Journal
) -> None:
    ref = start(stepped, lambda: Script("one", journal), backoff=lambda _: 3)
    ref.tell(("raise", Boom()))
    stepper.run()
    ref.tell_many([1, 2])
    question = ref.ask("who", block=False)
    stepper.run()
    assert journal.lines("handled") == []
    assert ref.alive()
    clock.advance(3, stepper.run)
    assert [line[2] for line in journal.lines("handled")] == [1, 2]
    assert question.get(1)


def test_s37_racing_senders_lose_nothing_over_a_hundred_crashes(threaded: Runtime, journal: Journal) -> None:
    ref = start(threaded, lambda: Script("one", journal), dispatcher="pool", intensity=10_000)

    def send(first: int) -> None:
        for number in range(first, first + 500):
            ref.tell(("raise", Boom()) if number % 20 == 0 else number)

    threads = [threading.Thread(target=send, args=(first,)) for first in (0, 1000, 2000, 3000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(CAP)
    sent = [n for first in (0, 1000, 2000, 3000) for n in range(first, first + 500) if n % 20]
    handled = [line[2] for line in journal.wait("handled", len(sent))]
    assert sorted(handled) == sent
    for first in (0, 1000, 2000, 3000):
        mine = [n for n in handled if first <= n < first + 500]
        assert mine == sorted(mine)


def test_s38_a_handler_that_raises_on_an_ask_is_a_crash_like_any(
    stepped: Runtime, stepper: Stepper, journal: Journal
) -> None:
    crashes: list[Any] = []
    ref = start(stepped, lambda: Script("one", journal), on_crash=lambda *crash: crashes.append(crash))
    first = ref.ask("who")
    with pytest.raises(Boom, match="asked"):
        ref.ask(("raise", Boom("asked")))
    stepper.run()
    assert ref.ask("who") > first
    assert len(crashes) == 1
    assert journal.names("failed") == ["one"]


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_a_base_exception_reaches_the_asker_wrapped(stepped: Runtime, journal: Journal, error: BaseException) -> None:
    ref = start(stepped, lambda: Script("one", journal))
    with pytest.raises(ActorCrashed) as raised:
        ref.ask(("raise", error))
    assert raised.value.__cause__ is error


class Batch(Actor):
    """Writes what it handled at each flush; ``bad`` messages and flushes raise."""

    def __init__(self, written: list[list[Any]], lives: list[list[Any]], bad: set[Any], bad_flush: set[Any]) -> None:
        self.written = written
        self.seen: list[Any] = []
        self.open: list[Any] = []
        lives.append(self.seen)
        self.bad = bad
        self.bad_flush = bad_flush

    def on_receive(self, message: Any) -> Any:
        self.seen.append(message)
        if message in self.bad:
            raise Boom(str(message))
        self.open.append(message)
        return f"did {message}"

    def on_flush(self) -> None:
        if self.bad_flush & set(self.open):
            raise Boom("flush")
        self.written.append(self.open)
        self.open = []


class Redelivered(Batch):
    redeliver = 2


class Books:
    def __init__(self, runtime_options: dict[str, Any], kind: type[Batch] = Redelivered) -> None:
        self.written: list[list[Any]] = []
        self.lives: list[list[Any]] = []
        self.bad: set[Any] = set()
        self.bad_flush: set[Any] = set()
        self.poison: list[Any] = []
        self.crashes: list[Any] = []
        self.stepper = Stepper()
        self.runtime = Runtime(
            ManualClock(), stepper=self.stepper, on_poison=lambda ref, m, e: self.poison.append((ref.name, m, str(e)))
        )
        self.ref = start(
            self.runtime,
            lambda: kind(self.written, self.lives, self.bad, self.bad_flush),
            on_crash=lambda _ref, message, _error: self.crashes.append(message),
            **runtime_options,
        )

    def flat(self) -> list[Any]:
        return [message for batch in self.written for message in batch]


def test_a_slice_ends_with_one_flush_and_slices_are_limited() -> None:
    class Small(Batch):
        slice_size = 3

    books = Books({}, Small)
    books.ref.tell_many(range(7))
    books.stepper.run()
    assert books.written == [[0, 1, 2], [3, 4, 5], [6]]
    books.runtime.stop()
    assert books.written[-1] == [6]


def test_without_redelivery_the_message_in_hand_is_gone_and_told() -> None:
    books = Books({}, Batch)
    books.bad.add(2)
    books.ref.tell_many([1, 2, 3])
    books.stepper.run()
    assert books.crashes == [2]
    assert books.lives == [[1, 2], [3]]
    assert books.poison == []
    books.runtime.stop()


def test_with_redelivery_what_was_not_flushed_comes_again_first_and_in_order() -> None:
    books = Books({})
    books.bad.add(3)
    books.ref.tell_many([1, 2, 3, 4])
    books.stepper.run()
    # 1 and 2 were handled by the first life but not written; 3 is tried 1 + 2 times, then given up
    assert books.lives == [[1, 2, 3], [1, 2, 3], [3], [4]]
    assert books.flat() == [1, 2, 4]
    assert books.poison == [("one", 3, "3")]
    books.runtime.stop()


def test_a_flush_that_raises_finds_its_culprit_and_spares_the_others() -> None:
    books = Books({})
    books.bad_flush.add(2)
    books.ref.tell_many([1, 2, 3])
    books.stepper.run()
    assert books.flat() == [1, 3]
    assert books.poison == [("one", 2, "flush")]
    assert [life.count(2) for life in books.lives] == [1, 1, 1, 0]
    books.runtime.stop()


def test_no_message_is_handed_out_more_often_than_allowed() -> None:
    books = Books({"intensity": 1000})
    books.bad |= {2, 5}
    books.bad_flush |= {3}
    books.ref.tell_many(range(8))
    books.stepper.run()
    assert books.flat() == [0, 1, 4, 6, 7]
    assert {message for _, message, _ in books.poison} == {2, 3, 5}
    for message in range(8):
        assert sum(life.count(message) for life in books.lives) <= 3
    books.runtime.stop()


def test_s40_one_poison_message_does_not_exhaust_the_restart_limit() -> None:
    class Stubborn(Batch):
        redeliver = 9

    books = Books({"intensity": 3}, Stubborn)
    books.bad.add("poison")
    books.ref.tell_many(["a", "poison", "b"])
    books.stepper.run()
    assert books.poison == [("one", "poison", "poison")]
    assert books.flat() == ["a", "b"]
    assert books.runtime.wait_stopped(0) is None
    assert sum(life.count("poison") for life in books.lives) == 10
    books.runtime.stop()


def test_s40_but_many_different_crashes_do_exhaust_it() -> None:
    books = Books({"intensity": 3})
    books.bad |= set(range(10))
    books.ref.tell_many(range(10))
    books.stepper.run()
    assert books.runtime.wait_stopped(0) == "shutdown"
    assert len(books.poison) <= 4


def test_an_ask_that_is_redelivered_is_answered_by_the_successor_or_told_it_is_poison() -> None:
    books = Books({})
    books.bad.add("bad")
    good = books.ref.ask("good", block=False)
    bad = books.ref.ask("bad", block=False)
    books.stepper.run()
    assert good.get(1) == "did good"
    with pytest.raises(Boom):
        bad.get(1)
    books.runtime.stop()


def test_s41_a_restarted_actor_begins_with_fresh_state(stepped: Runtime, stepper: Stepper, journal: Journal) -> None:
    stored = ["from the store"]

    class Stateful(Script):
        def on_start(self) -> None:
            self.state = list(stored)

    ref = start(stepped, lambda: Stateful("one", journal))
    ref.tell("only in memory")
    ref.tell(("raise", Boom()))
    assert ref.proxy().state.get(timeout=1) == ["from the store"]


def test_a_factory_must_give_a_new_actor_each_time(stepped: Runtime, journal: Journal) -> None:
    only = Script("one", journal)
    start(stepped, lambda: only, intensity=1)
    stepped.ref("one").tell(("raise", Boom()))
    stepped._stepper.run()
    assert stepped.wait_stopped(0) == "shutdown"
    assert "lived before" in str(stepped.last_cause)


# ---------------------------------------------------------------- stopping in good order


def test_stop_overtakes_what_waits_and_what_waits_is_told() -> None:
    dropped: list[Any] = []
    stepper = Stepper(slice_size=1)
    journal = Journal()
    runtime = Runtime(ManualClock(), stepper=stepper, on_dropped=lambda _ref, messages: dropped.extend(messages))
    ref = start(runtime, lambda: Script("one", journal))
    ref.tell_many([1, 2, 3])
    stepper.step()
    runtime.stop()
    handled = [line[2] for line in journal.lines("handled")]
    assert handled + dropped == [1, 2, 3]
    assert dropped
    with pytest.raises(ActorStopped):
        ref.tell(4)


def test_drain_on_stop_handles_what_waits_and_takes_no_more() -> None:
    journal = Journal()

    class Drained(Script):
        drain_on_stop = True

    stepper = Stepper(slice_size=1)
    runtime = Runtime(ManualClock(), stepper=stepper)
    ref = start(runtime, lambda: Drained("one", journal))
    ref.tell_many([1, 2, 3])
    stepper.step()
    runtime.stop()
    assert [line[2] for line in journal.lines("handled")] == [1, 2, 3]
    assert journal.lines()[-1][0] == "stopped"
    assert runtime.dropped_messages == 0


def test_an_actor_that_stops_itself_flushes_first() -> None:
    class Quits(Batch):
        stopped: ClassVar[list[str]] = []

        def on_receive(self, message: Any) -> Any:
            if message == "quit":
                self.stop()
            return super().on_receive(message)

        def on_stop(self) -> None:
            self.stopped.append("stopped")

    books = Books({"restart": "transient"}, Quits)
    books.ref.tell_many(["a", "quit", "never"])
    books.stepper.run()
    assert books.written == [["a", "quit"]]
    assert Quits.stopped == ["stopped"]
    assert not books.ref.alive()
    assert books.runtime.dropped_messages == 1
    books.runtime.stop()


# ---------------------------------------------------------------- timers and answers


class Timekeeper(Script):
    def on_receive(self, message: Any) -> Any:
        if isinstance(message, tuple) and message[0] == "after":
            return self.send_after(message[1], message[2])
        return super().on_receive(message)


def test_send_after_tells_itself_even_with_a_full_mailbox(
    stepped: Runtime, stepper: Stepper, clock: ManualClock, journal: Journal
) -> None:
    ref = start(stepped, lambda: Timekeeper("one", journal), mailbox_capacity=1)
    ref.ask(("after", 5, "tick"))
    cancelled = ref.ask(("after", 5, "never"))
    cancelled.cancel()
    clock.advance(4.9, stepper.run)
    assert journal.lines("handled") == []
    ref.tell("filler")
    clock.advance(1)
    stepper.run()
    assert [line[2] for line in journal.lines("handled")] == ["filler", "tick"]


def test_timers_end_with_their_incarnation(
    stepped: Runtime, stepper: Stepper, clock: ManualClock, journal: Journal
) -> None:
    ref = start(stepped, lambda: Timekeeper("one", journal))
    ref.ask(("after", 5, "pending at the crash"))
    ref.ask(("after", 1, "fired before the crash"))
    clock.advance(1)
    ref.tell(("raise", Boom()))
    ref._cell.mailbox.items.reverse()  # the crash is handled before the message the timer has put
    stepper.run()
    clock.advance(10, stepper.run)
    assert journal.lines("handled") == []
    assert clock.pending() == 0


def test_a_timer_due_at_once_is_delivered_with_a_real_clock(threaded: Runtime, journal: Journal) -> None:
    ref = start(threaded, lambda: Timekeeper("one", journal))
    for number in range(200):
        ref.tell(("after", 0, number))
    assert len(journal.wait("handled", 200)) == 200


def test_a_handler_may_answer_later_and_stays_free(stepped: Runtime, stepper: Stepper) -> None:
    later: Promise[str] = Promise()

    class Clerk(Actor):
        def on_receive(self, message: Any) -> Any:
            return later if message == "slow" else message

    ref = start(stepped, Clerk)
    slow = ref.ask("slow", block=False)
    failed = ref.ask("slow", block=False)
    assert ref.ask("quick") == "quick"
    assert not slow.done()
    later.set("at last")
    assert (slow.get(1), failed.get(1)) == ("at last", "at last")


def test_a_later_answer_may_be_a_failure(stepped: Runtime, stepper: Stepper, journal: Journal) -> None:
    later: Promise[str] = Promise()
    ref = start(stepped, lambda: Script("one", journal))
    answer = ref.ask(("call", lambda _: later), block=False)
    stepper.run()
    later.fail(Boom("no"))
    with pytest.raises(Boom, match="no"):
        answer.get(1)
    assert journal.names("failed") == []  # a failed answer is no crash


def test_depth_counts_what_waits(stepped: Runtime, stepper: Stepper, journal: Journal) -> None:
    ref = start(stepped, lambda: Script("one", journal))
    ref.tell_many([1, 2, 3])
    assert ref.depth() == 3
    stepper.run()
    assert ref.depth() == 0


def test_the_capacity_is_the_specs_or_the_actors(stepped: Runtime, journal: Journal) -> None:
    class Small(Script):
        mailbox_capacity = 2

    stepped.start(
        SupervisorSpec(
            "root",
            [
                ChildSpec("actors", lambda: Small("actors", journal)),
                ChildSpec("specs", lambda: Small("specs", journal), mailbox_capacity=1),
            ],
        )
    )
    for name, capacity in (("actors", 2), ("specs", 1)):
        ref = stepped.ref(name)
        ref.tell_many(range(capacity))
        with pytest.raises(MailboxFull):
            ref.tell("one too many")
        with pytest.raises(MailboxFull):
            ref.ask("one too many")


# ---------------------------------------------------------------- the test tools


def test_a_probe_takes_what_an_actor_sends(stepped: Runtime, stepper: Stepper) -> None:
    probe = Probe()

    class Sender(Actor):
        def on_receive(self, message: Any) -> None:
            probe.tell(message)

    start(stepped, Sender).tell_many([1, "two", 3.0])
    assert probe.expect(str) == "two"
    assert probe.expect(lambda message: message == 3.0) == 3.0
    assert probe.messages == [1]
    assert probe.expect() == 1
    with pytest.raises(AssertionError, match="waited 0 s"):
        probe.expect(int, timeout=0)


def test_a_probe_waits_for_a_thread() -> None:
    probe = Probe()
    thread = threading.Thread(target=lambda: probe.tell_many([1, 2]))
    thread.start()
    assert probe.expect_many(2, timeout=CAP) == [1, 2]
    thread.join()


def test_a_probe_answers_when_the_test_says_so() -> None:
    probe = Probe()
    promise = probe.ask("why?", block=False)
    question, answer = probe.expect()
    answer.set("because")
    assert (question, promise.get(0)) == ("why?", "because")


def test_a_stepper_runs_in_the_order_it_is_told(journal: Journal) -> None:
    order = ["c", "a", "b"]
    chosen: list[str] = []

    def choose(names: list[str]) -> int:
        for name in order:
            if name in names:
                chosen.append(name)
                return names.index(name)
        return 0

    stepper = Stepper(choose)
    runtime = Runtime(ManualClock(), stepper=stepper)
    specs = [ChildSpec(name, lambda name=name: Script(name, journal)) for name in "abc"]
    runtime.start(SupervisorSpec("root", specs))
    for name in "abc":
        runtime.ref(name).tell("go")
    assert sorted(stepper.runnable()) == ["a", "b", "c"]
    stepper.run()
    assert journal.names("handled") == order
    runtime.stop()


def test_a_stepper_says_who_never_comes_to_rest(stepped: Runtime, stepper: Stepper) -> None:
    class Busy(Actor):
        def on_receive(self, message: Any) -> None:
            self.me.tell(message)

    start(stepped, Busy).tell("again")
    with pytest.raises(RuntimeError, match="one"):
        stepper.run(max_steps=50)
    stepped.ref("one").kill()
    stepped.supervisor("root").terminate_child("one")


def test_with_a_stepper_get_runs_the_actors(stepped: Runtime, journal: Journal) -> None:
    ref = start(stepped, lambda: Script("one", journal))
    promise = ref.ask("who", block=False)
    assert not promise.done()
    assert isinstance(promise.get(), int)
