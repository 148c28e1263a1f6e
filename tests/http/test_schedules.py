"""Schedules over HTTP and in the terminal, of a real daemon."""

from __future__ import annotations

import json
import queue
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from router.cli.main import app
from router.router import Router
from tests.http.daemons import GUILD, MODERATOR, OTHER, PATIENCE, Served, serve

CHANNEL = "381870553235193857"
said: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
run = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"})


def prepare(router: Router) -> None:
    @router.handler("SEND_MESSAGE")
    def send(command: Any, ctx: Any) -> None:
        said.put((command.content, ctx.envelope.source))


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serve(prepare, tokens="admin:all,admin:some@" + GUILD + ",client:c") as served:
        served.client.headers["Authorization"] = "Bearer all"
        yield served


@pytest.fixture(autouse=True)
def empty(served: Served) -> Iterator[None]:
    yield
    for each in served.router.schedules.list():
        served.router.schedules.remove(each.id)


def body(**options: Any) -> dict[str, Any]:
    data = {"channelId": CHANNEL, "content": options.pop("content", "good morning")}
    return {"type": "SEND_MESSAGE", "guildId": GUILD, "userId": MODERATOR, "data": data, **options}


def make(served: Served, **options: Any) -> Any:
    return served.client.post("/api/schedules", json=body(**options))


def test_a_schedule_is_made_listed_paused_resumed_and_removed(served: Served) -> None:
    answer = make(served, cron="0 4 * * *", timezone="Europe/Berlin", id="morning", overlap="queue", catchUpMs=5_000)
    assert answer.status_code == 201
    view = answer.json()
    assert (view["id"], view["type"], view["guild"], view["cron"]) == ("morning", "SEND_MESSAGE", GUILD, "0 4 * * *")
    assert (view["timezone"], view["overlap"], view["catchUpMs"], view["everyMs"]) == (
        "Europe/Berlin",
        "buffer_one",
        5_000,
        None,
    )
    assert served.client.get("/api/schedules").json() == {"schedules": [view]}
    assert served.client.post("/api/schedules/morning/pause").json() == {"success": True}
    assert served.client.get("/api/schedules").json()["schedules"][0]["paused"] is True
    assert served.client.post("/api/schedules/morning/resume").status_code == 200
    assert served.client.get("/api/schedules").json()["schedules"][0]["paused"] is False
    assert served.client.delete("/api/schedules/morning").status_code == 200
    assert served.client.get("/api/schedules").json() == {"schedules": []}
    lines = served.client.get("/api/audit").json()["entries"]
    actions = [line["detail"]["action"] for line in lines if line["kind"] == "operator"]
    assert actions[:4] == ["remove schedule", "resume schedule", "pause schedule", "schedule"]
    assert {line["user"] for line in lines if line["kind"] == "operator"} == {"admin"}


def test_a_schedule_sends_its_command_at_its_tick(served: Served) -> None:
    assert make(served, everyMs=1_000, content="tick").status_code == 201
    assert said.get(timeout=PATIENCE) == ("tick", "schedule")


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({}, "schedule"),
        ({"cron": "* * * * *", "everyMs": 1_000}, "schedule"),
        ({"cron": "99 * * * *"}, "cron"),
        ({"cron": "0 0 31 2 *"}, "cron"),
        ({"cron": "*" * 129}, "cron"),
        ({"cron": "* * * * *", "timezone": "Mars"}, "timezone"),
        ({"everyMs": 999}, "everyMs"),
        ({"everyMs": "1000"}, "everyMs"),
        ({"everyMs": 1_000, "overlap": "perhaps"}, "overlap"),
        ({"everyMs": 1_000, "catchUpMs": 86_400_001}, "catchUpMs"),
        ({"everyMs": 1_000, "id": "a/b"}, "id"),
        ({"everyMs": 1_000, "delayMs": 5}, "delayMs"),
        ({"everyMs": 1_000, "idempotencyKey": "k"}, "idempotencyKey"),
        ({"everyMs": 1_000, "senderId": "s", "senderSequence": 1}, "senderId"),
        ({"at": 5}, "at"),
    ],
)
def test_what_cannot_be_is_refused_with_its_field(served: Served, options: dict[str, Any], field: str) -> None:
    answer = make(served, **options)
    assert answer.status_code == 422
    assert answer.json()["field"] == field
    assert answer.json()["rule"]
    assert served.router.schedules.list() == []


def test_events_are_not_scheduled(served: Served) -> None:
    event = {"type": "MEMBER_JOINED", "guildId": GUILD, "data": {}, "everyMs": 1_000}
    assert served.client.post("/api/schedules", json=event).status_code in (404, 422)


def test_who_may_what(served: Served) -> None:
    some, client = {"Authorization": "Bearer some"}, {"Authorization": "Bearer c"}
    assert make(served, everyMs=60_000, id="mine").status_code == 201
    other = body(everyMs=60_000, id="theirs") | {"guildId": OTHER}
    assert served.client.post("/api/schedules", json=other).status_code == 201
    assert served.client.get("/api/schedules", headers=client).status_code == 403
    listed = served.client.get("/api/schedules", headers=some).json()["schedules"]
    assert [each["id"] for each in listed] == ["mine"]
    assert served.client.delete("/api/schedules/mine", headers=some).status_code == 403
    assert served.client.post("/api/schedules", json=body(everyMs=60_000), headers=some).status_code == 403


@pytest.mark.parametrize(("method", "path"), [("DELETE", ""), ("POST", "/pause"), ("POST", "/resume")])
def test_an_unknown_schedule_is_not_found(served: Served, method: str, path: str) -> None:
    answer = served.client.request(method, f"/api/schedules/nobody{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_schedule")


def test_the_terminal_makes_shows_and_removes(served: Served) -> None:
    where = ["--url", str(served.client.base_url), "--token", "all"]
    data = json.dumps({"channelId": CHANNEL, "content": "hello"})
    made = run.invoke(
        app, ["schedules", "add", "SEND_MESSAGE", "-g", GUILD, "-d", data, "--cron", "@daily", "--id", "daily", *where]
    )
    assert made.exit_code == 0
    assert made.output.startswith("daily: next at ")
    shown = run.invoke(app, ["schedules", *where])
    assert "0 0 * * *" in shown.output
    for command, words in (("pause", "is paused"), ("resume", "goes on"), ("remove", "is removed")):
        result = run.invoke(app, ["schedules", command, "daily", *where])
        assert (result.exit_code, words in result.output) == (0, True)
    assert json.loads(run.invoke(app, ["schedules", "--json", *where]).output) == {"schedules": []}
    assert "no schedules" in run.invoke(app, ["schedules", *where]).output
    refused = run.invoke(app, ["schedules", "add", "SEND_MESSAGE", "-g", GUILD, "-d", data, "--cron", "x", *where])
    assert refused.exit_code == 1
    assert "cron" in refused.output
