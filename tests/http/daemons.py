"""A real daemon on a real socket, in this process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from router.http.daemon import Daemon
from router.router import Router
from router.settings import Settings

GUILD, OTHER = "81384788765712384", "613425648685547541"
MODERATOR, TARGET = "53908232506183680", "175928847299117063"
PATIENCE = 30.0


class Served:
    """A running daemon and a client of it."""

    def __init__(self, daemon: Daemon, client: httpx.Client) -> None:
        self.daemon = daemon
        self.router = daemon.router
        self.client = client

    def send(self, type: str = "BAN_USER", data: dict[str, Any] | None = None, **rest: Any) -> httpx.Response:
        """POST a command of GUILD; keywords that end in ``_`` belong to the request instead of the body."""
        request = {name[:-1]: rest.pop(name) for name in list(rest) if name.endswith("_")}
        body = {"type": type, "guildId": GUILD, "userId": MODERATOR, "data": ban() if data is None else data, **rest}
        return self.client.post("/api/commands", json=body, **request)

    def end_of(self, job: str) -> dict[str, Any]:
        """The result of a command, once it has one."""
        result: dict[str, Any] = self.state_when(job, lambda state: state["result"] is not None)["result"]
        return result

    def state_when(self, job: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first state of a command that fits; looks again at every change the router reports."""
        changed = threading.Event()
        stop = self.router.hub.subscribe(lambda *_: changed.set())
        try:
            for _ in range(1_000):
                changed.clear()
                state: dict[str, Any] = self.client.get(f"/api/commands/{job}").json()
                if holds(state):
                    return state
                if not changed.wait(PATIENCE):
                    break
        finally:
            stop()
        raise AssertionError(f"{job} is still {state}")


def ban(user: str = TARGET, reason: str = "spam") -> dict[str, Any]:
    """The payload of a ban."""
    return {"userId": user, "reason": reason}


@contextmanager
def serve(prepare: Callable[[Router], None] = lambda _: None, **settings: Any) -> Iterator[Served]:
    """A daemon on a free port with the handlers that ``prepare`` registers; ended and joined afterwards."""
    chosen = Settings(**{"port": 0, "drain": 5.0, **settings})
    router = Router(chosen)
    prepare(router)
    daemon = Daemon(router, chosen)
    ready, failures = threading.Event(), []

    def run() -> None:
        try:
            daemon.run(ready.set)
        except BaseException as error:  # whatever it is, the test must not wait for it in vain
            failures.append(error)
            ready.set()

    thread = threading.Thread(target=run, name="daemon")
    thread.start()
    assert ready.wait(PATIENCE)
    if failures:
        raise failures[0]
    token = chosen.tokens[0].secret.get_secret_value() if chosen.tokens else ""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with httpx.Client(base_url=daemon.url, headers=headers, timeout=PATIENCE) as client:
            yield Served(daemon, client)
    finally:
        daemon.close()
        thread.join(PATIENCE)
        assert not thread.is_alive()
