"""Help, wrong use, and a daemon that is not there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from router.cli.doctor import SURVIVES
from router.cli.main import app
from router.cli.output import fail
from router.cli.send import _say_end
from tests.servers.ports import free_port
from tests.servers.redis import RedisServer
from tests.servers.shared import server

COMMANDS = (
    ["serve"],
    ["run-demo"],
    ["send"],
    ["queues"],
    ["queues", "pause"],
    ["queues", "resume"],
    ["queues", "purge"],
    ["dead-letters"],
    ["dead-letters", "list"],
    ["dead-letters", "replay"],
    ["dead-letters", "purge"],
    ["schedules"],
    ["schedules", "add"],
    ["schedules", "pause"],
    ["schedules", "resume"],
    ["schedules", "remove"],
    ["explain"],
    ["audit"],
    ["tree"],
    ["breakers"],
    ["breakers", "reset"],
    ["monitor"],
    ["work"],
    ["bench"],
    ["doctor"],
)
ASKING = (
    ["send", "BAN_USER"],
    ["queues"],
    ["queues", "pause", "q"],
    ["queues", "resume", "q"],
    ["queues", "purge", "q", "--yes"],
    ["dead-letters", "list"],
    ["dead-letters", "replay", "--all"],
    ["dead-letters", "purge", "--yes"],
    ["schedules"],
    ["schedules", "add", "SEND_MESSAGE", "--every", "60"],
    ["schedules", "pause", "x"],
    ["schedules", "resume", "x"],
    ["schedules", "remove", "x"],
    ["explain", "x"],
    ["audit"],
    ["tree"],
    ["breakers"],
    ["breakers", "reset", "direct"],
    ["monitor"],
    ["monitor", "--once"],
)
run = CliRunner(env={"COLUMNS": "120", "NO_COLOR": "1", "TERM": "dumb"})


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help(command: list[str]) -> None:
    result = run.invoke(app, [*command, "--help"])
    assert result.exit_code == 0
    assert "Usage: " in result.output


def test_the_list_of_commands_is_complete() -> None:
    output = run.invoke(app, ["--help"]).output
    for command in {command[0] for command in COMMANDS}:
        assert command in output


@pytest.mark.parametrize("command", ASKING, ids=" ".join)
def test_no_daemon_is_a_failure_told_in_one_line(command: list[str]) -> None:
    result = run.invoke(app, [*command, "--url", f"http://127.0.0.1:{free_port()}"])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("guild-router: no answer from http://127.0.0.1:")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (["send"], "Missing argument 'TYPE'"),
        (["sned"], "No such command 'sned'"),
        (["send", "X", "--colour", "red"], "No such option"),
        (["send", "X", "--data", "{"], "--data is not JSON"),
        (["send", "X", "--data", "@missing.json"], "missing.json cannot be read"),
        (["send", "X", "--delay", "soon"], "Invalid value"),
        (["schedules", "add", "X", "--data", "{"], "--data is not JSON"),
        (["schedules", "add", "X", "--every", "inf"], "--every must be a number of seconds, not inf"),
        (["work"], "Missing option '--app'"),
        (["work", "--app", "nothing"], "--app must be MODULE:NAME, such as bot.jobs:worker"),
        (["work", "--app", "router.cli.main:app"], "is not a Worker"),
        (["audit", "--since", "yesterday"], "--since must be a time such as 10m"),
        (["monitor", "--interval", "0"], "Invalid value"),
        (["send", "X", "--delay", "inf"], "--delay must be a number of seconds, not inf"),
        (["send", "X", "--delay", "1e306"], "--delay must be a number of seconds, not 1e+306"),
        (["send", "X", "--ttl", "inf"], "--ttl must be a number of seconds, not inf"),
        (["send", "X", "--ttl", "nan"], "Invalid value"),
        (["send", "X", "--wait", "--timeout", "nan"], "Invalid value"),
        (["send", "X", "--priority", "\N{SUPERSCRIPT TWO}"], "--priority must be 1 to 10, or critical, high"),
        (["send", "X", "--priority", "99"], "--priority must be 1 to 10"),
        (["send", "X", "--priority", "0"], "--priority must be 1 to 10"),
        (["send", "X", "--priority", "9" * 5_000], "--priority must be 1 to 10"),
        (["send", "X", "--idempotency-key", "a\nX: 1"], "--idempotency-key must be 1 to 128 visible ASCII"),
        (["send", "X", "--idempotency-key", "\u00e9\u2192"], "--idempotency-key must be 1 to 128 visible ASCII"),
        (["send", "X", "--idempotency-key", "k" * 129], "--idempotency-key must be 1 to 128 visible ASCII"),
        (["send", "X", "--token", "\u2192"], "--token must be visible ASCII"),
        (["send", "X", "--token", "a\nX: 1"], "--token must be visible ASCII"),
        (["explain", "\udcff"], "an argument is not text"),
        (["queues", "pause", "\udcff"], "an argument is not text"),
        (["dead-letters", "list", "--guild", "\udcff"], "an argument is not text"),
        (["tree", "--token", "\u2192"], "--token must be visible ASCII"),
        (["send", "X", "--url", "http://127.0.0.1:99999"], "http://127.0.0.1:99999 is not a URL"),
        (["send", "X", "--url", "http://127.0.0.1/\u2192"], "is not a URL"),
        (["send", "X", "--url", "ftp://x"], "ftp://x is not a URL"),
        (["dead-letters", "replay"], "name ids, a filter, or --all"),
        (["serve", "--port", "99999"], "Invalid value"),
        (["serve", "--config", "missing.toml"], "missing.toml: cannot be read"),
        (["serve", "--host", "0.0.0.0"], "argument host"),
        (["serve", "--store", "postgres://x"], "argument store: must begin with memory://"),
        (["serve", "--app", "bot"], "--app must be MODULE:NAME"),
        (["serve", "--app", "no_such_module_here:router"], "there is no module no_such_module_here"),
        (["serve", "--app", "json:loads"], "json:loads is not a Router"),
        (["serve", "--app", "json:nothing"], "json:nothing is missing"),
    ],
)
def test_wrong_use_is_status_2(command: list[str], text: str) -> None:
    result = run.invoke(app, command)
    assert result.exit_code == 2, result.output
    assert text in " ".join(result.stderr.split())
    if result.stderr.startswith("guild-router: "):  # ours; what the parser finds comes with the usage
        assert len(result.stderr.splitlines()) == 1


def test_an_answer_of_many_lines_is_printed_on_one(capsys: pytest.CaptureFixture[str]) -> None:
    error = {"code": "rejected", "message": "no\nguild-router: all is well\x1b[2J"}
    _say_end({"status": "rejected", "jobId": "1", "error": error})
    assert capsys.readouterr().out == "rejected 1 - rejected: no\\nguild-router: all is well\\x1b[2J\n"
    with pytest.raises(typer.Exit):
        fail("first\nsecond")
    assert capsys.readouterr().err == "guild-router: first\\nsecond\n"


def test_an_unknown_setting_in_the_environment_stops_the_daemon_with_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTER_STOER", "memory://")
    result = run.invoke(app, ["serve"])
    assert result.exit_code == 2
    assert result.stderr == "guild-router: ROUTER_STOER: unknown setting; did you mean ROUTER_STORE?\n"


def test_the_doctor_reports_each_check_and_a_missing_daemon_is_no_illness() -> None:
    result = run.invoke(app, ["doctor", "--json", "--url", f"http://127.0.0.1:{free_port()}"])
    assert result.exit_code == 0
    findings = {finding["check"]: finding["state"] for finding in json.loads(result.stdout)}
    assert findings.keys() == {
        "python",
        "guild-router",
        "daemon extra",
        "settings",
        "store",
        "sqlite",
        "memory",
        "daemon",
    }
    assert findings["daemon"] == "note"


def look_at(store: str) -> tuple[int, list[tuple[str, str]]]:
    """The doctor's status, and what he finds at a store."""
    nobody = f"http://127.0.0.1:{free_port()}"
    result = run.invoke(app, ["doctor", "--json", "--store", store, "--url", nobody])
    found = json.loads(result.stdout)
    return result.exit_code, [(each["state"], each["text"]) for each in found if each["check"] == "store"]


