"""The handlers of the chaos runs: they tell the history and write the ledger."""

from __future__ import annotations

import ctypes
import os
import threading
from typing import Any

from router import Router
from tests.chaos.catalog import Chaos, Doomed, Fatal, Greedy, Hopeless, Step, Strike, Tick
from tests.chaos.load import HOLD
from tests.history.recorder import Ledger

_never = threading.Event()


def attach(router: Router, ledger: Ledger) -> None:
    """Let this router execute every chaos type."""

    @router.handler(Step)
    def step(command: Step, ctx: Any) -> str:
        return _perform(ledger, command, ctx, idempotent=True)

    @router.handler(Strike)
    def strike(command: Strike, ctx: Any) -> str:
        return _perform(ledger, command, ctx, idempotent=False)

    @router.handler(Hopeless)
    def hopeless(command: Hopeless, ctx: Any) -> str:
        _begin(ledger, command, ctx, idempotent=True).end("failed")
        raise RuntimeError("this never works")

    @router.handler(Doomed)
    def doomed(command: Doomed, ctx: Any) -> str:
        _begin(ledger, command, ctx, idempotent=True).end("failed")
        raise RuntimeError("this never works")

    @router.handler(Greedy)
    def greedy(command: Greedy, ctx: Any) -> str:
        run = _begin(ledger, command, ctx, idempotent=True)
        if ctx.attempt == 1:
            ctypes.PyDLL(None).usleep(command.before * 1_000)  # as a C extension that does not let go of the GIL
        run.effect()
        run.end()
        return command.mark

    @router.handler(Tick)
    def tick(command: Tick, ctx: Any) -> None:
        run = ledger.begin(
            id=ctx.id,
            key=ctx.idempotency_key,
            payload="tick",
            guild=command.guild_id,
            subject="clock",
            attempt=ctx.attempt,
            sequence=ctx.sequence,
            token=ctx.fencing_token,
        )
        run.effect()
        run.end()

    @router.handler(Fatal)
    def fatal(command: Fatal, ctx: Any) -> str:
        _begin(ledger, command, ctx, idempotent=True)
        _linger(command.before if ctx.attempt == 1 else 0, ctx.attempt)
        os._exit(3)


def _begin(ledger: Ledger, command: Chaos, ctx: Any, *, idempotent: bool) -> Any:
    order = command.order()
    return ledger.begin(
        id=ctx.id,
        key=order.key,
        payload=order.digest,
        guild=order.guild,
        subject=order.subject,
        attempt=ctx.attempt,
        sequence=ctx.sequence,
        token=ctx.fencing_token,
        idempotent=idempotent,
    )


def _perform(ledger: Ledger, command: Chaos, ctx: Any, *, idempotent: bool) -> str:
    run = _begin(ledger, command, ctx, idempotent=idempotent)
    _linger(command.before, ctx.attempt)
    if ctx.attempt <= command.fails:
        run.end("failed")
        raise RuntimeError(f"attempt {ctx.attempt} of {command.fails} that fail")
    run.effect()
    _linger(command.after, ctx.attempt)
    run.end()
    return command.mark


def _linger(ms: int, attempt: int) -> None:
    """Work that takes its time, so that kills fall into the middle of it."""
    if ms and not (ms >= HOLD and attempt > 1):
        _never.wait(ms / 1000)
