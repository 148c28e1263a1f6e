"""Law 3: one operation, one effect, one answer for all who asked for it."""

from __future__ import annotations

import pytest

from actors.errors import KeyReusedError
from actors.policy.facts import Facts
from tests.engine.conftest import Make
from tests.engine.world import FAILED, REJECTED, WINDOW, World

OPPOSED = {
    "BAN": Facts("BAN", opposes=frozenset({"UNBAN"})),
    "UNBAN": Facts("UNBAN", opposes=frozenset({"BAN"})),
}


def test_d11_an_equal_command_in_flight_attaches_and_gets_the_same_answer(make: Make) -> None:
    world = make()
    world.direct.usual = None
    first = world.send("first", key="k")
    second = world.send("second", key="k")
    assert second.accepted == [(first.accepted[0][0], 0, "first")]
    assert not second.answers
    world.finish("first")
    world.run()
    assert (first.status, second.status) == ("ok", "ok")
    assert (second.answer.duplicate, second.answer.original, second.answer.id) == (True, "first", "second")
    assert not first.answer.duplicate
    assert world.starts == ["first"]
    world.at_rest()


def test_any_number_attach_to_one_that_is_queued_waiting_or_running(make: Make) -> None:
    world = make()
    world.direct.usual = None
    world.send("head")
    senders = [world.send(key="k")]
    senders += world.post(*(world.envelope(key="k") for _ in range(20)))
    world.run()
    world.finish("head")
    world.run()
    senders += world.post(*(world.envelope(key="k") for _ in range(20)))
    world.run()
    world.finish(senders[0].id, FAILED)
    world.run()
    senders += world.post(*(world.envelope(key="k") for _ in range(20)))
    world.advance(60)
    world.finish(senders[0].id)
    world.run()
    assert {sender.status for sender in senders} == {"ok"}
    assert sum(sender.answer.duplicate for sender in senders) == 60
    world.at_rest()


def test_d7_at_the_windows_end_less_a_millisecond_duplicate_and_at_its_end_new(make: Make) -> None:
    world = make()
    world.send("first", key="k")
    world.advance((WINDOW - 1) / 1000)
    within = world.send("within", key="k")
    assert (within.status, within.answer.duplicate, within.answer.original) == ("ok", True, "first")
    world.advance(0.001)
    after = world.send("after", key="k")
    assert (after.status, after.answer.duplicate) == ("ok", False)
    assert world.starts == ["first", "after"]
    world.at_rest()


def test_the_window_is_the_types_own(make: Make) -> None:
    world = make(facts={"T": Facts("T", window=1_000)})
    world.send("first", key="k")
    world.advance(0.999)
    assert world.send(key="k").answer.duplicate
    world.advance(0.001)
    assert not world.send(key="k").answer.duplicate


def test_a_duplicate_gets_the_stored_answer_whatever_it_was_if_its_key_was_the_senders(make: Make) -> None:
    world = make()
    world.direct.plays["first"] = [REJECTED]
    world.send("first", idempotency_key="mine")
    second = world.send("second", idempotency_key="mine")
    assert (second.status, second.answer.duplicate) == ("rejected", True)
    assert world.starts == ["first"]


@pytest.mark.parametrize("end", ["rejected", "cancelled", "expired"])
def test_what_came_to_nothing_does_not_answer_the_next_wish_unless_the_sender_gave_the_key(
    make: Make, end: str
) -> None:
    world = make()
    world.direct.usual = None
    world.send("head")
    world.post(
        world.envelope("wish", key="k", expires_in=10),
        world.envelope("keyed", idempotency_key="mine", expires_in=10, subject="other"),
    )
    world.run()
    if end == "rejected":
        world.finish("head")
        world.run()
        world.finish("wish", REJECTED)
        world.finish("keyed", REJECTED)
    elif end == "cancelled":
        world.finish("keyed", REJECTED)
        assert world.engine.cancel("wish").get(5)
    else:
        world.finish("keyed", REJECTED)
        world.advance(11)
    world.run()
    assert [sender.status for sender in world.senders[1:]] == [end, "rejected"]
    assert not world.send("again", key="k").answers
    assert world.send("keyed again", idempotency_key="mine", subject="other").answer.duplicate


def test_ban_unban_ban_is_three_operations(make: Make) -> None:
    world = make(facts=OPPOSED)
    senders = [world.send(type=kind, key=kind) for kind in ("BAN", "UNBAN", "BAN")]
    assert not any(sender.answer.duplicate for sender in senders)
    assert len(world.starts) == 3
    again = world.send(type="BAN", key="BAN")
    assert again.answer.original == senders[2].id
    world.at_rest()


def test_ban_unban_ban_is_three_operations_also_while_all_are_in_flight(make: Make) -> None:
    world = make(facts=OPPOSED)
    world.direct.usual = None
    senders = [world.send(type=kind, key=kind) for kind in ("BAN", "UNBAN", "BAN", "BAN")]
    for sender in senders[:3]:
        world.finish(sender.id)
        world.run()
    assert [sender.answer.duplicate for sender in senders] == [False, False, False, True]
    assert senders[3].answer.original == senders[2].id
    world.at_rest()


def test_an_opposed_command_that_failed_ends_no_window(make: Make) -> None:
    world = make(facts=OPPOSED)
    world.send("ban", type="BAN", key="BAN")
    world.direct.plays["unban"] = [REJECTED]
    world.send("unban", type="UNBAN", key="UNBAN")
    again = world.send("again", type="BAN", key="BAN")
    assert again.answer.original == "ban"


