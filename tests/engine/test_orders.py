"""What operators order: cancel, purge, pause, resume, find."""

from __future__ import annotations

import pytest

from actors.codec import peek
from actors.errors import StoreUnavailable
from actors.policy.facts import Facts, OnExhausted
from tests.engine.conftest import Make
from tests.engine.world import DOUBT, FAILED, deferred


def test_cancel_takes_back_what_has_not_started_and_answers_its_sender(make: Make) -> None:
    world = make()
    world.direct.usual = None
    world.send("head")
    queued, behind = world.send("queued"), world.send("behind")
    assert world.engine.cancel("queued").get(5) is True
    world.run()
    assert queued.status == "cancelled"
    world.finish("head")
    world.run()
    assert world.held == [behind.id]
    world.finish(behind.id)
    world.run()
    world.at_rest()


def test_cancel_of_what_runs_has_ended_or_is_unknown_changes_nothing(make: Make) -> None:
    world = make()
    world.direct.usual = None
    running = world.send()
    assert world.engine.cancel(running.id).get(5) is False
    world.finish(running.id)
    world.run()
    assert running.status == "ok"
    assert world.engine.cancel(running.id).get(5) is False
    assert world.engine.cancel("nobody").get(5) is False


def test_cancel_takes_back_what_waits_for_a_retry_but_not_what_is_in_doubt(make: Make) -> None:
    world = make(facts={"SAFE": Facts("SAFE", idempotent=True)})
    world.direct.plays = {"failed": [FAILED], "doubt": [DOUBT], "deferred": [deferred(60_000)]}
    world.send("failed", subject="1")
    world.send("deferred", subject="2")
    world.send("doubt", subject="3", type="SAFE")
    cancelled = {id_: world.engine.cancel(id_).get(5) for id_ in ("failed", "deferred", "doubt")}
    assert cancelled == {"failed": True, "deferred": True, "doubt": False}
    world.advance(60)
    assert [sender.status for sender in world.senders] == ["cancelled", "cancelled", "ok"]
    world.at_rest()


def test_cancel_takes_back_a_delayed_command(make: Make) -> None:
    world = make()
    delayed = world.send(delay=60)
    assert world.engine.cancel(delayed.id).get(5) is True
    world.run()
    assert delayed.status == "cancelled"
    assert world.engine.cancel(delayed.id).get(5) is False
    world.advance(100)
    assert not world.starts
    world.at_rest()


