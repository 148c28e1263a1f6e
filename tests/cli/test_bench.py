"""``guild-router bench``: it measures real commands on a real store and leaves nothing behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from actors.errors import StoreError
from router.cli.bench import WARM, percentile
from router.cli.main import app
from router.protocols.executor import Executor
from router.stores.redis.erasing import erase
from tests.servers.ports import free_port
from tests.servers.redis import RedisServer

terminal = CliRunner(env={"COLUMNS": "160", "NO_COLOR": "1", "TERM": "dumb"})
FEW = ("--commands", "450", "--trips", "7", "--guilds", "3")


def measured(store: str) -> dict[str, Any]:
    result = terminal.invoke(app, ["bench", "--store", store, *FEW, "--json"])
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_every_command_is_executed_and_the_figures_are_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    executed: list[int] = []
    start = Executor.start

    def counted(self: Executor, *arguments: Any) -> Any:
        executed.append(1)
        return start(self, *arguments)

    monkeypatch.setattr(Executor, "start", counted)
    found = measured("memory://")
    assert len(executed) == WARM + 450 + 7
    assert (found["commands"], found["trips"], found["guilds"], found["survives"]) == (450, 7, 3, "process")
    assert found["commandsPerSecond"] > 0
    assert 0 < found["roundTripMs"]["p50"] <= found["roundTripMs"]["p99"]


def test_the_file_of_the_store_is_left_alone_and_nothing_stays_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "router.db"
    file.write_bytes(b"somebody else's")
    assert measured(f"sqlite:///{file}")["survives"] == "disk"
    assert [path.name for path in tmp_path.iterdir()] == ["router.db"]
    assert file.read_bytes() == b"somebody else's"


def test_a_redis_has_what_it_had() -> None:
    with RedisServer() as server, server.client() as client:
        client.set("guild-router:meta", "somebody else's")
        found = measured(server.url)
        assert (found["store"], found["survives"]) == (server.url, "kernel")
        assert client.keys() == [b"guild-router:meta"]


def test_a_store_that_is_used_is_not_thrown_away() -> None:
    with pytest.raises(StoreError, match="not one to be thrown away"):
        erase("redis://127.0.0.1:1")


def test_as_a_table() -> None:
    result = terminal.invoke(app, ["bench", "--store", "memory://", *FEW])
    assert result.exit_code == 0
    store, throughput, trip = (line.strip() for line in result.stdout.splitlines() if line.strip())
    assert store.split()[1:] == ["memory://", "(process)"]
    assert throughput.endswith("commands/s, 450 over 3 guilds")
    assert "ms at p50" in trip


@pytest.mark.parametrize(("store", "status"), [("redis://127.0.0.1:PORT", 1), ("ftp://here", 2)])
def test_a_store_that_cannot_be_used_is_one_line(store: str, status: int) -> None:
    result = terminal.invoke(app, ["bench", "--store", store.replace("PORT", str(free_port()))])
    assert result.exit_code == status
    assert len(result.stderr.splitlines()) == 1


def test_a_percentile_is_one_of_the_values() -> None:
    values = [float(number) for number in range(1, 201)]
    assert (percentile(values, 0.5), percentile(values, 0.99)) == (100.0, 198.0)
    assert percentile([7.0], 0.99) == 7.0
