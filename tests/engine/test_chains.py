"""The seeds' failure scenarios: whole chains of fallback and recovery, with protocols that fail as they are told."""

from __future__ import annotations

from itertools import pairwise

from actors.options import Options
from actors.outcome import Fault, Outcome, Verdict
from actors.policy.breaker import BreakerSettings, Condition
from actors.policy.facts import Backoff, Facts
from tests.engine.conftest import Make
from tests.engine.world import APPLIED, DOUBT, UNSENT, World, deferred

ALL = ("websocket", "queue", "direct")
BREAKERS = BreakerSettings(failure_threshold=5, recovery_timeout=30_000)
ONCE = {"T": Facts("T", attempts=1)}


def ways(world: World, id_: str) -> list[str]:
    return [protocol for _, protocol in world.starts_of(id_)]


# ------------------------------------------------------------------------ WebSocket down -> queue -> direct


def test_websocket_down_goes_over_queue_and_with_that_down_too_is_done_directly(make: Make) -> None:
    world = make(protocols=ALL, facts=ONCE)
    world.protocols["websocket"].up = False
    assert ways(world, world.send("a", realtime=True).id) == ["queue"]
    world.protocols["queue"].up = False
    b = world.send("b", realtime=True)
    assert (b.status, b.answer.method, ways(world, "b")) == ("ok", "direct", ["direct"])
    world.at_rest()


def test_websocket_that_refuses_hands_on_within_one_attempt(make: Make) -> None:
    world = make(protocols=ALL, facts=ONCE)
    world.protocols["websocket"].plays["a"] = [UNSENT]
    world.protocols["queue"].plays["a"] = [UNSENT]
    a = world.send("a", realtime=True)
    assert (a.status, a.answer.method) == ("ok", "direct")
    assert world.starts_of("a") == [(1, "websocket"), (1, "queue"), (1, "direct")]
    assert [attempt.verdict for attempt in a.answer.attempts] == ["not_applied", "not_applied", "applied"]
    world.at_rest()


def test_websocket_that_breaks_after_sending_is_not_followed_by_a_second_execution(make: Make) -> None:
    world = make(protocols=ALL, facts=ONCE)
    world.protocols["websocket"].plays["a"] = [DOUBT]
    a = world.send("a", realtime=True)
    assert (a.status, ways(world, "a")) == ("in_doubt", ["websocket"])
    world.at_rest()


def test_websocket_that_stays_down_is_not_asked_any_more_and_is_used_again_when_it_is_back(make: Make) -> None:
    world = make(protocols=ALL, facts=ONCE, breakers=BREAKERS)
    websocket = world.protocols["websocket"]
    websocket.usual = UNSENT
    for n in range(20):
        assert world.send(f"a{n}", subject=f"{n}", realtime=True).answer.method == "queue"
    assert [ways(world, f"a{n}") for n in range(20)] == [["websocket", "queue"]] * 5 + [["queue"]] * 15
    websocket.usual = APPLIED
    world.advance(31)
    assert ways(world, world.send("probe", realtime=True).id) == ["websocket"]
    assert ways(world, world.send("after", realtime=True).id) == ["websocket"]
    fallbacks = world.engine.tables.counters.fallbacks[("websocket", "queue")]
    assert (fallbacks, world.engine.breakers.diverted) == (5, {("websocket", "queue"): 15})
    world.at_rest()


def test_every_protocol_down_keeps_all_commands_in_order_and_none_is_lost(make: Make) -> None:
    world = make(protocols=ALL, facts={"T": Facts("T", attempts=0)}, breakers=BREAKERS)
    for protocol in world.protocols.values():
        protocol.usual = UNSENT
    senders = [world.send(f"s{n}", realtime=True, expires_in=3_600) for n in range(10)]
    world.advance(300)
    assert not any(sender.answers for sender in senders)
    for protocol in world.protocols.values():
        protocol.usual = APPLIED
    world.advance(400)
    assert [sender.status for sender in senders] == ["ok"] * 10
    applied = [sender.answer.attempts[-1].at for sender in senders]
    assert applied == sorted(applied)
    first = [world.starts.index(sender.id) for sender in senders]
    assert first == sorted(first)
    world.at_rest()


# ------------------------------------------------------------------------ Redis down -> WebSocket -> direct


def test_redis_down_goes_over_websocket_and_without_a_bot_directly(make: Make) -> None:
    world = make(protocols=ALL, facts=ONCE)
    world.protocols["queue"].up = False
    assert ways(world, world.send("a", reliable=True).id) == ["websocket"]
    world.protocols["websocket"].up = False
    assert ways(world, world.send("b", reliable=True).id) == ["direct"]
    world.protocols["queue"].up = world.protocols["websocket"].up = True
    assert ways(world, world.send("c", reliable=True).id) == ["queue"]
    world.at_rest()


def test_redis_that_goes_down_in_mid_flight_hands_on_what_it_had_not_given_away(make: Make) -> None:
    world = make(protocols=ALL, facts=ONCE)
    queue = world.protocols["queue"]
    queue.usual = None
    a = world.send("a", reliable=True)
    queue.up = False
    world.finish("a", UNSENT)
    world.run()
    assert (a.status, ways(world, "a")) == ("ok", ["queue", "websocket"])
    world.at_rest()


