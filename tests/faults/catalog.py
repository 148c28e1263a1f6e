"""The two commands of the matrix, in a catalog of their own: one that may be repeated, and one that may not."""

from __future__ import annotations

import os
import threading
from typing import Any

from actors.policy.facts import Backoff
from router import RetryLater
from router.messages.base import Command
from router.messages.registry import Catalog
from tests.faults.ledger import Ledger

catalog = Catalog()

GUILD = "81384788765712384"
SOON = Backoff(initial=20, cap=100, jitter="full")

_never = threading.Event()


class Deed(Command, catalog=catalog, subject="{mark}", queue="deeds", attempts=5, backoff=SOON):
    """Leaves an effect in the ledger; ``acts`` is what its executor does, run by run, the last one for all further."""

    mark: str
    acts: tuple[str, ...] = ("do",)
    ms: int = 0


class Set(Deed, type="FAULT_SET", idempotent=True):
    """Done twice it leaves one effect."""


class Strike(Deed, type="FAULT_STRIKE"):
    """Done twice it leaves two."""


class Blocker(Command, type="FAULT_BLOCKER", catalog=catalog, subject="blocker", queue="deeds"):
    """Keeps the only executor busy until it is told."""


def perform(ledger: Ledger, deed: Deed, ctx: Any) -> dict[str, Any]:
    """What every executor of the matrix does, in whichever process and behind whichever protocol."""
    run = ledger.begin(deed.mark)
    act = deed.acts[min(run, len(deed.acts)) - 1]
    try:
        if act == "later":
            raise RetryLater(0.05, "the peer says: too many")
        if act == "slow":
            _never.wait(deed.ms / 1000)
        ledger.effect(deed.mark, idempotent=isinstance(deed, Set))
        if act == "hang":
            _never.wait(deed.ms / 1000)
    finally:
        ledger.end(deed.mark)
    if act == "die":
        os._exit(9)
    return {"run": run}
