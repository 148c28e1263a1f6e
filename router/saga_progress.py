"""How far a saga is, by what was written down of it. Pure: lines in, decisions out.

Lines are written before and after each action and each compensation, so whatever stands last is where a crash was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple


class Mark(StrEnum):
    """What a line says of a step, or of the whole saga."""

    BEGUN = "begun"
    DONE = "done"
    FAILED = "failed"  #: from here on it is undone
    UNDOING = "undoing"
    UNDONE = "undone"
    STUCK = "stuck"  #: its compensation failed
    COMPLETED = "completed"  #: of the saga: every step is done
    COMPENSATED = "compensated"  #: of the saga: everything that was done is undone


class Line(NamedTuple):
    """One line."""

    number: int
    mark: Mark
    step: str = ""
    data: Any = None  #: of DONE: what the action returned; of FAILED and STUCK: why

    @classmethod
    def read(cls, detail: Mapping[str, Any]) -> Line:
        """From the audit trail."""
        return cls(detail["number"], Mark(detail["mark"]), detail.get("step", ""), detail.get("data"))

    def detail(self) -> dict[str, Any]:
        """For the audit trail."""
        return {"number": self.number, "mark": self.mark.value, "step": self.step, "data": self.data}


class Progress:
    """Of one command's saga. A saga that was undone completely and is begun again is a new ``round``."""

    def __init__(self, lines: Iterable[Line] = ()) -> None:
        self.lines: list[Line] = []
        self.round = 1
        self.results: dict[str, Any] = {}  #: of the steps whose effects stand, in their order
        self.given: dict[str, Any] = {}  #: of all that were done in this round, undone or not
        self.failed: Line | None = None
        self.begun: set[str] = set()
        self.undone: list[str] = []
        self.completed = False
        self.ended: dict[str, Any] | None = None  #: how the last round ended, while no other has begun
        for line in sorted(lines):
            self.take(line)

    def take(self, line: Line) -> None:
        """One more line."""
        self.lines.append(line)
        self.ended = line.data if line.mark is Mark.COMPENSATED else None
        match line.mark:
            case Mark.BEGUN:
                self.begun.add(line.step)
            case Mark.DONE:
                self.begun.discard(line.step)
                self.results[line.step] = self.given[line.step] = line.data
            case Mark.FAILED:
                self.begun.discard(line.step)
                self.failed = line
            case Mark.UNDONE:
                self.undone.append(line.step)
                self.results.pop(line.step, None)
            case Mark.COMPLETED:
                self.completed = True
            case Mark.COMPENSATED:
                self.round += 1
                self.results, self.given, self.failed, self.begun, self.undone = {}, {}, None, set(), []

    def next(self, mark: Mark, step: str = "", data: Any = None) -> Line:
        """The line that would follow."""
        return Line(len(self.lines) + 1, mark, step, data)

    def interrupted(self, step: str) -> bool:
        """Whether it was begun by an attempt that did not live to tell how it ended."""
        return step in self.begun
