"""What the runtime's tests share: a fixture that leaves nothing running, and a child that does as it is told."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from actors.runtime import Actor, Runtime
from actors.runtime.testing import ManualClock, Stepper

CAP = 30.0  #: seconds a test waits for an event before it fails; a busy machine may stand still for some


class Journal:
    """What happened, in the order it happened, from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._lines: list[tuple[Any, ...]] = []

    def add(self, *line: Any) -> None:
        with self._changed:
            self._lines.append(line)
            self._changed.notify_all()

    def lines(self, kind: str | None = None) -> list[tuple[Any, ...]]:
        with self._changed:
            return [line for line in self._lines if kind is None or line[0] == kind]

    def names(self, kind: str) -> list[str]:
        return [line[1] for line in self.lines(kind)]

    def clear(self) -> None:
        with self._changed:
            self._lines.clear()

    def wait(self, kind: str, count: int = 1) -> list[tuple[Any, ...]]:
        with self._changed:
            arrived = self._changed.wait_for(lambda: sum(line[0] == kind for line in self._lines) >= count, CAP)
        assert arrived, f"waited for {count} x {kind}; there is {self._lines}"
        return self.lines(kind)


def eventually(holds: Callable[[], object]) -> None:
    """Wait for what no event tells of, such as the end of a foreign thread."""
    deadline = time.monotonic() + CAP
    pause = threading.Event()
    while not holds():
        assert time.monotonic() < deadline, "it never came true"
        pause.wait(0.002)


class Boom(Exception):
    """What scripted children raise."""


class Script(Actor):
    """A child that logs its life and does what its messages say."""

    serial = itertools.count(1)

    def __init__(self, name: str, journal: Journal, on_start: Callable[[Script], object] | None = None) -> None:
        self.name = name
        self.journal = journal
        self.begin = on_start
        self.number = next(self.serial)
        self.state: list[Any] = []

    def on_start(self) -> None:
        self.journal.add("starting", self.name, self.number)
        if self.begin is not None:
            self.begin(self)
        self.journal.add("started", self.name, self.number)

    def on_receive(self, message: Any) -> Any:
        match message:
            case "who":
                return self.number
            case "stop":
                self.stop()
            case ("raise", error):
                raise error
            case ("call", function):
                return function(self)
            case _:
                self.state.append(message)
                self.journal.add("handled", self.name, message, self.number)
        return message

    def on_stop(self) -> None:
        self.journal.add("stopped", self.name, self.number)

    def on_failure(self, *exc_info: Any) -> None:
        self.journal.add("failed", self.name, self.number)


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def stepper() -> Stepper:
    return Stepper()


@pytest.fixture
def stepped(clock: ManualClock, stepper: Stepper) -> Iterator[Runtime]:
    """Everything on this thread, time by hand."""
    runtime = Runtime(clock, stepper=stepper)
    yield runtime
    runtime.stop(CAP)


@pytest.fixture
def threaded() -> Iterator[Runtime]:
    """Real threads, real time."""
    runtime = Runtime()
    yield runtime
    runtime.stop(CAP)
    assert runtime.wait_stopped(CAP) is not None


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(CAP)
    left = [thread for thread in threading.enumerate() if thread not in before]
    assert not left, f"threads left running: {left}"


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Something to hang on; opened at the end, so that hung threads can leave."""
    event = threading.Event()
    yield event
    event.set()
