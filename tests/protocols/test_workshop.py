"""Threads that hang, loops that end, results that come late."""

from __future__ import annotations

import asyncio
import logging
import threading
from threading import Event, Thread
from typing import Any

import pytest

from actors.outcome import Verdict
from router.messages.communication import SendMessage
from router.messages.moderation import BanUser, KickUser
from router.protocols import loops
from router.protocols.handlers import Handlers
from router.protocols.rehearsal import CAP, Outcomes, ban, say
from router.protocols.workshop import HUNG_LIMIT
from tests.protocols.benches import DirectBench
from tests.protocols.tickets import ticket


class Stage:
    """Handlers that wait until the test lets them go."""

    def __init__(self) -> None:
        self.handlers = Handlers()
        self.release = Event()
        self.entered = threading.Semaphore(0)
        self.threads: set[str] = set()

    def block(self, command: Any, ctx: Any) -> str:
        self.threads.add(threading.current_thread().name)
        self.entered.release()
        assert self.release.wait(CAP)
        return "late"

    def begun(self, count: int = 1) -> None:
        for _ in range(count):
            assert self.entered.acquire(timeout=CAP)


def submit(bench: DirectBench, message: Any = None, **options: Any) -> Outcomes:
    outcomes = Outcomes()
    bench.protocol.start(ticket(bench, message or ban(), **options), outcomes)
    return outcomes


# ---------------------------------------------------------------- hanging threads


def test_a_thread_that_hangs_is_replaced_so_that_others_run() -> None:
    stage = Stage()
    stage.handlers.handler(BanUser)(stage.block)
    stage.handlers.handler(SendMessage)(lambda *_: "quick")
    bench = DirectBench(stage.handlers, workers=1, timeout_ms=1_000)
    hanging = submit(bench)
    stage.begun()
    waiting = submit(bench, say(), deadline=bench.now() + 60_000)
    bench.advance(1.0)
    assert hanging.one.verdict is Verdict.IN_DOUBT
    assert bench.executor.workshop.hung == 1
    assert submit(bench, say()).one.verdict is Verdict.APPLIED
    assert waiting.one.verdict in (Verdict.APPLIED, Verdict.DEFERRED)
    stage.release.set()
    bench.close()


def test_what_waited_longer_than_it_may_run_is_handed_back_uncharged() -> None:
    stage = Stage()
    stage.handlers.handler(BanUser, timeout=60)(stage.block)
    stage.handlers.handler(SendMessage)(lambda *_: "quick")
    bench = DirectBench(stage.handlers, workers=1, timeout_ms=1_000)
    submit(bench)
    stage.begun()
    waiting = submit(bench, say())
    bench.advance(1.1)
    assert waiting.one.verdict is Verdict.DEFERRED
    assert waiting.one.fault.code == "busy"
    stage.release.set()
    bench.close()


def test_what_is_begun_after_its_deadline_is_not_executed() -> None:
    stage = Stage()
    stage.handlers.handler(BanUser)(stage.block)
    bench = DirectBench(stage.handlers)
    late = submit(bench, deadline=bench.now())
    assert late.one.verdict is Verdict.DEFERRED
    assert stage.threads == set()
    bench.close()


def test_too_many_hanging_threads_refuse_further_work_until_one_comes_back() -> None:
    stage = Stage()
    stage.handlers.handler(BanUser)(stage.block)
    bench = DirectBench(stage.handlers, workers=2, timeout_ms=1_000)
    hanging: list[Outcomes] = []
    while len(hanging) < HUNG_LIMIT:
        hanging += [submit(bench), submit(bench)]
        stage.begun(2)
        bench.advance(1.0)
    assert [each.one.verdict for each in hanging] == [Verdict.IN_DOUBT] * HUNG_LIMIT
    assert bench.executor.workshop.hung == HUNG_LIMIT
    refused = submit(bench)
    assert refused.one.verdict is Verdict.DEFERRED
    assert (refused.one.fault.code, refused.one.retry_after > 0) == ("handlers_hang", True)
    stage.release.set()
    while bench.executor.workshop.hung:
        assert len(threading.enumerate()) < 200
    assert submit(bench).one.verdict is Verdict.APPLIED
    bench.close()


