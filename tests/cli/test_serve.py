"""The daemon as a process: start, signals, end."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from router.cli.client import Refusal
from router.cli.main import app
from tests.cli.processes import pass_the_echo, running

BOT = """
import os
import threading
from router import Router

router = Router()
gate = threading.Event()

@router.handler("BAN_USER")
def ban(command, ctx):
    with open("effects", "a") as file:
        file.write(f"ban {command.user_id}\\n")
    return {"banned": command.user_id}

@router.handler("KICK_USER")
def kick(command, ctx):
    print("kick began", flush=True)
    with open(command.reason) as pipe:  # blocks until somebody opens the other end
        pipe.read()
    with open("effects", "a") as file:
        file.write(f"kick {command.user_id}\\n")
"""
terminal = CliRunner(env={"COLUMNS": "160", "NO_COLOR": "1", "TERM": "dumb"})
GUILD, MODERATOR, USER = "81384788765712384", "53908232506183680", "175928847299117063"


def command(type: str, reason: str = "spam", user: str = USER) -> dict[str, object]:
    return {"type": type, "guildId": GUILD, "userId": MODERATOR, "data": {"userId": user, "reason": reason}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bot.py").write_text(BOT)
    return tmp_path


TIMEOUT = ("timeout", "600")
SERVE = ("serve", "--app", "bot:router", "--port", "0", "--store", "sqlite:///router.db")


def test_a_daemon_executes_with_the_handlers_of_an_application(folder: Path) -> None:
    with running(*SERVE, cwd=folder) as process:
        client = process.listening()
        status, answer = client.ask("POST", "/api/commands?wait=5000", command("BAN_USER"))
        assert (status, answer["data"]) == (200, {"banned": USER})
        assert client.ask("GET", "/api/queue/health")[1]["provider"] == "sqlite"
        process.signal(signal.SIGTERM)
        assert process.ended() == 0
    assert (folder / "effects").read_text() == f"ban {USER}\n"


def test_what_was_accepted_and_not_started_is_executed_after_the_restart(folder: Path) -> None:
    with running("serve", "--port", "0", "--store", "sqlite:///router.db", cwd=folder) as process:
        client = process.listening()
        job = client.ask("POST", "/api/commands", command("BAN_USER"))[1]["jobId"]
        process.signal(signal.SIGTERM)
        assert process.ended() == 0
    assert not (folder / "effects").exists()
    with running(*SERVE, cwd=folder) as process:
        client = process.listening()
        answer = client.ask("POST", "/api/commands?wait=5000", command("BAN_USER"))[1]
        assert (answer["duplicate"], answer["original"]) == (True, job)
    assert (folder / "effects").read_text() == f"ban {USER}\n"


def test_the_first_sigterm_drains(folder: Path) -> None:
    pipe = folder / "pipe"
    os_mkfifo(pipe)
    with running(*SERVE, cwd=folder) as process:
        client = process.listening()
        client.ask("POST", "/api/commands", command("KICK_USER", "pipe"))
        process.line_with("kick began")
        process.signal(signal.SIGTERM)
        process.line_with("draining")
        with pytest.raises(Refusal) as refused:
            client.ask("POST", "/api/commands", command("BAN_USER", user="175928847299117064"))
        assert refused.value.status == 503
        assert refused.value.code == "shutting_down"
        with pytest.raises(Refusal) as unready:
            client.ask("GET", "/readyz")
        assert unready.value.status == 503
        assert client.ask("GET", "/livez")[0] == 200
        pipe.write_text("go on")
        assert process.ended() == 0
    assert (folder / "effects").read_text() == f"kick {USER}\n"


def test_timeout_signals_its_child_and_the_whole_group_and_that_is_one_signal(folder: Path) -> None:
    os_mkfifo(pipe := folder / "pipe")
    with running(*SERVE, cwd=folder, group=True, under=TIMEOUT) as process:
        process.listening().ask("POST", "/api/commands", command("KICK_USER", "pipe"))
        process.line_with("kick began")
        process.signal(signal.SIGTERM)  # passed on as when its time is over
        process.line_with("draining")
        pipe.write_text("go on")
        assert process.ended() == 0
    assert (folder / "effects").read_text() == f"kick {USER}\n"


def test_a_second_sigterm_stops_at_once_and_loses_nothing(folder: Path) -> None:
    os_mkfifo(folder / "pipe")
    with running(*SERVE, cwd=folder) as process:
        client = process.listening()
        client.ask("POST", "/api/commands", command("KICK_USER", "pipe"))
        process.line_with("kick began")
        job = client.ask("POST", "/api/commands", command("BAN_USER", user="175928847299117065"))[1]["jobId"]
        process.signal(signal.SIGTERM)
        process.line_with("draining")
        pass_the_echo()
        process.signal(signal.SIGTERM)
        assert process.ended() == 128 + signal.SIGTERM
    with running(*SERVE, cwd=folder) as process:
        client = process.listening()
        assert client.ask("GET", f"/api/commands/{job}")[1]["type"] == "BAN_USER"


def test_a_port_that_is_taken_is_told_in_one_line(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with running("serve", "--store", "memory://", "--port", port, cwd=folder) as process:
            assert process.ended() == 1
            assert len(process.lines) == 1
            assert f"cannot serve on 127.0.0.1:{port}: " in process.lines[0]


def test_a_store_that_is_held_by_another_daemon_is_told_in_one_line(folder: Path) -> None:
    with running(*SERVE, cwd=folder) as first:
        first.listening()
        with running(*SERVE, cwd=folder) as second:
            assert second.ended() == 1
            assert second.lines[-1].startswith("guild-router: cannot start: ")


def test_a_store_in_a_directory_that_is_not_there_is_told_in_one_line(folder: Path) -> None:
    with running("serve", "--port", "0", "--store", f"sqlite:///{folder}/missing/x.db", cwd=folder) as process:
        assert process.ended() == 1
        assert process.lines[-1].startswith("guild-router: cannot start: ")
        assert f"{folder}/missing/x.db: the directory {folder}/missing does not exist" in process.lines[-1]
        assert ".lock" not in process.lines[-1]


def test_a_redis_that_cannot_be_reached_is_named_in_one_line(folder: Path) -> None:
    away = {"MESSAGE_QUEUE_PROVIDER": "redis", "REDIS_PORT": "1"}
    with running("serve", "--port", "0", cwd=folder, environ=away) as process:
        assert process.ended() in (1, 2)
        assert len(process.lines) == 1
        assert "localhost:1" in process.lines[0]


BAD_JOURNAL = """
from actors.journal import Journal
from bot import router

