"""Waiting for a promise without hanging what the wait depends on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from actors.runtime.context import Stepping, context
from actors.runtime.errors import AskDeadlock

if TYPE_CHECKING:
    from actors.runtime.cell import Cell
    from actors.runtime.promise import Promise

#: with a stepper nobody else can make progress for long, so a wait without a limit gets this one (seconds)
STEPPER_PATIENCE = 5.0
#: how often a thread with a stepper looks whether a foreign thread made something runnable (seconds)
STEPPER_GLANCE = 0.005

#: who waits for whose answer: asking actor -> (asked actor, the answer)
_waits: dict[Cell, tuple[Cell, Promise[Any]]] = {}
_waits_lock = threading.Lock()


def wait(promise: Promise[Any], timeout: float | None) -> bool:
    """Wait until it is done; False: the time is over. Raises ``AskDeadlock``, ``PoolExhausted``."""
    deadline = None if timeout is None else time.monotonic() + timeout
    asker = context.incarnation
    if asker is None or promise.asked is None:
        return _wait(promise, deadline)
    mine = _enter(asker.cell, promise.asked, promise)
    try:
        return _wait(promise, deadline)
    finally:
        with _waits_lock:
            if _waits.get(asker.cell) is mine:  # else this actor was given up and its successor waits
                del _waits[asker.cell]


def _wait(promise: Promise[Any], deadline: float | None) -> bool:
    if context.stepper is not None:
        return wait_stepping(context.stepper, promise.done, deadline)
    if context.pool is None:
        return _block(promise, deadline)
    with context.pool.blocking():
        return _block(promise, deadline)


def wait_stepping(stepper: Stepping, done: Callable[[], bool], deadline: float | None) -> bool:
    """Run actors here until ``done()``; foreign threads (a protocol's, a test's) may do their part meanwhile."""
    if deadline is None:
        deadline = time.monotonic() + STEPPER_PATIENCE
    glance = threading.Event()
    while not done():
        if stepper.run():
            continue
        if done():
            break
        if time.monotonic() >= deadline:
            return False
        glance.wait(STEPPER_GLANCE)
    return True


def _enter(asker: Cell, asked: Cell, promise: Promise[Any]) -> tuple[Cell, Promise[Any]]:
    """Note the wait, unless the asked actor waits, directly or over others, for the asker.

    A wait whose answer is there already is none any more, although its thread may not have noticed yet.
    """
    with _waits_lock:
        names = [asker.name]
        at = asked
        while True:
            names.append(at.name)
            if at is asker:
                raise AskDeadlock(names)
            step = _waits.get(at)
            if step is None or step[1].done():
                break
            at = step[0]
        mine = _waits[asker] = (asked, promise)
        return mine


def _block(promise: Promise[Any], deadline: float | None) -> bool:
    # a lock taken twice: the second acquire returns when the setter releases the first
    gate = threading.Lock()
    gate.acquire()

    def open_gate(_: Promise[Any]) -> None:
        gate.release()

    promise.add_done_callback(open_gate)
    try:
        if deadline is None:
            gate.acquire()
            return True
        while True:
            left = deadline - time.monotonic()
            if gate.acquire(timeout=max(0.0, min(left, threading.TIMEOUT_MAX))):
                return True
            if left <= 0:
                return promise.done()
    finally:
        promise.discard_callback(open_gate)
