"""The ``queue`` protocol beyond the contract: entries, orphans, deadlines, who owns a queue."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from actors.entries import Entry
from actors.errand import Pause
from actors.outcome import Verdict
from actors.policy.consuming import QueueRules
from actors.tables.deliveries import Subscription
from actors.tickets import MARK
from router.messages.communication import SendMessage
from router.messages.moderation import BanUser
from router.protocols.handlers import Handlers
from router.protocols.rehearsal import CAP, Outcomes, ban, say
from router.stores.memory import MemoryStore
from tests.protocols.benches import QUEUES, QueueBench
from tests.protocols.tickets import ticket

QUEUE = "bot:moderation"


class Rig:
    """Handlers and the benches they are used on."""

    def __init__(self) -> None:
        self.handlers = Handlers()
        self.calls: list[Any] = []
        self.entered = threading.Semaphore(0)
        self.release = threading.Event()
        self.benches: list[QueueBench] = []

    def bench(self, **options: Any) -> QueueBench:
        bench = QueueBench(self.handlers, **options)
        self.benches.append(bench)
        return bench

    def note(self, command: Any, ctx: Any) -> str:
        self.calls.append(ctx.id)
        return "done"

    def block(self, command: Any, ctx: Any) -> str:
        self.entered.release()
        assert self.release.wait(CAP)
        return self.note(command, ctx)

    def begun(self) -> None:
        assert self.entered.acquire(timeout=CAP)


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.release.set()
    for bench in rig.benches:
        bench.close()


def pause(bench: QueueBench, paused: bool) -> None:
    done = Outcomes()
    bench.runtime.ref(QUEUES).tell(Pause(QUEUE, paused, done))
    assert done.one is None


def submit(bench: QueueBench, its: Any) -> Outcomes:
    outcomes = Outcomes()
    bench.protocol.start(its, outcomes)
    return outcomes


def verified(bench: QueueBench, envelope: Any) -> Any:
    answers = Outcomes()
    bench.protocol.verify(envelope, answers)
    return answers.one


def stats(bench: QueueBench) -> Any:
    bench.settled()
    return bench.store.queue_stats()[QUEUE]


def test_what_was_applied_is_a_done_entry_and_what_failed_leaves_none(rig: Rig) -> None:
    def body(command: Any, ctx: Any) -> None:
        if ctx.attempt == 1:
            raise RuntimeError("no")

    rig.handlers.handler(BanUser)(body)
    bench = rig.bench()
    its = ticket(bench, ban())
    assert submit(bench, its).one.verdict is Verdict.NOT_APPLIED
    assert submit(bench, its._replace(attempt=2)).one.verdict is Verdict.APPLIED
    found = stats(bench)
    assert (found.completed, found.failed, found.waiting, found.claimed, found.dead) == (1, 0, 0, 0, 0)


def test_it_reaches_only_what_is_consumed_here(rig: Rig) -> None:
    rig.handlers.handler(BanUser)(rig.note)
    bench = rig.bench(queues=["bot:commands"])
    its = ticket(bench, ban())
    assert not bench.protocol.reaches(its.envelope)
    outcome = submit(bench, its).one
    assert (outcome.verdict, outcome.fault.code) == (Verdict.DEFERRED, "no_consumer")


def test_a_handler_that_comes_later_has_its_queue_consumed(rig: Rig) -> None:
    bench = rig.bench()
    its = ticket(bench, ban())
    assert not bench.protocol.reaches(its.envelope)
    rig.handlers.handler(BanUser)(rig.note)
    assert bench.protocol.reaches(its.envelope)
    assert submit(bench, its).one.verdict is Verdict.APPLIED


def test_a_paused_queue_keeps_the_command_until_it_is_resumed(rig: Rig) -> None:
    rig.handlers.handler(BanUser)(rig.note)
    bench = rig.bench()
    pause(bench, True)
    outcomes = submit(bench, ticket(bench, ban()))
    bench.settled()
    bench.advance(5)
    assert outcomes.all == []
    pause(bench, False)
    assert outcomes.one.verdict is Verdict.APPLIED


def test_what_nobody_claims_before_its_deadline_is_taken_back_at_no_cost(rig: Rig) -> None:
    rig.handlers.handler(BanUser)(rig.note)
    bench = rig.bench()
    pause(bench, True)
    outcomes = submit(bench, ticket(bench, ban(), deadline=bench.now() + 2_000))
    bench.settled()
    assert stats(bench).waiting == 1
    bench.advance(2)
    assert (outcomes.one.verdict, outcomes.one.fault.code) == (Verdict.DEFERRED, "not_claimed")
    assert stats(bench).waiting == 0
    pause(bench, False)
    bench.advance(2)
    bench.settled()
    assert rig.calls == []


def test_the_same_attempt_may_be_asked_again_after_it_was_taken_back(rig: Rig) -> None:
    rig.handlers.handler(BanUser)(rig.note)
    bench = rig.bench()
    pause(bench, True)
    its = ticket(bench, ban())
    first = submit(bench, its)
    bench.settled()
    assert bench.protocol.recall(its.envelope.id)
    second = submit(bench, its)
    pause(bench, False)
    assert second.one.verdict is Verdict.APPLIED
    assert first.all == []
    assert rig.calls == [its.envelope.id]


def test_a_command_for_a_store_that_cannot_write_is_deferred(rig: Rig) -> None:
    rig.handlers.handler(BanUser)(rig.note)
    bench = rig.bench()
    bench.disk.full = True
    outcome = submit(bench, ticket(bench, ban())).one
    assert (outcome.verdict, outcome.fault.code) == (Verdict.DEFERRED, "store_unavailable")


def test_a_full_queue_defers_and_says_when_to_come_back(rig: Rig) -> None:
    rig.handlers.handler(BanUser)(rig.note)
    bench = rig.bench(rules=QueueRules(depth=1))
    pause(bench, True)
    submit(bench, ticket(bench, ban()))
    outcome = submit(bench, ticket(bench, ban())).one
    assert (outcome.verdict, outcome.fault.code) == (Verdict.DEFERRED, "overloaded")
    assert outcome.retry_after > 0


def test_a_protocol_whose_actors_are_gone_defers_and_never_raises(rig: Rig) -> None:
    rig.handlers.handler(BanUser)(rig.note)
    bench = rig.bench()
    bench.runtime.stop()
    its = ticket(bench, ban())
    assert submit(bench, its).one.verdict is Verdict.DEFERRED
    assert verified(bench, its.envelope) is None


def test_the_actor_may_crash_while_a_command_is_executed(rig: Rig) -> None:
    rig.handlers.handler(BanUser)(rig.block)
    bench = rig.bench()
    outcomes = submit(bench, ticket(bench, ban()))
    rig.begun()
    bench.runtime.ref(QUEUES).tell(_Bomb())
    bench.settled()
    rig.release.set()
    assert outcomes.one.verdict is Verdict.APPLIED
    assert len(rig.calls) == 1
    assert stats(bench).completed == 1


class _Bomb:
    @property
    def __class__(self) -> Any:
        if not self.__dict__:
            self.__dict__["gone"] = True
            raise RuntimeError("a bomb")
        return _Bomb


# ---------------------------------------------------------------- an earlier process


def left_behind(claimed: bool, message: Any) -> tuple[MemoryStore, Any]:
    """A store with an attempt's entry in it, as a process leaves it that was killed."""
    store = MemoryStore()
    now = 1_700_000_000_000
    store.open(now)

    class Then:
        @staticmethod
        def now() -> int:
            return now

    its = ticket(Then, message)
    store.append([Entry(f"{MARK}{its.envelope.id}:1", its.envelope.queue, its.frame, 8, now)], now)
    if claimed:
        store.claim(its.envelope.queue, 1, now, now + 3_000)
    return store, its


