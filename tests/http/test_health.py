"""Health, metrics, alerts and breakers over HTTP, to a real daemon."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from actors.policy.breaker import Condition
from router.messages.moderation import BanUser
from router.router import Router
from tests.http.daemons import GUILD, MODERATOR, OTHER, PATIENCE, Served, ban, serve

SEED = {
    "restRequests",
    "websocketMessages",
    "queueJobs",
    "restToWebSocketDelay",
    "queueToWebSocketDelay",
    "duplicateOperations",
    "totalProtocolFailures",
    "websocketFallbackToQueue",
    "queueFallbackToWebSocket",
}


def prepare(router: Router) -> None:
    @router.handler("BAN_USER")
    async def ban_user(command: Any, ctx: Any) -> None:
        return None

    @router.handler("UNBAN_USER")
    async def unban_user(command: Any, ctx: Any) -> None:
        return None


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serve(prepare) as served:
        yield served


def samples(served: Served) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Of one scrape, by name and labels."""
    answer = served.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_cross_protocol_metrics_have_the_seeds_names_and_count_what_happened(served: Served) -> None:
    before = served.client.get("/api/metrics/cross-protocol").json()
    assert before.keys() == SEED
    user = "175928847299117101"
    assert served.send(data=ban(user), params_={"wait": 5_000}).json()["status"] == "ok"
    assert served.send(data=ban(user), params_={"wait": 5_000}).json()["duplicate"]
    again = BanUser(guild_id=GUILD, user_id=user, moderator_id=MODERATOR, reason="spam")
    assert served.router.request(again, timeout=PATIENCE).success
    after = served.client.get("/api/metrics/cross-protocol").json()
    grown = {name: after[name] - before[name] for name in SEED}
    assert (grown["restRequests"], grown["duplicateOperations"]) == (2, 2)
    assert grown["queueJobs"] == grown["websocketMessages"] == grown["totalProtocolFailures"] == 0


def test_what_queue_executes_is_a_queue_job(served: Served) -> None:
    before = served.client.get("/api/metrics/cross-protocol").json()["queueJobs"]
    user = "175928847299117102"
    answer = served.send(data=ban(user), params_={"wait": 5_000}, requiresReliability=True).json()
    assert answer["method"] == "queue"
    assert served.client.get("/api/metrics/cross-protocol").json()["queueJobs"] == before + 1


def test_deduplication_metrics_count_duplicates_and_keys_used_twice(served: Served) -> None:
    before = served.client.get("/api/metrics/deduplication").json()
    headers = {"Idempotency-Key": "once"}
    served.send(data=ban("175928847299117103"), headers_=headers, params_={"wait": 5_000})
    served.send(data=ban("175928847299117103"), headers_=headers, params_={"wait": 5_000})
    assert served.send(data=ban("175928847299117104"), headers_=headers).status_code == 409
    after = served.client.get("/api/metrics/deduplication").json()
    assert after["duplicateOperations"] == before["duplicateOperations"] + 1
    assert after["idempotencyConflicts"] == before["idempotencyConflicts"] + 1
    assert after["conflicts"].keys() == {"superseded", "annihilated", "rejected"}


def test_health_of_protocols_and_services_tells_what_is_set_up(served: Served) -> None:
    found = served.client.get("/api/health/protocols").json()["protocols"]
    assert {"redis", "discord", "websocket", "queue", "direct"} <= found.keys()
    assert (found["direct"]["healthy"], found["direct"]["breaker"]) == (True, "closed")
    assert (found["redis"]["healthy"], found["redis"]["configured"]) == (False, False)
    services = served.client.get("/api/health/services").json()
    assert services["services"]["store"]["healthy"] is True
    assert services["tree"]["state"] == "running"
    assert {breaker["name"] for breaker in services["breakers"]} >= {"direct", "queue"}


def test_a_websocket_without_bots_is_not_set_up_and_no_illness(served: Served) -> None:
    websocket = served.client.get("/api/health/protocols").json()["protocols"]["websocket"]
    assert (websocket["configured"], websocket["healthy"]) == (False, False)
    assert websocket["error"] == "no bot is connected"
    assert served.client.get("/api/health").json()["overall"] is True


def test_calls_and_latency_are_of_real_attempts(served: Served) -> None:
    before = served.client.get("/api/health/protocols").json()["protocols"]["direct"]["calls"]
    served.send("UNBAN_USER", ban("175928847299117105"), params_={"wait": 5_000})
    direct = served.client.get("/api/health/protocols").json()["protocols"]["direct"]
    assert direct["calls"] == before + 1
    assert 0 < direct["latency"]["p50"] <= direct["latency"]["p99"]
    assert direct["errorRate"] == 0


def test_an_open_breaker_shows_everywhere_and_an_operator_closes_it() -> None:
    with serve(prepare) as served:
        heard = threading.Event()
        stop = served.router.hub.subscribe(lambda kind, _: heard.set() if kind == "breaker" else None)
        breaker = served.router.engine.breakers.find("direct")
        assert breaker is not None
        breaker.force_open(served.router.clock.now())
        assert heard.wait(PATIENCE)
        stop()
        health = served.client.get("/api/health").json()
        assert (health["overall"], health["protocols"]["direct"]["healthy"]) == (False, False)
        alerts = served.client.get("/api/alerts").json()["alerts"]
        assert [(each["code"], each["about"]) for each in alerts] == [("breaker_open", "direct")]
        labels = (("breaker", "direct"), ("state", "forced_open"))
        assert samples(served)["guild_router_breaker_state", labels] == 1
        job = served.send(protocols=["direct"]).json()["jobId"]
        assert served.client.post("/api/admin/circuit-breaker/reset/direct").json() == {"success": True}
        assert served.end_of(job)["status"] == "ok", "whoever waited goes on"
        assert breaker.condition is Condition.CLOSED
        assert served.client.get("/api/health").json()["overall"] is True
        assert served.client.get("/api/alerts").json()["alerts"] == []
        entries = served.client.get("/api/audit").json()["entries"]
        assert {"action": "reset", "breaker": "direct"} in [entry["detail"] for entry in entries]
        answer = served.client.post("/api/admin/circuit-breaker/reset/nobody")
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_breaker")


