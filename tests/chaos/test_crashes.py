"""Single crashes at chosen points: what happened stays, what did not is done, and only the guilty are charged.

Over a file, where the next life opens it, and over Redis, where the next life waits for the lease of the one before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.load import HOLD, Order
from tests.chaos.nursery import Life, Nursery, said
from tests.chaos.run import Scene
from tests.history.events import Begin, Effect, End, Event, Final, Ok, Repeat
from tests.servers.shared import options, server


@pytest.fixture(params=["sqlite", "redis"])
def scene(request: pytest.FixtureRequest, tmp_path: Path, nursery: Nursery) -> Iterator[Scene]:
    shared = request.param == "redis"
    with said(nursery):
        yield Scene(tmp_path, nursery, store=f"{server().url}?prefix={options().prefix}&partitions=4" if shared else "")


def orders(*given: Order) -> list[dict[str, object]]:
    return [asdict(order) for order in given]


def order(key: str, kind: str = "CHAOS_STEP", subject: str = "ann", **fields: Any) -> Order:
    return Order(kind, "guild-1", subject, key, **fields)


def wait_for(scene: Scene, life: Life, seen: Callable[[list[Event]], bool]) -> None:
    """Until the history of a life that runs holds it."""
    scene.wait_for(life, lambda: seen(scene.events()))


def count(events: list[Event], kind: type[Event], **fields: object) -> int:
    return sum(
        isinstance(event, kind) and all(getattr(event, name) == value for name, value in fields.items())
        for event in events
    )


def begins(scene: Scene) -> list[tuple[str, int]]:
    """(key, attempt) of every start, in order, but for the probes."""
    return [
        (event.key, event.attempt)
        for event in scene.events()
        if isinstance(event, Begin) and not event.key.startswith("probe")
    ]


def status(scene: Scene, key: str) -> str:
    events = scene.events()
    id_ = next(event.id for event in events if isinstance(event, Begin) and event.key == key)
    return next(event.status for event in events if isinstance(event, Final) and event.id == id_)


def finish(scene: Scene) -> None:
    scene.finish()
    outcome = scene.outcome()
    assert outcome.violations == []


def test_q1_acknowledged_and_killed_before_handling_is_handled_once_after_the_restart(scene: Scene) -> None:
    life = scene.start("script", orders=orders(order("first", before=HOLD), order("second")))
    wait_for(scene, life, lambda events: count(events, Ok) == 2)
    scene.kill(life)
    finish(scene)
    assert count(scene.events(), Effect, key="second") == 1


def test_q2_killed_inside_the_handler_it_runs_again_first_and_as_the_second_attempt(scene: Scene) -> None:
    life = scene.start("script", orders=orders(order("m1", before=HOLD), order("m2"), order("m3")))
    wait_for(scene, life, lambda events: count(events, Ok) == 3 and count(events, Begin) == 1)
    scene.kill(life)
    finish(scene)
    assert begins(scene) == [("m1", 1), ("m1", 2), ("m2", 1), ("m3", 1)]


def test_q3_killed_between_effect_and_done_the_effect_stays_single(scene: Scene) -> None:
    life = scene.start("script", orders=orders(order("m1", after=HOLD)))
    wait_for(scene, life, lambda events: count(events, Effect) == 1)
    scene.kill(life)
    finish(scene)
    assert begins(scene) == [("m1", 1), ("m1", 2)]
    assert (count(scene.events(), Effect, key="m1"), count(scene.events(), Repeat, key="m1")) == (1, 1)
    assert status(scene, "m1") == "ok"


def test_q3_what_must_not_be_repeated_is_not_and_its_sender_is_told_that_nobody_knows(scene: Scene) -> None:
    life = scene.start("script", orders=orders(order("m1", "CHAOS_STRIKE", after=HOLD), order("m2", "CHAOS_STRIKE")))
    wait_for(scene, life, lambda events: count(events, Effect) == 1 and count(events, Ok) == 2)
    scene.kill(life)
    finish(scene)
    assert begins(scene) == [("m1", 1), ("m2", 1)]
    assert (status(scene, "m1"), status(scene, "m2")) == ("in_doubt", "ok")


def test_q6_attempts_are_counted_over_a_restart_and_the_next_message_proceeds(scene: Scene) -> None:
    life = scene.start("script", orders=orders(order("m1", "CHAOS_HOPELESS"), order("m2")))
    wait_for(scene, life, lambda events: count(events, End, outcome="failed") == 2)
    scene.kill(life)
    finish(scene)
    assert begins(scene) == [("m1", 1), ("m1", 2), ("m1", 3), ("m2", 1)]
    assert (status(scene, "m1"), status(scene, "m2")) == ("dead", "ok")


def test_q7_a_message_that_ends_the_process_each_time_is_dead_lettered_and_its_guild_goes_on(scene: Scene) -> None:
    life = scene.start(
        "script", orders=orders(order("m0", subject="bob"), order("m1", "CHAOS_FATAL", before=1_000), order("m2"))
    )
    for _ in range(3):
        assert life.wait(30) == 3
        scene.note("kill")
        life = scene.start("script", orders=[])
    wait_for(scene, life, lambda events: count(events, Effect, key="m2") == 1)
    scene.kill(life)
    finish(scene)
    starts = [start for start in begins(scene) if start[0] != "m0"]
    assert starts[:4] == [("m1", 1), ("m1", 2), ("m1", 3), ("m2", 1)]
    assert starts[4:] in ([], [("m2", 2)])  # the last kill may have come between its effect and its end
    assert (status(scene, "m1"), status(scene, "m2")) == ("dead", "ok")


def test_q8_a_kill_charges_only_what_had_begun(scene: Scene) -> None:
    names = [f"m{number}" for number in range(10)]
    life = scene.start("script", orders=orders(order("m0", before=HOLD), *(order(name) for name in names[1:])))
    wait_for(scene, life, lambda events: count(events, Ok) == 10 and count(events, Begin) == 1)
    scene.kill(life)
    finish(scene)
    assert begins(scene) == [("m0", 1), ("m0", 2), *((name, 1) for name in names[1:])]
