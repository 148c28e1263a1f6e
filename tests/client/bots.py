"""Bots in processes of their own, for tests that kill them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 60.0


class BotProcess:
    """One run of ``tests.client.bot_process``."""

    def __init__(self, url: str, name: str, ledger: Path, record: Path | None = None) -> None:
        self.ledger = ledger
        known = len(self.lines())
        command = [sys.executable, "-m", "tests.client.bot_process", url, name, str(ledger)]
        self.process = subprocess.Popen([*command, str(record)] if record else command)
        self.wait_for("ready", after=known)

    def lines(self) -> list[str]:
        """What it did."""
        return self.ledger.read_text().splitlines() if self.ledger.exists() else []

    def wait_for(self, line: str, after: int = 0) -> None:
        """Until the ledger has this line."""
        deadline = time.monotonic() + PATIENCE
        while line not in self.lines()[after:]:
            assert self.process.poll() is None, "the bot has ended"
            assert time.monotonic() < deadline, f"no {line} in {self.lines()}"

    def go(self) -> None:
        """Let its handlers end."""
        Path(f"{self.ledger}.go").touch()

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.process.kill()
        self.process.wait(PATIENCE)


@contextmanager
def bot_process(url: str, name: str, ledger: Path, record: Path | None = None) -> Iterator[BotProcess]:
    """One that is gone afterwards."""
    bot = BotProcess(url, name, ledger, record)
    try:
        yield bot
    finally:
        bot.kill()
