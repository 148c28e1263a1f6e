"""The lanes of one guild, as a pure structure."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.envelope import Envelope
from actors.policy.lanes import AGING, Lanes, Place, Stage


def place(
    position: int, subject: str = "s", priority: int = 5, accepted_at: int = 0, expires_at: int = 10**12
) -> Place:
    envelope = Envelope(f"id-{position}", "T", "command", "g", subject, "q", priority, 0, expires_at)
    return Place(envelope, b"", sequence=position, position=position, accepted_at=accepted_at)


def entered(*places: Place) -> Lanes:
    lanes = Lanes()
    for one in places:
        assert lanes.enter(one)
    return lanes


def test_a_lane_is_first_in_first_out_and_one_at_a_time() -> None:
    first, second = place(1), place(2)
    lanes = entered(first, second)
    assert lanes.next(0) is first
    lanes.start(first, "direct", 0)
    assert lanes.next(0) is None
    lanes.leave(first)
    assert lanes.next(0) is second


def test_priority_decides_among_heads_and_never_overtakes_its_own_subject() -> None:
    low, urgent_behind, other = place(1, "a", 1), place(2, "a", 10), place(3, "b", 5)
    lanes = entered(low, urgent_behind, other)
    assert lanes.next(0) is other
    lanes.start(other, "direct", 0)
    assert lanes.next(0) is low


def test_a_waiting_head_blocks_its_lane_and_nothing_else() -> None:
    head, behind, other = place(1, "a"), place(2, "a", 10), place(3, "b", 1)
    lanes = entered(head, behind, other)
    lanes.next(0)
    lanes.start(head, "direct", 0)
    lanes.wait(head, 1_000, "retry")
    assert lanes.next(0) is other
    lanes.start(other, "direct", 0)
    assert lanes.next(999) is None
    assert lanes.wake_at(999) == 1_000
    assert lanes.next(1_000) is head


def test_the_longest_overtaking_is_nine_steps_of_aging() -> None:
    low = place(1, "a", 1, accepted_at=0)
    just_inside, beyond = 9 * AGING - 1, 9 * AGING + 1
    lanes = entered(low, place(2, "b", 10, accepted_at=just_inside))
    assert lanes.next(just_inside).envelope.priority == 10
    lanes = entered(low, place(2, "b", 10, accepted_at=beyond))
    assert lanes.next(beyond) is low


def test_a_place_that_comes_late_still_takes_the_position_it_has() -> None:
    late, early = place(7), place(3)
    lanes = entered(late, early)
    assert lanes.next(0) is early


def test_a_place_that_comes_late_does_not_push_aside_one_that_runs() -> None:
    late, early = place(7), place(3)
    lanes = entered(late)
    lanes.next(0)
    lanes.start(late, "direct", 0)
    lanes.enter(early)
    assert lanes.next(0) is None
    lanes.leave(late)
    assert lanes.next(0) is early


def test_the_same_envelope_enters_once() -> None:
    lanes = entered(place(1))
    assert not lanes.enter(place(1))
    assert len(lanes) == 1


def test_deadlines_are_found_behind_a_blocked_head_and_not_while_running() -> None:
    head, behind = place(1, expires_at=100), place(2, expires_at=50)
    lanes = entered(head, behind)
    lanes.next(0)
    lanes.start(head, "direct", 0)
    assert lanes.wake_at(0) == 50
    assert lanes.expired(200) == [behind]
    lanes.leave(behind)
    lanes.wait(head, 300, "retry")
    assert lanes.expired(200) == [head]


def test_opposed_places_are_those_before_it_that_do_not_run() -> None:
    running, queued, newcomer = place(1), place(2), place(3)
    lanes = entered(running, queued, newcomer)
    lanes.next(0)
    lanes.start(running, "direct", 0)
    assert lanes.opposed(newcomer, ["T"]) == [queued]
    assert lanes.opposed(queued, ["T"]) == []


STEP = st.tuples(
    st.sampled_from(["enter", "start", "wait", "leave", "tick", "drop"]), st.integers(0, 5), st.integers(1, 10)
)


@settings(max_examples=150, deadline=None)
@given(st.lists(STEP, max_size=80))
def test_whatever_happens_lanes_start_in_order_one_at_a_time(steps: list[tuple[str, int, int]]) -> None:
    lanes, now, position = Lanes(), 0, 0
    waiting: dict[str, list[Place]] = defaultdict(list)  # the model: what is in each lane, in order
    running: list[Place] = []
    for what, number, priority in steps:
        match what:
            case "enter":
                position += 1
                one = place(position, f"lane-{number}", priority, now)
                lanes.enter(one)
                waiting[one.envelope.subject].append(one)
            case "tick":
                now += number * 100
            case "start":
                one = lanes.next(now)
                startable = [
                    line[0] for line in waiting.values() if line and line[0] not in running and line[0].until <= now
                ]
                if one is None:
                    assert not startable
                    continue
                assert one in startable
                assert one.urgency == min(other.urgency for other in startable)
                lanes.start(one, "direct", now)
                running.append(one)
            case "wait" if running:
                one = running.pop(number % len(running))
                lanes.wait(one, now + priority * 50, "retry")
            case "leave" if running:
                one = running.pop(number % len(running))
                lanes.leave(one)
                waiting[one.envelope.subject].remove(one)
            case "drop":
                line = [one for one in waiting[f"lane-{number}"] if one not in running]
                if line:
                    lanes.leave(line[-1])
                    waiting[f"lane-{number}"].remove(line[-1])
        assert lanes.running == len(running)
        assert len(lanes) == sum(map(len, waiting.values()))
        assert all(one.stage is Stage.RUNNING for one in running)
