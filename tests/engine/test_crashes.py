"""Law 8: whatever actor crashes at whatever message, nothing is lost and nobody is left without an answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from actors.adapter import Adapter
from actors.deduplicator import Deduplicator
from actors.errors import Overloaded
from actors.guild import GuildActor
from actors.hub import Hub
from actors.intake import Intake
from actors.journal import Journal
from actors.options import Options
from actors.policy.facts import Facts
from actors.policy.lanes import Place
from actors.recovery import Recovery
from actors.retry import RetryScheduler
from actors.runtime.actor import Actor
from tests.engine.conftest import Make
from tests.engine.world import APPLIED, DOUBT, FAILED, UNSENT, World, deferred

SAFE = {
    "T": Facts("T", idempotent=True, attempts=6),
    "BAN": Facts("BAN", opposes=frozenset({"UNBAN"}), idempotent=True),
    "UNBAN": Facts("UNBAN", opposes=frozenset({"BAN"}), idempotent=True),
}
PLACES = ("before", "after", "flush before", "flush after")


class Bomb:
    """Crashes actors: the ``at``-th message of a kind (or flush) of an actor, before or after it is handled."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch
        self.seen: dict[tuple[str, str], int] = {}
        self.fuse: tuple[str, str, str] | None = None
        self.gone_off = 0
        self._arm()

    def set(self, actor: str, kind: str, place: str) -> None:
        self.fuse = (actor, kind, place)
        self.gone_off = 0

    def _arm(self) -> None:
        for cls in ACTORS:
            self._patch.setattr(cls, "on_receive", self._receive(cls.on_receive))
            self._patch.setattr(cls, "on_flush", self._flush(cls.on_flush))

    def _receive(self, real: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        def on_receive(actor: Actor, message: Any) -> Any:
            name, kind = type(actor).__name__, type(message).__name__
            self.seen[name, kind] = self.seen.get((name, kind), 0) + 1
            self._off(name, kind, "before")
            result = real(actor, message)
            self._off(name, kind, "after")
            actor.__dict__.setdefault("kinds", set()).add(kind)
            return result

        return on_receive

    def _flush(self, real: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def on_flush(actor: Actor) -> None:
            kinds = actor.__dict__.pop("kinds", set())
            for kind in kinds:
                self._off(type(actor).__name__, kind, "flush before")
            real(actor)
            for kind in kinds:
                self._off(type(actor).__name__, kind, "flush after")

        return on_flush

    def _off(self, name: str, kind: str, place: str) -> None:
        if self.fuse == (name, kind, place):
            self.fuse = None
            self.gone_off += 1
            raise SystemExit(f"{name} at {kind}, {place}")


ACTORS: list[type[Actor]] = [Adapter, Deduplicator, GuildActor, Hub, Intake, Journal, Recovery, RetryScheduler]


def story(world: World) -> None:
    """A bit of everything: retries, doubt, delays, duplicates, conflicts, deadlines, cancels, an outage."""
    first, second = world.protocols["websocket"], world.protocols["queue"]
    first.plays = {
        "retry": [FAILED],
        "doubt": [DOUBT],
        "asked": [DOUBT],
        "unsent": [UNSENT],
        "rest": [deferred(3_000)],
        "dies": [FAILED] * 9,
    }
    first.truth["asked"] = True
    second.plays = {"doubt": [DOUBT], "unsent": [UNSENT], "rest": [deferred(2_000)]}
    for id_ in ("retry", "doubt", "unsent", "rest", "plain"):
        world.send(id_, subject="x" if id_ == "plain" else id_)
    world.send("asked", type="ONCE", subject="once")
    world.send("dies", subject="dies")
    world.send("first", key="k")
    world.send("second", key="k")
    world.send("keyed", idempotency_key="i", payload="a")
    world.send("other payload", idempotency_key="i", payload="b")
    world.send("numbered 2", sender="bot", sender_sequence=2)
    world.send("numbered 1", sender="bot", sender_sequence=1)
    world.send("later", delay=4)
    world.send("never", delay=40)
    first.usual = None
    world.post(world.envelope("held", subject="h"), *(world.envelope(f"h{n}", subject="h") for n in range(2)))
    world.post(world.envelope("ban", type="BAN", subject="h"), world.envelope("unban", type="UNBAN", subject="h"))
    world.post(world.envelope("short", subject="h", expires_in=6), world.envelope("abroad", guild="other"))
    world.run()
    world.engine.cancel("never")
    world.engine.cancel("h1")
    world.engine.find("h0")
    world.run()
    world.advance(5)
    world.store.down = True
    for id_ in world.held:
        world.finish(id_)
    world.send("refused")
    world.advance(1)
    world.store.down = False
    first.usual = APPLIED
    world.advance(20)
    world.send("purged", queue="other", delay=60)
    world.engine.purge("other")
    world.replay()
    finish(world)


def finish(world: World) -> None:
    for _ in range(60):
        for id_ in world.held:
            world.finish(id_)
        world.advance(10)
        if not world.backend.pending() and not world.backend.delayed() and not world.held:
            return
    raise AssertionError(f"not at rest: {world.backend.pending()}")


def new_world(memory: Make) -> World:
    world = memory(
        protocols=("websocket", "queue"), facts=SAFE, options=Options(passivate_after=2_000, sweep_every=1_000)
    )
    world.engine.tables.listeners.add(lambda _: None)
    return world


def check(world: World, what: object) -> None:
    world.at_rest()
    for sender in world.senders:
        stored = world.stored(sender.id)
        answered = [answer for answer in sender.answers if not answer.duplicate]
        if stored is None:
            assert not answered, (what, sender)
        elif sender.accepted:
            assert answered, (what, sender)
    ends = [line.id for line in world.audit() if line.kind == "settled"]
    buried = ["dies"] * (ends.count("dies") - 1)  # once more after its replay
    assert sorted(ends) == sorted([*set(ends), *buried]), what


def test_the_story_without_a_crash(memory: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    world = new_world(memory)
    story(world)
    check(world, "no crash")
    fates = {sender.id: sender.fate for sender in world.senders}
    assert fates["retry"] == fates["doubt"] == fates["unsent"] == fates["rest"] == fates["asked"] == "ok"
    assert fates["other payload"] == "idempotency_key_reused"
    assert fates["never"] == fates["h1"] == "cancelled"
    assert fates["short"] == "expired"
    assert fates["refused"] == "store_unavailable"
    assert fates["dies"] == "dead"


def test_every_actor_may_crash_at_every_kind_of_message(memory: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = Bomb(monkeypatch)
    story(new_world(memory))
    kinds = sorted(bomb.seen)
    assert len(kinds) > 25, kinds
    for actor, kind in kinds:
        for place in PLACES:
            world = new_world(memory)
            bomb.set(actor, kind, place)
            story(world)
            if not bomb.gone_off:
                assert bomb.fuse is not None
                continue
            check(world, (actor, kind, place))
            world.kill()


@pytest.mark.parametrize(
    "name", ["journal", "scheduler", "deduplicator", "queues", "adapter:direct", "guild:g", "recovery", "intake", "hub"]
)
def test_an_idle_actor_that_crashes_is_replaced_and_nobody_notices(make: Make, name: str) -> None:
    world = make()
    world.send("before")
    lives = world.incarnation(name)
    world.crash(name)
    world.run()
    assert world.incarnation(name) > lives
    assert world.send("after").status == "ok"
    world.at_rest()


@pytest.mark.parametrize(
    "name", ["journal", "scheduler", "deduplicator", "adapter:direct", "guild:g", "recovery", "intake"]
)
def test_a_crash_leaves_running_attempts_alone_and_takes_up_their_outcomes(make: Make, name: str) -> None:
    world = make()
    world.direct.usual = None
    world.engine.tables.listeners.add(lambda _: None)
    running, queued, waiting = world.send(), world.send(), world.send(subject="w")
    world.finish(waiting.id, deferred(5_000))
    world.run()
    world.crash(name)
    world.finish(running.id)
    world.run()
    assert running.status == "ok"
    world.advance(0.01)
    assert world.held == [queued.id]
    world.finish(queued.id)
    world.advance(6)
    world.finish(waiting.id)
    world.run()
    assert {number for number, _ in world.starts_of(waiting.id)} == {1}
    world.at_rest()


def test_new_commands_reach_no_guild_before_its_old_ones_after_a_crash_of_the_tree(make: Make) -> None:
    world = make()
    world.direct.usual = None
    old = [world.send() for _ in range(5)]
    world.crash("deduplicator")
    new = world.post(*(world.envelope() for _ in range(5)))
    world.run()
    order = [each.id for each in (*old, *new)]
    for id_ in order:
        assert world.held == [id_]
        world.finish(id_)
        world.run()
    assert world.starts == order
    world.at_rest()


@pytest.mark.parametrize("seed", range(12))
def test_order_is_kept_whatever_the_schedule_when_actors_crash(memory: Make, seed: int) -> None:
    world = memory(seed=seed, facts=SAFE)
    names = ["deduplicator", "guild:g", "scheduler", "journal", "intake", "adapter:direct", "recovery"]
    world.send("first")
    order = ["first"]
    for turn in range(10):
        order += [sender.id for sender in world.post(*(world.envelope() for _ in range(4)))]
        world.crash(names[(turn + seed) % len(names)])
        world.run()
        world.advance(11)
    told = [sender for sender in world.senders if not sender.refusals]
    assert list(dict.fromkeys(world.starts)) == [sender.id for sender in told]
    world.at_rest()


def test_s40_a_poison_envelope_is_buried_after_its_crash_limit_and_the_guild_goes_on(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make()
    real = GuildActor._conflict

    def conflict(guild: GuildActor, place: Place) -> None:
        if place.envelope.id == "poison":
            raise RuntimeError("poison")
        real(guild, place)

    monkeypatch.setattr(GuildActor, "_conflict", conflict)
    before, poison, after = world.post(*(world.envelope(name) for name in ("before", "poison", "after")))
    world.advance(5)
    assert (before.status, poison.status, after.status) == ("ok", "dead", "ok")
    (letter,) = world.letters()
    assert (letter.id, letter.reason) == ("poison", "poison")
    assert world.starts == ["before", "after"]
    world.at_rest()


def test_s40_an_envelope_that_kills_its_adapter_each_time_is_buried_after_its_crash_limit(make: Make) -> None:
    world = make(facts={"T": Facts("T", idempotent=True, attempts=0)})
    world.direct.plays["poison"] = [SystemExit("again")] * 99
    poison, after = world.send("poison"), world.send("after")
    world.advance(120)
    assert (poison.status, after.status) == ("dead", "ok")
    assert len(world.starts_of("poison")) == Options().poison_limit
    world.at_rest()


def test_a_guild_that_is_given_up_comes_back_with_its_work(memory: Make) -> None:
    world = memory()
    world.direct.usual = None
    running, queued = world.send(), world.send()
    for _ in range(12):
        world.crash("guild:g")
        world.run()
        if "guild:g" not in world.engine.runtime._cells:
            break
    assert "guild:g" not in world.engine.runtime._cells
    world.finish(running.id)
    newcomer = world.send()
    world.advance(11)
    for sender in (queued, newcomer):
        assert world.held == [sender.id]
        world.finish(sender.id)
        world.run()
    assert [sender.status for sender in world.senders] == ["ok"] * 3
    world.at_rest()


def test_a_guild_that_is_given_up_comes_back_by_itself(memory: Make) -> None:
    world = memory()
    world.engine.pause("q", True).get(5)
    world.send()
    while "guild:g" in world.engine.runtime._cells:
        world.crash("guild:g")
        world.run()
    world.engine.pause("q", False).get(5)
    world.advance(11)
    assert world.senders[0].status == "ok"
    world.at_rest()


def test_a_protocol_that_raises_leaves_the_attempt_in_doubt_and_its_adapter_alive(make: Make) -> None:
    world = make()
    world.direct.plays["a"] = [RuntimeError("broken")]
    a, b = world.send("a"), world.send("b")
    assert (a.status, b.status) == ("in_doubt", "ok")
    assert world.incarnation("adapter:direct") == 1
    world.at_rest()


def test_an_adapter_that_dies_in_the_protocol_leaves_that_attempt_in_doubt_and_no_other(make: Make) -> None:
    world = make()
    world.direct.plays["a"] = [SystemExit("now")]
    a, b = world.post(world.envelope("a", subject="1"), world.envelope("b", subject="2"))
    world.advance(5)
    assert (a.status, b.status) == ("in_doubt", "ok")
    assert {number for number, _ in world.starts_of("b")} == {1}
    world.at_rest()


def test_what_an_adapter_had_not_looked_at_when_it_crashed_costs_no_attempt(make: Make) -> None:
    world = make(facts={"T": Facts("T", attempts=1)})
    world.crash("adapter:direct")
    sender = world.send()
    world.advance(5)
    assert sender.status == "ok"
    assert world.starts_of(sender.id) == [(1, "direct")]
    world.at_rest()


def test_a_waiter_that_raises_harms_nobody_else(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    world = make()
    bad, good = world.post(world.envelope(), world.envelope())
    for name in ("on_accepted", "on_answered"):
        monkeypatch.setattr(bad, name, _raise)
    world.run()
    assert good.status == "ok"
    assert world.incarnation("deduplicator") == 1


def test_a_store_that_raises_what_it_must_not_loses_nothing(make: Make) -> None:
    world = make()
    world.direct.usual = None
    a = world.send("a")
    world.store.broken = ValueError("a bug of the store")
    world.finish("a")
    world.run()
    b = world.send("b", subject="b")
    world.finish("b")
    world.run()
    assert (a.status, b.status) == ("ok", "ok")
    world.at_rest()


def test_a_store_that_raises_what_it_must_not_while_commits_are_held_loses_nothing(make: Make) -> None:
    world = make()
    world.direct.usual = None
    a = world.send("a")
    world.store.down = True
    world.finish("a")
    world.run()
    world.store.down = False
    world.store.broken = ValueError("a bug of the store")
    world.advance(5)
    assert a.status == "ok"
    world.at_rest()


def test_an_operator_may_restart_every_actor_while_work_is_under_way(make: Make) -> None:
    world = make()
    world.direct.usual = None
    names = [
        "journal", "events", "hub", "scheduler", "deduplicator", "queues", "adapters", "adapter:direct", "guilds",
        "guild:g", "recovery", "intake",
    ]  # fmt: skip
    order = []
    for name in names:
        order += [world.send().id, world.send(delay=1).id, world.send(subject="other").id]
        world.engine.restart(name, 5)
        world.run()
        assert len(world.held) == 2, name
        world.finish(world.held[0])
        world.advance(2)
    while world.held:
        world.finish(world.held[0])
        world.run()
    assert sorted(world.starts) == sorted(order)
    assert [sender.status for sender in world.senders] == ["ok"] * len(order)
    world.at_rest()


def test_a_door_that_crashes_tells_those_in_it_to_come_again(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    world = make()
    real = Intake._overload
    monkeypatch.setattr(Intake, "_overload", _raise)
    sender = world.send()
    assert isinstance(sender.refusal, Overloaded)
    assert sender.refusal.retry_after > 0
    monkeypatch.setattr(Intake, "_overload", real)
    assert world.send().status == "ok"
    world.at_rest()


def _raise(*_: object) -> None:
    raise RuntimeError("bomb")
