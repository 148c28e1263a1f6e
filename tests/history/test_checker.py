"""One broken history per rule: the checker names the rule, and only that one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

import pytest

from tests.history.checker import NO_LIMITS, RULES, Limits, check, gaps, statistics
from tests.history.events import (
    Begin,
    Commit,
    Effect,
    End,
    Event,
    Fail,
    Final,
    Invoke,
    Line,
    Nemesis,
    Ok,
    Owner,
    Repeat,
    Rest,
)
from tests.history.history import build
from tests.history.story import Story

T = TypeVar("T", bound=Line)


def good() -> list[Event]:
    """Three messages in one lane, one in another, a duplicate, a conflict, a kill after an effect, probes."""
    story = Story()
    for key in ("a", "b", "c"):
        story.send("g1", "ann", key=key)
        story.answer()
    story.send("g2", "bob", key="d")
    story.answer(lost=True)
    story.send("g1", "ann", key="a")
    story.answer()
    story.send("g1", "ann", key="b", payload="other")
    story.answer()
    story.begin()
    story.effect()
    story.kill()
    return story.rest()


def rules_broken(lines: list[Event], limits: Limits = NO_LIMITS) -> set[str]:
    return {violation.rule for violation in check(lines, limits)}


def only(lines: list[Event], kind: type[T], **fields: object) -> T:
    """The first line of a kind with these fields."""
    for line in lines:
        if isinstance(line, kind) and all(getattr(line, name) == value for name, value in fields.items()):
            return line
    raise AssertionError(f"no {kind.__name__} with {fields}")


def swap(lines: list[Event], old: Line, **fields: Any) -> list[Event]:
    return [replace(line, **fields) if line is old else line for line in lines]


def without(lines: list[Event], *gone: Line) -> list[Event]:
    return [line for line in lines if all(line is not one for one in gone)]


def of_run(lines: list[Event], run: str) -> list[Event]:
    return [line for line in lines if getattr(line, "run", "") == run]


def test_a_good_history_breaks_nothing() -> None:
    lines = good()
    assert check(lines, Limits(attempts=5, failover_ms=1_000)) == []
    found = statistics(lines)
    assert (found["kills"], found["cut_runs"], found["repeats"], found["duplicates"]) == (1, 1, 1, 1)
    assert (found["unknown"], found["recovered"], found["refused"]) == (1, 1, 1)


def test_an_accepted_message_without_effect_breaks_k1() -> None:
    lines = good()
    runs = {run.begin.run for run in build(lines).runs_of[only(lines, Ok, answer="new").id]}
    lines = without(lines, *(line for run in runs for line in of_run(lines, run)))
    assert rules_broken(lines) == {"K1"}


@pytest.mark.parametrize(
    ("lost", "part"), [(("a",), "prefix"), (("b",), "middle"), (("c",), "middle"), (("c", "probe"), "postfix")]
)
def test_k1_tells_where_the_loss_lies(lost: tuple[str, ...], part: str) -> None:
    lines = good()
    keys = {call.invoke.key for call in build(lines).calls.values() if call.invoke.probe and call.invoke.guild == "g1"}
    gone = {key for name in lost for key in (keys if name == "probe" else {name})}
    lines = [line for line in lines if not (isinstance(line, Effect) and line.key in gone)]
    losses = [violation.what for violation in check(lines) if violation.rule == "K1"]
    assert len(losses) == len(gone)
    assert all(f", {part})" in loss for loss in losses)


def test_an_effect_nobody_sent_breaks_k2() -> None:
    lines = good()
    effect = only(lines, Effect, key="c")
    assert rules_broken([*lines, replace(effect, key="z", at=effect.at + 1)]) == {"K2"}


def test_an_effect_with_another_payload_breaks_k2() -> None:
    lines = good()
    assert rules_broken(swap(lines, only(lines, Effect, key="c"), payload="forged")) == {"K2"}


def test_an_effect_in_a_lane_nobody_sent_it_to_breaks_k2() -> None:
    lines = good()
    assert rules_broken(swap(lines, only(lines, Effect, key="c"), subject="eve")) == {"K2"}


def test_an_effect_of_a_refused_send_breaks_k2() -> None:
    lines = good()
    ok = only(lines, Ok, id=only(lines, Begin, key="c").id)
    lines = [Fail(at=line.at, by=line.by, call=ok.call, code="overloaded") if line is ok else line for line in lines]
    lines = [replace(line, counts={}) if isinstance(line, Rest) else line for line in lines]
    assert "K2" in rules_broken(lines)


def test_an_unknown_send_that_happens_twice_breaks_k3() -> None:
    lines = good()
    effect = only(lines, Effect, key="d")
    assert rules_broken([*lines, replace(effect, at=effect.at + 1, idempotent=False)]) == {"K3"}


def test_a_lane_out_of_order_breaks_k4() -> None:
    story = Story()
    for key in ("a", "b"):
        story.send("g1", "ann", key=key)
        story.answer()
    story.works.reverse()  # recovery that forgets the order
    assert rules_broken(story.rest()) == {"K4"}


def test_lanes_of_one_guild_may_overtake_each_other() -> None:
    story = Story()
    story.send("g1", "ann")
    story.send("g1", "bob")
    story.works.reverse()
    assert check(story.rest()) == []


def test_acceptance_numbers_against_real_time_break_k4() -> None:
    lines = good()
    a, b = only(lines, Begin, key="a"), only(lines, Begin, key="c")
    numbers = {a.id: b.sequence, b.id: a.sequence}
    changed = [
        replace(line, sequence=numbers.get(line.id, line.sequence)) if isinstance(line, Ok | Begin) else line
        for line in lines
    ]
    assert rules_broken(changed) == {"K4"}


def test_a_number_given_twice_breaks_k4() -> None:
    story = Story()
    story.send("g1", "ann")
    story.answer()
    story.kill()
    story.sequences.clear()  # counters that start anew
    story.send("g1", "bob")
    story.answer()
    assert rules_broken(story.rest()) == {"K4"}


def test_two_runs_of_a_lane_at_once_break_k5() -> None:
    lines = good()
    first, second = only(lines, End), only(lines, Begin, key="b")
    assert first.at < second.at
    assert rules_broken(swap(lines, first, at=second.at + 1)) == {"K5"}


def test_runs_of_two_lanes_may_overlap() -> None:
    story = Story()
    story.send("g1", "ann")
    story.send("g1", "bob")
    story.begin()
    story.begin()
    assert check(story.rest()) == []


def two_owners(late_effect: bool) -> list[Event]:
    """A paused owner of g1 wakes up after another took over; its run ends late, with or without an effect."""
    story = Story()
    story.send("g1", "ann", key="a")
    story.answer()
    story.begin()
    paused = story.works[0].run
    story.life, story.token, story.works[0].run = 2, 2, ""
    story.works[0].attempts = 1
    story.begin()
    if late_effect:
        begin = only(story.lines, Begin, run=paused)
        story.works[0].applied = True
        story.lines.append(
            Effect(
                at=story.at + 1,
                by=begin.by,
                run=paused,
                id=begin.id,
                key="a",
                payload="p",
                guild="g1",
                subject="ann",
                token=1,
            )
        )
    story.effect()
    story.lines.append(End(at=story.at + 2, by="router-1", run=paused, outcome="applied"))
    return story.rest()


def test_a_fenced_run_without_effect_may_overlap() -> None:
    assert check(two_owners(late_effect=False)) == []


def test_a_fenced_run_with_an_effect_breaks_k5_and_k7() -> None:
    assert rules_broken(two_owners(late_effect=True)) == {"K5", "K7"}


def test_a_second_effect_breaks_k6() -> None:
    lines = good()
    effect = only(lines, Effect, key="b")
    assert rules_broken([*lines, replace(effect, at=effect.at + 1, idempotent=False)]) == {"K6"}


def test_a_repeat_without_a_reason_breaks_k6() -> None:
    story = Story()
    story.send("g1", "ann", key="a")
    story.answer()
    story.begin()
    story.end()
    story.works[0].status = ""  # settled, and run again all the same
    story.works[0].attempts = 0
    assert rules_broken(story.rest()) == {"K6"}


def test_a_repeat_of_what_the_ledger_never_had_breaks_k6() -> None:
    lines = good()
    begin = only(lines, Begin, key="c")
    assert "K6" in rules_broken([*lines, Repeat(at=begin.at, by=begin.by, run=begin.run, id=begin.id, key="nothing")])


def test_an_effect_with_an_old_token_breaks_k7() -> None:
    lines = good()
    assert rules_broken(swap(lines, only(lines, Effect, key="c"), token=1)) == {"K7"}


def test_a_token_that_does_not_rise_breaks_k7() -> None:
    lines = good()
    assert rules_broken(swap(lines, only(lines, Owner, guild="g1"), token=1)) == {"K7"}


def test_a_write_to_the_store_with_an_old_token_breaks_k7() -> None:
    lines = good()
    late = only(lines, Commit, token=2)
    assert rules_broken([*lines, replace(late, token=1, asked=late.at + 1, at=lines[-1].at)]) == {"K7"}


def test_a_write_that_was_refused_or_on_its_way_when_the_token_changed_breaks_nothing() -> None:
    lines = good()
    late = only(lines, Commit, token=2)
    assert rules_broken([*lines, replace(late, token=1, asked=late.at + 1, at=lines[-1].at, done=0, lost=3)]) == set()
    assert rules_broken([*lines, replace(late, token=1, asked=late.asked, at=lines[-1].at)]) == set()


def test_a_key_accepted_twice_breaks_k8() -> None:
    lines = good()
    duplicate = only(lines, Ok, answer="duplicate")
    assert "K8" in rules_broken(swap(lines, duplicate, id="another", answer="new", sequence=0))


def test_a_forgotten_key_breaks_k8() -> None:
    story = Story()
    story.send("g1", "ann", key="a")
    story.answer()
    story.begin()
    story.end()
    story.kill()
    story.works[0].key = "forgotten"
    story.send("g1", "ann", key="a")
    story.works[-1].applied = True
    story.answer()
    story.works[0].key = "a"
    assert rules_broken(story.rest()) == {"K8", "K10"}  # and the store accepted more than was sent


def test_a_duplicate_of_nothing_breaks_k8() -> None:
    lines = good()
    assert rules_broken(swap(lines, only(lines, Ok, answer="new"), answer="duplicate")) == {"K8"}


def test_a_duplicate_of_another_envelope_breaks_k8() -> None:
    lines = good()
    assert "K8" in rules_broken(swap(lines, only(lines, Ok, answer="duplicate"), id=only(lines, Begin, key="c").id))


def test_a_conflict_with_nothing_breaks_k8() -> None:
    lines = good()
    conflict = only(lines, Fail)
    assert rules_broken(swap(lines, only(lines, Invoke, call=conflict.call), payload="p")) == {"K8"}


def test_another_payload_that_is_accepted_breaks_k8() -> None:
    lines = good()
    duplicate = only(lines, Ok, answer="duplicate")
    assert rules_broken(swap(lines, only(lines, Invoke, call=duplicate.call), payload="changed")) == {"K8"}


@pytest.mark.parametrize("attempt", [0, 2])
def test_a_first_attempt_that_is_not_1_breaks_k9(attempt: int) -> None:
    story = Story()
    story.send("g1", "ann", key="a")
    story.answer()
    lines = story.rest()
    assert rules_broken(swap(lines, only(lines, Begin, key="a"), attempt=attempt)) == {"K9"}


def test_a_start_that_was_charged_and_killed_unseen_is_allowed() -> None:
    story = Story()
    story.send("g1", "ann", key="a")
    story.answer()
    story.kill(uncounted=True)
    lines = story.rest()
    assert only(lines, Begin, key="a").attempt == 2
    assert check(lines) == []


def test_attempts_that_a_restart_forgets_break_k9() -> None:
    story = Story()
    story.send("g1", "ann", key="a")
    story.answer()
    story.begin()
    story.kill()
    story.works[0].attempts = 0
    assert rules_broken(story.rest()) == {"K9"}


def test_more_attempts_than_the_limit_break_k9() -> None:
    story = Story()
    story.send("g1", "ann")
    story.answer()
    for _ in range(2):
        story.begin()
        story.end(fail=True)
    assert rules_broken(story.rest(), Limits(attempts=3)) == set()
    assert rules_broken(story.lines, Limits(attempts=2)) == {"K9"}


@pytest.mark.parametrize(
    ("name", "value"), [("accepted", 99), ("done", 0), ("dead", 1), ("queued", 1), ("running", 1), ("cancelled", 1)]
)
def test_counts_that_do_not_add_up_break_k10(name: str, value: int) -> None:
    lines = good()
    rest = only(lines, Rest, source="store")
    assert isinstance(rest, Rest)
    assert rules_broken(swap(lines, rest, counts={**rest.counts, name: value})) == {"K10"}


def test_metrics_that_disagree_with_the_store_break_k10() -> None:
    lines = good()
    assert rules_broken(swap(lines, only(lines, Rest, source="metrics"), counts={"dead": 7})) == {"K10"}


def test_a_message_without_a_last_word_breaks_k10() -> None:
    lines = good()
    assert rules_broken(without(lines, only(lines, Final))) == {"K10"}
    assert rules_broken([*lines, only(lines, Final)]) == {"K10"}


def test_cancelled_with_an_effect_breaks_k10() -> None:
    lines = good()
    assert rules_broken(swap(lines, only(lines, Final), status="cancelled")) == {"K10"}


def test_a_history_that_never_came_to_rest_breaks_k10() -> None:
    lines = good()
    assert rules_broken([line for line in lines if not isinstance(line, Rest)]) == {"K10"}


def test_a_guild_that_waits_after_a_kill_breaks_k11() -> None:
    lines = good()
    kill = only(lines, Nemesis, action="kill")
    late = [replace(line, at=line.at + 2_000_000_000) if line.at > kill.at else line for line in lines]
    assert rules_broken(late, Limits(failover_ms=1_000)) == {"K11"}
    assert rules_broken(late) == set()
    assert {gap.guild for gap in gaps(build(late)) if gap.ms > 1_000} == {"g1"}


def spaced(story: Story, seconds: float) -> None:
    """So much time passes in a story."""
    story.at += int(seconds * 1e9)


@pytest.mark.parametrize(("stop", "cont"), [("stop", "cont"), ("cut", "mend")])
def test_what_is_repeated_because_somebody_was_held_up_breaks_nothing(stop: str, cont: str) -> None:
    lines = good()
    repeat, kill = only(lines, Repeat), only(lines, Nemesis, action="kill")
    again = next(line for line in lines if isinstance(line, Begin) and line.run == repeat.run)
    same = [replace(line, token=1) if getattr(line, "token", 0) else line for line in lines if line is not kill]
    same = [line for line in same if not isinstance(line, Owner)]
    assert "K6" in rules_broken(same)

    def held(since: int, until: int) -> list[Event]:
        ends = ((since, stop), (until, cont))
        return [*same, *(Nemesis(at=at, by="nemesis", action=action, target="x") for at, action in ends)]

    assert "K6" not in rules_broken(held(kill.at, again.at))
    assert "K6" in rules_broken(held(lines[0].at, lines[0].at))
    assert "K6" in rules_broken(held(again.at + 1, again.at + 2))


def test_a_guild_that_had_nothing_to_do_waits_since_it_was_sent_something() -> None:
    story = Story()
    story.kill()
    spaced(story, 0.8)
    story.send("g1", "ann", key="a")
    story.answer()
    spaced(story, 0.5)
    story.begin()
    (gap,) = gaps(build(story.lines))
    assert (gap.guild, round(gap.ms), gap.waiting) == ("g1", 502, False)
    spaced(story, 0.8)
    story.end()
    story.send("g1", "ann", key="b")
    story.begin()
    assert len(list(gaps(build(story.lines)))) == 1, "what is sent long after a kill is not its story"


def test_of_two_kills_the_last_one_counts() -> None:
    story = Story()
    story.send("g1", "ann", key="a")
    story.answer()
    for _ in range(2):
        story.kill()
        spaced(story, 0.6)
    story.begin()
    (gap,) = gaps(build(story.lines))
    assert (gap.guild, round(gap.ms), gap.waiting) == ("g1", 603, True)


def test_what_was_under_way_elsewhere_or_never_begins_again_waits_for_nobody() -> None:
    story = Story()
    story.send("g1", "ann", key="a")
    story.answer()
    story.begin()
    story.lines.append(Nemesis(at=story._tick(), by="nemesis", action="kill", target="another"))
    spaced(story, 5)
    story.end()
    assert list(gaps(build(story.lines))) == []


def test_a_guild_without_a_handled_probe_breaks_k12() -> None:
    lines = good()
    probe = only(lines, Invoke, probe=True)
    assert rules_broken(swap(lines, probe, probe=False)) == {"K12"}


def test_a_probe_before_the_last_fault_is_none() -> None:
    lines = good()
    assert rules_broken([*lines, Nemesis(at=lines[-1].at + 1, by="nemesis", action="kill", target="x")]) == {"K12"}


def test_lines_that_belong_to_nothing_are_reported() -> None:
    lines = good()
    end = only(lines, End)
    assert rules_broken([*lines, replace(end, at=lines[-1].at)]) == {"record"}
    assert rules_broken([*lines, replace(end, run="none")]) == {"record"}


def test_every_rule_has_a_broken_history() -> None:
    tests = " ".join(name for name in globals() if name.startswith("test_"))
    assert [rule for rule in RULES if rule.lower() not in tests.replace(" ", "_").split("_")] == []
