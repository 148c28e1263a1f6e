"""Several routers on one store: who does what, and what each is told."""

from __future__ import annotations

from typing import Any

import pytest

from actors.answers import encode_answer
from actors.errors import OwnerAway, ShuttingDown, StoreDoubt, StoreUnavailable
from actors.messages import Depart, Enqueue
from actors.options import Options
from actors.outcome import Answer, Status
from actors.policy.facts import Backoff, Facts
from actors.policy.lanes import Place
from actors.ports import Begin, Enter
from actors.sharing import Answered, Moved
from tests.engine.town import House, Town
from tests.engine.world import DOUBT, FAILED

STEADY = Backoff(initial=2_000, factor=1.0, cap=2_000, jitter=0.0)
SAFE = {"T": Facts("T", idempotent=True, backoff=STEADY)}


@pytest.fixture
def two(town: Town) -> tuple[House, House]:
    """Two routers, each with half of the partitions."""
    first, second = town.house(), town.house()
    assert len(first.held_partitions) == len(second.held_partitions) == 2
    return first, second


# ---------------------------------------------------------------- who owns what


def test_one_router_has_all_of_it(town: Town) -> None:
    assert town.house().held_partitions == [0, 1, 2, 3]


def test_shares_are_even_whoever_comes_and_goes(town: Town) -> None:
    houses = [town.house() for _ in range(3)]
    assert sorted(len(house.held_partitions) for house in houses) == [1, 1, 2]
    houses[0].stop()
    town.advance(0.2)
    assert sorted(len(house.held_partitions) for house in town) == [2, 2]
    assert sorted(each for house in town for each in house.held_partitions) == [0, 1, 2, 3]


def test_partitions_of_a_killed_router_are_taken_within_a_second(town: Town, two: tuple[House, House]) -> None:
    first, second = two
    first.kill()
    assert town.until(lambda: len(second.held_partitions) == 4) < 1.0


@pytest.mark.parametrize("apart", [0.03, 0.08, 0.13])
def test_partitions_of_a_killed_router_are_taken_when_their_leases_are_over(town: Town, apart: float) -> None:
    """Not at the next beat after it, wherever between two beats of the living the leases of the dead end."""
    first = town.house()
    town.advance(apart)
    second = town.house(start=False)
    for house in (first, second):
        town.hub.faults_of(house.router).deaf = True  # else each looks when the other moves, and they beat together
    second.engine.start()
    town.run()
    town.until(lambda: len(first.held_partitions) == len(second.held_partitions) == 2)
    town.advance(1.0)
    ends = max(town.hub.leases[partition].until for partition in first.held_partitions)
    first.kill()
    town.until(lambda: len(second.held_partitions) == 4, step=0.001)
    assert 0 <= town.clock.now() - ends <= 5


def test_partitions_of_a_router_that_stops_are_taken_at_once(town: Town, two: tuple[House, House]) -> None:
    first, second = two
    first.stop()
    assert town.until(lambda: len(second.held_partitions) == 4) < 0.05


# ---------------------------------------------------------------- the way of one command


def test_a_command_is_executed_by_the_owner_and_answered_where_it_was_sent(
    town: Town, two: tuple[House, House]
) -> None:
    first, second = two
    sender = first.send("x", guild=town.guild_of(second))
    assert (first.starts, second.starts) == ([], ["x"])
    assert sender.status == "ok"
    assert sender.accepted[0][0] == 1
    assert first.engine.tables.backlog.total == second.engine.tables.backlog.total == 0


def test_the_owner_hears_of_a_command_even_if_no_news_come(town: Town, two: tuple[House, House]) -> None:
    first, second = two
    town.hub.faults_of(second.router).deaf = True
    sender = first.send("x", guild=town.guild_of(second))
    assert sender.fate == "accepted"
    assert town.until(lambda: sender.status == "ok") < 0.3


def test_the_sender_hears_the_end_even_if_no_news_come(town: Town, two: tuple[House, House]) -> None:
    first, second = two
    town.hub.faults_of(first.router).deaf = True
    sender = first.send("x", guild=town.guild_of(second))
    assert second.starts == ["x"]
    assert sender.fate == "accepted"
    assert town.until(lambda: sender.status == "ok") < 0.3


