"""Publishing over HTTP: once per idempotency key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import httpx
import pytest

from actors.runtime.testing import ManualClock
from router.errors import KeyReusedError
from router.messages import StatusUpdate
from router.once import QUEUE
from router.router import Router
from tests.http.daemons import PATIENCE, Served, serve


@pytest.fixture(params=["memory://", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return "memory://" if request.param == "memory://" else f"sqlite:///{tmp_path / 'router.db'}"


@pytest.fixture
def served(store: str) -> Iterator[Served]:
    with serve(store=store) as served:
        yield served


def publish(served: Served, key: str | None, status: str = "thinking", **rest: Any) -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    body = {"type": "STATUS_UPDATE", "data": {"status": status}, **rest}
    return served.client.post("/api/events", json=body, headers=headers)


def test_a_repeat_under_the_same_key_publishes_nothing(served: Served) -> None:
    seen: SimpleQueue[Any] = SimpleQueue()
    served.router.subscribe("status_updates", seen.put)
    first = publish(served, "k-1").json()
    assert first["duplicate"] is False
    assert seen.get(timeout=PATIENCE).status == "thinking"
    # Also when the queue itself has forgotten the entry: it keeps the last ten.
    for number in range(20):
        publish(served, None, f"other {number}")
        seen.get(timeout=PATIENCE)
    again = publish(served, "k-1").json()
    assert (again["duplicate"], again["eventId"]) == (True, first["eventId"])
    publish(served, None, "last")
    assert seen.get(timeout=PATIENCE).status == "last"


def test_another_payload_under_the_same_key_is_refused_however_often_it_is_tried(served: Served) -> None:
    assert publish(served, "k-2").status_code == 202
    for _ in range(2):
        answer = publish(served, "k-2", "idle")
        assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_key_reused")
    assert publish(served, "k-2").json()["duplicate"] is True


def test_without_a_key_and_under_another_key_it_is_another_event(served: Served) -> None:
    ids = {publish(served, key).json()["eventId"] for key in (None, None, "a", "b")}
    assert len(ids) == 4


def test_keys_of_one_guild_are_not_those_of_another(served: Served) -> None:
    notice = {"type": "UPDATE", "title": "t", "message": "m", "priority": "LOW"}
    answers = [
        served.client.post(
            "/api/events",
            json={"type": "BROADCAST_NOTIFICATION", "data": {"targetGuildId": guild, "notification": notice}},
            headers={"Idempotency-Key": "k"},
        ).json()
        for guild in ("1", "2", "1")
    ]
    assert [answer["duplicate"] for answer in answers] == [False, False, True]


def test_the_queue_of_keys_is_nobodys_business(served: Served) -> None:
    publish(served, "k-3")
    assert served.client.get("/api/queue/stats").json()["queues"] == ["status_updates"]
    assert [one["name"] for one in served.client.get("/api/queue/status").json()["queues"]] == ["status_updates"]


def test_a_key_is_forgotten_after_its_time_and_leaves_nothing() -> None:
    clock = ManualClock()
    with Router(clock=clock, queue_history_ttl=1_000) as router:
        router.subscribe("status_updates", lambda message: None)
        first = router.publication(StatusUpdate(status="a"), idempotency_key="k").get(timeout=PATIENCE)
        with pytest.raises(KeyReusedError):
            router.publish(StatusUpdate(status="b"), idempotency_key="k")
        clock.advance(1_001)
        later = router.publication(StatusUpdate(status="b"), idempotency_key="other").get(timeout=PATIENCE)
        assert not first.duplicate
        assert not later.duplicate
        left = router.engine.store_call(lambda store, _: store.queue_stats()[QUEUE]).get(timeout=PATIENCE)
        assert (left.waiting, left.delayed) == (0, 2)  # only the younger key and its fingerprint


def test_a_key_outlives_a_restart(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'router.db'}"
    with serve(store=store) as served:
        first = publish(served, "k").json()["eventId"]
    with serve(store=store) as served:
        again = publish(served, "k").json()
        assert (again["duplicate"], again["eventId"]) == (True, first)
        assert publish(served, "k", "idle").status_code == 409
