"""Who is gone, by signs of life and open lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from actors.workers import Presence
from router.protocols.vigil import BREAK, CLOSED, QUIET, Vigil

BEAT = 200
PATIENT = 10_000


class Watch:
    """A vigil over one worker, looked at every beat."""

    def __init__(self, patience: int = PATIENT) -> None:
        self.vigil = Vigil()
        self.now = 1_000_000
        self.seen = self.now
        self.patience = patience

    def look(self, line: bool | None, *, sign: bool = True, after: int = BEAT) -> bool:
        self.now += after
        if sign:
            self.seen = self.now
        worker = Presence("w", "host", (), (), (), 1, seen=self.seen, patience=self.patience)
        lines: Mapping[str, bool] = {} if line is None else {"w": line}
        return bool(self.vigil.gone([worker], lines, self.now))

    def silence(self, line: bool | None) -> Iterator[tuple[int, bool]]:
        """(ms without a sign of life, whether it is gone)."""
        while self.now - self.seen < 2 * PATIENT:
            gone = self.look(line, sign=False)
            yield self.now - self.seen, gone


def until_gone(watch: Watch, line: bool | None) -> int:
    return next(quiet for quiet, gone in watch.silence(line) if gone)


def test_a_process_that_ended_is_known_by_its_line_within_three_looks() -> None:
    watch = Watch()
    assert not watch.look(True)
    assert until_gone(watch, False) <= QUIET + BEAT


def test_who_is_silent_behind_an_open_line_is_waited_for_as_long_as_it_asked() -> None:
    for line in (True, None):
        for patience in (600, PATIENT):
            watch = Watch(patience)
            assert not watch.look(line)
            assert patience <= until_gone(watch, line) < patience + BEAT


def test_a_line_that_was_never_seen_open_says_nothing() -> None:
    watch = Watch()
    assert not watch.look(False)
    assert until_gone(watch, False) >= PATIENT


def test_a_closed_line_says_nothing_while_signs_of_life_come() -> None:
    watch = Watch()
    assert not watch.look(True)
    assert not any(watch.look(False) for _ in range(50))


def test_a_line_that_was_closed_for_a_moment_says_nothing() -> None:
    watch = Watch()
    watch.look(True)
    assert not watch.look(True, sign=False)
    assert not watch.look(False, sign=False)
    assert not watch.look(True, sign=False)
    assert not watch.look(False, sign=False), "its silence alone is long enough"
    assert watch.look(False, sign=False, after=CLOSED)


@pytest.mark.parametrize("failed", [True, False])
def test_who_was_away_itself_gives_everybody_their_time_anew(failed: bool) -> None:
    watch = Watch(600)
    watch.look(True)
    if failed:
        watch.vigil.again()
    assert not watch.look(False, sign=False, after=BEAT if failed else BREAK + 1)
    assert not watch.look(False, sign=False)
    assert watch.look(False, sign=False), "and then it is as ever"


def test_who_is_watched_from_now_on_has_its_time_from_now_on() -> None:
    watch = Watch(600)
    watch.seen -= 60_000
    assert not watch.look(None, sign=False)
    assert not watch.look(None, sign=False)
    assert not watch.look(None, sign=False)
    assert watch.look(None, sign=False)