@pytest.mark.parametrize("deaf", [False, True])
def test_commands_from_everywhere_go_in_the_order_of_acceptance(
    town: Town, two: tuple[House, House], deaf: bool
) -> None:
    first, second = two
    town.hub.faults_of(second.router).deaf = deaf
    guild = town.guild_of(second)
    second.direct.usual = None
    for number in range(8):
        (first, second)[number % 2].send(f"{number}", guild=guild)
    done = []
    while len(done) < 8:
        town.until(lambda: second.held)
        (id_,) = second.held
        done.append(id_)
        second.finish(id_)
        town.run()
    assert done == [f"{number}" for number in range(8)]
    town.advance(0.3)
    assert all(sender.status == "ok" for sender in town.senders)


def test_a_delayed_command_is_executed_by_the_owner_when_it_is_due(town: Town, two: tuple[House, House]) -> None:
    first, second = two
    for deaf in (False, True):
        town.hub.faults_of(second.router).deaf = deaf
        sender = first.send(guild=town.guild_of(second), delay=3)
        town.advance(2.9)
        assert second.starts == ([] if not deaf else second.starts)
        assert sender.fate == "accepted"
        town.advance(0.4)
        assert sender.status == "ok"
    assert first.starts == []


def test_a_duplicate_on_another_router_gets_the_answer_of_the_first(town: Town, two: tuple[House, House]) -> None:
    first, second = two
    guild = town.guild_of(second)
    second.direct.usual = None
    original = second.send("x", guild=guild, key="k")
    attached = first.send("y", guild=guild, key="k")
    assert attached.accepted[0][2] == "x"
    second.finish("x")
    town.run()
    assert original.status == attached.status == "ok"
    assert attached.answer.original == "x"
    again = first.send("z", guild=guild, key="k")
    assert again.answer.original == "x"


def test_who_sends_again_what_has_ended_elsewhere_gets_its_answer(town: Town, two: tuple[House, House]) -> None:
    first, second = two
    sender = first.send("x", guild=town.guild_of(second))
    (again,) = first.post(sender.envelope)
    town.run()
    assert town.until(lambda: again.status == "ok") < 0.3
    assert second.starts == ["x"]


def test_a_ticket_carries_the_token_of_its_partition(town: Town, two: tuple[House, House]) -> None:
    first, second = two
    guild = town.guild_of(first)
    first.direct.usual = second.direct.usual = None
    second.send("x", guild=guild)
    ticket = first.direct.held["x"].ticket
    assert ticket.token == town.hub.leases[first.holdings.partition(guild)].token > 0
    assert ticket.lapsed is not None
    assert not ticket.lapsed()


# ---------------------------------------------------------------- handover


def test_a_partition_is_given_away_when_nothing_of_it_runs(town: Town) -> None:
    first = town.house()
    first.direct.usual = None
    guilds = [town.guild_in(partition) for partition in range(4)]
    running = [first.send(f"{guild}/a", guild=guild) for guild in guilds]
    waiting = [first.send(f"{guild}/b", guild=guild) for guild in guilds]
    second = town.house()
    second.direct.usual = None
    assert second.held_partitions == []
    assert len(first.held_partitions) == 4
    for sender in running:
        first.finish(sender.id)
    town.advance(0.3)
    assert len(first.held_partitions) == len(second.held_partitions) == 2
    assert all(sender.status == "ok" for sender in running)
    assert {sender.id: town.held[sender.id] for sender in waiting} == {
        sender.id: town.owner(sender.envelope.guild) for sender in waiting
    }
    for sender in waiting:
        town.held[sender.id].finish(sender.id)
    town.run()
    assert [sender.status for sender in waiting] == ["ok"] * 4
    assert all(second.starts_of(sender.id) in ([], [(1, "direct")]) for sender in waiting)


