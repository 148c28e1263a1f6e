"""A daemon on a real Redis that goes down and comes back."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from typer.testing import CliRunner

from actors.tables.services import Services
from router.cli import look
from router.cli.main import app
from router.router import Router
from tests.http.daemons import PATIENCE, Served, ban, serve
from tests.http.test_health import samples
from tests.servers.redis import RedisServer, wait_for

terminal = CliRunner(env={"COLUMNS": "160", "NO_COLOR": "1", "TERM": "dumb"})
STORED = {"guild_router_queue_depth", "guild_router_dead_letters"}


def prepare(router: Router) -> None:
    @router.handler("BAN_USER")
    async def ban_user(command: Any, ctx: Any) -> None:
        return None


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> threading.Semaphore:
    """Released for each look at a service."""
    made = threading.Semaphore(0)
    looked = Services.looked

    def note(self: Services, *found: Any) -> bool:
        changed = looked(self, *found)
        made.release()
        return changed

    monkeypatch.setattr(Services, "looked", note)
    return made


def until(served: Served, looks: threading.Semaphore, service: str, *, well: bool) -> None:
    """The latest look at it says so."""
    for _ in range(100):
        view = served.router.engine.tables.services.view(service, served.router.clock.now())
        if view is not None and view.sign is not None and view.sign.well is well:
            return
        assert looks.acquire(timeout=PATIENCE)
    raise AssertionError(f"{service} is not {'well' if well else 'unwell'} yet")


def test_redis_is_told_to_be_down_while_it_is_and_well_when_it_is_back(looks: threading.Semaphore) -> None:
    with RedisServer() as server, serve(prepare, store=server.url, queue_health_check_interval=200) as served:
        assert served.send(params_={"wait": 5_000}).json()["status"] == "ok"
        health = served.client.get("/api/health").json()
        assert (health["overall"], health["protocols"]["redis"]["healthy"]) == (True, True)
        assert STORED & {name for name, _ in samples(served)} == STORED
        assert served.client.get("/readyz").status_code == 200
        assert served.client.get("/api/queue/health").json()["provider"] == "redis"
        server.kill()
        until(served, looks, "store", well=False)
        health = served.client.get("/api/health").json()
        assert (health["overall"], health["protocols"]["redis"]["healthy"]) == (False, False)
        assert served.client.get("/readyz").status_code == 503
        assert served.client.get("/livez").status_code == 200
        assert served.client.get("/api/queue/health").json()["healthy"] is False
        alerts = [alert["code"] for alert in served.client.get("/api/alerts").json()["alerts"]]
        assert alerts[0] == "store_unavailable"
        assert served.send(data=ban("175928847299117002")).status_code == 503, "never a false promise"
        figures = served.client.get("/api/metrics").json()
        assert (figures["messagesConsumed"], figures["queueDepths"], figures["deadLetterMessages"]) == (1, None, None)
        exported = samples(served)
        assert exported["guild_router_accepted_total", ()] == 1
        assert exported["guild_router_service_healthy", (("service", "store"),)] == 0
        assert not STORED & {name for name, _ in exported}
        server.start()
        until(served, looks, "store", well=True)
        until(served, looks, "queue", well=True)
        assert served.client.get("/api/health").json()["overall"] is True
        assert served.client.get("/readyz").status_code == 200
        assert served.send(data=ban("175928847299117003"), params_={"wait": 5_000}).json()["status"] == "ok"


def test_who_looks_while_redis_is_away_sees_no_owners_and_how_old_the_rest_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(look, "OLD", 200)  # what is left of a lease when it is seen is more
    with RedisServer() as server, serve(prepare, store=server.url) as served:

        def shown() -> tuple[set[bool], int]:
            """Whether partitions are owned, and how many the members say they own."""
            view = served.client.get("/api/cluster").json()
            return (
                {each["router"] is not None and each["leftMs"] > 0 for each in view["partitions"]},
                sum(each["partitions"] for each in view["members"]),
            )

        wait_for(lambda: shown()[0] == {True})
        server.kill()
        wait_for(lambda: shown() == ({False}, 0))
        result = terminal.invoke(app, ["cluster", "--url", served.daemon.url])
        assert result.exit_code == 0
        assert "ago, when the store last answered" in result.output
        assert "nobody owns 0, 1, 2" in result.output
        result = terminal.invoke(app, ["monitor", "--once", "--json", "--url", served.daemon.url])
        assert (result.exit_code, json.loads(result.stdout)["queues"]) == (0, None)


def test_a_redis_that_may_lose_commands_and_one_that_lost_them_are_alerts() -> None:
    with RedisServer(appendonly="no") as server, serve(prepare, store=server.url) as served:

        def wrong() -> list[tuple[str, str]]:
            alerts = served.client.get("/api/alerts").json()["alerts"]
            return [(each["code"], each["severity"]) for each in alerts if each["about"] == "store"]

        assert wrong() == [("store_unfit", "warning")]
        with server.client() as client:
            client.flushall()
        wait_for(lambda: served.send(params_={"wait": 5_000}).status_code < 300)
        assert wrong() == [("store_emptied", "critical"), ("store_unfit", "warning")]
