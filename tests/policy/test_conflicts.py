"""Opposed commands on one subject."""

from __future__ import annotations

from actors.envelope import Envelope
from actors.outcome import Attempt
from actors.policy.conflicts import Resolution, resolve
from actors.policy.facts import ConflictPolicy, Facts
from actors.policy.lanes import Place


def place(position: int) -> Place:
    envelope = Envelope(str(position), "BAN", "command", "g", "u", "q", 5, 0, 10**12)
    return Place(envelope, b"", sequence=position, position=position, accepted_at=0)


def facts(policy: ConflictPolicy) -> Facts:
    return Facts("UNBAN", opposes=frozenset({"BAN"}), conflict=policy)


def test_no_opposed_command_is_no_conflict() -> None:
    assert all(resolve(facts(policy), []) is None for policy in ConflictPolicy)


def test_queue_runs_both() -> None:
    assert resolve(facts(ConflictPolicy.QUEUE), [place(1)]) == Resolution(ConflictPolicy.QUEUE)


def test_supersede_takes_back_every_older_one_that_never_started() -> None:
    first, second = place(1), place(2)
    resolution = resolve(facts(ConflictPolicy.SUPERSEDE), [first, second])
    assert resolution == Resolution(ConflictPolicy.SUPERSEDE, superseded=(first, second))


def test_what_was_attempted_cannot_be_taken_back() -> None:
    tried = place(1)
    tried.attempts = 1
    tried.history.append(Attempt(1, "direct", "not_applied", 3))
    for policy in (ConflictPolicy.SUPERSEDE, ConflictPolicy.ANNIHILATE):
        assert resolve(facts(policy), [tried]) == Resolution(ConflictPolicy.QUEUE)


def test_annihilate_drops_the_newest_pair() -> None:
    first, second = place(1), place(2)
    resolution = resolve(facts(ConflictPolicy.ANNIHILATE), [first, second])
    assert resolution == Resolution(ConflictPolicy.ANNIHILATE, annihilated=second)


def test_reject_turns_nobody_away_for_the_sake_of_one_that_started() -> None:
    tried = place(1)
    tried.attempts = 1
    assert resolve(facts(ConflictPolicy.REJECT), [tried]) == Resolution(ConflictPolicy.QUEUE)


def test_reject_turns_the_newcomer_away() -> None:
    assert resolve(facts(ConflictPolicy.REJECT), [place(1)]) == Resolution(ConflictPolicy.REJECT, rejected=True)
