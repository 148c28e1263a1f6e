"""The shortest use of the runtime, with threads and without."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from actors.runtime import Actor, ActorStopped, ChildSpec, Runtime, SupervisorSpec
from actors.runtime.testing import ManualClock, Stepper


class Echo(Actor):
    def on_receive(self, message: object) -> object:
        return message

    def greet(self, name: str) -> str:
        return f"hello {name}"


@pytest.fixture(params=["threads", "stepper"])
def runtime(request: pytest.FixtureRequest) -> Iterator[Runtime]:
    made = Runtime() if request.param == "threads" else Runtime(ManualClock(), stepper=Stepper())
    yield made
    made.stop(5)


@pytest.mark.parametrize("dispatcher", ["thread", "pool"])
def test_a_started_actor_answers_until_the_runtime_stops(runtime: Runtime, dispatcher: str) -> None:
    runtime.start(SupervisorSpec("root", [ChildSpec("echo", Echo, dispatcher=dispatcher)]))
    ref = runtime.ref("echo")
    assert ref.ask("hello", timeout=5) == "hello"
    assert ref.proxy().greet("you").get(timeout=5) == "hello you"
    runtime.stop()
    assert runtime.wait_stopped(0) == "stopped"
    assert not ref.alive()
    with pytest.raises(ActorStopped):
        ref.tell("too late")