def test_what_its_executor_did_not_begin_is_handed_back_at_no_cost(town: Town) -> None:
    first = town.house()
    first.direct.usual = None
    first.direct.recallable = {"0", "1", "2", "3"}
    for partition in range(4):
        first.send(f"{partition}", guild=town.guild_in(partition))
    second = town.house()
    assert len(second.held_partitions) == 2
    assert len(second.starts) == 2
    for id_ in second.starts:
        assert second.starts_of(id_) == [(1, "direct")]


def test_a_partition_that_does_not_come_to_rest_is_kept_and_another_given(town: Town) -> None:
    first = town.house(options=Options(handover=1_000))
    first.direct.usual = None
    for partition in (1, 2, 3):
        for lane in range(4 - partition):
            first.send(guild=town.guild_in(partition), subject=f"{lane}")
    second = town.house()
    town.advance(5)
    assert len(first.held_partitions) == 3
    assert second.held_partitions == [0]
    for id_, attempt in list(first.direct.held.items()):
        if attempt.ticket.envelope.guild == town.guild_in(2):
            first.finish(id_)
    town.until(lambda: second.held_partitions == [0, 2], 5)  # though it runs more than 3, which was tried before it
    for id_ in list(first.held):
        first.finish(id_)
    town.advance(1)
    assert len(first.held_partitions) == len(second.held_partitions) == 2


def test_a_partition_is_kept_until_what_its_last_attempts_came_to_is_written(town: Town) -> None:
    first = town.house()
    first.direct.usual = None
    senders = [first.send(guild=guild) for guild in town.guilds]
    second = town.house()
    first.store.down = True
    for sender in senders:
        first.finish(sender.id)
    town.advance(2)
    assert len(first.held_partitions) == 4
    first.store.down = False
    town.advance(1)
    assert len(second.held_partitions) == 2
    assert [sender.status for sender in senders] == ["ok"] * 4
    assert second.starts == []


def test_a_partition_that_is_kept_after_all_goes_on_at_once(town: Town) -> None:
    """With what came for it meanwhile, not at the next look for what nobody told of."""
    first = town.house(options=Options(listen_again=60_000))
    first.direct.usual = None
    for guild in town.guilds:
        first.send(f"{guild}/a", guild=guild)
    second = town.house()
    assert second.held_partitions == []
    for guild in town.guilds:
        second.send(f"{guild}/b", guild=guild, subject="free")
    town.advance(0.3)
    assert len(first.held) == 6
    second.kill()
    town.advance(1)
    assert len(first.held) == 8


def test_a_router_that_stops_gives_away_what_rests_while_the_rest_still_runs(
    town: Town, two: tuple[House, House]
) -> None:
    first, second = two
    one, other = first.held_partitions
    first.direct.usual = None
    sender = first.send("x", guild=town.guild_in(one))
    first.engine.runtime.ref("partitions").tell(Depart())
    town.advance(0.1)
    assert town.owner(town.guild_in(other)) is second
    assert town.owner(town.guild_in(one)) is first
    town.advance(2)
    assert town.owner(town.guild_in(one)) is first
    first.finish("x")
    town.advance(0.1)
    assert sender.status == "ok"
    assert len(second.held_partitions) == 4


@pytest.mark.parametrize("safe", [True, False])
def test_nothing_of_a_lane_begins_elsewhere_while_what_a_stopped_router_interrupted_may_still_run(
    town: Town, monkeypatch: pytest.MonkeyPatch, safe: bool
) -> None:
    first, second = (town.house(facts=SAFE if safe else None) for _ in range(2))
    one, other = first.held_partitions
    guild = town.guild_in(one)
    first.direct.usual = None
    first.send("x", guild=guild)
    next_ = second.send("next", guild=guild)
    town.advance(0.1)
    barrier = first.engine._barrier

    def look_first(
        *what: Any,
    ) -> None:  # while it stops time passes for others, and its keeper looks what has come to rest
        first.engine.runtime.ref("partitions").tell(Moved())
        barrier(*what)

    monkeypatch.setattr(first.engine, "_barrier", look_first)
    first.engine.stop(drain=0)
    first.deck.dead = True
    assert town.leases.look()[one].left == first.engine.options.lease, "a whole one for its process to end in"
    town.advance(0.1)
    assert town.owner(town.guild_in(other)) is second, "what rests is handed over at once"
    town.advance(0.2)
    assert not second.starts
    first.direct.close(0)
    first.ended(first.take("x"))  # as a handler that was cancelled, or a process that has ended
    assert town.until(lambda: town.owner(guild) is second) < 0.3, "its lease is over"
    town.advance(3)
    assert second.starts == (["x", "next"] if safe else ["next"])
    assert next_.status == "ok"


