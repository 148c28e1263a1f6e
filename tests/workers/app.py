"""A worker for the tests with processes: its handlers write what they do into a file that outlives them."""

from __future__ import annotations

import os
import threading
from typing import Any

from router.messages import BanUser, SendMessage
from router.worker import Worker

LEDGER = os.environ.get("WORKER_LEDGER", "")
NAME = os.environ.get("WORKER_NAME", "")
LEASE = float(os.environ.get("WORKER_LEASE", "1.0"))
HOLDS = NAME in os.environ.get("WORKER_HOLDS", "").split(",")

worker = Worker(os.environ.get("WORKER_STORE", "redis://127.0.0.1:1"), lease=LEASE, drain=5.0, name=NAME)
never = threading.Event()


def note(what: str, ctx: Any) -> None:
    """One line, written by one call: lines of several processes do not mix."""
    line = f"{what} {NAME} {ctx.id} {ctx.attempt}\n"
    handle = os.open(LEDGER, os.O_APPEND | os.O_CREAT | os.O_WRONLY)
    try:
        os.write(handle, line.encode())
    finally:
        os.close(handle)


@worker.handler(SendMessage)
def send(command: SendMessage, ctx: Any) -> dict[str, str]:
    """Repeating it shows."""
    note("begin", ctx)
    if HOLDS:
        never.wait()
    note("end", ctx)
    return {"by": NAME, "said": command.content or ""}


@worker.handler(BanUser)
def ban(command: BanUser, ctx: Any) -> dict[str, str]:
    """Repeating it does no harm."""
    note("begin", ctx)
    if HOLDS:
        never.wait()
    note("end", ctx)
    return {"by": NAME}