def test_the_doctor_says_what_a_store_survives_and_calls_one_that_is_away_bad() -> None:
    assert look_at("memory://") == (0, [("ok", SURVIVES["process"])])
    assert look_at("sqlite:///router.db") == (0, [("ok", SURVIVES["disk"])])
    assert look_at(server().url) == (0, [("ok", SURVIVES["kernel"])])
    assert look_at("sqlite:////nowhere/router.db") == (1, [("bad", "no /nowhere")])
    status, ((state, text),) = look_at(f"redis://127.0.0.1:{free_port()}")
    assert (status, state) == (1, "bad")
    assert text.startswith("Redis cannot be reached")


def test_the_doctor_warns_of_a_redis_that_may_lose_commands() -> None:
    with RedisServer(appendonly="no", maxmemory_policy="allkeys-lru") as unfit:
        status, found = look_at(unfit.url)
        with unfit.client() as client:
            assert client.dbsize() == 0, "he only looks"
    assert (status, [state for state, _ in found]) == (0, ["ok", "note", "note"])
    assert found[0][1] == SURVIVES["process"]
    assert "appendonly no" in found[1][1]
    assert "allkeys-lru" in found[2][1]


def test_the_doctor_calls_a_wrong_setting_bad(tmp_path: Path) -> None:
    config = tmp_path / "router.toml"
    config.write_text("prot = 1")
    result = run.invoke(app, ["doctor", "--json", "--config", str(config)])
    assert result.exit_code == 1
    finding = next(finding for finding in json.loads(result.stdout) if finding["check"] == "settings")
    assert finding["state"] == "bad"
    assert "did you mean port?" in finding["text"]