def test_a_store_that_is_down_accepts_nothing_and_what_it_holds_goes_on_when_it_is_back(make: Make) -> None:
    world = make(protocols=ALL, facts=ONCE)
    world.protocols["websocket"].usual = None
    held = world.send("held")
    waiting = world.send("waiting")
    world.store.down = True
    refused = world.send("refused", subject="other")
    assert refused.refusal.code == "store_unavailable"
    world.finish("held")
    world.advance(10)
    assert not held.answers, "an answer that is not written is not told"
    world.store.down = False
    world.protocols["websocket"].usual = APPLIED
    world.advance(1)
    assert (held.status, waiting.status) == ("ok", "ok")
    world.at_rest()


# ------------------------------------------------------------------------ Discord trouble -> backoff -> breaker


def test_discord_trouble_backs_off_further_each_time_then_opens_the_breaker_and_spends_nothing_more(make: Make) -> None:
    backoff = Backoff(initial=2_000, factor=2.0, cap=30_000, jitter=0.0)
    world = make(
        protocols=("rest",), facts={"T": Facts("T", attempts=10, backoff=backoff)}, breakers=BREAKERS, options=Options()
    )
    rest = world.protocols["rest"]
    rest.usual = Outcome(Verdict.NOT_APPLIED, fault=Fault("upstream_error", "502 Bad Gateway", True))
    a = world.send("a", expires_in=3_600)
    rest_ = world.engine.breakers.get("rest")
    world.advance(35)  # 0, 2, 6, 14, 30 s: the fifth opens it
    assert len(world.starts_of("a")) == 5
    assert rest_.condition is Condition.OPEN
    others = [world.send(f"b{n}", subject=f"{n}", expires_in=3_600) for n in range(5)]
    world.advance(20)
    assert len(world.starts) == 5, "an open breaker is not asked"
    rest.usual = APPLIED
    world.advance(60)
    assert [a.status, *(other.status for other in others)] == ["ok"] * 6
    starts = [attempt.at for attempt in a.answer.attempts][:5]
    assert [round((later - earlier) / 1000) for earlier, later in pairwise(starts)] == [2, 4, 8, 16]
    assert {attempt.number for other in others for attempt in other.answer.attempts} == {1}
    assert rest_.condition is Condition.CLOSED
    world.at_rest()


def test_a_probe_that_fails_makes_each_break_longer_and_costs_one_command_one_attempt(make: Make) -> None:
    world = make(protocols=("rest",), facts={"T": Facts("T", attempts=10)}, breakers=BREAKERS)
    rest = world.protocols["rest"]
    rest.usual = UNSENT
    senders = [world.send(f"s{n}", guild=f"g{n}", expires_in=36_000) for n in range(5)]
    world.advance(1)
    assert world.engine.breakers.get("rest").condition is Condition.OPEN
    world.advance(220)  # breaks of 30, 60 and 120 s
    probes = world.starts[5:]
    assert len(probes) == 3
    rest.usual = APPLIED
    world.advance(300)
    assert [sender.status for sender in senders] == ["ok"] * 5
    world.at_rest()


def test_a_rate_limit_of_discord_is_honoured_and_is_no_failure_of_the_breaker(make: Make) -> None:
    world = make(protocols=("rest",), facts=ONCE, breakers=BREAKERS)
    rest = world.protocols["rest"]
    for n in range(10):
        rest.plays[f"s{n}"] = [deferred(5_000, executed=True)]
    senders = [world.send(f"s{n}", subject=f"{n}") for n in range(10)]
    world.advance(4.9)
    assert not any(sender.answers for sender in senders)
    assert world.engine.breakers.get("rest").condition is Condition.CLOSED
    world.advance(0.2)
    assert [sender.status for sender in senders] == ["ok"] * 10
    assert {attempt.number for sender in senders for attempt in sender.answer.attempts} == {1}


# ------------------------------------------------------------------------ overload


def test_breakers_open_everywhere_degrade_to_whatever_is_left(make: Make) -> None:
    world = make(protocols=ALL, facts=ONCE, breakers=BREAKERS)
    now = world.clock.now()
    for name in ("websocket", "queue"):
        world.engine.breakers.get(name).force_open(now)
    for options in ({"realtime": True}, {"reliable": True}, {}):
        assert world.send(**options).answer.method == "direct"


def test_what_finds_no_slot_waits_and_is_not_refused(make: Make) -> None:
    world = make(protocols=ALL, facts=ONCE, options=Options(max_running=3))
    world.protocols["websocket"].usual = None
    senders = [world.send(f"s{n}", guild=f"g{n}") for n in range(9)]
    assert len(world.held) == 3
    while world.held:
        world.finish(world.held[0])
        world.run()
        assert len(world.held) <= 3
    assert [sender.status for sender in senders] == ["ok"] * 9
    world.at_rest()