def test_when_the_last_threads_hang_what_waits_for_one_goes_back() -> None:
    stage = Stage()
    stage.handlers.handler(BanUser)(stage.block)
    stage.handlers.handler(KickUser, timeout=5)(stage.block)
    stage.handlers.handler(SendMessage, timeout=600)(lambda *_: "patient")
    bench = DirectBench(stage.handlers, workers=1, timeout_ms=1_000)
    for number in range(HUNG_LIMIT):
        submit(bench)
        stage.begun()
        if number == HUNG_LIMIT - 1:
            submit(bench, KickUser(guild_id="1" * 17, user_id="2" * 17, moderator_id="3" * 17, reason="spam"))
            waiting = submit(bench, say())
        bench.advance(1.0)
    stage.begun()  # the last replacement, with the kick
    assert waiting.all == []
    bench.advance(5.0)
    assert (waiting.one.verdict, waiting.one.fault.code) == (Verdict.DEFERRED, "handlers_hang")
    stage.release.set()
    bench.close()


def test_a_thread_that_comes_back_leaves_no_thread_too_many() -> None:
    stage = Stage()
    stage.handlers.handler(BanUser)(stage.block)
    bench = DirectBench(stage.handlers, workers=2, timeout_ms=1_000)
    pool = bench.executor.workshop._pool
    submit(bench)
    submit(bench)
    stage.begun(2)
    bench.advance(1.0)
    assert len(pool._threads) == 4
    stage.release.set()
    while len(pool._threads) > 2:
        assert pool.hung <= 2
    assert pool.hung == 0
    bench.close()


