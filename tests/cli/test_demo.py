"""``make run ARGS=--exit``."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

from tests.cli.processes import running

STEPS = (
    "1. A ban is accepted over HTTP and executed once.",
    "2. The same ban again is answered as a duplicate",
    "3. An unban meets a ban of the same user that is still queued",
    "4. Twenty messages to one channel go out in order",
    "5. A handler fails twice and succeeds at the third attempt.",
    "6. A command that cannot succeed ends in the dead letters",
    "7. An actor is killed in the middle of the work",
    "8. A dashboard in another process asks over its WebSocket",
    "9. The bot is killed (kill -9) while it executes",
    "10. The bot is started again",
)


def test_every_step_holds_and_the_demo_ends_with_status_0(tmp_path: Path) -> None:
    with running("run-demo", "--exit", "--port", "0", cwd=tmp_path) as process:
        assert process.ended(150) == 0, "".join(process.lines)
        for step in STEPS:
            assert any(line.startswith(step) for line in process.lines), step
        assert "Every step held.\n" in process.lines
    assert list(tmp_path.iterdir()) == []


def test_without_exit_the_daemon_goes_on_until_it_is_stopped(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with running("run-demo", "--port", port, cwd=tmp_path) as process:
            process.line_with(f"port {port} is taken")
            client = process.listening()
            process.line_with("The daemon goes on at ")
            assert client.ask("GET", "/readyz")[0] == 200
            process.signal(signal.SIGINT)
            assert process.ended() == 0, "".join(process.lines)