def test_cancel_and_purge_find_delayed_commands_beyond_those_in_memory(
    memory: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.retry.HELD", 10)
    monkeypatch.setattr("actors.delayed.PAGE", 7)
    world = memory()
    for n in range(40):
        world.send(f"{n}", delay=60 + n, queue="odd" if n % 2 else "even")
    assert world.engine.cancel("39").get(5) is True
    assert world.engine.purge("odd").get(5) == 19
    world.advance(200)
    assert world.starts == [f"{n}" for n in range(0, 40, 2)]
    assert {sender.status for sender in world.senders[1::2]} == {"cancelled"}
    world.at_rest()


def test_more_delayed_commands_than_fit_in_memory_all_become_due_in_order(
    memory: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.retry.HELD", 10)
    world = memory()
    delays = [(n * 37) % 60 + 1 for n in range(60)]
    for delay in delays:
        world.send(f"{delay}", delay=delay)
    world.advance(70)
    assert world.starts == [f"{delay}" for delay in sorted(delays)]
    world.at_rest()


def test_q25_cancel_and_start_in_the_same_moment_is_one_or_the_other(memory: Make) -> None:
    for seed in range(60):
        world = memory(seed=seed)
        (sender,) = world.post(world.envelope("x"))
        answers = []
        for _ in range(seed % 20):
            world.stepper.step()
        answers.append(world.engine.cancel("x"))
        world.run()
        cancelled = answers[0].get(5)
        assert cancelled is (sender.status == "cancelled"), seed
        assert world.starts == ([] if cancelled else ["x"]), seed
        world.at_rest()


def test_q25_a_cancel_is_confirmed_only_when_it_is_written(make: Make) -> None:
    world = make()
    world.direct.usual = None
    world.send("head")
    world.send("x")
    promise = world.engine.cancel("x")
    for _ in range(100):
        if not world.stepper.step():
            break
        stored = world.stored("x")
        assert stored is not None
        assert not promise.done() or stored.status == "cancelled"
    assert promise.get(5) is True


def test_cancel_while_the_store_is_away_is_an_error_and_no_lie(make: Make) -> None:
    world = make()
    world.direct.usual = None
    world.send("head")
    world.send("x")
    world.store.down = True
    with pytest.raises(StoreUnavailable):
        world.engine.cancel("x").get(5)
    world.store.down = False
    world.finish("head")
    world.run()
    assert world.held == ["x"]


def test_purge_takes_back_everything_of_one_queue_that_has_not_started(make: Make) -> None:
    world = make()
    world.direct.usual = None
    running = world.send(queue="a")
    mine = [world.send(queue="a"), world.send(queue="a", guild="other", subject="x"), world.send(queue="a", delay=60)]
    world.finish(mine[1].id, deferred(60_000))
    world.run()
    other = world.send(queue="b")
    assert world.engine.purge("a").get(5) == 3
    world.run()
    assert [sender.status for sender in (running, *mine, other)] == ["", "cancelled", "cancelled", "cancelled", ""]
    for _ in range(2):
        world.finish(world.held[0])
        world.run()
    assert other.status == "ok"
    world.at_rest()


def test_a_paused_queue_starts_nothing_and_goes_on_in_order_when_it_is_resumed(make: Make) -> None:
    world = make()
    world.engine.pause("q", True).get(5)
    senders = [world.send(guild=f"g{n % 2}") for n in range(6)]
    free = world.send(queue="free", subject="free")
    world.advance(60)
    assert world.starts == [free.id]
    world.engine.pause("q", False).get(5)
    world.run()
    for guild in (0, 1):
        mine = [sender.id for sender in senders[guild::2]]
        assert [id_ for id_ in world.starts if id_ in mine] == mine
    world.at_rest()


def test_a_pause_outlives_the_router(make: Make) -> None:
    world = make()
    world.engine.pause("q", True).get(5)
    sender = world.send()
    world = make(after=world)
    world.send("new")
    world.advance(5)
    assert not world.starts
    world.engine.pause("q", False).get(5)
    world.run()
    assert world.starts == [sender.id, "new"]


def test_a_paused_lane_holds_up_no_other_lane(make: Make) -> None:
    world = make()
    world.engine.pause("lane:g/s", True).get(5)
    paused, other, abroad = world.send(), world.send(subject="other"), world.send(guild="abroad")
    assert [sender.status for sender in (paused, other, abroad)] == ["", "ok", "ok"]
    world.engine.pause("lane:g/s", False).get(5)
    world.run()
    assert paused.status == "ok"


def test_what_runs_when_its_queue_is_paused_ends_and_its_retry_waits(make: Make) -> None:
    world = make()
    world.direct.usual = None
    sender = world.send()
    world.engine.pause("q", True).get(5)
    world.finish(sender.id, FAILED)
    world.advance(30)
    assert world.starts_of(sender.id) == [(1, "direct")]
    world.engine.pause("q", False).get(5)
    world.run()
    world.finish(sender.id)
    world.run()
    assert sender.status == "ok"
    world.at_rest()


def test_a_resume_in_the_same_moment_as_a_command_is_not_missed(memory: Make) -> None:
    for seed in range(40):
        world = memory(seed=seed)
        world.engine.pause("q", True).get(5)
        world.post(world.envelope())
        for _ in range(seed % 12):
            world.stepper.step()
        world.engine.pause("q", False)
        world.run()
        assert world.senders[0].status == "ok", seed


def test_a_lane_whose_pause_cannot_be_written_is_paused_and_written_later(make: Make) -> None:
    world = make(facts={"T": Facts("T", attempts=1, on_exhausted=OnExhausted.PAUSE)})
    world.direct.usual = None
    world.send("dies")
    world.send("next")
    world.store.down = True
    world.finish("dies", FAILED)
    world.advance(1)
    world.store.down = False
    world.advance(1)
    assert world.senders[0].status == "dead"
    assert world.held == []
    assert world.backend.paused() == {"lane:g/s"}


def test_find_says_where_it_stands(make: Make) -> None:
    world = make()
    world.direct.usual = None
    world.send("running")
    world.send("second")
    world.send("third", subject="other")
    world.send("delayed", delay=60)
    world.finish("third", deferred(10_000))
    world.run()
    views = {}
    for id_ in ("running", "second", "third", "delayed"):
        stored, ahead = world.engine.find(id_).get(5)
        assert stored is not None
        views[id_] = (stored.state, ahead)
    assert views == {
        "running": ("started", 0),
        "second": ("queued", 1),
        "third": ("waiting", 2),
        "delayed": ("delayed", 0),
    }
    assert world.engine.find("nobody").get(5) == (None, 0)


def test_find_says_of_a_duplicate_where_the_original_stands(make: Make) -> None:
    world = make()
    world.direct.usual = None
    world.send("running")
    world.send("original", idempotency_key="k")
    assert world.send("again", idempotency_key="k").accepted
    stored, ahead = world.engine.find("again").get(5)
    assert stored is not None
    assert (peek(stored.frame).id, ahead) == ("original", 1)


def test_operators_orders_stand_in_the_trail(make: Make) -> None:
    world = make(facts={"T": Facts("T", attempts=1)})
    world.direct.plays["a"] = [FAILED]
    world.send("a")
    world.engine.pause("x", True, operator="ann").get(5)
    world.engine.replay(lambda store, _: world.letters(), 3, 900_000, operator="bob").get(5)
    world.run()
    assert [(line.user, line.id) for line in world.audit() if line.kind == "operator"] == [("ann", ""), ("bob", "a")]