def test_only_an_operator_resets_a_breaker() -> None:
    with serve(prepare, tokens="client:C,admin:ROOT") as served:
        assert served.client.post("/api/admin/circuit-breaker/reset/direct").status_code == 403
        headers = {"Authorization": "Bearer ROOT"}
        assert served.client.post("/api/admin/circuit-breaker/reset/direct", headers=headers).status_code == 200


def test_prometheus_sees_what_happened_and_what_an_autoscaler_needs(served: Served) -> None:
    before = samples(served)
    served.send(data=ban("175928847299117106"), priority="high", params_={"wait": 5_000})
    after = samples(served)

    def grown(name: str, **labels: str) -> float:
        key = (name, tuple(sorted(labels.items())))
        return after[key] - before.get(key, 0)

    assert grown("guild_router_accepted_total") == 1
    assert grown("guild_router_settled_total", status="ok") == 1
    assert grown("guild_router_attempts_total", protocol="direct", outcome="applied") == 1
    assert grown("guild_router_response_seconds_count", priority="high") == 1
    assert grown("guild_router_response_seconds_bucket", priority="high", le="+Inf") == 1
    assert grown("guild_router_within_objective_total", priority="high") == 1
    assert grown("guild_router_wait_seconds_count") == grown("guild_router_run_seconds_count") == 1
    assert after["guild_router_objective_seconds", (("priority", "critical"),)] == 1
    assert after["guild_router_capacity", ()] == 1_000
    assert 0 <= after["guild_router_load", ()] < 1
    assert after["guild_router_queue_backlog", (("queue", "bot:moderation"),)] == 0
    assert after["guild_router_queue_oldest_eligible_age_seconds", (("queue", "bot:moderation"),)] == 0
    assert after["guild_router_service_healthy", (("service", "store"),)] == 1
    assert after["process_resident_memory_bytes", ()] > 10_000_000
    assert 0 <= after["guild_router_event_loop_lag_seconds", ()] < 60


def test_c20_no_label_of_prometheus_is_of_a_guild_or_a_user(served: Served) -> None:
    served.send(data=ban("175928847299117107"), params_={"wait": 5_000})
    text = served.client.get("/metrics").text
    for id_ in (GUILD, MODERATOR, "175928847299117107"):
        assert id_ not in text


def test_a_backlog_shows_its_age_and_its_guild_and_a_delayed_command_is_not_old(served: Served) -> None:
    served.client.post("/api/queue/pause/bot:moderation")
    served.send(data=ban("175928847299117108"), delayMs=600_000)
    scaling = served.client.get("/api/metrics").json()["scaling"]["queues"]["bot:moderation"]
    assert scaling == {"backlog": 1, "oldestEligibleAge": 0, "paused": True}
    served.send(data=ban("175928847299117109"))
    figures = served.client.get("/api/metrics").json()
    assert figures["scaling"]["queues"]["bot:moderation"]["backlog"] == 2
    assert figures["topGuilds"] == [{"guildId": GUILD, "backlog": 2}]
    exported, queue = samples(served), (("queue", "bot:moderation"),)
    assert (exported["guild_router_queue_backlog", queue], exported["guild_router_queue_paused", queue]) == (2, 1)
    served.client.post("/api/queue/resume/bot:moderation")
    exported = samples(served)
    assert exported.get(("guild_router_queue_paused", queue), 0) == 0


def test_a_token_of_one_guild_learns_nothing_of_others_from_the_metrics() -> None:
    with serve(prepare, tokens=f"admin:ROOT,client:MINE@{GUILD},client:THEIRS@{OTHER}") as served:
        served.send(data=ban("175928847299117110"), delayMs=60_000)

        def top(token: str) -> list[str]:
            answer = served.client.get("/api/metrics", headers={"Authorization": f"Bearer {token}"})
            return [guild["guildId"] for guild in answer.json()["topGuilds"]]

        assert (top("ROOT"), top("MINE"), top("THEIRS")) == ([GUILD], [GUILD], [])


def test_a_full_process_is_overloaded_and_refuses_alike_through_every_door() -> None:
    with serve(prepare) as served:
        served.router.engine.tables.load.level, served.router.engine.tables.load.cause = 0.9, "memory"
        served.router.meters.append(_Stuck())  # so that the next look finds it so, too
        answer = served.send(priority="normal")
        problem = answer.json()
        assert (answer.status_code, problem["code"], problem["limit"]) == (429, "overloaded", "memory")
        assert problem["retryAfter"] > 0
        assert int(answer.headers["Retry-After"]) == -(-problem["retryAfter"] // 1_000)
        assert problem["position"] == 0
        assert served.send(priority="critical").status_code == 202
        assert served.client.get("/api/health").json()["overloaded"] is True
        assert served.client.get("/readyz").status_code == 200, "the important ones are still taken"
        assert served.client.get("/api/alerts").json()["alerts"][0]["code"] == "shedding"


class _Stuck:
    name = "memory"

    def read(self) -> float:
        return 0.9
