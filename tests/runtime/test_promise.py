"""Promises: pykka's futures, cheaper, and safe on event loops."""

from __future__ import annotations

import asyncio
import gc
import logging
import queue
import threading
import traceback
from collections.abc import Callable, Generator
from typing import Any

import pykka
import pytest
import uvloop

from actors.runtime import Promise

from .conftest import CAP, Boom


def later(function: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=function)
    thread.start()
    return thread


def test_get_returns_what_was_set() -> None:
    promise: Promise[int] = Promise()
    assert not promise.done()
    promise.set(1)
    assert promise.done()
    assert promise.get() == promise.get(timeout=0) == 1
    assert isinstance(promise, pykka.Future)


def test_get_waits_for_another_thread() -> None:
    promise: Promise[str] = Promise()
    thread = later(lambda: promise.set("there"))
    assert promise.get(CAP) == "there"
    thread.join()


@pytest.mark.parametrize("timeout", [0, -1, 0.01])
def test_get_gives_up_after_its_timeout_and_leaves_nothing_behind(timeout: float) -> None:
    promise: Promise[int] = Promise()
    with pytest.raises(pykka.Timeout):
        promise.get(timeout=timeout)
    assert not promise._callbacks
    promise.set(2)
    assert promise.get() == 2


def test_many_threads_wait_for_one_promise() -> None:
    promise: Promise[int] = Promise()
    got: queue.SimpleQueue[int] = queue.SimpleQueue()
    threads = [later(lambda: got.put(promise.get(CAP))) for _ in range(20)]
    promise.set(7)
    for thread in threads:
        thread.join(CAP)
    assert [got.get(timeout=CAP) for _ in threads] == [7] * 20


def test_one_of_many_racing_setters_wins() -> None:
    for _ in range(200):
        promise: Promise[int] = Promise()
        start = threading.Barrier(4)
        refused: list[int] = []

        def race(number: int, promise: Promise[int] = promise, start: Any = start, refused: Any = refused) -> None:
            start.wait(CAP)
            try:
                promise.set(number)
            except queue.Full:
                refused.append(number)

        threads = [later(lambda number=number: race(number)) for number in range(4)]
        for thread in threads:
            thread.join(CAP)
        assert len(refused) == 3
        assert promise.get(0) not in refused


def test_a_second_set_raises_as_pykkas_does() -> None:
    promise: Promise[int] = Promise()
    promise.set(1)
    for again in (promise.set, promise.set_get_hook):
        with pytest.raises(queue.Full):
            again(None)
    with pytest.raises(queue.Full):
        promise.fail(Boom())
    assert not promise.offer(2)
    assert not promise.offer_failure(Boom())
    assert promise.get() == 1


def test_set_exception_takes_the_one_being_handled() -> None:
    promise: Promise[int] = Promise()
    try:
        raise Boom("here")
    except Boom:
        promise.set_exception()
    with pytest.raises(Boom, match="here"):
        promise.get()


def test_set_exception_takes_pykkas_triple() -> None:
    promise: Promise[int] = Promise()
    promise.set_exception((Boom, None, None))
    with pytest.raises(Boom):
        promise.get()


def test_set_exception_without_any_is_refused() -> None:
    promise: Promise[int] = Promise()
    with pytest.raises(ValueError, match="no exception"):
        promise.set_exception()
    assert not promise.done()


def test_raising_many_times_does_not_lengthen_the_traceback() -> None:
    promise: Promise[int] = Promise()
    promise.fail(Boom())
    lengths = set()
    for _ in range(5):
        try:
            promise.get()
        except Boom as error:
            lengths.add(len(traceback.extract_tb(error.__traceback__)))
    assert len(lengths) == 1


def test_callbacks_are_called_in_order_in_the_setters_thread_or_at_once() -> None:
    promise: Promise[int] = Promise()
    calls: list[tuple[str, int]] = []
    promise.add_done_callback(lambda _: calls.append(("first", threading.get_ident())))
    promise.add_done_callback(lambda _: calls.append(("second", threading.get_ident())))
    thread = later(lambda: promise.set(1))
    thread.join()
    promise.add_done_callback(lambda done: calls.append((f"late {done.get()}", threading.get_ident())))
    assert calls == [("first", thread.ident), ("second", thread.ident), ("late 1", threading.get_ident())]


def test_a_callback_that_raises_is_logged_and_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    promise: Promise[int] = Promise()
    called: list[int] = []

    def bad(_: Promise[int]) -> None:
        raise Boom

    promise.add_done_callback(bad)
    promise.add_done_callback(lambda _: called.append(1))
    with caplog.at_level(logging.ERROR):
        promise.set(1)
    assert called == [1]
    assert "callback raised" in caplog.text


def test_get_hooks_work_as_pykkas() -> None:
    promise: Promise[int] = Promise()
    calls: list[float | None] = []

    def hook(timeout: float | None) -> int:
        calls.append(timeout)
        return 5

    promise.set_get_hook(hook)
    assert (promise.get(timeout=3), promise.get()) == (5, 5)
    assert calls == [3]
    with pytest.raises(queue.Full):
        promise.set(1)


