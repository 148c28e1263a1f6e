"""Queues, dead letters, health, audit and actors over HTTP, to a real daemon."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from actors.errors import StoreUnavailable
from router.router import Router
from tests.http.daemons import GUILD, MODERATOR, OTHER, PATIENCE, Served, ban, serve

QUICK = {"attempts": 2, "backoff_ms": 1}


class World:
    """Handlers that do what they are told."""

    def __init__(self) -> None:
        self.broken = threading.Event()
        self.bans: list[str] = []
        self.chats: list[str] = []

    def prepare(self, router: Router) -> None:
        @router.handler("BAN_USER")
        async def ban_user(command: Any, ctx: Any) -> None:
            self.bans.append(command.user_id)

        @router.handler("KICK_USER")
        async def kick_user(command: Any, ctx: Any) -> dict[str, bool]:
            if self.broken.is_set():
                raise ConnectionError("the chat service is down")
            return {"kicked": True}

        @router.handler("CHAT_MESSAGE")
        async def chat(command: Any, ctx: Any) -> None:
            self.chats.append(command.message)


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def served(world: World) -> Iterator[Served]:
    with serve(world.prepare, types={"KICK_USER": QUICK}) as served:
        yield served


def bury(served: Served, world: World, user: str, guild: str = GUILD) -> str:
    world.broken.set()
    job: str = served.send("KICK_USER", ban(user), guildId=guild).json()["jobId"]
    assert served.end_of(job)["status"] == "dead"
    world.broken.clear()
    return job


# ------------------------------------------------------------------------ queues


def test_a_paused_queue_keeps_what_comes_and_goes_on_when_resumed(served: Served, world: World) -> None:
    assert served.client.post("/api/queue/pause/bot:moderation").json() == {"success": True}
    job = served.send(data=ban("175928847299117001")).json()["jobId"]
    assert served.client.get("/api/queue/size/bot:moderation").json() == {"queueName": "bot:moderation", "size": 1}
    states = {queue["name"]: queue for queue in served.client.get("/api/queue/status").json()["queues"]}
    assert (states["bot:moderation"]["paused"], states["bot:moderation"]["waiting"]) == (True, 1)
    assert "175928847299117001" not in world.bans
    assert served.client.post("/api/queue/resume/bot:moderation").json() == {"success": True}
    assert served.end_of(job)["status"] == "ok"
    assert served.client.get("/api/queue/size/bot:moderation").json()["size"] == 0


def test_a_purge_takes_back_what_has_not_started(served: Served, world: World) -> None:
    served.client.post("/api/queue/pause/bot:moderation")
    jobs = [served.send(data=ban(f"17592884729911701{number}")).json()["jobId"] for number in range(3)]
    answer = served.client.delete("/api/queue/purge/bot:moderation").json()
    assert answer == {"success": True, "queueName": "bot:moderation", "purged": 3}
    served.client.post("/api/queue/resume/bot:moderation")
    assert [served.end_of(job)["status"] for job in jobs] == ["cancelled"] * 3
    assert not any(user.startswith("17592884729911701") for user in world.bans)


def test_the_seeds_statistics_add_up(served: Served) -> None:
    served.send(data=ban("175928847299117020"), params_={"wait": 5_000})
    stats = served.client.get("/api/queue/stats").json()
    assert stats.keys() == {
        "totalMessages",
        "pendingMessages",
        "processingMessages",
        "completedMessages",
        "failedMessages",
        "avgProcessingTime",
        "queues",
        "provider",
        "healthy",
    }
    parts = ("pendingMessages", "processingMessages", "completedMessages", "failedMessages")
    assert stats["totalMessages"] == sum(stats[part] for part in parts) > 0
    assert (stats["provider"], stats["healthy"]) == ("memory", True)
    assert "bot:moderation" in stats["queues"]
    one = served.client.get("/api/queue/stats", params={"queueName": "bot:moderation"}).json()
    assert one["queues"] == ["bot:moderation"]
    assert 0 < one["totalMessages"] <= stats["totalMessages"]


def test_queue_health_names_the_provider(served: Served) -> None:
    health = served.client.get("/api/queue/health").json()
    assert (health["healthy"], health["provider"]) == (True, "memory")
    assert health["timestamp"] > 1_600_000_000_000


def test_a_chat_message_is_enqueued_as_the_seed_says(served: Served, world: World) -> None:
    body = {"userId": "user123", "conversationId": "conv456", "message": "Hello world!", "priority": 7}
    answer = served.client.post("/api/queue/enqueue/chat", json=body)
    assert answer.status_code == 202
    assert served.end_of(answer.json()["jobId"])["status"] == "ok"
    assert "Hello world!" in world.chats
    bad = served.client.post("/api/queue/enqueue/chat", json=body | {"priority": 0})
    assert (bad.status_code, bad.json()["field"].split(".")[0]) == (422, "priority")


def test_a_proactive_action_may_be_delayed(served: Served) -> None:
    body = {
        "actionType": "greeting",
        "agentType": "general",
        "message": "Welcome!",
        "userId": "user123",
        "conversationId": "conv456",
        "timing": "delayed",
        "delayMs": 3_600_000,
        "priority": 8,
    }
    answer = served.client.post("/api/queue/enqueue/proactive", json=body)
    assert answer.status_code == 202
    assert served.client.get(answer.json()["statusUrl"]).json()["state"] == "delayed"


def test_enqueue_takes_the_types_of_the_queue_and_no_others(served: Served, world: World) -> None:
    chat = {"userId": "user123", "conversationId": "c", "message": "by name"}
    answer = served.client.post("/api/queue/enqueue/chat_messages", json={"data": chat})
    assert answer.status_code == 202
    served.end_of(answer.json()["jobId"])
    assert "by name" in world.chats
    wrong = {"type": "BAN_USER", "guildId": GUILD, "userId": MODERATOR, "data": ban()}
    assert served.client.post("/api/queue/enqueue/chat_messages", json=wrong).status_code == 422
    assert served.client.post("/api/queue/enqueue/bot:moderation", json={"data": {}}).json()["field"] == "type"
    assert served.client.post("/api/queue/enqueue/nothing", json={"data": {}}).json()["code"] == "unknown_queue"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("stream_chunks", {"conversationId": "c", "messageId": "m", "index": 0, "content": "a"}),
        ("status_updates", {"status": "thinking"}),
        ("goal_seeking_updates", {"userId": "u", "state": "idle"}),
        ("conversation_events", {"conversationId": "c", "eventType": "begun"}),
    ],
)
def test_enqueue_publishes_what_is_no_command(served: Served, name: str, data: dict[str, Any]) -> None:
    seen: queue.Queue[Any] = queue.Queue()
    cancel = served.router.subscribe(name, seen.put)
    try:
        answer = served.client.post(f"/api/queue/enqueue/{name}", json={"data": data, "requestId": "mine"})
        assert answer.status_code == 202
        event_id = answer.json()["eventId"]
        assert answer.json() == {"success": True, "eventId": event_id, "requestId": "mine", "duplicate": False}
        assert seen.get(timeout=PATIENCE).type in served.router.catalog
    finally:
        cancel.cancel()


def test_the_demo_fills_the_queues(served: Served) -> None:
    answer = served.client.post("/api/queue/demo", json={"userId": "test", "conversationId": "test"})
    assert answer.status_code == 202
    assert len(answer.json()["messages"]) == 4


@pytest.mark.parametrize("queue", ["a b", "%00", "x" * 129, "%0d%0a"])
def test_a_bad_queue_name_is_refused(served: Served, queue: str) -> None:
    assert served.client.get(f"/api/queue/size/{queue}").status_code == 422
    assert served.client.post(f"/api/queue/pause/{queue}").status_code == 422


# ------------------------------------------------------------------------ events


def test_an_event_reaches_those_who_subscribed_to_its_queue(served: Served) -> None:
    seen: queue.Queue[str] = queue.Queue()
    cancel = served.router.subscribe("status_updates", lambda message: seen.put(message.status))
    try:
        body = {"type": "STATUS_UPDATE", "data": {"status": "thinking"}}
        answer = served.client.post("/api/events", json=body, headers={"X-Request-Id": "event-1"})
        assert answer.status_code == 202
        assert answer.json()["requestId"] == "event-1"
        assert seen.get(timeout=PATIENCE) == "thinking"
    finally:
        cancel.cancel()


def test_a_command_is_no_event(served: Served) -> None:
    body = {"type": "BAN_USER", "guildId": GUILD, "userId": MODERATOR, "data": ban()}
    answer = served.client.post("/api/events", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "wrong_kind")


# ------------------------------------------------------------------------ dead letters


def test_a_dead_letter_is_listed_replayed_and_gone(served: Served, world: World) -> None:
    job = bury(served, world, "175928847299117030")
    letters = served.client.get("/api/dead-letters", params={"guildId": GUILD}).json()["deadLetters"]
    letter = next(letter for letter in letters if letter["id"] == job)
    assert (letter["type"], letter["queue"], len(letter["attempts"])) == ("KICK_USER", "bot:moderation", 2)
    assert letter["error"]["code"] == "handler_error"
    dry = served.client.post("/api/dead-letters/replay", json={"ids": [job], "dryRun": True}).json()
    assert dry == {"success": True, "dryRun": True, "replayed": [job], "refused": []}
    assert served.client.get(f"/api/commands/{job}").json()["state"] == "dead"
    assert served.client.post("/api/dead-letters/replay", json={"ids": [job]}).json()["replayed"] == [job]
    state = served.state_when(job, lambda state: state["state"] == "settled")
    assert state["result"]["status"] == "ok"
    assert served.client.post("/api/dead-letters/replay", json={"ids": [job]}).json()["replayed"] == []


def test_dead_letters_are_purged_by_filter(served: Served, world: World) -> None:
    job = bury(served, world, "175928847299117031", OTHER)
    assert served.client.delete("/api/dead-letters", params={"guildId": OTHER}).json() == {"purged": 1}
    letters = served.client.get("/api/dead-letters").json()["deadLetters"]
    assert job not in [letter["id"] for letter in letters]


def test_no_filter_means_all_only_when_it_is_said(served: Served, world: World) -> None:
    job = bury(served, world, "175928847299117032")
    queries: list[dict[str, Any]] = [{}, {"limit": 5}, {"guildId": ""}, {"all": "false"}]
    answers = [served.client.delete("/api/dead-letters", params=query) for query in queries]
    bodies: list[dict[str, Any]] = [{}, {"limit": 5}, {"guildId": ""}, {"all": False}]
    answers += [served.client.post("/api/dead-letters/replay", json=body) for body in bodies]
    for answer in answers:
        assert (answer.status_code, answer.json()["field"]) == (422, "all")
    assert served.client.get(f"/api/commands/{job}").json()["state"] == "dead"
    dry = served.client.post("/api/dead-letters/replay", json={"all": True, "dryRun": True}).json()
    assert job in dry["replayed"]
    assert served.client.delete("/api/dead-letters", params={"all": "true"}).json()["purged"] >= 1


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/api/dead-letters"),
        ("GET", "/api/dead-letters"),
        ("GET", "/api/audit"),
        ("GET", "/api/queue/stats"),
        ("GET", "/api/admin/tree"),
        ("POST", "/api/queue/pause/bot:music"),
        ("GET", "/api/commands/a"),
    ],
)
def test_an_unknown_name_in_the_query_is_refused(served: Served, method: str, path: str) -> None:
    answer = served.client.request(method, path, params={"guild": "999"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_message")
    assert (answer.json()["field"], answer.json()["rule"]) == ("guild", "is unknown")


def test_names_in_the_query_may_be_snake_case_but_not_said_twice(served: Served, world: World) -> None:
    job = bury(served, world, "175928847299117033", OTHER)
    letters = served.client.get("/api/dead-letters", params={"guild_id": OTHER}).json()["deadLetters"]
    assert [letter["id"] for letter in letters] == [job]
    for query in ({"guild_id": OTHER, "guildId": GUILD}, [("guildId", OTHER), ("guildId", GUILD)]):
        answer = served.client.delete("/api/dead-letters", params=query)
        assert (answer.status_code, answer.json()["field"]) == (422, "guildId")
    assert served.client.delete("/api/dead-letters", params={"guild_id": OTHER}).json() == {"purged": 1}


@pytest.mark.parametrize(
    "body", [{"ids": []}, {"ids": ["x"] * 1_001}, {"limit": 0}, {"colour": 1}, {"dryRun": "perhaps"}, {"maxReplays": 0}]
)
def test_a_bad_replay_is_refused(served: Served, body: dict[str, Any]) -> None:
    assert served.client.post("/api/dead-letters/replay", json=body).status_code == 422


# ------------------------------------------------------------------------ health


def test_health_has_the_fields_of_the_seed(served: Served) -> None:
    health = served.client.get("/api/health").json()
    assert {"overall", "protocols", "overloaded", "timestamp"} <= health.keys()
    assert {"redis", "discord", "websocket", "queue"} <= health["protocols"].keys()
    assert health["overall"] is True
    assert health["protocols"]["direct"]["healthy"] is True


def test_probes_need_no_token_and_tell_nothing_but_yes_or_no() -> None:
    with serve(tokens="admin:ROOT") as served:
        for path in ("/livez", "/readyz"):
            answer = served.client.get(path, headers={"Authorization": ""})
            assert (answer.status_code, answer.json()) == (200, {"ok": True})


def test_a_store_that_does_not_answer_makes_the_router_unready_but_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve() as served:

        def fails(*_: object) -> None:
            raise StoreUnavailable("the disk is gone")

        monkeypatch.setattr(served.router.store, "stats", fails)
        assert served.client.get("/readyz").status_code == 503
        assert served.client.get("/livez").status_code == 200
        assert served.client.get("/api/health").json()["overall"] is False
        monkeypatch.undo()
        assert served.client.get("/readyz").status_code == 200


def test_metrics_count_what_happened(served: Served) -> None:
    before = served.client.get("/api/metrics").json()
    served.send(data=ban("175928847299117040"), params_={"wait": 5_000})
    served.send(data=ban("175928847299117040"), params_={"wait": 5_000})
    after = served.client.get("/api/metrics").json()
    assert after["messagesConsumed"] == before["messagesConsumed"] + 1
    assert after["duplicateOperations"] == before["duplicateOperations"] + 1


def test_the_audit_knows_who_did_what(served: Served) -> None:
    job = served.send(data=ban("175928847299117041"), params_={"wait": 5_000}).json()["jobId"]
    entries = served.client.get("/api/audit", params={"guildId": GUILD, "userId": MODERATOR}).json()["entries"]
    entry = next(entry for entry in entries if entry["id"] == job)
    assert (entry["kind"], entry["type"], entry["response"]["status"]) == ("settled", "BAN_USER", "ok")


def test_a_result_that_json_cannot_hold_is_shown_wherever_it_is_asked_for() -> None:
    def prepare(router: Router) -> None:
        @router.handler("KICK_USER")
        async def kick(command: Any, ctx: Any) -> dict[Any, Any]:
            return {"raw": b"\xff", "ratio": float("nan"), 1: "one"}

    data = {"raw": "_w==", "ratio": None, "1": "one"}
    with serve(prepare) as served:
        answer = served.send("KICK_USER", params_={"wait": 5_000})
        assert (answer.status_code, answer.json()["data"]) == (200, data)
        job = answer.json()["jobId"]
        assert served.client.get(f"/api/commands/{job}").json()["result"]["data"] == data
        assert served.client.get(f"/api/commands/{job}/explain").json()["response"]["data"] == data
        entries = served.client.get("/api/audit").json()["entries"]
        assert next(entry for entry in entries if entry["id"] == job)["response"]["data"] == data


# ------------------------------------------------------------------------ actors


def names(node: dict[str, Any]) -> Iterator[str]:
    yield node["name"]
    for child in node.get("children", ()):
        yield from names(child)


def restarts(node: dict[str, Any], name: str) -> int:
    found = next((node for node in nodes(node) if node["name"] == name), {"restarts": -1})
    return int(found["restarts"])


def nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("children", ()):
        yield from nodes(child)


def test_an_actor_can_be_restarted_and_the_router_goes_on(served: Served) -> None:
    tree = served.client.get("/api/admin/tree").json()
    assert {"journal", "deduplicator", "intake"} <= set(names(tree))
    before = restarts(tree, "deduplicator")
    assert served.client.post("/api/admin/actors/deduplicator/restart").json() == {"success": True}
    assert served.send(data=ban("175928847299117050"), params_={"wait": 5_000}).json()["status"] == "ok"
    tree = served.client.get("/api/admin/tree").json()
    assert restarts(tree, "deduplicator") == before  # an operator's restart is no crash


def test_an_actor_can_be_killed_and_the_router_goes_on(served: Served) -> None:
    before = restarts(served.client.get("/api/admin/tree").json(), "deduplicator")
    assert served.client.post("/api/admin/actors/deduplicator/restart", params={"kill": True}).json() == {
        "success": True
    }
    assert served.send(data=ban("175928847299117051"), params_={"wait": 5_000}).json()["status"] == "ok"
    assert restarts(served.client.get("/api/admin/tree").json(), "deduplicator") == before + 1


def test_an_unknown_actor_is_404(served: Served) -> None:
    for kill in (False, True):
        answer = served.client.post("/api/admin/actors/nobody:here/restart", params={"kill": kill})
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_actor")
