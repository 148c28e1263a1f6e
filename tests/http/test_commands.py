"""Commands over HTTP, to a real daemon."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from router.protocols.signals import Reject
from router.router import Router
from tests.http.daemons import GUILD, MODERATOR, OTHER, PATIENCE, TARGET, Served, ban, serve


class World:
    """What the handlers did, and a gate that holds SEND_DM up."""

    def __init__(self) -> None:
        self.effects: list[tuple[str, str]] = []
        self.gate = threading.Event()
        self.held = threading.Event()

    def prepare(self, router: Router) -> None:
        @router.handler("BAN_USER")
        async def ban_user(command: Any, ctx: Any) -> dict[str, Any]:
            self.effects.append(("ban", command.user_id))
            return {"banned": True, "user": command.user_id}

        @router.handler("KICK_USER")
        def kick_user(command: Any, ctx: Any) -> None:
            raise Reject("missing_permissions", "the bot may not kick")

        @router.handler("SEND_DM")
        def send_dm(command: Any, ctx: Any) -> None:
            self.held.set()
            assert self.gate.wait(PATIENCE)
            self.effects.append(("dm", command.user_id))

        @router.handler("SEND_MESSAGE")
        async def send_message(command: Any, ctx: Any) -> None:
            self.effects.append(("message", command.content))


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def served(world: World) -> Iterator[Served]:
    with serve(world.prepare) as served:
        yield served
        world.gate.set()


def user(number: int) -> str:
    return str(175928847299117100 + number)


def test_a_command_is_accepted_and_executed(served: Served, world: World) -> None:
    answer = served.send(data=ban(user(1)), headers_={"X-Request-Id": "req-1"})
    assert answer.status_code == 202
    body = answer.json()
    assert body["success"] is True
    assert body["requestId"] == answer.headers["X-Request-Id"] == "req-1"
    assert body["position"] == 0
    assert body["statusUrl"] == answer.headers["Location"] == f"/api/commands/{body['jobId']}"
    result = served.end_of(body["jobId"])
    assert result["data"] == {"banned": True, "user": user(1)}
    assert world.effects.count(("ban", user(1))) == 1


def test_waiting_gives_the_response(served: Served) -> None:
    answer = served.send(data=ban(user(2)), params_={"wait": 5_000}, headers_={"X-Request-Id": "req-2"})
    assert answer.status_code == 200
    body = answer.json()
    assert body["success"] is True
    assert body["status"] == "ok"
    assert body["requestId"] == "req-2"
    assert body["method"] == "direct"
    assert body["duplicate"] is False
    assert [attempt["outcome"] for attempt in body["attempts"]] == ["applied"]
    assert body["executionTime"] >= 0
    assert abs(body["timestamp"] - time.time() * 1_000) < 60_000
    assert body["error"] is None


def test_a_rejection_is_a_response_with_its_code(served: Served) -> None:
    answer = served.send("KICK_USER", ban(user(3)), params_={"wait": 5_000})
    assert answer.status_code == 200
    body = answer.json()
    assert (body["success"], body["status"]) == (False, "rejected")
    assert body["error"]["code"] == "missing_permissions"
    assert body["error"]["retryable"] is False


def test_waiting_too_short_is_an_acceptance(served: Served, world: World) -> None:
    world.gate.clear()
    answer = served.send("SEND_DM", {"userId": user(4), "content": "hi"}, params_={"wait": 1})
    assert answer.status_code == 202
    state = served.state_when(answer.json()["jobId"], lambda state: state["state"] == "started")
    assert state["result"] is None
    world.gate.set()
    assert served.end_of(answer.json()["jobId"])["status"] == "ok"


def test_the_same_operation_again_is_a_duplicate_with_the_first_result(served: Served, world: World) -> None:
    first = served.send(data=ban(user(5)), params_={"wait": 5_000}).json()
    accepted = served.send(data=ban(user(5)))
    assert accepted.status_code == 202
    assert accepted.json()["duplicate"] is True
    assert accepted.json()["jobId"] == accepted.json()["originalId"] == first["jobId"]
    assert served.client.get(f"/api/commands/{accepted.json()['jobId']}").status_code == 200
    assert accepted.json()["statusUrl"] == f"/api/commands/{first['jobId']}"
    again = served.send(data=ban(user(5)), params_={"wait": 5_000}).json()
    assert (again["duplicate"], again["data"]) == (True, first["data"])
    assert again["jobId"] == again["original"] == first["jobId"]
    assert world.effects.count(("ban", user(5))) == 1


def test_an_idempotency_key_makes_one_operation_of_two(served: Served, world: World) -> None:
    data = {"channelId": user(6), "content": "once"}
    key = {"Idempotency-Key": "form-1"}
    first = served.send("SEND_MESSAGE", data, headers_=key, params_={"wait": 5_000}).json()
    assert served.send("SEND_MESSAGE", data, headers_=key).json()["originalId"] == first["jobId"]
    assert served.send("SEND_MESSAGE", data, idempotencyKey="form-1").json()["duplicate"] is True
    assert world.effects.count(("message", "once")) == 1


def test_an_idempotency_key_with_another_payload_is_409(served: Served) -> None:
    key = {"Idempotency-Key": "form-2"}
    assert served.send("SEND_MESSAGE", {"channelId": user(6), "content": "a"}, headers_=key).status_code == 202
    answer = served.send("SEND_MESSAGE", {"channelId": user(6), "content": "b"}, headers_=key)
    assert answer.status_code == 409
    assert answer.json()["code"] == "idempotency_key_reused"
    assert answer.json()["retryable"] is False


@pytest.mark.parametrize("key", ["", "a b", "x" * 129, "\u00e9", "a\tb"])
def test_a_bad_idempotency_key_is_400(served: Served, key: str) -> None:
    answer = served.send(headers_={"Idempotency-Key": key.encode("utf-8")})
    assert (answer.status_code, answer.json()["field"]) == (400, "Idempotency-Key")


def test_snake_case_is_accepted(served: Served) -> None:
    body = {
        "type": "BAN_USER",
        "guild_id": GUILD,
        "user_id": MODERATOR,
        "requires_reliability": True,
        "data": {"user_id": user(7), "delete_message_days": 1, "reason": "spam"},
    }
    assert served.client.post("/api/commands", json=body, params={"wait": 5_000}).json()["status"] == "ok"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"data": {"reason": "x"}}, "data.userId"),
        ({"data": ban(TARGET) | {"deleteMessageDays": 8}}, "data.deleteMessageDays"),
        ({"data": ban(TARGET) | {"colour": "red"}}, "data.colour"),
        ({"data": ban("not a snowflake!")}, "data.userId"),
        ({"data": {"userId": 175928847299117063, "reason": "x"}}, "data.userId"),
        ({"data": []}, "data"),
        ({"guildId": 81384788765712384}, "guildId"),
        ({"guildId": "../etc"}, "guildId"),
        ({"type": ""}, "type"),
        ({"type": None}, "type"),
        ({"priority": 11}, "priority"),
        ({"priority": "urgent"}, "priority"),
        ({"delayMs": -1}, "delayMs"),
        ({"priority": True}, "priority"),
        ({"priority": "7"}, "priority"),
        ({"priority": 5.5}, "priority"),
        ({"priority": []}, "priority"),
        ({"delayMs": "100"}, "delayMs"),
        ({"delayMs": 1.5}, "delayMs"),
        ({"delayMs": True}, "delayMs"),
        ({"ttlMs": "5000"}, "ttlMs"),
        ({"requiresRealTime": "yes"}, "requiresRealTime"),
        ({"requiresRealTime": 1}, "requiresRealTime"),
        ({"requiresReliability": "true"}, "requiresReliability"),
        ({"senderSequence": "1", "senderId": "a"}, "senderSequence"),
        ({"ttlMs": "soon"}, "ttlMs"),
        ({"ttlMs": 0}, "ttlMs"),
        ({"colour": "red"}, "colour"),
        ({"protocols": ["pigeon"]}, "protocols"),
        ({"headers": {"a": 1}}, "headers"),
        ({"version": 99}, "version"),
    ],
)
def test_a_broken_field_is_422_with_field_shape_and_rule(served: Served, change: dict[str, Any], field: str) -> None:
    before = served.client.get("/api/metrics").json()["messagesPublished"]
    body = {"type": "BAN_USER", "guildId": GUILD, "userId": MODERATOR, "data": ban(), **change}
    answer = served.client.post("/api/commands", json=body)
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["code"] == "invalid_message"
    assert problem["field"].startswith(field)
    assert problem["rule"]
    assert served.client.get("/api/metrics").json()["messagesPublished"] == before


@pytest.mark.parametrize("priority", [0, 11, True, "7", "urgent", 5.5, [], {}])
def test_a_broken_priority_is_told_in_one_line(served: Served, priority: object) -> None:
    problem = served.send(priority=priority).json()
    assert (problem["field"], len(problem["errors"])) == ("priority", 1)
    assert problem["rule"] == "must be 1 to 10, or low, normal, high or critical"


@pytest.mark.parametrize(("priority", "number"), [("HIGH", 8), ("Low", 2), ("critical", 10), (7, 7), (None, 5)])
def test_the_names_of_priorities_are_known_in_any_case(served: Served, priority: object, number: int) -> None:
    data = {"channelId": user(6), "content": f"priority {priority}"}
    job = served.send("SEND_MESSAGE", data, priority=priority, protocols=["direct"]).json()["jobId"]
    assert served.client.get(f"/api/commands/{job}/explain").json()["priority"] == number


def test_an_unknown_type_is_422_and_an_event_is_no_command(served: Served) -> None:
    assert served.send("NO_SUCH_TYPE").json()["code"] == "unknown_type"
    answer = served.send("MEMBER_JOINED", {})
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, "wrong_kind", "type")


@pytest.mark.parametrize(
    "body", [b"{", b"", b"[]", b'"x"', b"null", b'{"type":"A","type":"B"}', b"\xff", b"[" * 100_000]
)
def test_a_body_that_is_no_command_is_refused(served: Served, body: bytes) -> None:
    answer = served.client.post("/api/commands", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_clock_that_is_far_off_is_refused(served: Served) -> None:
    for timestamp in (0, 1, 253_402_300_799_999):
        answer = served.send(timestamp=timestamp)
        assert (answer.status_code, answer.json()["code"]) == (422, "clock_skew")


def test_a_delayed_command_can_be_taken_back(served: Served, world: World) -> None:
    job = served.send(data=ban(user(8)), delayMs=3_600_000).json()["jobId"]
    assert served.client.get(f"/api/commands/{job}").json()["state"] == "delayed"
    assert served.client.delete(f"/api/commands/{job}").json() == {"success": True, "jobId": job}
    assert served.end_of(job)["status"] == "cancelled"
    assert ("ban", user(8)) not in world.effects


def test_a_settled_command_cannot_be_taken_back(served: Served) -> None:
    job = served.send(data=ban(user(9)), params_={"wait": 5_000}).json()["jobId"]
    answer = served.client.delete(f"/api/commands/{job}")
    assert (answer.status_code, answer.json()["code"], answer.json()["state"]) == (409, "not_cancellable", "settled")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_unknown_command_is_404(served: Served, method: str) -> None:
    answer = served.client.request(method, "/api/commands/0192f3a0-0000-7000-8000-000000000000")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_command")
    assert served.client.get("/api/commands/0192f3a0/explain").status_code == 404


@pytest.mark.parametrize("job", ["a" * 65, "a%20b", "%00", "'%3B--", "%3Cscript%3E", "..%2F..", "{}"])
def test_an_id_that_tries_to_break_something_is_refused(served: Served, job: str) -> None:
    assert served.client.get(f"/api/commands/{job}").status_code in (404, 422)


def test_the_position_counts_what_is_before_it_in_its_guild(served: Served, world: World) -> None:
    world.gate.clear()
    world.held.clear()
    data = {"userId": user(10), "content": "hi"}
    first = served.send("SEND_DM", data, guildId=OTHER).json()
    assert world.held.wait(PATIENCE)
    second = served.send("SEND_DM", data, guildId=OTHER).json()
    third = served.send("SEND_DM", data, guildId=OTHER).json()
    assert (second["position"], third["position"]) == (1, 2)
    assert served.client.get(third["statusUrl"]).json()["position"] == 2
    world.gate.set()
    for accepted in (first, second, third):
        assert served.end_of(accepted["jobId"])["status"] == "ok"
    assert served.client.get(third["statusUrl"]).json()["position"] == 0


def test_a_command_explains_itself(served: Served) -> None:
    headers = {"X-Request-Id": "why-1", "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    job = served.send(data=ban(user(11)), params_={"wait": 5_000}, headers_=headers).json()["jobId"]
    story = served.client.get(f"/api/commands/{job}/explain").json()
    assert story["type"] == "BAN_USER"
    assert story["guildId"] == GUILD
    assert story["userId"] == MODERATOR
    assert story["source"] == "rest"
    assert story["requestId"] == "why-1"
    assert story["story"][0]["event"] == "accepted"
    assert story["story"][-1]["event"] == "answered"
    assert [attempt["protocol"] for attempt in story["attempts"]] == ["direct"]


def test_a_command_that_waits_says_why(served: Served) -> None:
    served.client.post("/api/queue/pause/bot:moderation")
    first = served.send(data=ban(user(12))).json()["jobId"]
    second = served.send("UNBAN_USER", ban(user(12))).json()["jobId"]
    try:
        held = served.client.get(f"/api/commands/{first}/explain").json()
        assert (held["waits"]["reason"], held["waits"]["paused"]) == ("paused", ["bot:moderation"])
        assert held["story"][-1] == {"at": None, "event": "waits", "detail": "paused: bot:moderation held by a pause"}
        behind = served.client.get(f"/api/commands/{second}/explain").json()["waits"]
        assert (behind["reason"], behind["ahead"], behind["behind"]) == ("lane", 1, first)
        assert behind["wait"]["reason"] == "paused"
    finally:
        served.client.delete(f"/api/commands/{second}")  # which nobody executes here
        served.client.post("/api/queue/resume/bot:moderation")
    served.end_of(first)
    assert served.client.get(f"/api/commands/{first}/explain").json()["waits"] is None


def test_a_batch_is_answered_one_by_one(served: Served, world: World) -> None:
    commands: list[dict[str, Any]] = [
        {"type": "BAN_USER", "guildId": GUILD, "userId": MODERATOR, "data": ban(user(20))},
        {"type": "BAN_USER", "guildId": GUILD, "userId": MODERATOR, "data": {"reason": "whom?"}},
        {"type": "NO_SUCH_TYPE", "data": {}},
        {"type": "BAN_USER", "guildId": GUILD, "userId": MODERATOR, "data": ban(user(20))},
        {"type": "BAN_USER", "guildId": GUILD, "userId": MODERATOR, "data": ban(user(21)), "requestId": "mine"},
    ]
    answer = served.client.post("/api/commands/batch", json={"commands": commands})
    assert answer.status_code == 202
    body = answer.json()
    assert (body["success"], body["accepted"], body["refused"]) == (False, 3, 2)
    one, two, three, four, five = body["results"]
    assert (two["problem"]["field"], three["problem"]["code"]) == ("data.userId", "unknown_type")
    assert four["accepted"]["duplicate"] is True
    assert four["accepted"]["originalId"] == one["accepted"]["jobId"]
    assert five["accepted"]["requestId"] == "mine"
    for item in (one, five):
        assert served.end_of(item["accepted"]["jobId"])["status"] == "ok"
    assert world.effects.count(("ban", user(20))) == 1


def test_an_unfit_envelope_in_a_batch_is_answered_for_itself(served: Served, world: World) -> None:
    good = {"type": "BAN_USER", "guildId": GUILD, "userId": MODERATOR}
    commands: list[Any] = [
        good | {"data": ban(user(22)), "requestId": "first"},
        good | {"data": ban(user(23)), "priority": "urgent", "requestId": "second"},
        good | {"data": ban(user(24)), "colour": "red", "request_id": "third"},
        "no command",
        good | {"data": ban(user(25)), "correlationId": "a\nb", "requestId": "fifth"},
        good | {"data": {"reason": "whom?"}, "requestId": "sixth"},
        good | {"data": ban(user(26)), "requestId": 7},
    ]
    headers = {"X-Request-Id": "whole"}
    body = served.client.post("/api/commands/batch", json={"commands": commands}, headers=headers).json()
    assert (body["accepted"], body["refused"]) == (1, 6)
    first, *rest = body["results"]
    assert first["accepted"]["requestId"] == "first"
    assert [(item["problem"]["status"], item["problem"]["requestId"]) for item in rest] == [
        (422, "second"),
        (422, "third"),
        (422, "whole"),
        (422, "fifth"),
        (422, "sixth"),
        (422, "whole"),
    ]
    fields = [item["problem"].get("field") for item in rest]
    assert fields[:3] == ["priority", "colour", "command"]
    assert fields[4:] == ["data.userId", "requestId"]
    assert served.end_of(first["accepted"]["jobId"])["status"] == "ok"
    assert [number for number in range(22, 27) if ("ban", user(number)) in world.effects] == [22]


def test_one_idempotency_key_cannot_stand_for_a_batch(served: Served) -> None:
    body = {"commands": [{"type": "SEND_MESSAGE", "data": {"channelId": user(6), "content": "batch"}}]}
    answer = served.client.post("/api/commands/batch", json=body, headers={"Idempotency-Key": "all"})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_header")
    assert answer.json()["field"] == "Idempotency-Key"


@pytest.mark.parametrize("commands", [[], None, [{"type": "X"}] * 1_001, "x"])
def test_a_batch_has_1_to_1000_commands(served: Served, commands: object) -> None:
    answer = served.client.post("/api/commands/batch", json={"commands": commands})
    assert (answer.status_code, answer.json()["field"]) == (422, "commands")


def test_a_full_router_says_when_to_come_back() -> None:
    world = World()
    with serve(world.prepare, max_backlog=1) as served:
        data = {"userId": TARGET, "content": "hi"}
        first = served.send("SEND_DM", data, priority=10)
        assert first.status_code == 202
        answer = served.send("SEND_DM", data, priority=10)
        assert answer.status_code == 429
        assert answer.json()["retryable"] is True
        assert answer.json()["retryAfter"] > 0
        assert int(answer.headers["Retry-After"]) >= 1
        world.gate.set()
        served.end_of(first.json()["jobId"])


def test_tokens_limit_roles_and_guilds() -> None:
    world = World()
    with serve(world.prepare, tokens=f"admin:ROOT,client:ONE@{GUILD},admin:TWO@{OTHER}") as served:
        one, two = ({"Authorization": f"Bearer {secret}"} for secret in ("ONE", "TWO"))
        accepted = served.send(data=ban(user(30)), headers_=one, params_={"wait": 5_000})
        assert accepted.status_code == 200
        job = accepted.json()["jobId"]
        assert served.send(data=ban(user(31)), headers_=two).json()["code"] == "other_guild"
        assert served.client.get(f"/api/commands/{job}", headers=one).status_code == 200
        assert served.client.get(f"/api/commands/{job}", headers=two).status_code == 404
        assert served.client.delete(f"/api/commands/{job}", headers=two).status_code == 404
        assert served.client.get(f"/api/commands/{job}/explain", headers=two).status_code == 404
        assert served.client.get("/api/dead-letters", headers=one).json()["code"] == "role"
        assert served.client.get("/api/dead-letters", headers=two).status_code == 200
        assert served.client.get("/api/dead-letters", headers=two, params={"guildId": GUILD}).status_code == 403
        assert served.client.get("/api/admin/tree", headers=two).json()["code"] == "other_guild"
        assert served.client.post("/api/queue/pause/bot:music", headers=two).status_code == 403
        assert served.client.post("/api/dead-letters/replay", headers=two, json={}).status_code == 403
        assert served.client.get("/api/admin/tree").status_code == 200
        assert served.client.get("/api/health", headers={"Authorization": "Bearer NO"}).status_code == 401
        body = {"commands": [{"type": "BAN_USER", "guildId": OTHER, "userId": MODERATOR, "data": ban()}]}
        batch = served.client.post("/api/commands/batch", json=body, headers=one).json()
        assert batch["results"][0]["problem"]["code"] == "other_guild"
