"""Settings of a type and of a queue reach the commands that come over HTTP."""

from __future__ import annotations

from typing import Any

from router.router import Router
from tests.http.daemons import TARGET, ban, serve


def prepare(router: Router) -> None:
    @router.handler("BAN_USER")
    async def ban_user(command: Any, ctx: Any) -> None:
        raise ConnectionError("the chat service is down")


def test_attempts_of_a_type_are_its_own() -> None:
    types = {"BAN_USER": {"attempts": 2, "backoff_ms": 1, "priority": 3}}
    with serve(prepare, types=types) as served:
        answer = served.send(data=ban(TARGET), params_={"wait": 5_000}).json()
        assert (answer["status"], len(answer["attempts"])) == ("dead", 2)
        assert served.client.get(f"/api/commands/{answer['jobId']}/explain").json()["priority"] == 3


def test_attempts_of_a_queue_hold_for_its_types() -> None:
    with serve(prepare, queues={"bot:moderation": {"attempts": 1}}) as served:
        answer = served.send(data=ban(TARGET), params_={"wait": 5_000}).json()
        assert (answer["status"], len(answer["attempts"])) == ("dead", 1)


def test_a_senders_word_stands_above_the_settings() -> None:
    with serve(prepare, types={"BAN_USER": {"attempts": 1, "priority": 3}}) as served:
        answer = served.send(data=ban(TARGET), priority="critical", params_={"wait": 5_000}).json()
        assert served.client.get(f"/api/commands/{answer['jobId']}/explain").json()["priority"] == 10


def test_a_delay_is_exact_to_the_millisecond() -> None:
    with serve(prepare) as served:
        job = served.send(data=ban(TARGET), delayMs=4_351, ttlMs=1_001).json()["jobId"]
        story = served.client.get(f"/api/commands/{job}/explain").json()
        assert story["expiresAt"] - story["dueAt"] == 1_001
        assert story["dueAt"] - story["createdAt"] == 4_351