def test_an_opposed_command_for_another_subject_ends_no_window(make: Make) -> None:
    world = make(facts=OPPOSED)
    world.send("ban", type="BAN", key="BAN", subject="a")
    world.send("unban", type="UNBAN", key="UNBAN", subject="b")
    assert world.send("again", type="BAN", key="BAN", subject="a").answer.duplicate


def test_what_has_no_key_is_never_a_duplicate(make: Make) -> None:
    world = make()
    senders = [world.send(payload="the same") for _ in range(3)]
    assert [sender.answer.duplicate for sender in senders] == [False] * 3
    assert len(world.starts) == 3


def test_d2_an_idempotency_key_with_another_payload_is_refused_and_only_the_first_runs(make: Make) -> None:
    world = make()
    world.direct.usual = None
    first = world.send(idempotency_key="k", payload="a")
    other = world.send(idempotency_key="k", payload="b")
    assert isinstance(other.refusal, KeyReusedError)
    world.finish(first.id)
    world.run()
    late = world.send(idempotency_key="k", payload="b")
    assert isinstance(late.refusal, KeyReusedError)
    assert world.starts == [first.id]
    assert [line.id for line in world.audit() if line.kind == "refused"] == [other.id, late.id]
    assert world.engine.tables.counters.keys_reused == 2
    world.at_rest()


def test_d3_fifty_at_once_with_two_payloads_are_one_operation(make: Make) -> None:
    world = make()
    senders = world.post(*(world.envelope(idempotency_key="k", payload="ab"[n % 2]) for n in range(50)))
    world.run()
    fates = [sender.fate for sender in senders]
    assert fates == ["ok", "idempotency_key_reused"] * 25
    assert world.starts == [senders[0].id]
    world.at_rest()


def test_d4_what_the_store_refused_is_new_when_it_comes_again(make: Make) -> None:
    world = make()
    world.store.down = True
    refused = world.send("first", key="k")
    world.store.down = False
    again = world.send("second", key="k")
    assert refused.fate == "store_unavailable"
    assert (again.status, again.answer.duplicate) == ("ok", False)


def test_d6_a_duplicate_is_one_also_after_a_restart_within_the_window(make: Make) -> None:
    world = make()
    world.send("first", key="k")
    world.advance(100)
    world = make(after=world)
    again = world.send("second", key="k")
    assert (again.status, again.answer.original) == ("ok", "first")
    assert not world.starts


def test_d6_a_duplicate_of_what_was_in_flight_at_the_kill_attaches_to_it_afterwards(make: Make) -> None:
    world = make(facts={"T": Facts("T", idempotent=True)})
    world.direct.usual = None
    world.send("head")
    world.send("first", key="k")
    world = make(after=world)
    world.direct.usual = None
    again = world.send("second", key="k")
    assert again.accepted[0][2] == "first"
    world.advance(3)
    world.finish("head")
    world.run()
    world.finish("first")
    world.run()
    assert again.status == "ok"
    world.at_rest()


def test_d6_a_dead_letter_answers_its_duplicates_within_the_window(make: Make) -> None:
    world = make(facts={"T": Facts("T", attempts=1)})
    world.direct.plays["first"] = [FAILED]
    world.send("first", idempotency_key="k")
    again = world.send("second", idempotency_key="k")
    assert (again.status, again.answer.original) == ("dead", "first")


def test_d9_equal_keys_in_two_guilds_are_two_operations(make: Make) -> None:
    world = make()
    senders = [world.send(guild=guild, key="k") for guild in ("a", "b")]
    assert not any(sender.answer.duplicate for sender in senders)


def test_d1_the_same_envelope_sent_again_after_its_end_is_answered_and_does_not_run_again(make: Make) -> None:
    world = make()
    world.send("x")
    world.send("other")
    again = world.send("x")
    assert again.status == "ok"
    assert world.starts == ["x", "other"]
    _only_answered_once_each(world)


def test_d1_the_same_envelope_sent_again_after_a_restart_is_answered_and_does_not_run_again(make: Make) -> None:
    world = make()
    world.send("x")
    world = make(after=world)
    again = world.send("x")
    assert again.status == "ok"
    assert world.starts == []
    _only_answered_once_each(world)


def test_d1_the_same_envelope_sent_again_while_it_waits_or_runs_is_one_command(make: Make) -> None:
    world = make()
    world.direct.usual = None
    first = world.send("x")
    second = world.send("x")
    world.finish("x")
    world.run()
    assert (first.status, second.status) == ("ok", "ok")
    assert first.accepted[0][0] == second.accepted[0][0]
    assert world.starts == ["x"]


def test_d1_a_delayed_envelope_sent_again_is_one_command(make: Make) -> None:
    world = make()
    first = world.send("x", delay=10)
    envelope = first.envelope
    (second,) = world.post(envelope)
    world.advance(11)
    (third,) = world.post(envelope)
    world.advance(20)
    assert [sender.status for sender in (first, second, third)] == ["ok"] * 3
    assert world.starts == ["x"]


def test_an_envelope_sent_again_after_its_end_cannot_annihilate_or_supersede_anything(make: Make) -> None:
    world = make(facts=OPPOSED)
    world.send("ban", type="BAN")
    world.direct.usual = None
    world.send("head")
    world.post(world.envelope("ban", type="BAN"), world.envelope("unban", type="UNBAN"))
    world.run()
    world.finish("head")
    world.run()
    assert world.held == ["unban"]


def _only_answered_once_each(world: World) -> None:
    assert all(len(sender.answers) == 1 for sender in world.senders)
    assert len(world.engine.tables.waiters) == 0
    assert world.engine.tables.backlog.total == 0
    assert len(world.engine.tables.flights) == 0
