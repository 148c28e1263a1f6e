"""The processes of the conversation: the bot's, which may be killed and started again, and the dashboard's."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue

from router.demo import bot_process, dashboard_process

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0  # seconds for a process to say what is expected of it
FAREWELL = 10.0  # seconds to end


class Fallen(Exception):
    """A process ended, or said nothing."""


class Piped:
    """A Python process whose lines are told, and may be waited for."""

    def __init__(self, name: str, module: str, arguments: Sequence[str], say: Callable[[str], None]) -> None:
        self._name = name
        self._command = [sys.executable, "-m", module, *arguments]
        self._say = say
        self._lines: SimpleQueue[str | None] = SimpleQueue()
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    def start(self) -> None:
        """Start it; returns at once."""
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))
        self._lines = SimpleQueue()
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # a Ctrl-C is for the daemon, which stops the others in good order
            env={**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"},
        )
        self._reader = threading.Thread(target=self._read, args=(self._process, self._lines), daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid if self._process is not None else 0

    def tell(self, line: str) -> None:
        """A line for its standard input."""
        if self._process is None or self._process.stdin is None:
            raise Fallen(f"{self._name} is not running")
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def line_with(self, text: str) -> str:
        """The next line that begins so; raises ``Fallen``."""
        while True:
            try:
                line = self._lines.get(timeout=PATIENCE)
            except Empty:
                raise Fallen(f"{self._name} did not say {text!r} within {PATIENCE:g} s") from None
            if line is None:
                raise Fallen(f"{self._name} ended without saying {text!r}")
            if line.startswith(text):
                return line

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self._process is not None:
            self._process.kill()
            self._gone()

    def stop(self) -> None:
        """SIGTERM and the end of its input, and wait; then SIGKILL."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(FAREWELL)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._gone()

    def _gone(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.wait()
        if self._reader is not None:
            self._reader.join()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()

    def _read(self, process: subprocess.Popen[str], lines: SimpleQueue[str | None]) -> None:
        if process.stdout is not None:
            for line in process.stdout:
                said = line.rstrip("\n")
                lines.put(said)
                self._say(f"   {self._name}: {said}")
        lines.put(None)


class BotRun(Piped):
    """The bot's process."""

    def __init__(self, url: str, folder: Path, say: Callable[[str], None]) -> None:
        super().__init__("bot", bot_process.__name__, (url, str(folder)), say)

    def start(self) -> None:
        """Returns when it is connected."""
        super().start()
        self.line_with(bot_process.CONNECTED)


class DashboardRun(Piped):
    """The dashboard's process."""

    def __init__(self, url: str, say: Callable[[str], None]) -> None:
        super().__init__("dashboard", dashboard_process.__name__, (url,), say)

    def start(self) -> None:
        """Returns when it is connected."""
        super().start()
        self.line_with(dashboard_process.CONNECTED)

    def ask(self, line: str) -> str:
        """The answer to a line."""
        self.tell(line)
        return self.line_with(dashboard_process.ANSWER).removeprefix(dashboard_process.ANSWER)