def test_map_filter_join_and_reduce_work_as_pykkas() -> None:
    numbers: Promise[Any] = Promise()
    other: pykka.ThreadingFuture[str] = pykka.ThreadingFuture()
    mapped = numbers.map(len)
    kept = numbers.filter(lambda number: number > 1)
    joined = numbers.join(other)
    total = numbers.reduce(lambda a, b: a + b, 10)
    chained = numbers.filter(lambda number: number > 1).map(sum).map(str)
    assert not any(one.done() for one in (mapped, kept, joined, total, chained))
    with pytest.raises(pykka.Timeout):
        mapped.get(timeout=0)
    numbers.set([1, 2, 3])
    other.set("x")
    assert mapped.get() == 3
    assert kept.get() == [2, 3]
    assert joined.get() == [[1, 2, 3], "x"]
    assert total.get() == 16
    assert chained.get() == "5"
    assert all(one.done() for one in (mapped, kept, joined, total, chained))


def test_a_derived_promise_calls_back_when_its_source_is_settled() -> None:
    source: Promise[int] = Promise()
    derived = source.map(lambda number: number + 1)
    got: list[int] = []
    derived.add_done_callback(lambda done: got.append(done.get()))
    assert got == []
    source.set(1)
    assert got == [2]


def run_on(loop_factory: Callable[[], asyncio.AbstractEventLoop], coroutine: Any) -> Any:
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(asyncio.wait_for(coroutine, CAP))


LOOPS = pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])


@LOOPS
def test_awaiting_does_not_block_the_loop(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    promise: Promise[str] = Promise()

    async def scenario() -> str:
        waiting = asyncio.create_task(_await(promise))
        await a_turn_of_the_loop()  # the task is suspended in the promise now; only a free loop gets here
        promise.set("done")
        return await waiting

    assert run_on(loop, scenario()) == "done"


@LOOPS
def test_awaiting_derived_promises_does_not_block_the_loop(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    source: Promise[int] = Promise()
    foreign: pykka.ThreadingFuture[int] = pykka.ThreadingFuture()

    async def scenario() -> list[Any]:
        derived = [source.map(lambda n: n + 1), source.map(lambda n: n + 1).join(foreign)]
        tasks = [asyncio.create_task(_await(one)) for one in derived]
        await a_turn_of_the_loop()
        source.set(1)
        foreign.set(5)
        return [await task for task in tasks]

    assert run_on(loop, scenario()) == [2, [2, 5]]


def test_awaiting_a_blocking_hook_does_not_block_the_loop(gate: threading.Event) -> None:
    promise: Promise[str] = Promise()
    promise.set_get_hook(lambda _timeout: "opened" if gate.wait(CAP) else "stuck")

    async def scenario() -> str:
        task = asyncio.create_task(_await(promise))
        await a_turn_of_the_loop()
        gate.set()
        return await task

    assert run_on(asyncio.new_event_loop, scenario()) == "opened"


def test_loops_of_many_threads_may_await_one_promise() -> None:
    promise: Promise[int] = Promise()
    results: queue.SimpleQueue[int] = queue.SimpleQueue()
    waiting = threading.Barrier(4)

    async def scenario() -> int:
        task = asyncio.create_task(_await(promise))
        await a_turn_of_the_loop()
        waiting.wait(CAP)
        return await task

    threads = [later(lambda: results.put(run_on(asyncio.new_event_loop, scenario()))) for _ in range(3)]
    waiting.wait(CAP)
    promise.set(9)
    assert [results.get(timeout=CAP) for _ in threads] == [9, 9, 9]
    for thread in threads:
        thread.join()


def test_cancelling_the_awaiting_task_leaves_the_promise_usable() -> None:
    promise: Promise[int] = Promise()

    async def scenario() -> int:
        for _ in range(50):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(_await(promise), 0)
        task = asyncio.create_task(_await(promise))
        await a_turn_of_the_loop()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not promise._callbacks
        promise.set(3)
        return await promise

    assert run_on(asyncio.new_event_loop, scenario()) == 3


def test_awaiting_raises_the_promises_exception() -> None:
    promise: Promise[int] = Promise()
    promise.fail(Boom("bad"))

    async def scenario() -> None:
        await promise

    with pytest.raises(Boom, match="bad"):
        run_on(asyncio.new_event_loop, scenario())


def test_settling_after_the_loop_is_gone_harms_nobody() -> None:
    promise: Promise[int] = Promise()
    loop = asyncio.new_event_loop()
    task = loop.create_task(_await(promise))
    loop.run_until_complete(a_turn_of_the_loop())
    loop.close()
    promise.set(1)
    assert promise.get(0) == 1
    task._log_destroy_pending = False
    task.get_coro().close()
    del task
    gc.collect()


class _Turn:
    def __await__(self) -> Generator[None, None, None]:
        yield


async def a_turn_of_the_loop() -> None:
    await _Turn()


async def _await(promise: pykka.Future[Any]) -> Any:
    return await promise
