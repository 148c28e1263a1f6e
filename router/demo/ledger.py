"""What the example bot did to the world: one JSON line per effect in a file that is only appended to.

It stands outside the router, so it can tell whether the router kept its word.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import NamedTuple


class Effect(NamedTuple):
    """One thing done."""

    what: str  #: begin, or what was done: ban, message ...
    guild: str
    subject: str  #: user or channel
    text: str
    id: str  #: of the command
    attempt: int
    at: int  #: monotonic, ns: comparable within one machine's uptime
    by: str  #: the process that did it


class Ledger:
    """Appends and reads."""

    def __init__(self, path: Path, by: str) -> None:
        self.path = path
        self._by = by
        self._file = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)

    def write(self, what: str, guild: str, subject: str, text: str, id: str, attempt: int) -> None:
        """One line in one write: lines of several threads and processes do not mix."""
        effect = Effect(what, guild, subject, text, id, attempt, time.monotonic_ns(), self._by)
        os.write(self._file, json.dumps(effect._asdict(), separators=(",", ":")).encode() + b"\n")

    def read(self, what: str = "", *, guild: str = "", subject: str = "") -> list[Effect]:
        """Effects in the order in which they happened."""
        lines = self.path.read_bytes().splitlines()
        effects = [Effect(**json.loads(line)) for line in lines]
        return [
            effect
            for effect in effects
            if what in ("", effect.what) and guild in ("", effect.guild) and subject in ("", effect.subject)
        ]

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)