def broken(self, message):
    raise RuntimeError("the journal is broken on purpose")

def break_it():
    Journal.on_receive = broken
    Journal.on_flush = lambda self: None
"""


def test_a_router_that_gives_up_ends_the_daemon_with_status_1_and_the_cause(folder: Path) -> None:
    text = BAD_JOURNAL + "\n@router.handler('TIMEOUT_USER')\ndef silence(command, ctx):\n    break_it()\n"
    (folder / "bad.py").write_text(text)
    with running("serve", "--app", "bad:router", "--port", "0", "--store", "memory://", cwd=folder) as process:
        client = process.listening()
        body = command("TIMEOUT_USER")
        client.ask("POST", "/api/commands", body | {"data": {"userId": USER, "reason": "x", "duration": 60}})
        assert process.ended() == 1
        assert process.lines[-1] == "guild-router: the router gave up: the journal is broken on purpose\n"


def test_a_router_that_cannot_start_is_told_with_its_cause(folder: Path) -> None:
    (folder / "bad.py").write_text(
        BAD_JOURNAL
        + "\ndef no_start(self):\n    raise RuntimeError('no start on purpose')\nJournal.on_start = no_start\n"
    )
    with running("serve", "--app", "bad:router", "--port", "0", "--store", "memory://", cwd=folder) as process:
        assert process.ended() == 1
        assert process.lines[-1] == "guild-router: cannot start: RuntimeError: no start on purpose\n"


def test_send_and_the_others_talk_to_a_daemon(folder: Path) -> None:
    with running(*SERVE, cwd=folder) as daemon:
        client = daemon.listening()

        def ask(*arguments: str) -> tuple[int, str]:
            result = terminal.invoke(app, [*arguments, "--url", daemon.url])
            return result.exit_code, result.output

        data = json.dumps({"userId": USER, "moderatorId": MODERATOR, "reason": "spam"})
        status, output = ask("send", "BAN_USER", "--guild", GUILD, "--data", data, "--wait", "--json")
        answer = json.loads(output)
        assert (status, answer["status"]) == (0, "ok")
        job = answer["jobId"]
        status, output = ask("send", "BAN_USER", "--guild", GUILD, "--data", data, "--wait")
        assert (status, output.split()[0]) == (0, "ok")
        assert "(duplicate)" in output
        status, output = ask("send", "BAN_USER", "--guild", GUILD, "--data", "{}")
        assert (status, "data.userId" in output) == (1, True)
        status, output = ask("explain", job)
        assert status == 0
        assert "BAN_USER" in output
        assert "answered" in output
        status, output = ask("queues")
        assert (status, "bot:moderation" in output) == (0, True)
        assert ask("queues", "pause", "bot:music") == (0, "bot:music is paused\n")
        assert "bot:music" in ask("queues")[1]
        assert ask("queues", "resume", "bot:music") == (0, "bot:music goes on\n")
        ask("queues", "pause", "bot:moderation")
        again = ("BAN_USER", "--guild", GUILD, "--data", data, "--idempotency-key", "k", "--json")
        status, output = ask("send", *again)
        held = json.loads(output)["jobId"]
        status, output = ask("explain", held)
        assert (status, "bot:moderation held by a pause" in " ".join(output.split())) == (0, True)
        assert json.loads(ask("explain", held, "--json")[1])["waits"]["paused"] == ["bot:moderation"]
        ask("queues", "resume", "bot:moderation")
        assert ask("queues", "purge", "bot:music", "--yes") == (0, "0 taken back\n")
        assert ask("dead-letters", "list") == (0, "no dead letters\n")
        assert ask("dead-letters", "replay", "--all") == (0, "0 live again, 0 were replayed too often already\n")
        assert ask("dead-letters", "purge", "--yes") == (0, "0 forgotten\n")
        status, output = ask("audit", "--guild", GUILD, "--type", "BAN_USER", "--since", "1h")
        assert (status, job in output) == (0, True)
        assert ask("audit", "--until", "1") == (0, "nothing was found\n")
        status, output = ask("breakers")
        assert (status, "direct" in output, "closed" in output) == (0, True, True)
        assert ask("breakers", "reset", "direct") == (0, "direct is closed\n")
        assert ask("breakers", "reset", "nobody")[0] == 1
        status, output = ask("monitor", "--once")
        assert status == 0
        for text in ("healthy", "bot:moderation", "closed", "critical", "30.0 s"):
            assert text in output
        status, output = ask("monitor", "--once", "--json")
        assert (status, json.loads(output)["health"]["overall"]) == (0, True)
        status, output = ask("tree")
        assert (status, "journal" in output) == (0, True)
        status, output = ask("doctor")
        assert (status, "healthy" in output) == (0, True)
        assert client.ask("GET", "/livez")[0] == 200


def test_waiting_for_a_command_that_fails_or_takes_too_long_is_status_1(folder: Path) -> None:
    os_mkfifo(folder / "pipe")
    with running(*SERVE, cwd=folder) as daemon:
        daemon.listening()
        data = json.dumps({"userId": USER, "moderatorId": MODERATOR, "reason": "pipe"})
        arguments = ("send", "KICK_USER", "--guild", GUILD, "--data", data, "--wait", "--timeout", "0.2")
        result = terminal.invoke(app, [*arguments, "--url", daemon.url])
        assert result.exit_code == 1
        assert "not ended in 0.2 s" in result.stderr
        (folder / "pipe").write_text("go on")


def os_mkfifo(path: Path) -> None:
    """A pipe on which a handler can be held up."""
    os.mkfifo(path)
