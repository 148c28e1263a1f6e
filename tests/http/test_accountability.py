"""Who did what stands in the audit trail; no page of another site does anything; no secret leaves."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.routing import APIRoute

from router.http.app import MODULES
from router.http.auth import allowed
from router.http.origin import SAFE_METHODS
from router.router import Router
from tests.http.daemons import GUILD, MODERATOR, TARGET, Served, ban, serve

SECRET = "swordfish-4711"
TOKENS = "client:c-secret,admin:first-admin,admin:second-admin"
WHO = "admin#3"
HEADERS = {"Authorization": "Bearer second-admin"}

#: every route that changes the router itself: how it is called, and the action the trail must name
OPERATIONS: dict[tuple[str, str], tuple[str, dict[str, Any], str]] = {
    ("POST", "/api/queue/pause/{queue}"): ("/api/queue/pause/bot:music", {}, "pause"),
    ("POST", "/api/queue/resume/{queue}"): ("/api/queue/resume/bot:music", {}, "resume"),
    ("DELETE", "/api/queue/purge/{queue}"): ("/api/queue/purge/bot:music", {}, "purge"),
    ("POST", "/api/dead-letters/replay"): ("/api/dead-letters/replay", {"json": {"ids": ["DEAD"]}}, "replay"),
    ("DELETE", "/api/dead-letters"): ("/api/dead-letters?all=true", {}, "purge dead letters"),
    ("POST", "/api/admin/circuit-breaker/reset/{service}"): (
        "/api/admin/circuit-breaker/reset/direct",
        {},
        "reset",
    ),
    ("POST", "/api/admin/actors/{name:path}/restart"): ("/api/admin/actors/hub/restart", {}, "restart actor"),
}


def prepare(router: Router) -> None:
    @router.handler("BAN_USER")
    async def ban_user(command: Any, ctx: Any) -> None: ...

    @router.handler("KICK_USER")
    async def kick_user(command: Any, ctx: Any) -> None:
        raise OSError("down")

    @router.handler("SEND_DM")
    async def send_dm(command: Any, ctx: Any) -> dict[str, str]:
        if command.reason == "fail":
            raise ValueError(f"cannot deliver {command.content!r}")
        return {"echo": command.content}


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    settings = {"tokens": TOKENS, "types": {"KICK_USER": {"attempts": 1}, "SEND_DM": {"attempts": 1}}}
    with serve(prepare, **settings) as served:
        served.client.headers["Authorization"] = HEADERS["Authorization"]
        yield served


def changing_routes() -> list[tuple[str, str, APIRoute]]:
    return [
        (method, route.path, route)
        for module in MODULES
        for route in module.routes.routes
        if isinstance(route, APIRoute)
        for method in sorted(route.methods - SAFE_METHODS)
    ]


def is_for_operators(route: APIRoute) -> bool:
    # The dependency that ``allowed`` makes for a role says no to a client.
    checks = [one.call for one in route.dependant.dependencies if one.call is not None]
    roles = [check.__closure__ for check in checks if check.__qualname__ == allowed("admin").__qualname__]
    return any("client" not in cell.cell_contents for cells in roles for cell in cells or () if _is_roles(cell))


def _is_roles(cell: Any) -> bool:
    return isinstance(cell.cell_contents, tuple)


def test_the_table_knows_every_route_for_operators() -> None:
    found = {(method, path) for method, path, route in changing_routes() if is_for_operators(route)}
    # Schedules make what their own tests look for in the trail.
    assert {(method, path) for method, path in found if "/schedules" not in path} == OPERATIONS.keys()


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=lambda word: word)
def test_what_an_operator_does_is_audited_with_who_did_it(served: Served, method: str, path: str) -> None:
    url, options, action = OPERATIONS[method, path]
    if path == "/api/dead-letters/replay":
        job = served.send("KICK_USER", ban()).json()["jobId"]
        assert served.end_of(job)["status"] == "dead"
        options = {"json": {"ids": [job]}}
    before = len(lines(served, action))
    assert served.client.request(method, url, **options).status_code == 200
    after = lines(served, action)
    assert [line["user"] for line in after[: len(after) - before]] == [WHO]


def lines(served: Served, action: str) -> list[dict[str, Any]]:
    """Newest first."""
    found = served.client.get("/api/audit", params={"limit": 1_000}).json()["entries"]
    return [line for line in found if line["kind"] == "operator" and (line["detail"] or {}).get("action") == action]


def test_taking_a_command_back_is_audited_with_who_did_it(served: Served) -> None:
    job = served.send(delayMs=60_000).json()["jobId"]
    assert served.client.delete(f"/api/commands/{job}").status_code == 200
    (line,) = [line for line in lines(served, "cancel") if line["id"] == job]
    assert line["user"] == WHO
    story = served.client.get(f"/api/commands/{job}/explain").json()["story"]
    assert any(step["event"] == "operator" for step in story)


@pytest.mark.parametrize(
    ("method", "path"), [(method, path) for method, path, _ in changing_routes()], ids=lambda word: word
)
@pytest.mark.parametrize("header", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://elsewhere.example"}])
def test_no_page_of_another_site_changes_anything(
    served: Served, method: str, path: str, header: dict[str, str]
) -> None:
    answer = served.client.request(method, path.replace("{name:path}", "hub"), headers=header, json={})
    assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")


@pytest.mark.parametrize("reason", ["fine", "fail"])
def test_a_sensitive_value_is_in_no_log_metric_audit_line_explanation_or_error(
    served: Served, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    data = {"userId": TARGET, "content": SECRET, "reason": reason}
    job = served.send("SEND_DM", data).json()["jobId"]
    served.end_of(job)
    explained = served.client.get(f"/api/commands/{job}/explain")
    assert explained.json()["attempts"]
    audit = served.client.get("/api/audit", params={"id": job})
    assert [line["kind"] for line in audit.json()["entries"]] == ["settled"]
    pages = [explained, audit, served.client.get("/api/dead-letters")]
    pages += [served.client.get(path) for path in ("/api/metrics", "/metrics", "/api/health", "/api/admin/tree")]
    pages.append(served.client.post("/api/commands", json={"type": "SEND_DM", "data": data | {"content": [SECRET]}}))
    for page in pages:
        assert SECRET not in page.text, page.url
    assert SECRET not in caplog.text


def test_a_token_is_compared_as_bytes_and_shown_to_nobody(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for secret in (b"\xc3\xa4dmin", b"\xff\xfe", b"second-admi", b"second-admin"):
        answer = served.client.get("/api/health", headers={b"Authorization": b"Bearer " + secret})
        assert answer.status_code == (200 if secret == b"second-admin" else 401)
    assert served.send("BAN_USER", ban(), guildId=GUILD, userId=MODERATOR).status_code == 202
    assert "second-admin" not in caplog.text
    assert "second-admin" not in served.client.get("/api/audit", params={"limit": 1_000}).text