def test_close_does_not_wait_for_a_thread_that_hangs_and_counts_no_idle_ones(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage()
    stage.handlers.handler(BanUser)(stage.block)
    bench = DirectBench(stage.handlers, workers=4, timeout_ms=1_000)
    outcomes = submit(bench)
    stage.begun()
    with caplog.at_level(logging.WARNING):
        bench.protocol.close(0)
    assert outcomes.one.fault.code == "shutting_down"
    assert "1 handlers went on" in caplog.text
    stage.release.set()


def test_a_callback_that_raises_harms_nobody() -> None:
    handlers = Handlers()
    handlers.handler(BanUser)(lambda *_: None)
    bench = DirectBench(handlers, workers=1)

    def broken(_: Any) -> None:
        raise RuntimeError("broken callback")

    bench.protocol.start(ticket(bench, ban()), broken)
    assert submit(bench).one.verdict is Verdict.APPLIED
    bench.close()


# ---------------------------------------------------------------- async handlers


def test_async_handlers_run_side_by_side_on_one_loop() -> None:
    handlers = Handlers()
    here: set[int] = set()
    together = asyncio.Event()

    @handlers.handler(BanUser)
    async def handler(command: Any, ctx: Any) -> int:
        here.add(threading.get_ident())
        running.append(ctx.id)
        if len(running) == 300:
            together.set()
        await together.wait()
        return len(running)

    running: list[str] = []
    bench = DirectBench(handlers)
    sinks = [submit(bench) for _ in range(300)]
    assert [sink.one.verdict for sink in sinks] == [Verdict.APPLIED] * 300
    assert len(here) == 1
    bench.close()


def test_more_async_handlers_than_the_limit_take_turns() -> None:
    handlers = Handlers()
    running, most = 0, 0
    full, gate = Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    @handlers.handler(BanUser)
    async def handler(command: Any, ctx: Any) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 5:
            loops.append(asyncio.get_running_loop())
            full.set()
        await gate.wait()
        running -= 1

    bench = DirectBench(handlers)
    bench.executor.workshop._loops._limit = 5
    sinks = [submit(bench) for _ in range(50)]
    assert full.wait(CAP)
    # Behind all that was submitted: without a limit each of them would have begun before.
    loops[0].call_soon_threadsafe(gate.set)
    assert all(sink.one.verdict is Verdict.APPLIED for sink in sinks)
    assert most == 5
    bench.close()


def test_an_async_handler_is_cancelled_at_its_timeout_and_may_clean_up() -> None:
    handlers = Handlers()
    entered, cleaned = Event(), Event()

    @handlers.handler(BanUser)
    async def handler(command: Any, ctx: Any) -> None:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.set()

    bench = DirectBench(handlers, timeout_ms=1_000)
    outcomes = submit(bench)
    assert entered.wait(CAP)
    bench.advance(1.0)
    assert outcomes.one.fault.code == "timeout"
    assert cleaned.wait(CAP)
    bench.close()


def test_a_cancelled_handler_is_repeated_only_if_that_does_no_harm() -> None:
    handlers = Handlers()
    entered = threading.Semaphore(0)

    async def handler(command: Any, ctx: Any) -> str:
        if ctx.attempt == 1:
            entered.release()
            await asyncio.Event().wait()
        return "done"

    handlers.handler(BanUser)(handler)
    handlers.handler(SendMessage)(handler)
    bench = DirectBench(handlers, timeout_ms=1_000)
    for message, verdict in ((ban(), Verdict.APPLIED), (say(), Verdict.IN_DOUBT)):
        first, second = Outcomes(), Outcomes()
        its = ticket(bench, message)
        bench.protocol.start(its, first)
        assert entered.acquire(timeout=CAP)
        bench.advance(1.0)
        assert first.one.verdict is Verdict.IN_DOUBT
        bench.protocol.start(its._replace(attempt=2), second)
        assert second.one.verdict is verdict
    bench.close()


def test_an_async_handler_that_exits_the_program_fails_alone() -> None:
    handlers = Handlers()
    said: list[BaseException] = [SystemExit(1), KeyboardInterrupt(), GeneratorExit()]

    @handlers.handler(BanUser)
    async def handler(command: Any, ctx: Any) -> str:
        await asyncio.sleep(0)
        if said:
            raise said.pop(0)
        return "alive"

    bench = DirectBench(handlers)
    verdicts = [submit(bench).one.verdict for _ in range(4)]
    assert verdicts == [Verdict.NOT_APPLIED, Verdict.NOT_APPLIED, Verdict.IN_DOUBT, Verdict.APPLIED]
    bench.close()


def test_a_handler_whose_own_task_was_cancelled_has_failed() -> None:
    handlers = Handlers()

    @handlers.handler(BanUser)
    async def handler(command: Any, ctx: Any) -> None:
        task = asyncio.ensure_future(asyncio.Event().wait())
        await asyncio.sleep(0)
        task.cancel()
        await task

    bench = DirectBench(handlers)
    outcome = submit(bench).one
    assert (outcome.verdict, outcome.executed) == (Verdict.NOT_APPLIED, True)
    bench.close()


def test_a_sync_function_may_return_something_to_await() -> None:
    handlers = Handlers()

    async def inner(command: Any, ctx: Any) -> str:
        await asyncio.sleep(0)
        return threading.current_thread().name

    def outer(command: Any, ctx: Any) -> Any:
        return inner(command, ctx)

    handlers.handler(BanUser)(outer)
    bench = DirectBench(handlers)
    outcome = submit(bench).one
    assert outcome.verdict is Verdict.APPLIED
    assert b"loop" in outcome.data
    bench.close()


def test_handlers_run_on_the_users_loop_when_there_is_one() -> None:
    handlers = Handlers()
    inside: list[Any] = []

    @handlers.handler(BanUser)
    async def handler(command: Any, ctx: Any) -> str:
        inside.append(asyncio.get_running_loop())
        await asyncio.sleep(0)
        return "here"

    async def main() -> None:
        loop = asyncio.get_running_loop()
        bench = DirectBench(handlers, loop=loop)
        done = loop.create_future()
        bench.protocol.start(ticket(bench, ban()), lambda outcome: loop.call_soon_threadsafe(done.set_result, outcome))
        outcome = await asyncio.wait_for(done, CAP)
        assert outcome.verdict is Verdict.APPLIED
        assert inside == [loop]
        await asyncio.to_thread(bench.close)

    asyncio.run(main())


def test_what_ran_on_a_loop_that_ended_is_in_doubt_and_what_comes_after_is_refused() -> None:
    handlers = Handlers()
    entered = Event()

    @handlers.handler(BanUser)
    async def handler(command: Any, ctx: Any) -> None:
        entered.set()
        await asyncio.Event().wait()

    outcomes = Outcomes()
    benches: list[DirectBench] = []

    async def main() -> None:
        bench = DirectBench(handlers, loop=asyncio.get_running_loop())
        benches.append(bench)
        bench.protocol.start(ticket(bench, ban()), outcomes)
        await asyncio.to_thread(entered.wait, CAP)

    asyncio.run(main())  # cancels what is left, and closes the loop
    assert outcomes.one.verdict is Verdict.IN_DOUBT
    after = submit(benches[0]).one
    assert (after.verdict, after.fault.code) == (Verdict.DEFERRED, "no_loop")
    benches[0].close()


def test_a_loop_that_was_dropped_with_its_tasks_leaves_them_in_doubt() -> None:
    handlers = Handlers()
    entered = Event()

    @handlers.handler(BanUser)
    async def handler(command: Any, ctx: Any) -> None:
        entered.set()
        await asyncio.Event().wait()

    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)
    thread.start()
    bench = DirectBench(handlers, loop=loop, timeout_ms=1_000)
    outcomes = submit(bench)
    assert entered.wait(CAP)
    tasks = asyncio.all_tasks(loop)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(CAP)
    for task in tasks:
        task._log_destroy_pending = False
    loop.close()
    bench.advance(1.0)
    assert outcomes.one.verdict is Verdict.IN_DOUBT
    assert len(bench.executor.workshop) == 0, "nothing is kept for a loop that is gone"
    bench.close()