def test_an_entry_nobody_claimed_is_proof_that_it_did_not_happen(rig: Rig) -> None:
    rig.handlers.handler(SendMessage, protocols=["direct"])(rig.note)
    store, its = left_behind(False, say())
    bench = rig.bench(store=store)
    assert verified(bench, its.envelope) is False
    assert store.queue_stats()[its.envelope.queue].waiting == 0


def test_an_entry_found_unclaimed_by_a_consumer_is_proof_too_and_is_not_executed(rig: Rig) -> None:
    rig.handlers.handler(SendMessage)(rig.note)
    store, its = left_behind(False, say())
    bench = rig.bench(store=store)
    bench.settled()
    bench.settled()
    assert rig.calls == []
    assert verified(bench, its.envelope) is False


def test_an_entry_that_was_claimed_leaves_it_open(rig: Rig) -> None:
    rig.handlers.handler(SendMessage)(rig.note)
    store, its = left_behind(True, say())
    bench = rig.bench(store=store)
    assert verified(bench, its.envelope) is None
    bench.advance(5)
    bench.settled()
    assert rig.calls == [], "it lapsed, and is not executed behind the router's back"
    assert verified(bench, its.envelope) is None


@pytest.mark.parametrize("claimed", [False, True])
def test_an_attempt_goes_its_way_whatever_an_earlier_process_left(rig: Rig, claimed: bool) -> None:
    rig.handlers.handler(SendMessage)(rig.note)
    store, its = left_behind(claimed, say())
    bench = rig.bench(store=store)
    assert submit(bench, its).one.verdict is Verdict.APPLIED
    bench.advance(5)
    bench.settled()
    assert rig.calls == [its.envelope.id]


# ---------------------------------------------------------------- who owns a queue


def test_a_queue_with_subscribers_is_theirs_and_commands_go_another_way(rig: Rig) -> None:
    rig.handlers.handler(BanUser)(rig.note)
    bench = rig.bench()
    pause(bench, True)
    waiting = submit(bench, ticket(bench, ban()))
    bench.settled()
    got: list[str] = []
    subscription = Subscription(QUEUE, lambda deliveries: got.extend(each.id for each in deliveries))
    bench.desk.subscribe(subscription)
    assert (waiting.one.verdict, waiting.one.fault.code) == (Verdict.DEFERRED, "no_consumer")
    assert not bench.protocol.reaches(ticket(bench, ban()).envelope)
    pause(bench, False)
    bench.settled()
    assert got == []
    bench.desk.unsubscribe(subscription)
    assert bench.protocol.reaches(ticket(bench, ban()).envelope)
    assert submit(bench, ticket(bench, ban())).one.verdict is Verdict.APPLIED