# ---------------------------------------------------------------- takeover and loss


def test_what_a_killed_router_had_is_done_by_the_next_in_order(town: Town, two: tuple[House, House]) -> None:
    first, second = two
    guild = town.guild_of(first)
    first.direct.usual = second.direct.usual = None
    first.send("a", guild=guild)
    waiting = [second.send(id_, guild=guild) for id_ in "bc"]
    late = second.send("d", guild=guild, delay=3)
    first.kill()
    second.direct.truth["a"] = True
    assert town.until(lambda: second.held == ["b"]) < 1.0
    assert second.direct.asked == ["a"]
    for id_ in "bc":
        second.finish(id_)
        town.run()
    assert [sender.status for sender in waiting] == ["ok", "ok"]
    town.until(lambda: second.held == ["d"])
    second.finish("d")
    town.run()
    assert late.status == "ok"
    second.at_rest_here()


def test_a_router_that_slept_writes_nothing_and_starts_nothing(town: Town, two: tuple[House, House]) -> None:
    first, second = two
    guild = town.guild_of(first)
    first.facts.update(SAFE)
    second.facts.update(SAFE)
    first.direct.usual = second.direct.usual = None
    sender = first.send("a", guild=guild)
    second.send("b", guild=guild)
    attempt = first.take("a")
    first.doze()
    town.running.clear()  # two of one lane are alive now, of which one is fenced
    assert town.until(lambda: second.owns(guild)) < 1.0
    town.until(lambda: second.held == ["a"], 10)
    assert second.starts_of("a") == [(2, "direct")]  # the first may have happened
    first.finish(attempt, FAILED)
    first.wake()
    town.advance(0.5)
    assert second.held == ["a"]
    second.finish("a")
    town.run()
    assert second.held == ["b"]
    assert sender.status == "ok"
    assert first.starts == ["a"]
    assert first.engine.tables.gate.running == 0
    assert len(first.engine.tables.flights) == 0


@pytest.mark.parametrize("seconds", [0.45, 3.0])
def test_a_router_that_slept_goes_on_if_nobody_took_its_partitions(town: Town, seconds: float) -> None:
    """Longer than its lease: what ran may end, what waits is begun, and all under the same token."""
    house = town.house()
    guild = town.guild_of(house)
    token = house.holdings.of(guild).token
    house.send("before", guild=guild)
    town.advance(0.1)  # its guild is idle for a moment, and has work again after it
    house.direct.usual = None
    senders = [house.send(id_, guild=guild) for id_ in "ab"]
    town.advance(0.1)
    house.doze()
    town.advance(seconds)
    house.finish("a")  # its handler had the processor before its keeper had
    house.wake()
    town.until(lambda: house.held == ["b"], 0.2)
    house.finish("b")
    town.run()
    assert [sender.status for sender in senders] == ["ok", "ok"]
    assert [attempt.code for attempt in senders[0].answer.attempts] == [""]
    assert house.holdings.of(guild).token == token
    house.at_rest_here()


def test_only_guilds_that_have_work_are_woken_after_a_sleep(town: Town) -> None:
    """Of 100,000 guilds most have none, and to wake them all takes longer than a lease."""
    house = town.house()
    house.direct.usual = None
    for number in range(20):
        house.send(f"done{number}", guild=f"idle{number}")
        house.finish(f"done{number}")
    for id_ in "ab":
        house.send(id_, guild="g")
    town.run()
    woken: list[str] = []
    wake = house.engine.tables.guilds.wake
    house.engine.tables.guilds.wake = lambda guild, message: (woken.append(guild), wake(guild, message))[1]
    house.doze()
    town.advance(1.0)
    house.finish("a")
    house.wake()
    town.until(lambda: house.held == ["b"], 0.2)
    assert set(woken) == {"g"}


