"""docs/rest.md and docs/wire.md say what is so."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from router import Settings
from router.protocols.discord.commands import COMMANDS
from router.protocols.rest import wire

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "rest.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_settings_of_the_page_are_taken() -> None:
    (text,) = blocks("toml")
    settings = Settings(**tomllib.loads(text))
    assert (settings.rest_balance, set(settings.upstreams)) == ("weighted", {"big", "small"})


def test_the_bot_of_the_page_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTER_REST_SECRET", "s3cret")
    (text,) = blocks("python")
    names: dict[str, Any] = {}
    exec(compile(text, "rest.md", "exec"), names)
    endpoint = names["endpoint"]
    assert endpoint.handlers.types("rest") == ["BAN_USER"]
    endpoint.close(0)


def test_the_page_names_every_command_that_discord_can_execute() -> None:
    table = PAGE.partition("| command | request |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`([A-Z_]{4,})`", table)) == set(COMMANDS)


def test_the_wires_page_names_the_headers_and_fields() -> None:
    page = (DOCS / "wire.md").read_text("utf-8").partition("## Command to a bot over HTTP")[2]
    for name in (wire.KEY, wire.ATTEMPT, wire.DEADLINE, "completeForMs", "startBy", "sentAt", "started"):
        assert name in page, name
    for verdict in wire.ENDS | {"in_doubt"}:
        assert f'"outcome":"{verdict}"' in page
