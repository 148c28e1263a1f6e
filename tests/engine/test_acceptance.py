"""Law 1: accepted means stored."""

from __future__ import annotations

from typing import Any

import pytest

from actors.errors import StoreDoubt, StoreUnavailable
from tests.engine.conftest import Make


def test_accepted_is_told_only_after_the_store_has_committed(make: Make) -> None:
    world = make()
    senders = world.post(*(world.envelope(subject=f"s{n}") for n in range(20)))
    world.run()
    for sender in senders:
        entries = [entry for entry in world.log if entry[1] == sender.id]
        assert [entry[0] for entry in entries] == ["stored", "accepted", "began", "answered"]
    world.at_rest()


def test_many_offered_together_are_one_commit(make: Make) -> None:
    world = make()
    world.direct.usual = None
    before = len(world.store.batches)
    world.post(*(world.envelope(subject=f"s{n}") for n in range(200)))
    world.run()
    accepting = [batch for batch in world.store.batches[before:] if any(type(w).__name__ == "Accept" for w in batch)]
    assert len(accepting) == 1
    assert len(accepting[0]) == 200


def test_no_attempt_begins_before_it_is_written_down(make: Make) -> None:
    world = make()
    world.direct.usual = None
    sender = world.send()
    stored = world.stored(sender.id)
    assert stored is not None
    assert (stored.state, stored.attempts, stored.protocol) == ("started", 1, "direct")


def test_an_answer_is_told_only_after_the_end_is_written_down(make: Make) -> None:
    world = make()
    world.direct.usual = None
    sender = world.send()
    world.store.down = True
    world.finish(sender.id)
    world.run()
    assert not sender.answers
    world.store.down = False
    world.advance(1)
    assert sender.status == "ok"
    stored = world.stored(sender.id)
    assert stored is not None
    assert stored.state == "settled"


def test_what_a_store_could_not_write_is_refused_and_never_runs(make: Make) -> None:
    world = make()
    world.store.down = True
    sender = world.send()
    assert isinstance(sender.refusal, StoreUnavailable)
    assert sender.refusal.retry_after > 0
    world.store.down = False
    world.advance(60)
    assert not world.starts
    assert world.stored(sender.id) is None
    world.at_rest()


def test_sequence_numbers_of_a_guild_rise_by_one_and_those_of_others_do_not_matter(make: Make) -> None:
    world = make()
    numbers = {"a": [], "b": []}
    for guild in "aabaabb":
        numbers[guild].append(world.send(guild=guild).accepted[0][0])
    assert numbers == {"a": [1, 2, 3, 4], "b": [1, 2, 3]}


def test_whoever_is_accepted_is_told_how_many_of_its_guild_are_before_it(make: Make) -> None:
    world = make()
    world.direct.usual = None
    assert [world.send().accepted[0][1] for _ in range(3)] == [0, 1, 2]
    assert world.send(guild="other").accepted[0][1] == 0


@pytest.mark.parametrize("written", [True, False])
def test_what_may_have_been_stored_is_asked_again_and_runs_once(make: Make, written: bool) -> None:
    world = make()
    write = world.store.write

    def doubtful(batch: list[Any], now: int) -> list[Any]:
        del world.store.write
        if written:
            write(batch, now)
        raise StoreUnavailable("no answer", doubt=True)

    world.store.write = doubtful
    sender = world.send("a")
    assert sender.fate == "waiting"
    world.advance(0.3)
    assert sender.status == "ok"
    assert world.starts == ["a"]
    world.at_rest()


def test_what_stays_in_doubt_is_refused_as_such_and_not_as_unstored(make: Make) -> None:
    world = make()

    def doubtful(batch: list[Any], now: int) -> list[Any]:
        raise StoreUnavailable("no answer", doubt=True)

    world.store.write = doubtful
    sender = world.send("a")
    world.advance(4)
    assert sender.fate == "waiting"
    world.advance(2)
    assert isinstance(sender.refusal, StoreDoubt)
    assert sender.refusal.retryable
    assert world.engine.tables.backlog.total == 0