def test_what_was_decided_before_the_sleep_is_not_written_after_it(town: Town, two: tuple[House, House]) -> None:
    """The partition is won back, under another token: what was decided under the old one must not pass for it."""
    first, second = two
    guild = town.guild_of(first)
    first.direct.usual = second.direct.usual = None
    first.facts.update(SAFE)
    first.send("a", guild=guild)
    first.store.down = True
    first.finish("a", DOUBT)
    town.run()
    (held,) = first.engine.tables.held.items
    second.kill()
    town.hub.take_away(first.holdings.partition(guild))
    town.advance(0.7)
    first.store.down = False
    town.until(lambda: first.owns(guild))
    town.advance(0.5)
    assert held.token < first.holdings.of(guild).token
    stored = first.stored("a")
    assert stored is not None
    assert stored.attempts == 1
    assert stored.state == "waiting"
    events = [write for batch in first.store.batches for write in batch if getattr(write, "id", "") == "a"]
    assert sum(type(write).__name__ == "Defer" for write in events) == 1


def test_a_lost_lease_costs_no_command_and_no_answer(town: Town, two: tuple[House, House]) -> None:
    first = two[0]
    guild = town.guild_of(first)
    for house in two:
        house.facts.update(SAFE)
        house.direct.usual = None
    senders = [first.send(id_, guild=guild) for id_ in "ab"]
    late = first.take("a")
    town.running.clear()
    town.hub.take_away(first.holdings.partition(guild))
    town.advance(0.5)
    first.finish(late)
    for id_ in "ab":
        town.until(lambda: town.held)
        assert list(town.held) == [id_]
        town.held[id_].finish(id_)
        town.run()
    town.advance(0.3)
    assert [sender.status for sender in senders] == ["ok", "ok"]
    assert [attempt.code for attempt in senders[0].answer.attempts] == ["crashed", ""]
    for house in town:
        house.at_rest_here()


def test_a_router_cut_off_stops_before_its_leases_lapse_and_comes_back(town: Town, two: tuple[House, House]) -> None:
    first, second = two
    guild = town.guild_of(first)
    faults = town.hub.faults_of(first.router)
    faults.down = True
    refused = first.send("a", guild=guild)
    assert isinstance(refused.refusal, StoreUnavailable)
    assert not refused.refusal.doubt
    town.until(lambda: not first.held_partitions)
    assert town.hub.owner(first.holdings.partition(guild)) == first.router  # still, at the store
    assert town.until(lambda: len(second.held_partitions) == 4) < 1.0
    assert second.send("b", guild=guild).status == "ok"
    faults.down = False
    town.advance(1)
    assert len(first.held_partitions) == len(second.held_partitions) == 2
    assert first.send("c", guild=guild).accepted


def test_all_leases_lapse_together_and_all_is_well_again(town: Town, two: tuple[House, House]) -> None:
    first, second = two
    first.direct.usual = second.direct.usual = None
    guilds = [town.guild_in(partition) for partition in range(4)]
    for house in two:
        town.hub.faults_of(house.router).down = True
    town.advance(2)
    assert not first.held_partitions
    assert not second.held_partitions
    for house in two:
        town.hub.faults_of(house.router).down = False
    assert town.until(lambda: all(town.owner(guild) for guild in guilds)) < 1.0
    town.advance(1)
    assert len(first.held_partitions) == len(second.held_partitions) == 2


def test_what_ended_under_an_earlier_owner_gets_no_place_under_the_next(town: Town, two: tuple[House, House]) -> None:
    """Its position is the very next that could be new: whether it is, only the store knows."""
    guild = town.guild_in(0)
    owner = town.owner(guild)
    (heir,) = {*two} - {owner}
    assert owner is not None
    sender = owner.send("x", guild=guild)
    assert sender.status == "ok"
    assert town.stored("x").position == town.partitions
    owner.kill()
    town.until(lambda: heir.owns(guild))
    heir.engine.pause("q", True).get(5)
    (again,) = heir.post(sender.envelope)
    town.advance(0.3)
    assert again.status == "ok"
    assert heir.engine.tables.backlog.total == 0


