"""The named queues from outside: counts, pause, resume, purge; and subscriptions to what is in them.

A queue holds two things that count together: commands on their way whose type belongs to it, and entries that were
published to it (events, notifications) or handed to it by the ``queue`` protocol.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from actors.codec import decode, pack
from actors.engine import Engine
from actors.entries import QueueStats
from actors.ports import Backend, Note
from actors.ports import Stats as Commands
from actors.runtime.promise import Promise
from router.protocols.websocket.letters import is_place
from router.status import LIBRARY

PATIENCE = 30.0
HIDDEN = ("lane:", "keys:")
"""Names that begin so are no queues of anybody: lanes that wait for an operator, idempotency keys of events."""


class QueueView(BaseModel):
    """One queue; camelCase on the wire."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)

    name: str
    waiting: int  #: accepted and not started, delayed ones too
    processing: int
    completed: int  #: since the store was made
    failed: int  #: since the store was made
    dead: int  #: in the dead letters now
    oldest: int | None  #: when the oldest waiting one was accepted, ms since the epoch
    paused: bool


class FailedView(BaseModel):
    """One published message that failed for good; camelCase on the wire."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)

    id: str
    type: str
    error: str
    failed_at: int  #: ms since the epoch


class Queues:
    """``router.queues``."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def stats(self, name: str = "") -> dict[str, QueueView]:
        """Every queue that holds or held something, or just one."""
        return self._stats(name).get(timeout=PATIENCE)

    async def astats(self, name: str = "") -> dict[str, QueueView]:
        """As ``stats``."""
        return await self._stats(name)

    def size(self, name: str) -> int:
        """What waits in it."""
        view = self.stats(name).get(name)
        return view.waiting if view else 0

    async def asize(self, name: str) -> int:
        """As ``size``."""
        view = (await self.astats(name)).get(name)
        return view.waiting if view else 0

    def purge(self, name: str, *, operator: str = LIBRARY) -> int:
        """Cancel every command of it that has not started, remove every entry nobody claimed; how many."""
        return self._purge(name, operator).get(timeout=PATIENCE)

    async def apurge(self, name: str, *, operator: str = LIBRARY) -> int:
        """As ``purge``."""
        return await self._purge(name, operator)

    def pause(self, name: str, *, operator: str = LIBRARY) -> None:
        """Start nothing of it any more; what runs may end. Durable."""
        self._pause(name, True, operator).get(timeout=PATIENCE)

    async def apause(self, name: str, *, operator: str = LIBRARY) -> None:
        """As ``pause``."""
        await self._pause(name, True, operator)

    def resume(self, name: str, *, operator: str = LIBRARY) -> None:
        """Go on."""
        self._pause(name, False, operator).get(timeout=PATIENCE)

    async def aresume(self, name: str, *, operator: str = LIBRARY) -> None:
        """As ``resume``."""
        await self._pause(name, False, operator)

    def failed(self, name: str, limit: int = 100) -> list[FailedView]:
        """Published messages whose attempts are used up, oldest first: those the queue still keeps."""
        return self._failed(name, limit).get(timeout=PATIENCE)

    async def afailed(self, name: str, limit: int = 100) -> list[FailedView]:
        """As ``failed``."""
        return await self._failed(name, limit)

    def replay_failed(self, name: str, ids: Sequence[str] = (), *, operator: str = LIBRARY) -> int:
        """Let them wait again, in their old order; no ``ids``: all. How many."""
        return self._replay_failed(name, ids, operator).get(timeout=PATIENCE)

    async def areplay_failed(self, name: str, ids: Sequence[str] = (), *, operator: str = LIBRARY) -> int:
        """As ``replay_failed``."""
        return await self._replay_failed(name, ids, operator)

    def _failed(self, name: str, limit: int) -> Promise[list[FailedView]]:
        def failed(store: Backend, _: int) -> list[FailedView]:
            return [
                FailedView(id=id_, type=decode(frame, trusted=True).type, error=error, failed_at=at)
                for id_, frame, error, at in store.failed(name, limit)
            ]

        return self._engine.store_call(failed)

    def _replay_failed(self, name: str, ids: Sequence[str], operator: str) -> Promise[int]:
        def replay(store: Backend, now: int) -> int:
            count = store.replay_failed(name, ids, now)
            detail = pack({"action": "replay failed", "queue": name, "count": count})
            store.write([Note(now, "operator", "", "", operator, detail)], now)
            return count

        promise = self._engine.store_call(replay)
        promise.add_done_callback(lambda _: self._engine.tables.desk.poke(name))
        return promise

    def _stats(self, name: str) -> Promise[dict[str, QueueView]]:
        def stats(store: Backend, _: int) -> dict[str, QueueView]:
            commands, entries, paused = store.stats(), store.queue_stats(), store.paused()
            names = {name} if name else commands.keys() | entries.keys() | paused
            return {
                one: _view(one, commands.get(one), entries.get(one), one in paused)
                for one in sorted(names)
                if not (one.startswith(HIDDEN) or is_place(one))
            }

        return self._engine.store_call(stats)

    def _purge(self, name: str, operator: str) -> Promise[int]:
        promise: Promise[int] = Promise()

        def cancelled(first: Promise[int]) -> None:
            try:
                count = first.get(timeout=0)
            except Exception as error:  # noqa: BLE001 - handed on to whoever asked
                promise.fail(error)
                return
            self._engine.store_call(lambda store, now: purge(store, now, count)).add_done_callback(finished)

        def purge(store: Backend, now: int, cancelled_before: int) -> int:
            count = cancelled_before + int(store.purge(name))
            detail = pack({"action": "purge", "queue": name, "count": count})
            store.write([Note(now, "operator", "", "", operator, detail)], now)
            return count

        def finished(second: Promise[int]) -> None:
            try:
                promise.set(second.get(timeout=0))
            except Exception as error:  # noqa: BLE001 - handed on to whoever asked
                promise.fail(error)

        self._engine.purge(name).add_done_callback(cancelled)
        return promise

    def _pause(self, name: str, paused: bool, operator: str) -> Promise[frozenset[str]]:
        return self._engine.pause(name, paused, operator=operator)


def _view(name: str, commands: Commands | None, entries: QueueStats | None, paused: bool) -> QueueView:
    waiting = processing = completed = failed = dead = 0
    oldest: list[int] = []
    if commands is not None:
        waiting, processing = commands.pending, commands.processing
        completed, failed, dead = commands.completed, commands.failed, commands.dead
        oldest += [commands.oldest] if commands.oldest else []
    if entries is not None:
        waiting += entries.waiting + entries.delayed
        processing += entries.claimed
        completed += entries.completed
        failed += entries.failed
        dead += entries.dead
        oldest += [entries.oldest] if entries.oldest else []
    return QueueView(
        name=name,
        waiting=waiting,
        processing=processing,
        completed=completed,
        failed=failed,
        dead=dead,
        oldest=min(oldest, default=None),
        paused=paused,
    )
