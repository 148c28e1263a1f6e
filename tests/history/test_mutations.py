"""Any history of a correct router passes, and any way of spoiling one is seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.history.checker import check
from tests.history.events import Begin, Effect, End, Event, Final, Invoke, Ok
from tests.history.story import Story

Step = tuple[str, int, int, int]

STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "send",
                "send",
                "send",
                "answer",
                "answer",
                "lose",
                "begin",
                "begin",
                "effect",
                "end",
                "end",
                "fail",
                "kill",
            ]
        ),
        st.integers(0, 2),
        st.integers(0, 1),
        st.integers(0, 30),
    ),
    max_size=70,
)


def tell(steps: list[Step]) -> list[Event]:
    """The history of a correct router to which these things happened; guild ``g0`` has always something to tell."""
    story = Story()
    for _ in range(3):
        story.send("g0", "s0")
        story.answer()
    for action, guild, subject, number in steps:
        match action:
            case "send":
                key = f"shared-{guild}-{number}" if number < 10 else ""
                story.send(f"g{guild}", f"s{subject}", key=key, payload=f"to-{subject}")
            case "answer":
                story.answer()
            case "lose":
                story.answer(lost=True)
            case "begin":
                story.begin(number)
            case "effect":
                story.effect(number)
            case "end":
                story.end(number)
            case "fail":
                story.end(number, fail=True)
            case "kill":
                story.kill(uncounted=bool(number % 2))
    return story.rest()


@given(STEPS)
@settings(max_examples=150, deadline=None)
def test_every_history_of_a_correct_router_passes(steps: list[Step]) -> None:
    assert check(tell(steps)) == []


def drop_effect(lines: list[Event], pick: int) -> tuple[list[Event], set[str]]:
    effects = [line for line in lines if isinstance(line, Effect)]
    gone = effects[pick % len(effects)]
    told = {line.call for line in lines if isinstance(line, Ok) and line.answer == "new"}
    calls = {line.key for line in lines if isinstance(line, Invoke) and line.call in told}
    ok_or_noticed = any(isinstance(line, Final) and line.id == gone.id and line.status == "ok" for line in lines)
    assume(gone.key in calls and ok_or_noticed)
    return [line for line in lines if line is not gone], {"K1"}


def double_effect(lines: list[Event], pick: int) -> tuple[list[Event], set[str]]:
    effects = [line for line in lines if isinstance(line, Effect)]
    again = effects[pick % len(effects)]
    return [*lines, replace(again, at=again.at + 1)], {"K3", "K6"}


def swap_effects(lines: list[Event], pick: int) -> tuple[list[Event], set[str]]:
    """Two runs of one lane change places: their messages run against the order of acceptance."""
    lanes: dict[tuple[str, str], list[Begin]] = {}
    for line in lines:
        if isinstance(line, Begin) and line.attempt == 1:
            lanes.setdefault((line.guild, line.subject), []).append(line)
    long = [begins for begins in lanes.values() if len(begins) > 1]
    begins = long[pick % len(long)]
    index = pick % (len(begins) - 1)
    one, two = begins[index : index + 2]
    names = {one.id: two, two.id: one}
    changed: list[Event] = []
    for line in lines:
        other = names.get(getattr(line, "id", ""))
        if other is not None and isinstance(line, Begin):
            changed.append(replace(line, id=other.id, key=other.key, payload=other.payload, sequence=other.sequence))
        elif other is not None and isinstance(line, Effect):
            changed.append(replace(line, id=other.id, key=other.key, payload=other.payload))
        else:
            changed.append(line)
    return changed, {"K4"}


def overlap(lines: list[Event], pick: int) -> tuple[list[Event], set[str]]:
    """A run ends after the next one of its lane began, in the same life of the router."""
    ends = {line.run: line for line in lines if isinstance(line, End)}
    last: dict[tuple[str, str], Begin] = {}
    pairs = []
    for line in lines:
        if isinstance(line, Begin):
            before = last.get((line.guild, line.subject))
            if before is not None and before.by == line.by and before.run in ends:
                pairs.append((ends[before.run], line))
            last[line.guild, line.subject] = line
    assume(pairs)
    end, begin = pairs[pick % len(pairs)]
    return [replace(line, at=begin.at + 1) if line is end else line for line in lines], {"K5"}


def forge_payload(lines: list[Event], pick: int) -> tuple[list[Event], set[str]]:
    effects = [line for line in lines if isinstance(line, Effect)]
    forged = effects[pick % len(effects)]
    return [replace(line, payload="forged") if line is forged else line for line in lines], {"K2"}


def forget_attempt(lines: list[Event], pick: int) -> tuple[list[Event], set[str]]:
    again = [line for line in lines if isinstance(line, Begin) and line.attempt > 1]
    assume(again)
    fallen = again[pick % len(again)]
    return [replace(line, attempt=0) if line is fallen else line for line in lines], {"K9"}


def drop_last_word(lines: list[Event], pick: int) -> tuple[list[Event], set[str]]:
    finals = [line for line in lines if isinstance(line, Final)]
    told = {line.id for line in lines if isinstance(line, Ok | Begin)}
    gone = finals[pick % len(finals)]
    assume(gone.id in told)
    return [line for line in lines if line is not gone], {"K10"}


@pytest.mark.parametrize(
    "spoil", [drop_effect, double_effect, swap_effects, overlap, forge_payload, forget_attempt, drop_last_word]
)
@given(steps=STEPS, pick=st.integers(0, 50))
@settings(max_examples=60, deadline=None)
def test_a_spoiled_history_is_caught(
    spoil: Callable[[list[Event], int], tuple[list[Event], set[str]]], steps: list[Step], pick: int
) -> None:
    lines, expected = spoil(tell(steps), pick)
    assert {violation.rule for violation in check(lines)} & expected