def test_a_handler_that_blocks_the_loop_is_left_behind_at_close(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(loops, "GOODBYE", 0.05)
    stage = Stage()

    @stage.handlers.handler(BanUser)
    async def handler(command: Any, ctx: Any) -> None:
        stage.block(command, ctx)

    bench = DirectBench(stage.handlers, timeout_ms=1_000)
    outcomes = submit(bench)
    stage.begun()
    bench.advance(1.0)
    assert outcomes.one.verdict is Verdict.IN_DOUBT
    with caplog.at_level(logging.ERROR):
        bench.protocol.close(0)
    assert "left behind" in caplog.text
    stage.release.set()
    for thread in threading.enumerate():
        if thread.name.endswith("-loop"):
            thread.join(CAP)


def test_a_verify_hook_may_be_async_and_its_answer_settles_the_doubt() -> None:
    handlers = Handlers()
    entered = threading.Semaphore(0)
    answers = [False, True]

    async def hook(command: Any, ctx: Any) -> bool:
        await asyncio.sleep(0)
        return answers.pop(0)

    @handlers.handler(SendMessage, verify=hook)
    async def handler(command: Any, ctx: Any) -> None:
        entered.release()
        await asyncio.Event().wait()

    bench = DirectBench(handlers, timeout_ms=1_000)
    its = ticket(bench, say())
    for attempt in (1, 2):
        sink, verified = Outcomes(), Outcomes()
        bench.protocol.start(its._replace(attempt=attempt), sink)
        assert entered.acquire(timeout=CAP), "it did not happen, so it is executed again"
        bench.advance(1.0)
        assert sink.one.verdict is Verdict.IN_DOUBT
        bench.protocol.verify(its.envelope, verified)
        assert verified.one is (attempt == 2)
    sink = Outcomes()
    bench.protocol.start(its._replace(attempt=3), sink)
    assert sink.one.verdict is Verdict.APPLIED, "it did happen, so it is not"
    bench.close()


@pytest.mark.parametrize("hook", [lambda *_: 1 / 0, lambda *_: "yes", lambda *_: None])
def test_a_verify_hook_that_cannot_tell_leaves_it_open(hook: Any) -> None:
    handlers = Handlers()
    handlers.handler(BanUser, verify=hook)(lambda *_: None)
    bench = DirectBench(handlers)
    answers = Outcomes()
    bench.protocol.verify(ticket(bench, ban()).envelope, answers)
    assert answers.one is None
    bench.close()


def test_nothing_is_left_running_after_close() -> None:
    before = set(threading.enumerate())
    handlers = Handlers()

    @handlers.handler(BanUser)
    async def handler(command: Any, ctx: Any) -> None:
        await asyncio.sleep(0)

    handlers.handler(SendMessage)(lambda *_: None)
    bench = DirectBench(handlers)
    assert submit(bench).one.verdict is submit(bench, say()).one.verdict is Verdict.APPLIED
    assert set(threading.enumerate()) > before
    bench.close()
    assert set(threading.enumerate()) == before
    assert bench.clock.pending() == 0
