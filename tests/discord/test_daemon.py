"""A daemon that is killed while Discord has the request: what comes after is judged by Discord's ledger."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.cli.processes import running
from tests.discord.test_commands import EFFECTS
from tests.fakes import discord as fakes
from tests.fakes.discord import CHANNEL, GUILD, MODERATOR, TOKEN, USER, Discord

SERVE = ("serve", "--port", "0", "--store", "sqlite:///router.db")
TARGET = {"userId": USER, "moderatorId": MODERATOR, "reason": "spam"}
COMMANDS: dict[str, dict[str, Any]] = {
    "BAN_USER": TARGET,
    "KICK_USER": TARGET,
    "SEND_MESSAGE": {"channelId": CHANNEL, "content": "hello"},
}


@pytest.mark.parametrize(
    ("name", "status", "requests"),
    [
        ("BAN_USER", "ok", ["PUT", "PUT"]),  # again: it is idempotent
        ("KICK_USER", "ok", ["DELETE", "GET"]),  # looked up: nobody is there
        ("SEND_MESSAGE", "in_doubt", ["POST"]),  # a new process does not know when it was sent
    ],
)
def test_after_kill_9_nothing_happens_twice(name: str, status: str, requests: list[str], tmp_path: Path) -> None:
    with Discord(fakes.hangs_after) as discord:
        discord.calm.add("/users/@me")  # where the health monitor looks
        environ = {"DISCORD_TOKEN": TOKEN, "ROUTER_DISCORD_URL": discord.url}
        key = {"Idempotency-Key": "form-1"}
        body = {"type": name, "guildId": GUILD, "userId": MODERATOR, "data": COMMANDS[name]}
        with running(*SERVE, cwd=tmp_path, environ=environ) as process:
            client = process.listening()
            job = client.ask("POST", "/api/commands", body, headers=key)[1]["jobId"]
            discord.effects()
            process.signal(signal.SIGKILL)
            process.ended()
        with running(*SERVE, cwd=tmp_path, environ=environ) as process:
            client = process.listening()
            answer = client.ask("POST", "/api/commands?wait=30000", body, headers=key)[1]
            assert TOKEN not in "".join(process.lines)
        assert (answer["status"], answer["original"]) == (status, job)
        assert [effect[:2] for effect in discord.ledger] == [EFFECTS[name][:2]]
        asked = [method for method, path, *_ in discord.requests if path != "/users/@me"]
        assert asked == requests
