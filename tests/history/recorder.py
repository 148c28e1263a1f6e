"""Writing a history and the ledger so that kill -9 leaves them true, and reading them back.

A line is one ``write`` on a file opened with O_APPEND, so what a process said before it was killed is in the kernel's
hands. Each process has its own history file; only the ledger is shared by the lives of one router.
"""

from __future__ import annotations

import itertools
import json
import os
import threading
import time
from pathlib import Path
from types import TracebackType

from tests.history.events import Begin, Effect, End, Event, Repeat, dump, load

LEDGER = "ledger.jsonl"


class TornLine(Exception):
    """A line is broken and it is not the last one of its writer."""


class _Appender:
    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        if os.fstat(self._file).st_size and path.read_bytes()[-1:] != b"\n":
            self.write(b"\n")  # the last writer was killed inside a line that crossed a page

    def write(self, line: bytes) -> None:
        if os.write(self._file, line) != len(line):
            raise OSError("a line was written in part")

    def close(self) -> None:
        os.close(self._file)


class Recorder:
    """The history of one process; safe to use from all its threads.

    ``record(kind, **fields)`` stamps and writes under one lock, so the lines of a file are in the order of ``at``.
    """

    def __init__(self, folder: Path, by: str) -> None:
        self.by = by
        self.folder = folder
        self._appender = _Appender(folder / f"history-{by}.jsonl")
        self._lock = threading.Lock()

    def record(self, kind: type[Event], **fields: object) -> Event:
        """Write one line now; returns it."""
        with self._lock:
            event = kind(at=time.monotonic_ns(), by=self.by, **fields)
            self._appender.write(dump(event))
            return event

    def close(self) -> None:
        """No more lines."""
        self._appender.close()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Run:
    """One execution, as the handler tells it."""

    def __init__(self, ledger: Ledger, begin: Begin, idempotent: bool) -> None:
        self._ledger = ledger
        self.begin = begin
        self.idempotent = idempotent

    def effect(self) -> bool:
        """Do it; ``False`` when the command is idempotent and it was done before."""
        return self._ledger.apply(self.begin, self.idempotent)

    def end(self, outcome: str = "applied") -> None:
        """Tell that the handler is through."""
        self._ledger.recorder.record(End, run=self.begin.run, outcome=outcome)


class Ledger:
    """The outside world: effects that no crash of the router takes back.

    Opened by each life of the router; knows the keys its earlier lives wrote.
    """

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        path = recorder.folder / LEDGER
        self._appender = _Appender(path)
        self._known = {event.key for event in read_file(path) if isinstance(event, Effect)}
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)

    def begin(
        self,
        *,
        id: str,
        key: str,
        payload: str,
        guild: str,
        subject: str,
        attempt: int,
        sequence: int,
        token: int = 0,
        idempotent: bool = True,
    ) -> Run:
        """A handler starts."""
        begin = self.recorder.record(
            Begin,
            run=f"{self.recorder.by}:{next(self._numbers)}",
            id=id,
            key=key,
            payload=payload,
            guild=guild,
            subject=subject,
            attempt=attempt,
            sequence=sequence,
            token=token,
        )
        assert isinstance(begin, Begin)
        return Run(self, begin, idempotent)

    def apply(self, begin: Begin, idempotent: bool) -> bool:
        """Write the effect of a run, once for the key of an idempotent command."""
        with self._lock:
            if idempotent and begin.key in self._known:
                self.recorder.record(Repeat, run=begin.run, id=begin.id, key=begin.key)
                return False
            effect = Effect(
                at=time.monotonic_ns(),
                by=self.recorder.by,
                run=begin.run,
                id=begin.id,
                key=begin.key,
                payload=begin.payload,
                guild=begin.guild,
                subject=begin.subject,
                token=begin.token,
                idempotent=idempotent,
            )
            self._appender.write(dump(effect))
            self._known.add(begin.key)
            return True

    def close(self) -> None:
        """No more effects."""
        self._appender.close()


def read_file(path: Path) -> list[Event]:
    """The events of one file. A line torn by a kill is left out: nobody can have acted on it."""
    events = []
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines):
        if not line:
            continue
        try:
            events.append(load(line))
        except json.JSONDecodeError as error:
            # The ledger goes on after a torn line with the next life; any other file ends with it.
            if path.name != LEDGER and number != len(lines) - 1:
                raise TornLine(f"{path.name}:{number + 1}: {line[:80]!r}") from error
    return events


def read(folder: Path) -> list[Event]:
    """All that was written in a folder, in the order of time."""
    events = [event for path in sorted(folder.glob("*.jsonl")) for event in read_file(path)]
    events.sort(key=lambda event: event.at)  # stable: equal times keep the order of their file
    return events
