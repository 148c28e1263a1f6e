"""Law 11: what is kept is enough to explain a command."""

from __future__ import annotations

from actors.codec import unpack
from actors.options import Options, QueueOptions
from actors.places import read_trail
from actors.policy.facts import Facts
from tests.engine.conftest import Make
from tests.engine.world import APPLIED, DOUBT, FAILED, UNSENT, World, deferred


def events(world: World, id_: str) -> list[tuple[str, str]]:
    stored = world.stored(id_)
    assert stored is not None
    return [(what, detail) for _, what, detail in read_trail(stored.trail)[1]]


def test_every_attempt_is_kept_with_protocol_outcome_duration_and_time(make: Make) -> None:
    world = make(protocols=("websocket", "queue"), facts={"T": Facts("T", idempotent=True, attempts=9)})
    began = world.clock.now()
    world.protocols["websocket"].plays["a"] = [UNSENT, DOUBT]
    world.protocols["queue"].plays["a"] = [FAILED, None]
    a = world.send("a")
    world.advance(2)
    world.advance(1)
    world.clock.advance(0.25)
    world.finish("a", APPLIED)
    world.run()
    lines = [(each.number, each.protocol, each.verdict, each.code) for each in a.answer.attempts]
    assert lines == [
        (1, "websocket", "not_applied", "refused"),
        (1, "queue", "not_applied", "handler_error"),
        (2, "websocket", "in_doubt", "timeout"),
        (3, "queue", "applied", ""),
    ]
    assert a.answer.attempts[0].at == began
    assert a.answer.attempts[3].ms >= 250
    assert a.answer.settled_at == world.clock.now()
    assert ("fallback", "websocket to queue") in events(world, "a")
    assert any(what == "wait" and detail.startswith("handler_error until ") for what, detail in events(world, "a"))


def test_the_history_before_a_restart_is_not_forgotten(make: Make) -> None:
    world = make(facts={"T": Facts("T", idempotent=True, attempts=9)})
    world.direct.plays["a"] = [FAILED, deferred(9_000)]
    world.send("a")
    world.advance(4)
    world = make(after=world)
    world.advance(60)
    verdicts = [attempt.verdict for attempt in world.settled_answer("a").attempts]
    assert verdicts == ["not_applied", "deferred", "applied"]
    assert sum(what == "wait" for what, _ in events(world, "a")) == 2


def test_what_held_a_command_back_is_told_once_for_each_reason(make: Make) -> None:
    world = make(options=Options(max_running=1, queues={"q": QueueOptions(rate=1, rate_window=60_000)}))
    world.engine.pause("q", True).get(5)
    world.send("a")
    for _ in range(5):
        world.engine.pause("other", True).get(5)
        world.engine.pause("other", False).get(5)
        world.run()
    world.engine.pause("q", False).get(5)
    world.run()
    world.send("b")
    world.advance(70)
    assert events(world, "a") == [("held", "paused")]
    assert events(world, "b") == [("held", "rate_limit")]


def test_a_command_that_waited_a_thousand_times_keeps_the_newest_of_its_events(make: Make) -> None:
    world = make()
    world.direct.plays["a"] = [deferred(1_000)] * 200
    world.send("a", expires_in=900)
    world.advance(300)
    kept = events(world, "a")
    assert len(kept) == 64
    assert all(what == "wait" for what, _ in kept)


def test_a_question_and_its_answer_are_kept(make: Make) -> None:
    world = make()
    world.direct.plays["a"] = [DOUBT]
    world.direct.truth["a"] = False
    world.send("a")
    world.advance(30)
    assert ("verified", "not_applied") in events(world, "a")
    assert [attempt.verdict for attempt in world.settled_answer("a").attempts] == ["not_applied", "applied"]


def test_a_duplicate_a_refusal_and_the_end_stand_in_the_trail(make: Make) -> None:
    world = make(options=Options(guild_backlog=2))
    world.direct.usual = None
    world.send("a", key="k", user="ann")
    world.send("twin", key="k", user="bob")
    world.send("b")
    world.send("too much", user="eve")
    world.finish("a")
    world.run()
    lines = [(line.kind, line.id, line.user) for line in world.audit()]
    assert sorted(lines[:2]) == [("duplicate", "a", "bob"), ("duplicate_of", "twin", "bob")]
    assert lines[2:] == [("refused", "too much", "eve"), ("settled", "a", "ann")]
    details = {line.kind: unpack(line.detail) for line in world.audit()[:2]}
    assert details == {"duplicate": {"id": "twin"}, "duplicate_of": {"original": "a"}}


def test_listeners_hear_of_every_step_in_order(memory: Make) -> None:
    world = memory()
    heard: list[tuple[str, str]] = []
    stop = world.engine.tables.listeners.add(lambda event: heard.append((event.kind, event.envelope.id)))
    world.direct.plays["a"] = [FAILED]
    world.send("a")
    world.advance(3)
    assert [kind for kind, _ in heard] == ["accepted", "started", "attempted", "started", "attempted", "settled"]
    stop()
    world.send("b")
    assert len(heard) == 6


def test_a_listener_that_raises_harms_nobody(memory: Make) -> None:
    world = memory()
    heard = []
    world.engine.tables.listeners.add(_fail)
    world.engine.tables.listeners.add(heard.append)
    assert world.send().status == "ok"
    assert heard
    assert world.incarnation("hub") == 1


def _fail(_: object) -> None:
    raise RuntimeError("bad listener")
