"""``guild-router serve`` as a process of its own."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from router.cli.client import Client
from router.signals import ECHO

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0


def pass_the_echo() -> None:
    """Until the same signal is another one."""
    time.sleep(ECHO)  # real time: a process measures it


class Process:
    """A running daemon: its URL, its lines, its end."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self.url = ""
        self._queue: queue.Queue[str | None] = queue.Queue()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def line_with(self, text: str) -> str:
        """The next line of either stream that has ``text`` in it."""
        while (line := self._queue.get(timeout=PATIENCE)) is not None:
            if text in line:
                return line
        raise AssertionError(f"ended without saying {text!r}:\n" + "".join(self.lines))

    def listening(self) -> Client:
        """A client, once it listens."""
        line = self.line_with("listens on ")
        self.url = line.split("listens on ")[1].split()[0]
        return Client(self.url)

    def signal(self, number: int) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def ended(self, patience: float = PATIENCE) -> int:
        """The exit status."""
        status = self.process.wait(patience)
        self._thread.join(PATIENCE)
        return status

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(line)
            self._queue.put(line)
        self._queue.put(None)


@contextmanager
def running(
    *arguments: str,
    cwd: Path,
    environ: Mapping[str, str] | None = None,
    group: bool = False,
    under: Sequence[str] = (),
) -> Iterator[Process]:
    """A process of ``python -m router``; killed if the test leaves it running.

    ``group``: it leads one of its own; ``under``: a command that runs it.
    """
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ROUTER_")}
    environment = clean | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"} | dict(environ or {})
    process = subprocess.Popen(
        [*under, sys.executable, "-m", "router", *arguments],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=group,
    )
    wrapped = Process(process)
    try:
        yield wrapped
    finally:
        if process.poll() is None:
            if group:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
        wrapped.ended()
        assert process.stdout
        process.stdout.close()
