"""The daemon as its users have it: ``guild-router serve`` in a process of its own, and a client over HTTP."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.chaos.load import Order, Told, accepted, refused, silent

ROOT = Path(__file__).parents[2]
READY = 30.0
"""Seconds until a daemon must answer: imports on a machine with much else to do."""


def free_port() -> int:
    """A port nobody listens on now; the lives of one daemon share it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Daemon:
    """One life of it."""

    def __init__(self, folder: Path, store: str, name: str, port: int, wrapper: Sequence[str] = ()) -> None:
        self.name = name
        self.port = port
        self._log = (folder / "daemon.log").open("ab")
        arguments = ["serve", "--app", "tests.chaos.app:router", "--store", store, "--port", str(port), "--drain", "5"]
        self.process = subprocess.Popen(
            [*wrapper, sys.executable, "-m", "router", *arguments],
            stdout=self._log,
            stderr=self._log,
            cwd=ROOT,
            env={**os.environ, "ROUTER_STORE": store, "CHAOS_FOLDER": str(folder), "CHAOS_LIFE": name},
        )

    def ready(self) -> float:
        """Wait until it takes commands; the seconds that took."""
        began = time.monotonic()
        while time.monotonic() - began < READY:
            if self.process.poll() is not None:
                raise AssertionError(f"{self.name} ended with {self.process.returncode}; see daemon.log")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                if _get(self.port, "/readyz")[0] == 200:
                    return time.monotonic() - began
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.01)
        raise AssertionError(f"{self.name} does not answer in {READY} s; see daemon.log")

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self.process.kill()
        code = self.process.wait(10)
        if code != -signal.SIGKILL:
            raise AssertionError(f"{self.name} ended by itself with {code}; see daemon.log")
        self._log.close()

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
    data = {name: getattr(order, name) for name in ("text", "fails", "before", "after")}
    return {"type": order.type, "guildId": order.guild, "data": {**data, "mark": order.key, "lane": order.subject}}
