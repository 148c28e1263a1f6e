"""What is told of those who stood still, from histories written by hand: ms are told in ns."""

from __future__ import annotations

from dataclasses import replace

from tests.chaos.handover import history_of
from tests.chaos.pauses import calms, freezes
from tests.history.events import Begin, Commit, Event, Invoke, Nemesis, Ok

MS = 1_000_000


def commit(at: int, by: str, partition: int, token: int, done: int = 1, lost: int = 0) -> Commit:
    return Commit(at=at * MS, by=by, partition=partition, token=token, asked=at * MS - 1, done=done, lost=lost)


def nemesis(at: int, action: str, target: str, by: str = "nemesis") -> Nemesis:
    return Nemesis(at=at * MS, by=by, action=action, target=target)


FROZEN: list[Event] = [
    *(commit(10, "one", partition, 5) for partition in range(4)),
    nemesis(20, "takeover", "3/4", by="two"),  # it was given away
    nemesis(100, "stop", "one"),
    nemesis(600, "takeover", "0,1/4", by="two"),
    commit(650, "two", 0, 6),
    commit(700, "two", 1, 6),
    commit(710, "two", 3, 6),
    nemesis(3_100, "cont", "one"),
    commit(3_150, "one", 0, 5, done=0, lost=2),
    commit(3_160, "one", 1, 0, done=0, lost=1),
    commit(3_170, "one", 2, 5),  # nobody had taken that one
    commit(3_900, "one", 0, 7),  # it won it back
]


def test_a_frozen_owner_is_told_of_with_what_others_took_and_what_it_asked_for() -> None:
    (found,) = freezes(history_of(FROZEN))
    assert found == ("one", 3.0, [550.0, 600.0], 3, 0)
    assert "frozen for 3.0 s" in str(found)


def test_a_write_that_a_woken_owner_got_through_is_counted() -> None:
    late = commit(3_150, "one", 0, 5, done=0, lost=2)
    (found,) = freezes(history_of([replace(line, done=1) if line == late else line for line in FROZEN]))
    assert (found.asked, found.done) == (4, 1)


def test_calm_is_told_from_the_return_of_the_store_to_the_last_guild_that_waited() -> None:
    lines: list[Event] = []
    for number, (sent, began) in enumerate([(10, 20), (1_500, 2_600), (1_600, 2_900), (2_450, 2_500)]):
        about = {"key": f"k{number}", "payload": "p", "guild": f"g{number}", "subject": "s"}
        lines += [
            Invoke(at=sent * MS, by="client", call=f"c{number}", **about),
            Ok(at=sent * MS + 1, by="client", call=f"c{number}", id=f"i{number}"),
            Begin(at=began * MS, by="one", run=f"r{number}", id=f"i{number}", attempt=1, sequence=1, **about),
        ]
    lines += [nemesis(400, "stop", "store"), nemesis(2_400, "cont", "store"), nemesis(2_500, "takeover", "1/4")]
    (found,) = calms(history_of(lines))
    assert found == (2.0, [200.0, 500.0], 100.0, 1)
    assert "all 2 guilds with work 500 ms" in str(found)
