"""What a handover in good order cost: how long guilds waited for it, and what was delivered again."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

from tests.history.events import Event
from tests.history.history import History, build

AFTER = 500_000_000
"""ns after a router is gone in which a wait still belongs to its going."""


class Wait(NamedTuple):
    """A guild's longest wait because a router went: from when a command could begin to when it did."""

    router: str
    guild: str
    ms: float


def history_of(events: Iterable[Event]) -> History:
    """As the rules look at it."""
    return build(sorted(events, key=lambda event: event.at))


def waits(history: History) -> Iterator[Wait]:
    """One for every router that went (M14) and every guild of which something began then."""
    ready = sorted(_ready(history))
    moments = [began for began, _, _ in ready]
    ends = {line.target: line.at for line in history.nemeses if line.action == "gone"}
    for line in history.nemeses:
        if line.action != "term" or line.target not in ends:
            continue
        longest: dict[str, int] = defaultdict(int)
        for at in range(bisect_left(moments, line.at), bisect_left(moments, ends[line.target] + AFTER)):
            began, since, guild = ready[at]
            longest[guild] = max(longest[guild], began - max(since, line.at))
        yield from (Wait(line.target, guild, ns / 1e6) for guild, ns in sorted(longest.items()))


def _ready(history: History) -> Iterator[tuple[int, int, str]]:
    """(began, could begin since, guild) of the first run of each command: it was sent, and its lane was free."""
    sent = {ok.id: invoke.at for invoke, ok in history.new_calls()}
    ends: dict[tuple[str, str], list[int]] = defaultdict(list)
    for run in history.runs.values():
        ends[run.begin.guild, run.begin.subject].append(run.until)
    for times in ends.values():
        times.sort()
    for id_, runs in history.runs_of.items():
        begin = min((run.begin for run in runs), key=lambda begin: begin.at)
        before = ends[begin.guild, begin.subject]
        at = bisect_left(before, begin.at)
        if id_ in sent:
            yield begin.at, max(sent[id_], before[at - 1] if at else 0), begin.guild


def redeliveries(history: History) -> list[str]:
    """Runs that began although an earlier one of the same envelope had not failed: each was given out twice."""
    found = []
    for id_, runs in history.runs_of.items():
        for earlier, later in pairwise(sorted(runs, key=lambda run: run.begin.at)):
            if earlier.end is None or earlier.end.outcome != "failed" or earlier.end.at > later.begin.at:
                found.append(f"{id_}: {earlier.begin.run}, then {later.begin.run}")
    return found
