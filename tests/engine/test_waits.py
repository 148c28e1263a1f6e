"""Law 11, now: whoever asks why a command does not run is told what stands before it at this moment."""

from __future__ import annotations

from typing import Any

from actors.messages import Depart
from actors.options import Options, QueueOptions, TypeOptions
from actors.policy.breaker import BreakerSettings
from actors.policy.facts import Facts
from actors.tables.gate import lane_name
from tests.engine.conftest import Make
from tests.engine.town import Town
from tests.engine.world import APPLIED, FAILED, UNSENT, World


def wait(world: World, id_: str) -> dict[str, Any]:
    promise = world.engine.explain(id_)
    world.run()
    known = promise.get(0)
    assert known is not None
    assert known.wait is not None, "it runs"
    assert known.wait["text"]
    return known.wait


def runs(world: World, id_: str) -> bool:
    promise = world.engine.explain(id_)
    world.run()
    known = promise.get(0)
    assert known is not None
    return known.wait is None


def test_the_lane_before_it_and_what_that_waits_for(make: Make) -> None:
    world = make()
    world.direct.plays["a"] = [None, FAILED]
    for id_ in ("a", "b", "c"):
        world.send(id_)
    assert runs(world, "a")
    told = wait(world, "c")
    assert (told["reason"], told["ahead"], told["behind"], told["protocol"]) == ("lane", 2, "a", "direct")
    world.finish("a", FAILED)
    world.run()
    told = wait(world, "b")
    assert (told["reason"], told["ahead"], told["behind"]) == ("lane", 1, "a")
    first = told["wait"]
    assert (first["reason"], first["attempts"]) == ("handler_error", 1)
    assert first["until"] > world.clock.now()
    assert "attempt 1 over direct" in first["text"]
    assert first == wait(world, "a")
    world.advance(60)
    assert runs(world, "a"), "its way has ended"


def test_a_pause_of_its_queue_or_of_its_lane(make: Make) -> None:
    world = make()
    for name in ("q", lane_name("g", "s")):
        world.engine.pause(name, True).get(5)
    world.send("a")
    world.send("b", subject="other")
    assert wait(world, "a")["paused"] == ["q", lane_name("g", "s")]
    assert wait(world, "b")["paused"] == ["q"]
    world.engine.pause("q", False).get(5)
    world.run()
    assert (wait(world, "a")["reason"], wait(world, "a")["paused"]) == ("paused", [lane_name("g", "s")])


def test_an_open_breaker_and_when_it_is_asked_again(make: Make) -> None:
    world = make(
        breakers=BreakerSettings(failure_threshold=1, recovery_timeout=30_000), facts={"T": Facts("T", attempts=1)}
    )
    world.direct.plays["bad"] = [UNSENT]
    world.send("bad")
    opened = world.clock.now()
    world.send("a")
    told = wait(world, "a")
    (breaker,) = told["breakers"]
    assert (told["reason"], breaker["name"], breaker["state"]) == ("breaker_open", "direct", "open")
    assert told["until"] == breaker["until"] == opened + 30_000
    assert "direct (open)" in told["text"]


def test_that_nobody_is_there_to_execute_it(make: Make) -> None:
    world = make(protocols=("websocket", "direct"))
    for script in world.protocols.values():
        script.up = False
    world.send("a")
    told = wait(world, "a")
    assert (told["reason"], told["protocols"]) == ("no_executor", ["websocket", "direct"])


def test_each_bound_that_is_reached(memory: Make) -> None:
    options = Options(
        max_running=3,
        guild_running=2,
        queues={"few": QueueOptions(concurrency=1), "slow": QueueOptions(rate=1, rate_window=60_000)},
        types={"RARE": TypeOptions(concurrency=1)},
    )
    world = memory(options=options)
    world.direct.usual = None
    world.send("a", subject="a", queue="few")
    world.send("b", subject="b", queue="few")
    told = wait(world, "b")
    assert (told["reason"], told["bounds"]) == ("queue_full", [{"name": "queue:few", "running": 1, "most": 1}])
    world.send("c", subject="c", type="RARE")
    world.send("d", guild="h", type="RARE")
    assert wait(world, "d")["bounds"] == [{"name": "type:RARE", "running": 1, "most": 1}]
    world.send("e", subject="e")
    told = wait(world, "e")
    assert (told["reason"], told["bounds"]) == ("guild_full", [{"name": "guild", "running": 2, "most": 2}])
    world.send("f", guild="i", queue="slow")
    world.send("g", guild="j")
    told = wait(world, "g")
    assert (told["reason"], told["bounds"]) == ("router_full", [{"name": "router", "running": 3, "most": 3}])
    world.finish("a", APPLIED)
    world.run()
    world.finish("c", APPLIED)
    world.run()
    world.send("h", guild="k", queue="slow")
    while wait(world, "h")["reason"] == "router_full":
        world.finish(next(id_ for id_ in world.held if id_ != "f"), APPLIED)
        world.run()
    told = wait(world, "h")
    assert (told["reason"], told["bounds"]) == ("rate_limit", [{"name": "queue:slow", "most": 1, "windowMs": 60_000}])
    assert 0 < told["until"] - world.clock.now() <= 60_000


def test_the_time_it_is_due(make: Make) -> None:
    world = make()
    world.send("a", delay=60)
    told = wait(world, "a")
    assert (told["reason"], told["until"]) == ("delayed", world.clock.now() + 60_000)


def test_that_its_guild_is_on_its_way_to_another_router(town: Town) -> None:
    owner, other = town.house(), town.house()
    owner.direct.usual = None
    guild = town.guild_of(owner)
    owner.send("a", guild=guild)
    owner.engine.runtime.ref("partitions").tell(Depart())
    town.run()
    other.send("b", guild=guild, subject="free")
    town.advance(1)
    assert wait(other, "b")["reason"] == wait(owner, "b")["reason"] == "handover"


def test_that_it_is_on_its_way_into_its_lane(town: Town) -> None:
    owner, other = town.house(), town.house()
    town.hub.faults_of(owner.router).deaf = True
    other.send("a", guild=town.guild_of(owner))
    assert wait(owner, "a")["reason"] == "arriving"


def test_that_the_router_stops(memory: Make) -> None:
    world = memory()
    world.engine.tables.gate.close()
    world.send("a")
    assert wait(world, "a")["reason"] == "stopping"
