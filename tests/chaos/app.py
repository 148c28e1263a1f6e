"""``guild-router serve --app tests.chaos.app:router``: the daemon of the chaos runs, one life of it."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from router import Router
from tests.chaos.bot import attach
from tests.history.events import Nemesis
from tests.history.recorder import Ledger, Recorder
from tests.history.shared_ledger import SharedLedger


class Takeovers(logging.Handler):
    """A router says in its log that it took guilds over; the history is told."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write down what concerns the history."""
        if record.msg.startswith("took over"):
            taken = record.getMessage().removeprefix("took over ").replace(" ", "")
            recorder.record(Nemesis, action="takeover", target=f"{taken}/{router.store.partitions}")


router = Router(store=os.environ["ROUTER_STORE"])
recorder = Recorder(Path(os.environ["CHAOS_FOLDER"]), os.environ["CHAOS_LIFE"])
logging.getLogger("guild_router.partitions").addHandler(Takeovers())
attach(router, SharedLedger(recorder) if os.environ.get("CHAOS_SHARED") else Ledger(recorder))
