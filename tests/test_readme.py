"""What the README shows is run."""

from __future__ import annotations

import importlib
import json
import os
import re
import shlex
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from router.errors import Refused
from tests.cli.processes import running

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def example(text: str) -> str:
    """The one Python example that has ``text`` in it."""
    (found,) = (block for block in blocks("python") if text in block)
    return found


def console(text: str) -> str:
    """The one terminal example that has ``text`` in it."""
    (found,) = (block for block in blocks("console") if text in block)
    return found


def run_script(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", text],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


def test_the_embedded_example_runs(tmp_path: Path) -> None:
    for _ in range(2):  # the second time it is a duplicate of the first, whose story is told
        result = run_script(blocks("python")[0], tmp_path)
        assert result.returncode == 0, result.stderr
        lines = result.stdout.splitlines()
        assert lines[0].startswith("accepted ")
        assert any(line.startswith("answered ok") for line in lines)


@pytest.mark.parametrize("text", ["router.proxy()", "router.publish(", "reply.cancel()", "router.schedule("])
def test_the_other_examples_run(tmp_path: Path, text: str) -> None:
    result = run_script(example(text), tmp_path)
    assert result.returncode == 0, result.stderr


def test_the_example_of_dead_letters_runs(tmp_path: Path) -> None:
    result = run_script(example("dead_letters.replay("), tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "KICK_USER handler_error ConnectionError: the chat service is away\n"


def test_the_example_of_health_runs(tmp_path: Path) -> None:
    result = run_script(example("router.health()"), tmp_path)
    assert result.returncode == 0, result.stderr


def test_the_example_of_clients_runs(tmp_path: Path) -> None:
    with running("serve", "--port", "0", cwd=tmp_path) as daemon:
        daemon.listening()
        result = run_script(example("BotClient(").replace("http://127.0.0.1:8600", daemon.url), tmp_path)
        assert result.returncode == 0, result.stderr
        assert result.stdout.splitlines()[-1].endswith(" settled")
        (line,) = console("events").splitlines()
        options = ["--after", "0", "--limit", "2", "--url", daemon.url]
        with running(*shlex.split(line[2:])[1:], *options, cwd=tmp_path) as process:
            assert process.ended() == 0, "".join(process.lines)
            assert "BAN_USER" in process.lines[1]


def test_every_python_example_is_run() -> None:
    assert len(blocks("python")) == 9


def test_the_errors_are_where_the_readme_says() -> None:
    rows = re.findall(r"^\| (`[A-Z].*?) \| `([a-z.]+)` \|", README, re.MULTILINE)
    assert [module for _, module in rows] == ["router", "router.errors", "actors.runtime.errors"]
    for names, module in rows:
        for name in re.findall(r"`(\w+)`", names):
            assert issubclass(getattr(importlib.import_module(module), name), Exception)
    assert set(re.findall(r"`(\w+)`", rows[1][0])) == {kind.__name__ for kind in below(Refused)}


def below(kind: type[Exception]) -> set[type[Exception]]:
    """The class and everything that is one."""
    return {kind}.union(*(below(each) for each in kind.__subclasses__()))


def test_the_daemon_example_runs(tmp_path: Path) -> None:
    bot = example("# bot.py\n")
    (tmp_path / "bot.py").write_text(bot)
    commands = [shlex.split(line[2:]) for line in blocks("console")[0].splitlines()]
    assert [command[0] for command in commands] == ["guild-router"] * 4
    with running(*commands[0][1:], "--port", "0", cwd=tmp_path) as daemon:
        daemon.listening()
        for command in commands[1:]:
            with running(*command[1:], "--url", daemon.url, cwd=tmp_path) as process:
                assert process.ended() == 0, "".join(process.lines)
        *watching, scrape = [line[2:] for line in console("monitor").splitlines()]
        for line in watching:
            once = ["--once"] if line.endswith("monitor") else []  # else it runs until somebody ends it
            with running(*shlex.split(line)[1:], *once, "--url", daemon.url, cwd=tmp_path) as process:
                assert process.ended() == 0, "".join(process.lines)
        address = shlex.split(scrape)[2].replace("127.0.0.1:8600", daemon.url)
        with urllib.request.urlopen(address, timeout=20) as response:
            assert b"guild_router_accepted_total 1.0" in response.read()
        curl = shlex.split(blocks("console")[1].removeprefix("$ "))
        url = curl[2].replace("127.0.0.1:8600", daemon.url)
        headers = dict([curl[curl.index("-H") + 1].split(": ")])
        request = urllib.request.Request(url, curl[curl.index("-d") + 1].encode(), headers)
        with urllib.request.urlopen(request, timeout=20) as response:
            assert json.load(response)["data"] == {"banned": "80351110224678912"}


def test_every_file_the_readme_points_to_is_there() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_example_bot_runs(tmp_path: Path) -> None:
    arguments = ("serve", "--app", "examples.demo_bot:router", "--store", "memory://", "--port", "0")
    with running(*arguments, cwd=tmp_path) as daemon:
        client = daemon.listening()

        def ask(type: str, data: dict[str, str]) -> dict[str, Any]:
            body = {"type": type, "guildId": "81384788765712384", "userId": "53908232506183680", "data": data}
            answer: dict[str, Any] = client.ask("POST", "/api/commands?wait=10000", body)[1]
            return answer

        target = {"userId": "175928847299117063", "reason": "spam"}
        assert ask("BAN_USER", target)["data"] == {"banned": True, "user": "175928847299117063"}
        assert ask("UNBAN_USER", target)["status"] == "ok"
        assert ask("UNBAN_USER", target | {"userId": "175928847299117064"})["error"]["code"] == "not_banned"
        for _ in range(2):
            said = ask("SEND_MESSAGE", {"channelId": "381870553235193857", "content": "hello"})
            assert said["status"] == "ok"
        assert [attempt["outcome"] for attempt in said["attempts"]] == ["deferred", "applied"]
