"""All benches, all cases, one table."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.chaos.nursery import Nursery
from tests.faults.bench import Bench
from tests.faults.in_process import Direct, LocalQueue
from tests.faults.judge import Case, Fault, Seen, complaint
from tests.faults.remote import RemoteQueue, Rest, Socket

BENCHES: tuple[type[Bench], ...] = (Direct, LocalQueue, RemoteQueue, Socket, Rest)


class Line(NamedTuple):
    """One case, played."""

    case: Case
    seen: Seen
    complaint: str
    ms: int


def cases(bench: type[Bench], *, short: bool = False) -> list[Case]:
    """Those of one bench; ``short``: what is not idempotent, without a fallback, and losing the answer with one."""
    every = [
        Case(bench.name, fault, idempotent, fallback)
        for fault in Fault
        for idempotent in (True, False)
        for fallback in (False, True)
    ]
    if not short:
        return every
    return [case for case in every if not case.idempotent and (not case.fallback or case.fault is Fault.LOST)]


def play(bench: Bench, case: Case) -> Line:
    """One case; what goes wrong with the bench itself is a complaint too."""
    begun = time.monotonic()
    try:
        seen = bench.play(case)
        trouble = complaint(case, seen)
    except TimeoutError as error:
        seen, trouble = Seen("", struck=False, runs=0, effects=0), f"{error}"
    return Line(case, seen, trouble, round((time.monotonic() - begun) * 1000))


@contextmanager
def benches(chosen: Iterable[type[Bench]]) -> Iterator[list[Bench]]:
    """Each in a folder of its own, with one nursery for their processes."""
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        folder = Path(name)
        with Nursery(folder / "nursery.log", "tests.faults.remote") as nursery:
            made = []
            for kind in chosen:
                place = folder / kind.name
                place.mkdir()
                made.append(kind(place, nursery))
            yield made


def run(chosen: Iterable[type[Bench]], *, short: bool, tell: Callable[[Line], None]) -> list[Line]:
    """Play everything; ``tell`` hears of each."""
    lines = []
    with benches(chosen) as made:
        for bench in made:
            for case in cases(type(bench), short=short):
                line = play(bench, case)
                tell(line)
                lines.append(line)
    return lines


def row(line: Line) -> str:
    """A line of the table."""
    case, seen = line.case, line.seen
    return (
        f"{case.protocol:<10} {case.fault:<12} {'idempotent' if case.idempotent else 'once':<11}"
        f"{'fallback' if case.fallback else 'alone':<9} {seen.status or '-':<9} {seen.effects:>7} {seen.runs:>4} "
        f"{line.ms:>6}  {'ok' if not line.complaint else 'WRONG: ' + line.complaint}  {' '.join(seen.attempts)}"
    )


HEAD = (
    f"{'protocol':<10} {'fault':<12} {'repeat':<11}{'way':<9} {'answer':<9} {'effects':>7} {'runs':>4} {'ms':>6}  "
    "verdict  attempts"
)