def test_places_read_under_an_earlier_ownership_are_passed_over(town: Town, two: tuple[House, House]) -> None:
    first = two[0]
    guild = town.guild_of(first)
    token = first.holdings.of(guild).token
    envelope = first.envelope("x", guild=guild)
    stale = Place(envelope, b"", sequence=1, position=400, accepted_at=0, token=token - 1)
    first.engine.tables.guilds.tell(guild, Enqueue([stale]))
    town.run()
    assert not [each for batch in first.store.batches for each in batch if isinstance(each, Begin)]


def test_an_attempt_whose_lease_ran_out_on_its_way_does_not_start(town: Town, two: tuple[House, House]) -> None:
    first = two[0]
    guild = town.guild_of(first)
    write = first.store.write

    def slow_write(batch: list[Any], now: int) -> list[Any]:
        results = write(batch, now)
        if any(isinstance(each, Begin) for each in batch):
            first.holdings.of(guild).until = town.clock.monotonic()  # so long did the store take
            del first.store.write
        return results

    first.store.write = slow_write
    sender = first.send("x", guild=guild)
    assert first.starts == []
    town.until(lambda: sender.status == "ok")
    assert [(each.number, each.code) for each in sender.answer.attempts] == [(1, "lease_lapsed"), (1, "")]
    assert town.all_starts == ["x"]


def test_what_waits_for_its_executor_is_taken_back_from_it_when_the_lease_is_lost(
    town: Town, two: tuple[House, House]
) -> None:
    first = two[0]
    guild = town.guild_of(first)
    first.direct.usual = None
    first.direct.recallable = {"x"}
    first.send("x", guild=guild)
    assert first.held == ["x"]
    town.hub.faults_of(first.router).down = True
    town.until(lambda: not first.held_partitions)
    assert first.held == []


def test_who_takes_over_knows_of_ends_and_delays_and_pauses_without_looking_again(town: Town) -> None:
    seldom = Options(listen_again=600_000)
    first, second = town.house(options=seldom), town.house(options=seldom)
    guild = town.guild_of(second)
    first.engine.pause("p", False).get(5)
    town.hub.faults_of(first.router).deaf = True
    ended = first.send("x", guild=guild)
    delayed = first.send("y", guild=guild, delay=3)
    second.engine.pause("p", True).get(5)
    second.send("z", guild=guild, queue="p", subject="other")
    assert ended.fate == "accepted"
    second.kill()
    assert town.until(lambda: first.owns(guild)) < 1.0
    town.run()
    assert ended.status == "ok"
    assert first.starts == []
    town.advance(2.9)
    assert delayed.status == "ok"
    assert first.starts == ["y"]


def test_delayed_commands_go_with_their_partition(town: Town, two: tuple[House, House]) -> None:
    first, second = two
    guild = town.guild_of(first)
    sender = first.send("x", guild=guild, delay=3)
    town.hub.take_away(first.holdings.partition(guild))
    first.doze()
    town.advance(1)
    assert second.owns(guild)
    first.wake()
    town.advance(3)
    assert sender.status == "ok"
    assert second.starts == ["x"]
    assert not [each for batch in first.store.batches for each in batch if isinstance(each, Enter)]


def test_an_answer_that_comes_before_its_waiter_is_kept_for_it(town: Town, two: tuple[House, House]) -> None:
    first, second = two
    guild = town.guild_of(second)
    second.doze()
    answer = encode_answer(Answer("x", Status.OK))
    first.engine.runtime.ref("deduplicator").tell(Answered("x", answer))
    town.run()
    assert first.send("x", guild=guild).status == "ok"


# ---------------------------------------------------------------- doubt


@pytest.mark.parametrize("done", ["before", "after"])
@pytest.mark.parametrize("mine", [True, False])
def test_an_acceptance_whose_answer_was_lost_is_asked_again(
    town: Town, two: tuple[House, House], done: str, mine: bool
) -> None:
    first, second = two
    guild = town.guild_of(first if mine else second)
    town.hub.faults_of(first.router).doubt = done
    sender = first.send("a", guild=guild)
    assert sender.fate == "waiting"
    town.advance(0.5)
    assert sender.status == "ok"
    assert [*first.starts, *second.starts] == ["a"]
    assert first.engine.tables.backlog.total == 0


