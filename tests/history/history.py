"""A history as the rules look at it: calls, runs, keys and lanes instead of lines."""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from actors.sharing import partition_of
from tests.history.events import (
    Begin,
    Commit,
    Effect,
    End,
    Event,
    Fail,
    Final,
    Invoke,
    Nemesis,
    Ok,
    Operator,
    Owner,
    Repeat,
    Rest,
    Unknown,
)

NEVER = 2**63

_HOLDS = {"stop": "cont", "cut": "mend"}


@dataclass(slots=True)
class Call:
    """One send and its answer; ``answer`` is ``None`` when the client died waiting."""

    invoke: Invoke
    answer: Ok | Fail | Unknown | None = None

    @property
    def ok(self) -> Ok | None:
        return self.answer if isinstance(self.answer, Ok) else None

    @property
    def failed(self) -> bool:
        """The client was told that nothing is stored."""
        return isinstance(self.answer, Fail)

    @property
    def answered_at(self) -> int:
        return NEVER if self.answer is None else self.answer.at


@dataclass(slots=True)
class Run:
    """One execution: from its begin to its end, or to the death of its process, or open (``NEVER``)."""

    begin: Begin
    effects: list[Effect] = field(default_factory=list)
    repeats: list[Repeat] = field(default_factory=list)
    end: End | None = None
    until: int = NEVER
    killed: bool = False


@dataclass(slots=True)
class History:
    """Everything by what it belongs to. ``strays`` are lines that belong to nothing, each with its reason."""

    calls: dict[str, Call] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    effects: list[Effect] = field(default_factory=list)
    owners: list[Owner] = field(default_factory=list)
    commits: list[Commit] = field(default_factory=list)  #: in the order of their answers
    finals: dict[str, list[Final]] = field(default_factory=lambda: defaultdict(list))
    rests: list[Rest] = field(default_factory=list)
    operators: list[Operator] = field(default_factory=list)
    nemeses: list[Nemesis] = field(default_factory=list)
    calls_of: dict[str, list[Call]] = field(default_factory=lambda: defaultdict(list))  #: by key
    runs_of: dict[str, list[Run]] = field(default_factory=lambda: defaultdict(list))  #: by id
    effects_of: dict[str, list[Effect]] = field(default_factory=lambda: defaultdict(list))  #: by key
    keyed_runs: dict[str, list[Run]] = field(default_factory=lambda: defaultdict(list))  #: by key
    kills: list[int] = field(default_factory=list)  #: times, rising
    open_runs: dict[str, dict[str, Run]] = field(default_factory=lambda: defaultdict(dict))  #: by process
    strays: list[str] = field(default_factory=list)

    def new_calls(self) -> Iterable[tuple[Invoke, Ok]]:
        """Calls answered ``new``: the envelopes the router promised to keep."""
        for call in self.calls.values():
            if call.ok is not None and call.ok.answer == "new":
                yield call.invoke, call.ok

    def ids_of(self, key: str) -> set[str]:
        """Every envelope of a key that anybody saw."""
        ids = {call.ok.id for call in self.calls_of.get(key, ()) if call.ok is not None}
        return ids | {run.begin.id for run in self.keyed_runs.get(key, ())}

    def kills_between(self, after: int, before: int) -> int:
        """How many kills fell between two times."""
        return bisect.bisect(self.kills, before) - bisect.bisect(self.kills, after)

    def held_up(self, after: int, before: int) -> bool:
        """Whether somebody was stopped or cut off at some moment between two times."""
        since: dict[str, int] = {}
        for line in self.nemeses:
            if line.action in _HOLDS:
                since.setdefault(line.target, line.at)
            elif line.action in _HOLDS.values():
                began = since.pop(line.target, NEVER)
                if began <= before and line.at >= after:
                    return True
        return any(began <= before for began in since.values())

    def faults_between(self, after: int, before: int, guild: str) -> int:
        """How many faults, and ends of them, fell between two times, and takeovers of this guild."""
        return sum(
            1
            for line in self.nemeses
            if after < line.at <= before
            and line.action != "start"
            and (line.action != "takeover" or _concerns(line.target, guild))
        )

    @property
    def last_fault(self) -> int:
        """When the faults were over; 0: there were none."""
        return max((nemesis.at for nemesis in self.nemeses if nemesis.action not in ("start", "takeover")), default=0)


def _concerns(target: str, guild: str) -> bool:
    """Whether the partitions of a takeover have this guild."""
    taken, _, count = target.partition("/")
    return str(partition_of(guild, int(count))) in taken.split(",")


def build(events: Iterable[Event]) -> History:
    """Sort lines, given in the order of time, to what they belong to."""
    history = History()
    for event in events:
        _file(history, event)
    for run in history.runs.values():
        run.until = min(run.until, run.end.at if run.end is not None else NEVER)
    return history


def _file(history: History, event: Event) -> None:
    match event:
        case Invoke():
            call = history.calls[event.call] = Call(event)
            history.calls_of[event.key].append(call)
        case Ok() | Fail() | Unknown():
            answered = history.calls.get(event.call)
            if answered is None or answered.answer is not None:
                history.strays.append(f"{event.event} of call {event.call}, which waits for no answer")
            else:
                answered.answer = event
        case Begin():
            run = history.runs[event.run] = Run(event)
            history.runs_of[event.id].append(run)
            history.keyed_runs[event.key].append(run)
            history.open_runs[event.by][event.run] = run
        case Effect() | Repeat() | End():
            _file_run_line(history, event)
        case Nemesis():
            history.nemeses.append(event)
            if event.action == "kill":
                history.kills.append(event.at)
                for run in history.open_runs.pop(event.target, {}).values():
                    run.until, run.killed = event.at, True
        case Owner():
            history.owners.append(event)
        case Commit():
            history.commits.append(event)
        case Operator():
            history.operators.append(event)
        case Final():
            history.finals[event.id].append(event)
        case Rest():
            history.rests.append(event)


def _file_run_line(history: History, event: Effect | Repeat | End) -> None:
    if isinstance(event, Effect):
        history.effects.append(event)
        history.effects_of[event.key].append(event)
    run = history.runs.get(event.run)
    if run is None:
        history.strays.append(f"{event.event} of run {event.run}, which never began")
    elif isinstance(event, Effect):
        run.effects.append(event)
    elif isinstance(event, Repeat):
        run.repeats.append(event)
    elif run.end is not None:
        history.strays.append(f"second end of run {event.run}")
    else:
        run.end = event
        history.open_runs[event.by].pop(event.run, None)
