"""What came of standing still: of a router that was frozen, and of a store that did not answer."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from tests.history.events import Commit
from tests.history.history import History

GOAL = 2_000
"""Ms until there is calm after the store was away (M7)."""

UNREST = 5_000_000_000
"""ns after the store is back in which takeovers belong to its absence."""


class Freeze(NamedTuple):
    """One router was frozen and woke."""

    router: str
    seconds: float
    taken: list[float]  #: ms from the freeze until a successor wrote to each partition that it had, rising
    asked: int  #: writes that it asked for, after it woke, in those
    done: int  #: of them: that the store took

    def __str__(self) -> str:
        waits = (
            f", the first after {self.taken[0]:.0f} ms, the last after {self.taken[-1]:.0f} ms" if self.taken else ""
        )
        return (
            f"{self.router} was frozen for {self.seconds:.1f} s: others went on in {len(self.taken)} of its partitions"
            f"{waits}; when it woke it asked for {self.asked} writes there, and {self.done} were done"
        )


class Calm(NamedTuple):
    """The store was away and came back."""

    seconds: float
    waits: list[float]  #: ms until the next begin of each guild that had work waiting, rising
    next: float  #: ms until the next begin of any
    takeovers: int

    def __str__(self) -> str:
        guilds = (
            f"all {len(self.waits)} guilds with work {self.waits[-1]:.0f} ms" if self.waits else "no guild had work"
        )
        return (
            f"the store was away for {self.seconds:.1f} s: next begin {self.next:.0f} ms after it was back, {guilds}; "
            f"the goal is {GOAL} ms; {self.takeovers} takeovers"
        )


def freezes(history: History) -> Iterator[Freeze]:
    """Every router that was stopped and went on."""
    for name, stopped, woke in _spans(history):
        if name == "store":
            continue
        had = _had(history, name, stopped)
        taken: dict[int, int] = {}
        late: list[Commit] = []
        for commit in history.commits:
            token = had.get(commit.partition, 0)
            if not token:
                continue
            if commit.by == name:
                if commit.asked > woke and commit.token in (0, token):
                    late.append(commit)
            elif commit.done and commit.token > token and stopped < commit.at < woke:
                taken.setdefault(commit.partition, commit.at)
        late = [commit for commit in late if commit.partition in taken]
        yield Freeze(
            name,
            (woke - stopped) / 1e9,
            sorted((at - stopped) / 1e6 for at in taken.values()),
            sum(commit.done + commit.lost for commit in late),
            sum(commit.done for commit in late),
        )


def _had(history: History, name: str, until: int) -> dict[int, int]:
    """Partitions in which a router was the last to write, with its token, unless somebody took them over since."""
    last: dict[int, Commit] = {}
    for commit in history.commits:
        if commit.done and commit.at < until:
            last[commit.partition] = commit
    for line in history.nemeses:
        if line.action == "takeover" and line.by != name and line.at < until:
            for partition in map(int, line.target.partition("/")[0].split(",")):
                if partition in last and last[partition].at < line.at:
                    del last[partition]
    return {partition: commit.token for partition, commit in last.items() if commit.by == name}


def calms(history: History) -> Iterator[Calm]:
    """Every time the store was away."""
    begins = sorted(run.begin.at for run in history.runs.values())
    for name, away, back in _spans(history):
        if name != "store":
            continue
        waits: dict[str, int] = {}
        for invoke, ok in history.new_calls():
            later = [run.begin.at for run in history.runs_of.get(ok.id, ()) if run.begin.at > back]
            if invoke.at < back and later:
                waits[invoke.guild] = min(*later, waits.get(invoke.guild, later[0]))
        following = bisect_right(begins, back)
        yield Calm(
            (back - away) / 1e9,
            sorted((at - back) / 1e6 for at in waits.values()),
            (begins[following] - back) / 1e6 if following < len(begins) else float("inf"),
            sum(line.action == "takeover" and back < line.at < back + UNREST for line in history.nemeses),
        )


def _spans(history: History) -> Iterator[tuple[str, int, int]]:
    """(target, from, until) of every stop."""
    since: dict[str, int] = {}
    for line in history.nemeses:
        if line.action == "stop":
            since[line.target] = line.at
        elif line.action == "cont":
            yield line.target, since.pop(line.target), line.at
