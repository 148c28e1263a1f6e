"""Law 4: opposed commands on one subject, by policy; both senders are answered, and the trail knows."""

from __future__ import annotations

import pytest

from actors.places import read_trail
from actors.policy.facts import ConflictPolicy, Facts
from tests.engine.conftest import Make
from tests.engine.world import FAILED, World


def facts(policy: ConflictPolicy) -> dict[str, Facts]:
    return {
        "BAN": Facts("BAN", opposes=frozenset({"UNBAN"}), conflict=policy),
        "UNBAN": Facts("UNBAN", opposes=frozenset({"BAN"}), conflict=policy),
    }


def waiting(make: Make, policy: ConflictPolicy) -> World:
    """A ban waits behind something else of its lane."""
    world = make(facts=facts(policy))
    world.direct.usual = None
    world.send("head")
    world.send("ban", type="BAN")
    return world


def finish(world: World, *ids: str) -> None:
    for id_ in ids:
        world.finish(id_)
        world.run()
    world.at_rest()


def test_queue_runs_both_in_order(make: Make) -> None:
    world = waiting(make, ConflictPolicy.QUEUE)
    unban = world.send("unban", type="UNBAN")
    finish(world, "head", "ban", "unban")
    assert unban.status == "ok"
    assert ("conflict", "queue") in events(world, "unban")


def test_supersede_answers_the_older_and_runs_the_newer(make: Make) -> None:
    world = waiting(make, ConflictPolicy.SUPERSEDE)
    ban = world.senders[1]
    unban = world.send("unban", type="UNBAN")
    assert ban.status == "superseded"
    finish(world, "head", "unban")
    assert unban.status == "ok"
    assert world.starts == ["head", "unban"]
    assert ("conflict", "supersede by UNBAN unban") in events(world, "ban")


def test_annihilate_answers_both_and_runs_neither(make: Make) -> None:
    world = waiting(make, ConflictPolicy.ANNIHILATE)
    unban = world.send("unban", type="UNBAN")
    assert (world.senders[1].status, unban.status) == ("annihilated", "annihilated")
    finish(world, "head")
    assert world.starts == ["head"]
    assert ("conflict", "annihilate by UNBAN unban") in events(world, "ban")
    assert ("conflict", "annihilate") in events(world, "unban")


def test_reject_answers_the_newcomer_and_runs_the_older(make: Make) -> None:
    world = waiting(make, ConflictPolicy.REJECT)
    unban = world.send("unban", type="UNBAN")
    assert unban.status == "rejected"
    assert unban.answer.fault is not None
    assert (unban.answer.fault.code, unban.answer.fault.retryable) == ("conflict", True)
    finish(world, "head", "ban")
    assert world.starts == ["head", "ban"]


@pytest.mark.parametrize("policy", [ConflictPolicy.SUPERSEDE, ConflictPolicy.ANNIHILATE, ConflictPolicy.REJECT])
def test_what_runs_or_ran_is_not_taken_back(make: Make, policy: ConflictPolicy) -> None:
    world = make(facts=facts(policy))
    world.direct.usual = None
    ban = world.send("ban", type="BAN")
    during = world.send("during", type="UNBAN")
    world.finish("ban", FAILED)
    world.run()
    assert (ban.status, during.status) == ("", "")
    afterwards = world.send("afterwards", type="UNBAN")
    world.advance(3)
    finish(world, "ban", "during", "afterwards")
    assert [each.status for each in (ban, during, afterwards)] == ["ok"] * 3


def test_opposed_commands_on_other_subjects_or_in_other_guilds_do_not_meet(make: Make) -> None:
    world = waiting(make, ConflictPolicy.ANNIHILATE)
    elsewhere = world.send(type="UNBAN", subject="other")
    abroad = world.send(type="UNBAN", guild="other")
    finish(world, elsewhere.id, abroad.id, "head", "ban")
    assert (elsewhere.status, abroad.status) == ("ok", "ok")


def test_a_delayed_command_meets_its_opponent_when_it_is_due(make: Make) -> None:
    world = make(facts=facts(ConflictPolicy.SUPERSEDE))
    world.direct.usual = None
    world.send("head")
    unban = world.send("unban", type="UNBAN", delay=10)
    ban = world.send("ban", type="BAN")
    assert ban.status == ""
    world.advance(11)
    assert ban.status == "superseded"
    finish(world, "head", "unban")
    assert unban.status == "ok"


def test_all_who_attached_to_a_superseded_command_are_answered_so(make: Make) -> None:
    world = make(facts=facts(ConflictPolicy.SUPERSEDE))
    world.direct.usual = None
    world.send("head")
    bans = [world.send(type="BAN", key="ban") for _ in range(3)]
    world.send("unban", type="UNBAN", key="unban")
    assert [ban.status for ban in bans] == ["superseded"] * 3
    finish(world, "head", "unban")


def test_whoever_was_let_in_behind_a_running_one_is_not_rejected_after_a_kill(make: Make) -> None:
    world = make(facts=facts(ConflictPolicy.REJECT))
    world.direct.usual = None
    world.send("ban", type="BAN")
    world.send("unban", type="UNBAN")
    world.finish("ban", FAILED)
    world.run()
    world = make(after=world)
    world.advance(60)
    assert world.starts == ["ban", "unban"]
    world.at_rest()


def test_a_conflict_that_was_resolved_before_a_kill_stays_resolved(make: Make) -> None:
    world = waiting(make, ConflictPolicy.ANNIHILATE)
    world.send("unban", type="UNBAN")
    world.send("second ban", type="BAN")
    world = make(after=world)
    world.advance(60)
    assert "ban" not in world.starts
    assert "unban" not in world.starts
    assert "second ban" in world.starts


def test_opposed_commands_that_come_in_one_batch_meet_in_their_order(make: Make) -> None:
    world = make(facts=facts(ConflictPolicy.ANNIHILATE))
    pair = world.post(world.envelope(type="BAN"), world.envelope(type="UNBAN"))
    (third,) = world.post(world.envelope(type="BAN"))
    world.run()
    assert [each.status for each in (*pair, third)] == ["annihilated", "annihilated", "ok"]
    assert world.starts == [third.id]
    world.at_rest()


def events(world: World, id_: str) -> list[tuple[str, str]]:
    stored = world.stored(id_)
    assert stored is not None
    return [(what, detail) for _, what, detail in read_trail(stored.trail)[1]]
