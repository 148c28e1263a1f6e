"""Lives of an embedded router, run in forked children: ``live`` until it is killed, ``finish`` to come to rest."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path
from typing import Any

import pykka

from actors.errors import EngineError
from router import Router
from router.stores.url import is_shared
from tests.chaos import liars
from tests.chaos.bot import attach
from tests.chaos.catalog import Tick, message
from tests.chaos.load import (
    Load,
    Order,
    Told,
    accepted,
    call,
    converse,
    earlier_orders,
    in_threads,
    refused,
    silent,
    wait_until,
)
from tests.chaos.run import left_in
from tests.chaos.takeovers import Takeovers
from tests.chaos.witness import witness
from tests.history.events import Begin, Invoke, Nemesis, Rest
from tests.history.recorder import Ledger, Recorder, read
from tests.history.shared_ledger import SharedLedger

ACCEPT_TIMEOUT = 10.0
DRAIN_TIMEOUT = 60.0


class RouterDoor:
    """Calls of the library."""

    def __init__(self, router: Router) -> None:
        self._router = router

    def submit(self, order: Order) -> Told:
        try:
            reply = self._router.send(message(order), idempotency_key=order.key, requires_reliability=order.reliable)
            answer = reply.accepted(timeout=ACCEPT_TIMEOUT)
        except EngineError as error:
            return refused(error.code)
        except pykka.Timeout as error:
            return silent(type(error).__name__)
        return accepted(answer.original or answer.id, answer.sequence, answer.duplicate)


def _router(store: str, lie: str, recorder: Recorder) -> Router:
    if lie:
        liars.install(lie)
    witness(recorder)
    return Router(store=store)


def _attach(router: Router, recorder: Recorder, store: str, fenced: bool = True) -> None:
    """With a ledger for one router, or for the many that may share a store."""
    if not is_shared(store):
        attach(router, Ledger(recorder))
        return
    Takeovers(router, recorder).listen()
    attach(router, SharedLedger(recorder, fenced=fenced))


def live(folder: str, life: int, seed: int, store: str, clients: int = 3, lie: str = "") -> None:
    """Send and execute until somebody kills this process."""
    path, name = Path(folder), f"router-{life}"
    lost, sent = earlier_orders(read(path))
    recorder = Recorder(path, name)
    router = _router(store, lie, recorder)
    attach(router, Ledger(recorder))
    with router:
        recorder.record(Nemesis, action="start", target=name)
        jobs = [
            partial(
                converse,
                recorder,
                RouterDoor(router),
                Load(seed * 1_000 + number, f"{name}-{number}", lost[number::clients], sent),
                f"{name}-{number}",
            )
            for number in range(clients)
        ]
        for thread in in_threads(jobs):
            thread.join()


def script(
    folder: str,
    life: int,
    store: str,
    orders: list[dict[str, Any]],
    lie: str = "",
    fenced: bool = True,
    clocks: int = 0,
) -> None:
    """Send these, one after the other, and execute until somebody kills this process.

    ``clocks``: so many schedules that tick every second are made, unless another life made them.
    """
    path, name = Path(folder), f"router-{life}"
    recorder = Recorder(path, name)
    router = _router(store, lie, recorder)
    _attach(router, recorder, store, fenced)
    for number in range(clocks):
        router.schedule(Tick(guild_id=f"clock-{number}"), every=1, id=f"clock-{number}", overlap="allow")
    with router:
        recorder.record(Nemesis, action="start", target=name)
        for number, order in enumerate(orders):
            call(recorder, RouterDoor(router), Order(**order), f"{name}-{number}")
        threading.Event().wait()


def finish(
    folder: str, life: int, store: str, lie: str = "", fenced: bool = True, timeout: float = DRAIN_TIMEOUT
) -> None:
    """The last life: drain, probe every guild anybody spoke of, write down the router's own counts."""
    path, name = Path(folder), f"router-{life}"
    recorder = Recorder(path, name)
    router = _router(store, lie, recorder)
    _attach(router, recorder, store, fenced)
    with router:
        last_words(recorder, router, RouterDoor(router), timeout)


def last_words(recorder: Recorder, router: Router, door: RouterDoor, timeout: float) -> None:
    """Come to rest and say so."""
    wait_until(lambda: _unsettled(router) == 0, timeout, lambda: f"{_unsettled(router)} commands are left")
    for guild in sorted({event.guild for event in read(recorder.folder) if isinstance(event, Begin | Invoke)}):
        order = Order("CHAOS_STEP", guild, "probe", f"probe-{recorder.by}-{guild}")
        call(recorder, door, order, f"probe-{recorder.by}-{guild}", probe=True)
    wait_until(lambda: _unsettled(router) == 0, timeout, lambda: f"{_unsettled(router)} probes are left")
    figures = router.metrics()
    recorder.record(
        Rest,
        source="router",
        counts={
            "dead": sum(view.dead for view in router.queues.stats().values()),  # metrics do not wait for the store
            "queued": figures["backlog"],
            "running": figures["running"],
        },
    )


def _unsettled(router: Router) -> int:
    # Of commands. Entries that a killed process had claimed in a named queue lapse later; nobody executes them.
    backlog = int(router.metrics()["backlog"])
    if is_shared(router.settings.store):
        return max(backlog, left_in(router.settings.store))  # a router's own backlog is that of its partitions
    return backlog
