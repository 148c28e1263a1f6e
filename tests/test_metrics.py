"""Figures of a router whose store is silent."""

from __future__ import annotations

import threading

import pytest

from actors.ports import Sign
from actors.tables.services import STORE, Services
from router import Router
from router.metrics import PATIENCE


def test_a_store_that_takes_its_time_holds_up_no_figures() -> None:
    asked, go_on = threading.Event(), threading.Event()

    def hold(*_: object) -> None:
        asked.set()
        assert go_on.wait(30)

    with Router() as router:
        held = router.engine.store_call(hold)
        assert asked.wait(30)
        try:
            figures = router._metrics.read().get(timeout=30 * PATIENCE)
        finally:
            go_on.set()
        assert (figures["queueDepths"], figures["deadLetterMessages"]) == (None, None)
        assert figures["messagesPublished"] == 0
        held.get(timeout=30)
        assert router.metrics()["queueDepths"] == {}


def test_a_store_that_is_known_to_be_away_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    services = Services()
    services.looked(STORE, 1, 0.0, Sign(well=False, detail="gone"))
    with Router() as router:
        monkeypatch.setattr(router.engine.tables.services, "is_well", services.is_well)
        read = router._metrics.read()
        assert read.done(), "nobody is waited for"
        assert read.get(timeout=0)["queueDepths"] is None