def test_what_is_published_to_a_queue_without_subscribers_goes_to_the_handler_of_its_type(rig: Rig) -> None:
    tries: list[int] = []
    done = threading.Event()

    def body(command: Any, ctx: Any) -> None:
        tries.append(ctx.attempt)
        if ctx.attempt < 2:
            raise RuntimeError("once more")
        done.set()

    rig.handlers.handler(BanUser)(body)
    bench = rig.bench()
    its = ticket(bench, ban())
    bench.store.append([Entry("published", QUEUE, its.frame, 5, bench.now())], bench.now())
    bench.advance(1)
    for _ in range(50):
        bench.settled()
        if done.is_set():
            break
        bench.advance(1)
    assert tries == [1, 2]
    assert done.wait(CAP)


def test_a_published_message_nobody_handles_waits(rig: Rig) -> None:
    rig.handlers.handler(BanUser)(rig.note)
    bench = rig.bench()
    frame = ticket(bench, say()).frame
    bench.store.append([Entry("odd", QUEUE, frame, 5, bench.now())], bench.now())
    bench.advance(1)
    bench.settled()
    found = stats(bench)
    assert (found.delayed, found.dead) == (1, 0)


def test_a_frame_nobody_can_read_is_dead(rig: Rig) -> None:
    rig.handlers.handler(BanUser)(rig.note)
    bench = rig.bench()
    bench.store.append([Entry("junk", QUEUE, b"\xc1", 5, bench.now())], bench.now())
    bench.advance(1)
    bench.settled()
    assert stats(bench).dead == 1


def test_the_executor_is_shared_so_that_a_fallback_to_direct_executes_once(rig: Rig) -> None:
    rig.handlers.handler(SendMessage)(rig.block)
    bench = rig.bench(timeout_ms=1_000)
    its = ticket(bench, say())
    first = submit(bench, its)
    rig.begun()
    bench.advance(1)
    assert first.one.verdict is Verdict.IN_DOUBT
    second = Outcomes()
    bench.executor.start(its._replace(attempt=2), second, "direct")
    rig.release.set()
    assert second.one.verdict is Verdict.APPLIED
    assert len(rig.calls) == 1


def test_a_recalled_command_that_was_claimed_but_waits_for_a_thread_never_begins(rig: Rig) -> None:
    rig.handlers.handler(BanUser)(rig.block)
    bench = rig.bench(workers=1)
    running = submit(bench, ticket(bench, ban()))
    rig.begun()
    its = ticket(bench, ban())
    waiting = submit(bench, its)
    bench.settled()
    assert stats(bench).claimed == 2
    assert bench.protocol.recall(its.envelope.id)
    rig.release.set()
    assert running.one.verdict is Verdict.APPLIED
    found = stats(bench)
    assert (found.completed, found.claimed, found.waiting) == (1, 0, 0)
    assert waiting.all == []
    assert its.envelope.id not in rig.calls


def test_priority_decides_who_is_executed_first(rig: Rig) -> None:
    rig.handlers.handler(BanUser)(rig.note)
    bench = rig.bench(rules=QueueRules(concurrency=1), workers=1)
    pause(bench, True)
    tickets = [ticket(bench, ban(), priority=priority) for priority in (2, 5, 10, 5)]
    sinks = [submit(bench, its) for its in tickets]
    bench.settled()
    pause(bench, False)
    for sink in sinks:
        assert sink.one.verdict is Verdict.APPLIED
    low, one, urgent, two = (its.envelope.id for its in tickets)
    assert rig.calls == [urgent, one, two, low]


def test_many_senders_and_a_crashing_actor_lose_and_repeat_nothing(rig: Rig) -> None:
    rig.handlers.handler(SendMessage)(rig.note)
    bench = rig.bench(timeout_ms=600_000)  # the clock below runs faster than the threads
    sinks = [Outcomes() for _ in range(120)]
    tickets = [ticket(bench, say(str(number))) for number in range(120)]

    def send(part: int) -> None:
        for its, sink in list(zip(tickets, sinks, strict=True))[part::4]:
            bench.protocol.start(its, sink)

    threads = [threading.Thread(target=partial(send, part)) for part in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(2):
        bench.runtime.ref(QUEUES).tell(_Bomb())
        bench.settled()
    for thread in threads:
        thread.join(CAP)
    for _ in range(100):
        bench.settled()
        if all(sink.all for sink in sinks):
            break
        bench.advance(0.2)
    assert [sink.one.fault for sink in sinks if sink.one.verdict is not Verdict.APPLIED] == []
    assert sorted(rig.calls) == sorted(its.envelope.id for its in tickets)
