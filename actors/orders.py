"""What an operator asks of a running engine and orders it to do: find, cancel, purge, pause, replay."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from actors.alias import look_up
from actors.asking import Tally, settle
from actors.codec import decode, pack
from actors.delayed import cancel_delayed, purge_delayed
from actors.errors import EngineError, Overloaded, ShuttingDown, StoreUnavailable
from actors.messages import Cancel, Entered, Forget, Locate, PurgeQueue, StoreCall
from actors.options import Options
from actors.places import place_of
from actors.ports import Backend, DeadLetter, Note, Stored
from actors.replays import Replayed, Revived, revive
from actors.runtime.clock import Clock
from actors.runtime.errors import MailboxFull, RuntimeFault
from actors.runtime.promise import Promise
from actors.runtime.runtime import Runtime
from actors.tree import Tables

T = TypeVar("T")
logger = logging.getLogger("guild_router.engine")


class Orders:
    """The engine's face to operators. Each is a promise, kept when what was ordered is written down. Thread-safe."""

    runtime: Runtime
    clock: Clock
    options: Options
    tables: Tables

    def store_call(self, fn: Callable[[Backend, int], T]) -> Promise[T]:
        """Run ``fn(store, now)`` on the journal, inside its commit."""
        promise: Promise[T] = Promise()
        self._ask("journal", StoreCall(fn, settle(promise)), promise)
        return promise

    def find(self, id: str) -> Promise[tuple[Stored | None, int]]:  # noqa: A002 - the word of the port
        """One envelope as the store knows it, and how many of its guild are before it."""
        promise: Promise[tuple[Stored | None, int]] = Promise()

        def located(stored: Stored, ahead: Any) -> None:
            settle(promise)(ahead if isinstance(ahead, Exception) else (stored, ahead))

        def found(stored: Any) -> None:
            if isinstance(stored, Stored) and stored.state in ("queued", "waiting"):
                self._tell_guild(stored, Locate(id, partial(located, stored)))
            else:
                settle(promise)(stored if isinstance(stored, Exception) else (stored, 0))

        self._ask("journal", StoreCall(lambda store, _: look_up(store, id), found), promise)
        return promise

    def cancel(self, id: str) -> Promise[bool]:  # noqa: A002
        """Take it back if it has not started; ``False``: it has, or is unknown."""
        promise: Promise[bool] = Promise()

        def found(result: Any) -> None:
            if isinstance(result, Exception):
                promise.offer_failure(result)
            elif result.settled is not None:
                self._tell("scheduler", Forget([id]))
                self._tell("deduplicator", result.settled)
                promise.offer(value=True)
            elif result.stored is not None and result.stored.state in ("queued", "waiting", "started"):
                self._tell_guild(result.stored, Cancel(id, settle(promise)))
            else:
                promise.offer(value=False)

        self._ask("journal", StoreCall(lambda store, now: cancel_delayed(store, id, now), found), promise)
        return promise

    def purge(self, queue: str) -> Promise[int]:
        """Cancel all commands of a queue that wait and have not started; how many."""
        promise: Promise[int] = Promise()
        guilds = self.tables.guilds.everybody()
        tally = Tally(len(guilds) + 1, promise)
        self._purge_delayed(queue, (0, ""), 0, tally.voice(), promise)
        for guild in guilds:
            self.tables.guilds.tell(guild, PurgeQueue(queue, tally.voice()))
        return promise

    def _purge_delayed(
        self, queue: str, after: tuple[int, str], count: int, answer: Callable[[Any], None], promise: Promise[int]
    ) -> None:
        def purged(result: Any) -> None:
            if isinstance(result, Exception):
                answer(result)
                return
            settled, rest = result
            self._tell("scheduler", Forget([each.answer.id for each in settled]))
            for each in settled:
                self._tell("deduplicator", each)
            if rest is None:
                answer(count + len(settled))
            else:
                self._purge_delayed(queue, rest, count + len(settled), answer, promise)

        self._ask("journal", StoreCall(lambda store, now: purge_delayed(store, queue, after, now), purged), promise)

    def pause(self, name: str, paused: bool, *, operator: str = "") -> Promise[frozenset[str]]:
        """Pause or resume a queue, or a lane by its ``lane_name``; durable. All paused names."""
        promise: Promise[frozenset[str]] = Promise()

        def pause(store: Backend, now: int) -> frozenset[str]:
            store.pause(name, paused)
            detail = pack({"action": "pause" if paused else "resume", "queue": name})
            store.write([Note(now, "operator", "", "", operator, detail)], now)
            return frozenset(store.paused())

        def done(names: Any) -> None:
            if not isinstance(names, Exception):
                self.tables.gate.set_paused(names)
                self.tables.desk.poke(name)
            settle(promise)(names)

        self._ask("journal", StoreCall(pause, done), promise)
        return promise

    def _pause_lane(self, name: str) -> None:
        """A guild wants it before it starts the next of the lane; written as soon as the store can."""
        self.tables.gate.pause_at_once(name)

        def done(result: Promise[frozenset[str]]) -> None:
            try:
                result.get(timeout=0)
            except StoreUnavailable:
                self.clock.call_later(self.options.store_retry / 1000, lambda: self._pause_lane(name))
            except EngineError as error:
                logger.warning("%s is paused until the router stops, and not beyond: %s", name, error)
            else:
                self.tables.gate.pause_written(name)

        self.pause(name, True).add_done_callback(done)

    def replay(
        self,
        choose: Callable[[Backend, int], list[DeadLetter]],
        max_replays: int,
        lease: int,
        *,
        dry_run: bool = False,
        operator: str = "",
    ) -> Promise[Replayed]:
        """Dead letters live again, in the order ``choose(store, now)`` gives; audited. ``lease``: ms they live."""
        promise: Promise[Replayed] = Promise()

        def replay(store: Backend, now: int) -> Revived:
            return revive(
                store,
                choose(store, now),
                now,
                max_replays=max_replays,
                lease=lease,
                dry_run=dry_run,
                operator=operator,
            )

        def done(result: Any) -> None:
            if isinstance(result, Revived) and result.records:
                places = [place_of(record) for record in result.records]
                for place in places:
                    self.tables.backlog.enter(place.envelope.id, place.envelope.guild)
                # Through the deduplicator like every new place, so that the order of position is kept.
                self._tell("deduplicator", Entered(places))
            settle(promise)(result.replayed if isinstance(result, Revived) else result)

        self._ask("journal", StoreCall(replay, done), promise)
        return promise

    def _tell_guild(self, stored: Stored, message: object) -> None:
        self.tables.guilds.tell(decode(stored.frame, trusted=True).guild, message)

    def _tell(self, name: str, message: object) -> None:
        try:
            self.runtime.ref(name).tell(message)
        except RuntimeFault as error:
            logger.warning("%s could not be told of a %s: %s", name, type(message).__name__, error)

    def _ask(self, name: str, message: object, promise: Promise[Any]) -> None:
        try:
            self.runtime.ref(name).tell(message)
        except MailboxFull:
            promise.offer_failure(Overloaded(f"the {name} is behind", retry_after=1_000))
        except RuntimeFault:
            promise.offer_failure(ShuttingDown("the router is not running"))
