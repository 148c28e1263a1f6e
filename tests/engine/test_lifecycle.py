"""Start, stop, drain, an outage of the store, and guilds that are forgotten and come back."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from actors.codec import encode
from actors.engine import Engine
from actors.entries import Entry
from actors.errors import ShuttingDown, StoreUnavailable
from actors.messages import Submission
from actors.options import Options, QueueOptions
from actors.policy.facts import Facts
from actors.runtime.errors import StartError
from router.stores.memory import MemoryStore
from tests.engine.conftest import Make
from tests.engine.world import APPLIED, Attempt, World


def test_after_a_stop_everything_is_refused_and_nobody_is_left_waiting(make: Make) -> None:
    world = make()
    world.direct.usual = None
    running, queued, delayed = world.send(), world.send(), world.send(delay=60)
    world.engine.stop(1)
    assert [each.fate for each in (running, queued, delayed)] == ["shutting_down"] * 3
    (late,) = world.post(world.envelope())
    assert isinstance(late.refusal, ShuttingDown)
    assert late.refusal.retry_after > 0
    world.engine.stop(1)


def test_what_was_told_accepted_before_a_stop_is_there_after_it(make: Make) -> None:
    world = make(facts={"T": Facts("T", idempotent=True)})
    world.direct.usual = None
    for _ in range(5):
        world.send()
    world.engine.stop(1)
    world = make(after=world)
    world.advance(30)
    assert {world.settled_answer(f"m{n}").status for n in range(1, 6)} == {"ok"}
    world.at_rest()


def test_a_stop_takes_along_what_was_offered_just_before_it(make: Make) -> None:
    world = make()
    senders = world.post(*(world.envelope() for _ in range(5)))
    world.engine.stop(1)
    assert all(sender.accepted for sender in senders)
    assert all(sender.answers or sender.refusals for sender in senders)
    world = make(after=world)
    world.advance(5)
    assert {world.settled_answer(sender.id).status for sender in senders} == {"ok"}


def test_a_stop_closes_every_protocol_and_starts_nothing_more(make: Make) -> None:
    world = make()
    world.engine.pause("q", True).get(5)
    world.send()
    world.engine.stop(1)
    assert world.direct.closed == 1
    assert not world.starts


def test_an_outcome_that_comes_while_the_router_drains_is_written_and_told(make: Make) -> None:
    world = make()
    world.direct.usual = None
    first, second = world.send(), world.send()
    attempt = world.take(first.id)
    original = world.engine._wait_for_flights

    def late(drain: float) -> None:
        world.finish(attempt, APPLIED)
        original(drain)

    world.engine._wait_for_flights = late
    world.engine.stop(1)
    assert (first.status, second.fate) == ("ok", "shutting_down")
    world = make(after=world)
    assert world.settled_answer(first.id).status == "ok"
    world.advance(1)
    assert world.starts == [second.id]


def test_a_drain_waits_for_attempts_on_real_threads_and_their_answers_go_out() -> None:
    world = World(start=False)  # for its envelopes and its script only
    begun, answered = threading.Event(), threading.Event()
    attempts: list[Attempt] = []

    class Waiter:
        fates: list[str] = []

        def on_accepted(self, *_: Any) -> None:
            self.fates.append("accepted")

        def on_refused(self, error: Exception) -> None:
            self.fates.append(f"refused {error}")

        def on_expired(self, *_: Any) -> None:
            self.fates.append("expired")

        def on_answered(self, answer: Any) -> None:
            self.fates.append(answer.status.value)
            answered.set()

    script = world.direct
    script.usual = None
    script.start = lambda ticket, done: (attempts.append(Attempt(ticket, "direct", done)), begun.set())
    engine = Engine(MemoryStore(), [script], Facts)
    engine.start()
    envelope = world.envelope()._replace(created_at=engine.clock.now(), expires_at=engine.clock.now() + 60_000)
    waiter = Waiter()
    engine.submit(Submission(envelope, encode(envelope), waiter))
    assert begun.wait(10)
    stopper = threading.Thread(target=engine.stop, args=(10.0,))
    stopper.start()
    attempts[0].done(APPLIED)
    stopper.join(20)
    assert not stopper.is_alive()
    assert waiter.fates == ["accepted", "ok"]
    assert engine.runtime.leaked_threads == 0
    engine.clock.close()


def test_an_outage_of_the_store_refuses_newcomers_holds_outcomes_and_loses_no_order(make: Make) -> None:
    world = make()
    world.direct.usual = None
    lanes = {subject: [world.send(subject=subject) for _ in range(3)] for subject in "ab"}
    world.store.down = True
    for lane in lanes.values():
        world.finish(lane[0].id)
    world.run()
    refused = [world.send() for _ in range(3)]
    world.advance(30)
    assert [each.fate for each in refused] == ["store_unavailable"] * 3
    assert not any(lane[0].answers for lane in lanes.values())
    assert not world.held, "nothing begins that cannot be written down"
    assert world.store.refusals < 400, "it is not asked without pause"
    world.store.down = False
    world.advance(1)
    for lane in lanes.values():
        assert [each.status for each in lane] == ["ok", "", ""]
    while world.held:
        world.finish(world.held[0])
        world.run()
    for lane in lanes.values():
        assert [each.status for each in lane] == ["ok"] * 3
    world.at_rest()


def test_an_outage_while_guilds_and_the_scheduler_read_the_store_ends_with_it(make: Make) -> None:
    world = make()
    world.direct.usual = None
    world.send("running")
    world.send("queued")
    world.send("delayed", delay=5)
    world.store.down = True
    for name in ("guild:g", "deduplicator"):
        world.crash(name)
        world.run()
        world.advance(5)
    world.store.down = False
    world.advance(10)
    for id_ in ("running", "queued", "delayed"):
        assert world.held == [id_]
        world.finish(id_)
        world.run()
    world.at_rest()


def test_what_is_due_during_an_outage_enters_when_it_ends(make: Make) -> None:
    world = make()
    world.send("delayed", delay=5)
    world.store.down = True
    world.advance(10)
    assert not world.starts
    world.store.down = False
    world.advance(1)
    assert world.starts == ["delayed"]
    world.at_rest()


def test_a_question_during_an_outage_is_an_error_and_not_a_wait(make: Make) -> None:
    world = make()
    world.store.down = True
    with pytest.raises(StoreUnavailable):
        world.engine.find("x").get(5)
    with pytest.raises(StoreUnavailable):
        world.engine.pause("q", True).get(5)


def test_an_idle_guild_is_forgotten_and_comes_back_with_its_next_command(make: Make) -> None:
    world = make(options=Options(passivate_after=10_000, sweep_every=1_000))
    world.send()
    world.advance(8)
    assert len(_guilds(world)) == 1
    world.advance(4)
    assert _guilds(world) == []
    assert world.send().accepted[0][0] == 2
    assert world.senders[1].status == "ok"
    world.at_rest()


def test_a_guild_with_work_is_not_forgotten_however_long_it_waits(make: Make) -> None:
    world = make(options=Options(passivate_after=1_000, sweep_every=500))
    world.direct.usual = None
    sender = world.send(expires_in=3_600)
    world.advance(600)
    assert len(_guilds(world)) == 1
    world.finish(sender.id)
    world.run()
    assert sender.status == "ok"


def test_a_command_that_comes_in_the_moment_its_guild_is_forgotten_is_not_lost(memory: Make) -> None:
    for seed in range(40):
        world = memory(seed=seed, options=Options(passivate_after=1_000, sweep_every=1_000))
        world.send("first")
        world.clock.advance(2.5)  # the sweep is due, and nobody has acted yet
        world.post(world.envelope("second"))
        world.run()
        assert world.senders[1].status == "ok", seed
        world.at_rest()


def test_a_guild_that_was_forgotten_and_came_back_keeps_the_order_of_its_lane(memory: Make) -> None:
    for seed in range(20):
        world = memory(seed=seed, options=Options(passivate_after=0, sweep_every=100))
        for _ in range(10):
            world.post(world.envelope(), world.envelope())
            world.clock.advance(0.15)
        world.run()
        assert world.starts == [sender.id for sender in world.senders]
        world.at_rest()


def test_a_start_that_fails_says_why_and_leaves_nothing_running(memory: Make) -> None:
    world = memory(start=False)
    world.direct.open = _fail
    with pytest.raises(StartError, match="no such handler"):
        world.engine.start()
    assert world.stepper.runnable() == []


def test_recovery_reads_as_many_pages_as_there_are(memory: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.recovery.PAGE", 7)
    world = memory()
    world.engine.pause("q", True).get(5)
    order = [world.send(guild=f"g{n % 3}").id for n in range(50)]
    delayed = [world.send(delay=10 + n).id for n in range(10)]
    world = memory(after=world)
    assert world.engine.tables.backlog.total == 60
    world.engine.pause("q", False).get(5)
    world.advance(30)
    for n in range(3):
        assert [id_ for id_ in world.starts if id_ in order[n::3]] == order[n::3]
    assert [id_ for id_ in world.starts if id_ in delayed] == delayed
    world.at_rest()


def _guilds(world: World) -> list[str]:
    return [name for name in world.engine.runtime._cells if name.startswith("guild:")]


def _fail() -> None:
    raise RuntimeError("no such handler")


def test_a_named_queue_that_nobody_uses_is_forgotten_and_a_configured_one_is_not(memory: Make) -> None:
    world = memory(options=Options(sweep_every=1_000, queue_kept=60_000, queues={"known": QueueOptions()}))
    for queue in ("known", "passing"):
        world.store.append([Entry(queue, queue, b"", 5, world.clock.now())], world.clock.now())
        world.store.purge(queue)
    world.advance(59)
    assert set(world.store.queue_stats()) == {"known", "passing"}
    world.advance(2)
    assert set(world.store.queue_stats()) == {"known"}
