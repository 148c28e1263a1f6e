"""What is refused before anything of a request is decoded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from router.http.door import Door
from router.settings import Settings

ADMIN = {"Authorization": "Bearer SECRET"}


class Inner:
    """An application that reads its body and remembers what it saw."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.failure: Exception | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.failure:
            raise self.failure
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        self.bodies.append(body)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(scope["state"]["caller"]).encode()})


class Sender:
    """Asks an application without a network."""

    def __init__(self, **settings: Any) -> None:
        self.inner = Inner()
        self.door = Door(self.inner, Settings(**settings))

    def ask(
        self, method: str = "GET", path: str = "/api/health", base: str = "http://127.0.0.1:8600", **request: Any
    ) -> httpx.Response:
        async def once() -> httpx.Response:
            transport = httpx.ASGITransport(self.door, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url=base) as client:
                return await client.request(method, path, **request)

        return asyncio.run(once())


@pytest.fixture
def local() -> Sender:
    return Sender()


@pytest.fixture
def guarded() -> Sender:
    return Sender(tokens="admin:SECRET,client:C@1")


def test_a_request_passes_and_its_answer_is_hardened(local: Sender) -> None:
    answer = local.ask()
    assert answer.status_code == 200
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Cache-Control"] == "no-store"
    assert len(answer.headers["X-Request-Id"]) == 36


def test_a_request_id_is_kept_and_a_bad_one_refused(local: Sender) -> None:
    assert local.ask(headers={"X-Request-Id": "req_1:a.b-c"}).headers["X-Request-Id"] == "req_1:a.b-c"
    for bad in ("", "a b", "x" * 129, "<b>"):
        answer = local.ask(headers={"X-Request-Id": bad})
        assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (
            400,
            "bad_header",
            "X-Request-Id",
        )


def test_without_a_known_token_nothing_is_read(guarded: Sender) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        answer = guarded.ask("POST", "/api/commands", headers=headers, json={})
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert answer.headers["Content-Type"] == "application/problem+json"
    assert guarded.inner.bodies == []


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/docs", "/openapi.json", "/static/swagger-ui.css"])
def test_some_paths_need_no_token(guarded: Sender, path: str) -> None:
    assert guarded.ask(path=path).status_code == 200


@pytest.mark.parametrize("path", ["/livez/", "/LIVEZ", "/api/%2e%2e/livez", "//livez", "/staticx", "/docsx"])
def test_no_other_path_looks_like_one_of_those(guarded: Sender, path: str) -> None:
    assert guarded.ask(path=path).status_code == 401


def test_a_known_token_passes(guarded: Sender) -> None:
    assert "admin" in guarded.ask(headers=ADMIN).text


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "http://127.0.0.1:8600", "Sec-Fetch-Site": "cross-site"},
    ],
)
def test_pages_of_other_sites_cannot_change_anything(local: Sender, headers: dict[str, str]) -> None:
    answer = local.ask("POST", "/api/queue/pause/x", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")
    assert local.ask("GET", headers=headers).status_code == 200
    assert len(local.inner.bodies) == 1


@pytest.mark.parametrize(
    "headers",
    [{}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {"Origin": "http://127.0.0.1:8600"}],
)
def test_our_own_pages_and_other_clients_can(local: Sender, headers: dict[str, str]) -> None:
    assert local.ask("POST", "/api/queue/pause/x", headers=headers).status_code == 200


def test_an_allowed_origin_can() -> None:
    sender = Sender(allowed_origins="https://dash.example")
    headers = {"Origin": "https://dash.example", "Sec-Fetch-Site": "cross-site"}
    assert sender.ask("POST", "/x", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8600", "127.0.0.1.evil.example", "169.254.169.254", "[::1"]
)
def test_a_foreign_name_for_our_loopback_is_refused(local: Sender, host: str) -> None:
    answer = local.ask(headers={"Host": host})
    assert (answer.status_code, answer.json()["code"]) == (403, "unknown_host")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:8600", "router.lan"])
def test_our_own_names_are_not(host: str) -> None:
    assert Sender(allowed_hosts="router.lan").ask(headers={"Host": host}).status_code == 200


def test_with_tokens_any_host_name_will_do(guarded: Sender) -> None:
    assert guarded.ask(headers={"Host": "bots.example", **ADMIN}).status_code == 200


@pytest.mark.parametrize("request_", [{"headers": {"X": "x" * 16_384}}, {"params": {"q": "x" * 16_384}}])
def test_a_head_that_is_too_long_is_refused(local: Sender, request_: dict[str, Any]) -> None:
    answer = local.ask(**request_)
    assert (answer.status_code, answer.json()["code"], answer.json()["maxBytes"]) == (431, "head_too_large", 16_384)


def test_a_body_announced_too_long_is_refused_unread(local: Sender) -> None:
    answer = local.ask("POST", "/x", content=b" " * 1_048_577, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"], answer.json()["maxBytes"]) == (413, "body_too_large", 1_048_576)
    assert local.inner.bodies == []


def test_a_body_that_grows_too_long_while_streaming_is_cut_off(local: Sender) -> None:
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(64):
            sent += 1
            yield b" " * 65_536

    answer = local.ask("POST", "/x", content=chunks(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413
    assert sent <= 18
    assert local.inner.bodies == []


def test_a_body_of_exactly_the_limit_passes(local: Sender) -> None:
    headers = {"Content-Type": "application/json"}
    assert local.ask("POST", "/x", content=b" " * 1_048_576, headers=headers).status_code == 200
    assert len(local.inner.bodies[0]) == 1_048_576


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "multipart/form-data", ""]
)
def test_a_body_that_is_not_json_is_refused(local: Sender, kind: str) -> None:
    answer = local.ask("POST", "/x", content=b"{}", headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["code"]) == (415, "not_json")


@pytest.mark.parametrize(
    "kind", ["application/json", "application/json; charset=utf-8", "Application/JSON", "application/vnd.x+json"]
)
def test_json_by_any_of_its_names_is_taken(local: Sender, kind: str) -> None:
    assert local.ask("POST", "/x", content=b"{}", headers={"Content-Type": kind}).status_code == 200


def test_a_body_that_does_not_come_is_given_up() -> None:
    sender = Sender(body_timeout=0.05)
    messages: list[Message] = []

    async def never() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        messages.append(message)

    headers = [(b"host", b"localhost"), (b"content-type", b"application/json"), (b"content-length", b"5")]
    scope = {"type": "http", "method": "POST", "path": "/x", "headers": headers}
    asyncio.run(asyncio.wait_for(sender.door(scope, never, send), 5))
    assert messages[0]["status"] == 408


def test_a_failure_inside_is_a_problem_that_tells_nothing(local: Sender, caplog: pytest.LogCaptureFixture) -> None:
    local.inner.failure = RuntimeError("hunter2")
    answer = local.ask(headers={"X-Request-Id": "r-7"})
    assert (answer.status_code, answer.json()["code"], answer.json()["requestId"]) == (500, "internal_error", "r-7")
    assert "hunter2" not in answer.text
    assert "r-7" in caplog.text
