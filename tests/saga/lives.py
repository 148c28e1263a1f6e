"""A command of three steps in a process that dies where it is told to, and in one that goes on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import router.saga
from router import Router
from router.messages.base import Command
from router.messages.registry import Catalog
from router.saga_progress import Mark
from tests.faults.ledger import Ledger

catalog = Catalog()
GUILD = "81384788765712384"
CAP = 30.0


class Expel(Command, type="SAGA_EXPEL", catalog=catalog, subject="user", idempotent=True):
    """Notify, ban and file; the third step fails."""

    fails: bool = True


class File(Command, type="SAGA_FILE", catalog=catalog, subject="user"):
    """A child in its parent's own lane."""

    fails: bool = True


def attach(router: Router, ledger: Ledger) -> None:
    """The handlers, which leave every effect in the ledger."""

    @router.handler(Expel)
    async def expel(command: Expel, ctx: Any) -> dict[str, Any]:
        async with router.saga(ctx) as saga:
            await saga.step("notify", lambda: do("notify"), undo=lambda: do("un-notify"), idempotent=True)
            await saga.step("ban", lambda: do("ban", once=True), undo=lambda: do("un-ban"))
            await saga.step("file", File(guild_id=GUILD, fails=command.fails))
        return saga.report()

    @router.handler(File)
    async def file(command: File, ctx: Any) -> str:
        ledger.begin("file")
        if command.fails:
            raise router_reject("archive_full", "no room")
        ledger.effect("file", idempotent=False)
        return "case-1"

    def do(what: str, *, once: bool = False) -> str:
        ledger.begin(what)
        ledger.effect(what, idempotent=not once)
        return what


def router_reject(code: str, text: str) -> Exception:
    from router import Reject

    return Reject(code, text)


def live(folder: str, gap: int, after: bool, fails: bool) -> None:
    """Send it, and die at the ``gap``-th line of the saga: before it is written, or right after."""
    written = [0]
    honest: Any = router.saga.Saga._write

    def write(self: Any, mark: Mark, step: str = "", data: Any = None) -> Any:
        move = honest(self, mark, step, data)
        written[0] += 1
        if written[0] != gap:
            return move
        if not after:
            os._exit(9)

        async def last() -> None:
            await move()
            os._exit(9)

        return last

    router.saga.Saga._write = write
    own = Router(store=f"sqlite:///{folder}/router.db", catalog=catalog)
    attach(own, Ledger(Path(folder) / "ledger"))
    with own:
        own.request(Expel(guild_id=GUILD, fails=fails), id="parent", expires_in=60, timeout=CAP)
