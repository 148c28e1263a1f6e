"""A router that gives up is noticed, whenever it does."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from actors.journal import Journal
from actors.runtime.errors import StartError
from actors.runtime.runtime import Runtime
from router.router import Router
from tests.http.daemons import PATIENCE


def test_a_router_that_gives_up_while_it_recovers_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    up = threading.Event()
    start = Runtime.start

    def started(self: Runtime, *arguments: Any) -> Any:
        ref = start(self, *arguments)
        up.set()
        return ref

    def broken(self: Journal, message: object) -> None:
        assert up.wait(PATIENCE)
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr(Runtime, "start", started)
    monkeypatch.setattr(Journal, "on_receive", broken)
    monkeypatch.setattr(Journal, "on_flush", lambda self: None)
    with pytest.raises(StartError, match="broken on purpose"):
        Router().start()


def test_whoever_asks_too_late_is_told_of_the_end_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    router = Router()
    ended = threading.Event()
    causes: list[BaseException | None] = []
    with router:
        router.engine.on_end(lambda _: ended.set())

        def broken(self: Journal, message: object) -> None:
            raise RuntimeError("broken on purpose")

        monkeypatch.setattr(Journal, "on_receive", broken)
        router.engine.store_call(lambda store, now: store.stats())
        assert ended.wait(PATIENCE)
        router.engine.on_end(causes.append)
    assert [str(cause) for cause in causes] == ["broken on purpose"]