def test_an_acceptance_that_stays_in_doubt_is_not_called_refused(town: Town, two: tuple[House, House]) -> None:
    first, second = two
    guild = town.guild_of(second)
    faults = town.hub.faults_of(first.router)
    faults.doubt = "after"
    sender = first.send("a", guild=guild)
    faults.down = True
    town.advance(6)
    assert isinstance(sender.refusal, StoreDoubt)
    assert sender.refusal.retryable
    assert second.starts == ["a"]
    faults.down = False
    town.advance(1)
    (again,) = first.post(sender.envelope)
    town.run()
    town.advance(0.3)
    assert again.status == "ok"
    assert [*first.starts, *second.starts] == ["a"]


def test_a_question_in_the_same_step_that_gets_no_answer_does_not_unwrite_a_command(
    town: Town, two: tuple[House, House]
) -> None:
    first, second = two

    def cut(store: object, now: int) -> None:
        raise StoreUnavailable("the connection broke")

    (sender,) = first.post(first.envelope("a", guild=town.guild_of(second)))
    answer = first.engine.store_call(cut)
    town.run()
    with pytest.raises(StoreUnavailable):
        answer.get(5)
    assert second.starts == ["a"]
    assert sender.refusals == []
    town.advance(1)
    assert sender.status == "ok"
    assert [*first.starts, *second.starts] == ["a"]


def test_a_repeat_whose_end_cannot_be_looked_up_is_not_told_that_it_is_not_stored(
    town: Town, two: tuple[House, House]
) -> None:
    house = two[0]
    first = house.send("a", guild=town.guild_of(house))
    assert first.status == "ok"
    find = house.store.find

    def cut(ids: list[str]) -> None:
        house.store.find = find
        raise StoreUnavailable("the connection broke")

    house.store.find = cut
    (again,) = house.post(first.envelope)
    town.run()
    assert again.refusals == []
    town.advance(1)
    assert again.status == "ok"
    assert house.starts == ["a"]


# ---------------------------------------------------------------- orders


def test_a_command_is_cancelled_from_any_router(town: Town, two: tuple[House, House]) -> None:
    first, second = two
    guild = town.guild_of(second)
    second.direct.usual = None
    first.send("a", guild=guild)
    waiting = first.send("b", guild=guild)
    delayed = first.send("c", guild=guild, delay=60)
    assert first.engine.cancel("a").get(5) is False
    assert first.engine.cancel("b").get(5) is True
    assert first.engine.cancel("c").get(5) is True
    assert first.engine.cancel("nobody").get(5) is False
    town.run()
    assert waiting.status == delayed.status == "cancelled"


def test_an_order_whose_answer_is_lost_is_asked_again_and_done_once(town: Town, two: tuple[House, House]) -> None:
    first, second = two
    guild = town.guild_of(second)
    second.direct.usual = None
    first.send("a", guild=guild)
    first.send("b", guild=guild)
    town.hub.faults_of(first.router).deaf = True
    cancelled = first.engine.cancel("b")
    town.run()
    assert not cancelled.done()
    assert town.stored("b").status == "cancelled"
    town.hub.faults_of(first.router).deaf = False
    town.advance(0.6)
    assert cancelled.get(5) is True
    waiting = first.send("c", guild=guild)
    town.hub.faults_of(first.router).deaf = True
    purged = first.engine.purge("q")
    town.run()
    town.hub.faults_of(first.router).deaf = False
    town.advance(0.6)
    assert purged.get(5) == 1
    town.advance(0.3)
    assert waiting.status == "cancelled"


def test_a_position_is_known_on_any_router(town: Town, two: tuple[House, House]) -> None:
    first, second = two
    guild = town.guild_of(second)
    second.direct.usual = None
    for id_ in "abc":
        first.send(id_, guild=guild)
    for house in two:
        stored, ahead = house.engine.find("c").get(5)
        assert stored is not None
        assert ahead == 2


