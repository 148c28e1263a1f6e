"""Figures of a router whose store is silent."""

from __future__ import annotations

import threading

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
