"""The endpoint a bot serves: who may come in, what is taken, and what it answers for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from actors.runtime.testing import ManualClock
from router.messages.communication import SendMessage
from router.protocols.rest import endpoint as module
from router.protocols.rest.endpoint import Endpoint
from router.protocols.signals import RetryLater

AUTH = {"Authorization": "Bearer s3cret"}


def command(id_: str = "e1", **more: Any) -> dict[str, Any]:
    data = {"channelId": "4" * 17, "content": "hello"}
    return {"envelope": {"id": id_, "type": "SEND_MESSAGE", "guildId": "1" * 17, "data": data}, **more}


def changed(**fields: Any) -> dict[str, Any]:
    given = command()
    return {**given, "envelope": {**given["envelope"], **fields}}


class World:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.endpoint = Endpoint(secret="s3cret", clock=self.clock)
        self.calls: list[str] = []
        self.endpoint.open()

        @self.endpoint.handler(SendMessage)
        def send(command: SendMessage, ctx: Any) -> dict[str, str | None]:
            self.calls.append(ctx.id)
            if command.content == "later":
                raise RetryLater(3)
            return {"sent": command.content}

    def ask(self, method: str, path: str = "/", **options: Any) -> httpx.Response:
        async def go() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.endpoint)
            async with httpx.AsyncClient(transport=transport, base_url="http://bot") as client:
                return await client.request(method, path, **{"headers": AUTH, **options})

        return asyncio.run(go())


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.endpoint.close(1)


def test_a_command_is_executed_and_answered(world: World) -> None:
    found = world.ask("POST", json=command())
    assert (found.status_code, found.json()) == (200, {"outcome": "applied", "data": {"sent": "hello"}})
    assert found.headers["content-type"] == "application/json"


def test_the_same_id_is_executed_once(world: World) -> None:
    answers = [world.ask("POST", json=command(attempt=n)).json() for n in (1, 2, 3)]
    assert answers == [answers[0]] * 3
    assert world.calls == ["e1"]


def test_its_record_says_what_became_of_it_and_how_far_back_it_reaches(world: World) -> None:
    world.clock.advance(5)
    assert world.ask("GET", "/e1").json() == {"id": "e1", "state": "unknown", "completeForMs": 5_000}
    world.ask("POST", json=command())
    applied = {"id": "e1", "state": "done", "outcome": "applied", "data": {"sent": "hello"}}
    assert world.ask("GET", "/e1").json() == applied


def test_a_record_that_had_to_forget_does_not_reach_behind_that(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    records = module._Reaching(world.clock, 2)
    from actors.outcome import Outcome, Verdict

    for number in range(4):
        world.clock.advance(10)
        records.keep(f"e{number}", Outcome(Verdict.APPLIED), 1, heard=True)
    assert records.find("e1") is None
    assert records.find("e2") is not None
    assert records.reach() == 20_000  # e1 ended so long ago and is forgotten; whatever ended later is there


def test_a_handler_that_defers_says_when_to_come_back(world: World) -> None:
    later = command()
    later["envelope"]["data"]["content"] = "later"
    found = world.ask("POST", json=later).json()
    assert (found["outcome"], found["retryAfter"], found["started"]) == ("deferred", 3_000, True)


def test_a_type_without_a_handler_is_deferred_before_it_starts(world: World) -> None:
    found = world.ask("POST", json=changed(type="NOBODYS")).json()
    assert (found["outcome"], found["error"]["code"], found["started"]) == ("deferred", "no_handler", False)


def test_what_is_too_late_is_not_begun(world: World) -> None:
    now = world.clock.now()
    found = world.ask("POST", json=command(sentAt=now, deadline=now - 1)).json()
    assert found["outcome"] == "deferred"
    assert world.calls == []


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer wrong", "bearer s3cret", "Bearer s3cret ", "Bearer s\xe9cret"]
)
def test_without_the_secret_nothing_is_read_or_executed(world: World, header: str) -> None:
    headers = {"Authorization": header.encode("latin-1")} if header else {}
    for method, path in (("POST", "/"), ("GET", "/e1")):
        found = world.ask(method, path, headers=headers, content=b"{")
        assert (found.status_code, found.json()["code"]) == (401, "unauthorized")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b"\xff",
        b"[" * 100_000,
        b'{"id": "e1"}',
        json.dumps(command(id_="a/b")).encode(),
        json.dumps(changed(data=[1])).encode(),
        json.dumps(changed(data={"x": float("nan")})).encode(),
        json.dumps(changed(data={"x": 1 << 70})).encode(),
        json.dumps(changed(data={"x": "\ud800"})).encode(),
    ],
)
def test_a_body_that_is_no_command_is_a_problem_and_executes_nothing(world: World, content: bytes) -> None:
    found = world.ask("POST", content=content)
    assert (found.status_code, found.json()["code"]) == (400, "invalid_message")
    assert world.calls == []


def test_a_body_above_the_bound_is_refused(world: World) -> None:
    found = world.ask("POST", content=b"x" * (module.FRAME_BYTES + 1))
    assert (found.status_code, found.json()["code"]) == (413, "too_large")


def test_other_methods_and_paths_are_not_there(world: World) -> None:
    assert world.ask("PUT", json=command()).status_code == 405
    assert world.ask("GET", "/").status_code == 404
    assert world.ask("POST", "/e1", json=command()).status_code == 404


def test_as_a_whole_application_it_opens_and_closes_with_the_server() -> None:
    endpoint = Endpoint(secret="")
    said: list[str] = []

    async def live() -> None:
        messages = iter(["lifespan.startup", "lifespan.shutdown"])

        async def receive() -> dict[str, Any]:
            return {"type": next(messages)}

        async def send(message: Any) -> None:
            said.append(message["type"])

        await endpoint({"type": "lifespan"}, receive, send)

    asyncio.run(live())
    assert said == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
