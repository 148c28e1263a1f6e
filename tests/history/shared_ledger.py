"""The ledger of many routers at once: one outside world for all their processes, which knows fencing tokens.

As an outside system should: whoever comes with a token older than one it has seen for the guild is turned away, before
its handler begins as well as at its effect. Locks are ``flock``, which a killed process lets go of.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.history.events import Begin, Effect, load
from tests.history.recorder import LEDGER, Ledger, Recorder, Run


class Fenced(Exception):
    """A newer owner of this guild was here."""


class SharedLedger(Ledger):
    """Every process opens its own; the files are the truth. ``fenced=False``: a world that asks nobody for a token."""

    def __init__(self, recorder: Recorder, *, fenced: bool = True) -> None:
        super().__init__(recorder)
        self._fenced = fenced
        self._path = recorder.folder / LEDGER
        self._read = 0
        self._guard = recorder.folder / "ledger.lock"
        self._fences = recorder.folder / "fences"
        self._fences.mkdir(exist_ok=True)

    def begin(self, **told: Any) -> Run:
        """A handler starts; raises ``Fenced`` when it comes with an old token."""
        with self._fence(told["guild"], told.get("token", 0)):
            return super().begin(**told)

    def apply(self, begin: Begin, idempotent: bool) -> bool:
        """As ``Ledger.apply``, over all processes; raises ``Fenced``, and then has done nothing."""
        with self._fence(begin.guild, begin.token), _locked(self._guard):
            self._catch_up()
            return super().apply(begin, idempotent)

    @contextmanager
    def _fence(self, guild: str, token: int) -> Iterator[None]:
        path = self._fences / guild
        with _locked(path) as file:
            seen = int(os.pread(file, 32, 0) or b"0")
            if token < seen and self._fenced:
                raise Fenced(f"token {token} after {seen}")
            if token > seen:
                os.pwrite(file, b"%032d" % token, 0)
            yield

    def _catch_up(self) -> None:
        """The keys that others wrote since."""
        with self._path.open("rb") as file:
            file.seek(self._read)
            fresh = file.read()
        self._read += len(fresh)
        for line in fresh.split(b"\n"):
            with suppress(ValueError):  # a line torn by a kill, which nobody can have acted on; or an empty one
                event = load(line)
                assert isinstance(event, Effect)
                self._known.add(event.key)


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file
    finally:
        os.close(file)  # and with it the lock
