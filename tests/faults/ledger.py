"""The world outside the system: what was begun and what was done, in files that only grow.

Any number of processes write; nothing of it is read from the router.
"""

from __future__ import annotations

import os
from pathlib import Path


class Ledger:
    """Begun runs and effects by mark."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def begin(self, mark: str) -> int:
        """An executor begins; which run it is, from 1."""
        self._append(f"{mark}.runs")
        return self.runs(mark)

    def effect(self, mark: str, *, idempotent: bool) -> None:
        """Do it. What is idempotent is a state that is set: setting it again changes nothing."""
        if idempotent:
            (self.folder / f"{mark}.effects").write_bytes(b"+")
        else:
            self._append(f"{mark}.effects")

    def end(self, mark: str) -> None:
        """An executor is through with it, or about to die."""
        self._append(f"{mark}.ends")

    def at_rest(self, mark: str) -> bool:
        """Whether every run that was begun has ended."""
        return self._size(f"{mark}.ends") == self.runs(mark)

    def runs(self, mark: str) -> int:
        """How often it was begun."""
        return self._size(f"{mark}.runs")

    def effects(self, mark: str) -> int:
        """How often it was done, as the world can tell."""
        return self._size(f"{mark}.effects")

    def _append(self, name: str) -> None:
        # One byte with O_APPEND: whole or not at all, whoever dies when.
        file = os.open(self.folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            os.write(file, b"+")
        finally:
            os.close(file)

    def _size(self, name: str) -> int:
        try:
            return (self.folder / name).stat().st_size
        except FileNotFoundError:
            return 0
