"""``guild-router serve --app tests.chaos.app:router``: the daemon of the chaos runs, one life of it."""

from __future__ import annotations

import os
from pathlib import Path

from router import Router
from tests.chaos.bot import attach
from tests.chaos.takeovers import Takeovers
from tests.chaos.witness import witness
from tests.history.recorder import Ledger, Recorder
from tests.history.shared_ledger import SharedLedger

recorder = Recorder(Path(os.environ["CHAOS_FOLDER"]), os.environ["CHAOS_LIFE"])
witness(recorder)
router = Router(store=os.environ["ROUTER_STORE"])
Takeovers(router, recorder).listen()
attach(router, SharedLedger(recorder) if os.environ.get("CHAOS_SHARED") else Ledger(recorder))