def test_a_position_that_the_store_cannot_be_asked_any_more_is_refused(
    town: Town, two: tuple[House, House], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = two
    second.direct.usual = None
    first.send("a", guild=town.guild_of(second))
    first.send("b", guild=town.guild_of(second))
    replies: list[Any] = []
    monkeypatch.setattr(first.engine, "_elsewhere", lambda *order: replies.append(order[-1]))
    asked = first.engine.find("b")
    town.run()
    first.stop()
    replies[0](OwnerAway("nobody answered"))
    with pytest.raises(ShuttingDown):
        asked.get(0)


def test_why_a_command_waits_is_told_by_any_router(town: Town, two: tuple[House, House]) -> None:
    first, second = two
    guild = town.guild_of(second)
    second.direct.usual = None
    for id_ in "ab":
        first.send(id_, guild=guild)
    for house in two:
        known = house.engine.explain("b").get(5)
        assert known is not None
        assert known.wait is not None
        assert (known.wait["reason"], known.wait["behind"]) == ("lane", "a")
    second.doze()
    asked = first.engine.explain("b")
    town.advance(5)
    known = asked.get(5)
    assert known is not None, "the rest of the story is told all the same"
    assert known.wait is not None


def test_an_order_nobody_answers_fails_in_time(town: Town, two: tuple[House, House]) -> None:
    first, second = two
    second.direct.usual = None
    first.send("a", guild=town.guild_of(second))
    first.send("b", guild=town.guild_of(second))
    second.doze()
    town.hub.faults_of(first.router).deaf = True
    town.hub.leases[second.holdings.partition(town.guild_of(second))].until += 60_000
    cancelled = first.engine.cancel("b")
    town.advance(10)
    with pytest.raises(OwnerAway):
        cancelled.get(5)


def test_a_queue_is_purged_everywhere(town: Town, two: tuple[House, House]) -> None:
    first, second = two
    first.direct.usual = second.direct.usual = None
    senders = []
    for house in two:
        guild = town.guild_of(house)
        senders += [first.send(guild=guild, subject="s") for _ in range(3)]
        senders.append(first.send(guild=guild, delay=60))
    assert first.engine.purge("q").get(5) == 6
    town.run()
    assert [sender.status for sender in senders] == ["", "cancelled", "cancelled", "cancelled"] * 2


def test_a_paused_queue_is_paused_everywhere(town: Town, two: tuple[House, House]) -> None:
    first, second = two
    first.engine.pause("q", True).get(5)
    town.run()
    sender = first.send(guild=town.guild_of(second))
    assert sender.fate == "accepted"
    first.engine.pause("q", False).get(5)
    town.run()
    assert sender.status == "ok"
    town.hub.faults_of(second.router).deaf = True
    first.engine.pause("q", True).get(5)
    town.advance(1.1)
    assert second.engine.tables.gate.paused == {"q"}


def test_a_paused_queue_is_paused_for_who_takes_over(town: Town) -> None:
    first = town.house()
    first.engine.pause("q", True).get(5)
    second = town.house()
    assert second.engine.tables.gate.paused == {"q"}


def test_dead_letters_are_replayed_by_their_owners(town: Town, two: tuple[House, House]) -> None:
    first, second = two
    for house in two:
        house.facts["T"] = Facts("T", attempts=1)
        house.direct.usual = FAILED
    guilds = [town.guild_of(first), town.guild_of(second)]
    senders = [first.send(f"{number}", guild=guilds[number % 2]) for number in range(6)]
    assert [sender.status for sender in senders] == ["dead"] * 6
    for house in two:
        house.direct.usual = None
    replayed = first.replay()
    assert sorted(replayed.ids) == [f"{number}" for number in range(6)]
    order = []
    while town.held:
        for id_, house in list(town.held.items()):
            order.append(id_)
            house.finish(id_)
            town.run()
    for part in (order[::2], order[1::2]):
        assert part == sorted(part)
    assert all(town.stored(id_).status == "ok" for id_ in order)
    assert len(order) == 6
