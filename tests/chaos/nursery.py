"""Lives that start in milliseconds: a process that has imported everything once and forks a child for each life.

Run as ``python -m tests.chaos.nursery MODULE``, which it imports. It is told over stdin, one JSON object a line:
``{"target": "module:function", "arguments": {...}}``. It answers on stdout with the child's pid, and with its exit
code when it is gone; one child at a time. The nursery itself has one thread, so a fork copies nothing that runs.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def _serve() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a child prints belongs into the log
    for line in sys.stdin:
        order = json.loads(line)
        module, _, name = order["target"].partition(":")
        target = getattr(importlib.import_module(module), name)
        child = os.fork()
        if not child:
            answers.close()
            _live(target, order["arguments"])
        print(child, file=answers, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), file=answers, flush=True)


def _live(target: Callable[..., None], arguments: dict[str, Any]) -> None:
    code = 1
    try:
        os.setpgid(0, 0)
        target(**arguments)
        code = 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


class Life:
    """One child: kill it, or wait for its end."""

    def __init__(self, pid: int, answers: Iterator[str]) -> None:
        self.pid = pid
        self._answers = answers
        self._code: int | None = None
        self._gone = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        answer = next(self._answers, "")
        self._code = int(answer) if answer else None
        self._gone.set()

    def wait(self, timeout: float) -> int:
        """Its exit code (negative: the signal that ended it); ``TimeoutError``."""
        if not self._gone.wait(timeout):
            raise TimeoutError(f"process {self.pid} still runs after {timeout} s")
        if self._code is None:
            raise RuntimeError("the nursery died")
        return self._code

    def ended(self, within: float) -> bool:
        """Whether it ended by itself in the next ``within`` seconds."""
        return self._gone.wait(within)

    def signal(self, number: int) -> None:
        """Send a signal unless it is gone (the nursery reaps it, so the pid may be anybody's then)."""
        if not self._gone.is_set():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


class Nursery:
    """The parent's side. ``log`` gets everything the children print."""

    def __init__(self, log: Path, preload: str, environment: dict[str, str] | None = None) -> None:
        self.log = log
        self._log = log.open("ab")
        self._last: Life | None = None
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.nursery", preload],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
        )

    def start(self, target: str, **arguments: object) -> Life:
        """Fork a child that calls ``module:function`` and exits with 0 when it returns."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"target": target, "arguments": arguments}) + "\n")
        self._process.stdin.flush()
        pid = self._process.stdout.readline()
        if not pid:
            raise RuntimeError(f"the nursery died; see {self._log.name}")
        self._last = Life(int(pid), self._process.stdout)
        return self._last

    def clear(self) -> None:
        """Kill the child that runs, if one does."""
        if self._last is not None:
            self._last.signal(signal.SIGKILL)
            self._last.wait(10)

    def close(self) -> None:
        """No more children; one that still runs, because its test failed, is killed."""
        self.clear()
        with self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait(10)
        self._log.close()

    def __enter__(self) -> Nursery:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextlib.contextmanager
def said(nursery: Nursery) -> Iterator[None]:
    """Afterwards nothing of it runs any more, and what its children said in here is printed."""
    start = nursery.log.stat().st_size
    try:
        yield
    finally:
        nursery.clear()
        with nursery.log.open("rb") as log:
            log.seek(start)
            print(log.read().decode(errors="replace")[-20_000:])


if __name__ == "__main__":
    importlib.import_module(sys.argv[1])
    _serve()
