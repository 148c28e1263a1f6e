"""The daemon as its users have it: ``guild-router serve`` in a process of its own, and a client over HTTP."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from tests.chaos.load import Order, Told, accepted, refused, silent
from tests.chaos.nursery import Nursery
from tests.servers.ports import free_port

ROOT = Path(__file__).parents[2]
READY = 60.0
"""Seconds until a daemon must answer: imports on a machine with much else to do."""


class Process(Protocol):
    """A process of ours, executed or forked (``tests.chaos.nursery.Life``)."""

    pid: int

    def ended(self, within: float) -> bool: ...

    def wait(self, timeout: float) -> int: ...

    def signal(self, number: int) -> None: ...


class Executed:
    """A program started from nothing."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                command, stdout=out, stderr=out, cwd=ROOT, env={**os.environ, **environment}
            )
        self.pid = self._process.pid

    def ended(self, within: float) -> bool:
        """Whether it ended by itself in the next ``within`` seconds."""
        try:
            self._process.wait(within)
        except subprocess.TimeoutExpired:
            return False
        return True

    def wait(self, timeout: float) -> int:
        """Its exit code (negative: the signal that ended it); ``subprocess.TimeoutExpired``."""
        return self._process.wait(timeout)

    def signal(self, number: int) -> None:
        """Send a signal unless it is gone."""
        self._process.send_signal(number)


class Site:
    """Where the lives of one daemon run one after another: a folder with store, history and log, and a port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = f"sqlite:///{folder / 'router.db'}"
        self.log = folder / "daemon.log"
        self.port = free_port()
        self._lives = 0

    def execute(self, *wrapper: str) -> Daemon:
        """The next life, as a user starts it; ``wrapper``: a command that runs it."""
        name = self._name()
        command = [*wrapper, sys.executable, "-m", "router", *self._arguments()]
        return Daemon(name, self.port, Executed(command, self._environment(name), self.log))

    def fork(self, nursery: Nursery) -> Daemon:
        """The next life, forked from a process that has imported everything; its log is the nursery's."""
        name = self._name()
        life = nursery.start(
            "tests.chaos.served:serve", environment=self._environment(name), arguments=self._arguments()
        )
        return Daemon(name, self.port, life)

    def _name(self) -> str:
        self._lives += 1
        return f"router-{self._lives}"

    def _arguments(self) -> list[str]:
        options = ["--app", "tests.chaos.app:router", "--store", self.store, "--port", str(self.port), "--drain", "5"]
        return ["serve", *options]

    def _environment(self, name: str) -> dict[str, str]:
        return {"ROUTER_STORE": self.store, "CHAOS_FOLDER": str(self.folder), "CHAOS_LIFE": name}


class Daemon:
    """One life of it."""

    def __init__(self, name: str, port: int, process: Process) -> None:
        self.name = name
        self.port = port
        self.process = process

    def ready(self) -> float:
        """Wait until it takes commands; the seconds that took."""
        began = time.monotonic()
        while time.monotonic() - began < READY:
            with contextlib.suppress(OSError):
                if _get(self.port, "/readyz")[0] == 200:
                    return time.monotonic() - began
            if self.process.ended(within=0.01):
                raise AssertionError(f"{self.name} ended with {self.process.wait(1)}; see its log")
        raise AssertionError(f"{self.name} does not answer in {READY} s; see its log")

    def live(self, seconds: float) -> None:
        """Let it be for a while; it must not end by itself."""
        if self.process.ended(within=seconds):
            raise AssertionError(f"{self.name} ended by itself with {self.process.wait(1)}; see its log")

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self.process.signal(signal.SIGKILL)
        code = self.process.wait(10)
        if code != -signal.SIGKILL:
            raise AssertionError(f"{self.name} ended by itself with {code}; see its log")

    def get(self, path: str) -> Any:
        """The JSON of a GET that must be answered 200."""
        status, body = _get(self.port, path)
        if status != 200:
            raise AssertionError(f"GET {path} answered {status}: {body[:500]!r}")
        return json.loads(body)


def _get(port: int, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    except http.client.HTTPException as error:
        raise OSError(str(error)) from error
    finally:
        connection.close()


class HttpDoor:
    """A client with one kept-alive connection; not shared by threads."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def __enter__(self) -> HttpDoor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def submit(self, order: Order) -> Told:
        """POST it. No answer, or half of one, is ``unknown``."""
        body = json.dumps(wire(order)).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": order.key}
        try:
            self._connection.request("POST", "/api/commands", body, headers)
            response = self._connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._connection.close()
            return silent(type(error).__name__)
        if response.status >= 500 and response.status != 503:
            return silent(f"status {response.status}")  # an error of ours says nothing of what is stored
        if response.status == 202:
            return accepted(answer.get("originalId") or answer["jobId"], answer["sequence"], answer["duplicate"])
        return refused(str(answer.get("code", response.status)))


def wire(order: Order) -> dict[str, object]:
    """An order as it goes over HTTP."""
    data = {name: getattr(order, name) for name in ("text", "fails", "before", "after", "reliable")}
    return {
        "type": order.type,
        "guildId": order.guild,
        "requiresReliability": order.reliable,
        "data": {**data, "mark": order.key, "lane": order.subject},
    }
