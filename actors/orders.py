"""What an operator orders a running engine to do: cancel, purge, pause, replay."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

from actors.asking import Tally, outcome_of, settle
from actors.codec import pack
from actors.delayed import cancel_delayed, purge_delayed
from actors.errors import EngineError, OwnerAway, StoreUnavailable
from actors.inquiries import Inquiries, guild_of
from actors.messages import Arrivals, Cancel, Commit, Entered, Forget, Locate, PurgeQueue, StoreCall
from actors.news import PAUSED
from actors.outcome import Status
from actors.places import place_of
from actors.ports import Backend, DeadFilter, DeadLetter, Note, Stored
from actors.relay import ALL, Order
from actors.replays import Replayed, Revived, revive
from actors.runtime.promise import Promise
from actors.sharing import SharedStore

logger = logging.getLogger("guild_router.engine")


class Orders(Inquiries):
    """The engine's face to operators. Each is a promise, kept when what was ordered is written down. Thread-safe."""

    def note(
        self,
        kind: str,
        detail: dict[str, object],
        *,
        id: str = "",
        guild: str = "",
        user: str = "",
    ) -> None:
        """A line of the audit trail; written with the journal's next commit. Never blocks.

        ``user``: who did it; an acting user, or an operator.
        """
        self._tell("journal", Commit([Note(self.clock.now(), kind, id, guild, user, pack(detail))], []))

    def cancel(self, id: str) -> Promise[bool]:
        """Take it back if it has not started; ``False``: it has, or is unknown."""
        promise: Promise[bool] = Promise()
        if self.tables.holdings is None:
            self._cancel_here(id, settle(promise))
            return promise

        def found(stored: Any) -> None:
            if not isinstance(stored, Stored):
                settle(promise)(stored if isinstance(stored, Exception) else False)
            elif self._is_mine(guild_of(stored)):
                self._cancel_here(id, settle(promise))
            else:
                self._elsewhere("cancel", [id], guild_of(stored), answered)

        def answered(value: Any) -> None:
            if not isinstance(value, OwnerAway):
                settle(promise)(value)
                return
            # It may have been done all the same, and only the answer been lost.
            self._call(StoreCall(lambda store, _: _is_cancelled(store.get(id)) or value, settle(promise)))

        self._ask("journal", StoreCall(lambda store, _: store.get(id), found), promise)
        return promise

    def _cancel_here(self, id_: str, reply: Callable[[Any], None]) -> None:
        def found(result: Any) -> None:
            if isinstance(result, Exception):
                reply(result)
            elif result.settled is not None:
                self._tell("scheduler", Forget([id_]))
                self._tell("deduplicator", result.settled)
                reply(True)
            elif result.stored is None or result.stored.state not in ("delayed", "queued", "waiting", "started"):
                reply(False)
            elif result.stored.state == "delayed" or not self._is_mine(guild_of(result.stored)):
                reply(OwnerAway("its guild has just gone to another router", retry_after=1_000))
            else:
                self.tables.guilds.tell(guild_of(result.stored), Cancel(id_, reply))

        self._call(StoreCall(lambda store, now: cancel_delayed(store, id_, now), found))

    def purge(self, queue: str) -> Promise[int]:
        """Cancel all commands of a queue that wait and have not started; how many."""
        if self.tables.holdings is None:
            return self._purge_here(queue)
        promise: Promise[int] = Promise()
        tally = Tally(2, promise)
        here, there = tally.voice(), tally.voice()
        self._purge_here(queue).add_done_callback(lambda count: here(outcome_of(count)))
        self._tell("relay", Order("purge", [queue], ALL, lambda parts: there(_sum(parts))))
        return promise

    def _purge_here(self, queue: str) -> Promise[int]:
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
        shared = self.tables.holdings is not None

        def pause(store: Backend, now: int) -> frozenset[str]:
            store.pause(name, paused)
            detail = pack({"action": "pause" if paused else "resume", "queue": name})
            store.write([Note(now, "operator", "", "", operator, detail)], now)
            if shared:
                cast("SharedStore", store).announce(PAUSED, pack(name))
            return frozenset(store.paused())

        def done(names: Any) -> None:
            if not isinstance(names, Exception):
                self.tables.gate.set_paused(names)
                self.tables.desk.poke(name)
            settle(promise)(names)

        self._ask("journal", StoreCall(pause, done), promise)
        return promise

    def reset_breaker(self, name: str, *, operator: str = "") -> Promise[bool]:
        """Close a breaker at once, whoever or whatever opened it; audited. ``False``: there is none of that name."""
        promise: Promise[bool] = Promise()
        # Closed first: in an emergency the store may be what is down. The line of the trail follows when it can.
        if not self.tables.breakers.reset(name, self.clock.now()):
            promise.offer(value=False)
            return promise

        def note(store: Backend, now: int) -> bool:
            detail = pack({"action": "reset", "breaker": name})
            store.write([Note(now, "operator", "", "", operator, detail)], now)
            return True

        self._ask("journal", StoreCall(note, settle(promise)), promise)
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

        def replay(store: Backend, now: int) -> tuple[Revived, list[DeadLetter]]:
            letters = choose(store, now)
            mine = letters if dry_run else [letter for letter in letters if self._is_mine(letter.guild)]
            revived = revive(store, mine, now, max_replays=max_replays, lease=lease, dry_run=dry_run, operator=operator)
            return revived, [] if dry_run or self.tables.holdings is None else letters

        def done(result: Any) -> None:
            if isinstance(result, Exception):
                promise.offer_failure(result)
                return
            revived, letters = result
            self._enter_revived(revived)
            if self._by_partition(letters):
                self._replay_elsewhere(revived.replayed, letters, [max_replays, lease, operator], promise)
            else:
                promise.offer(revived.replayed)

        self._ask("journal", StoreCall(replay, done), promise)
        return promise

    def _enter_revived(self, revived: Revived) -> None:
        if self.tables.holdings is not None:
            self._tell("journal", Arrivals())  # they are read where they stand now
            return
        places = [place_of(record) for record in revived.records]
        if places:
            for place in places:
                self.tables.backlog.enter(place.envelope, self.clock.now())
            # Through the deduplicator like every new place, so that the order of position is kept.
            self._tell("deduplicator", Entered(places))

    def _by_partition(self, letters: Sequence[DeadLetter]) -> dict[int, list[str]]:
        """Those of other routers' guilds: a lane's letters are in one partition, and stay in order."""
        found: dict[int, list[str]] = {}
        holdings = self.tables.holdings
        for letter in letters:
            if holdings is not None and holdings.of(letter.guild) is None:
                found.setdefault(holdings.partition(letter.guild), []).append(letter.id)
        return found

    def _replay_elsewhere(
        self, mine: Replayed, letters: list[DeadLetter], rest: list[Any], promise: Promise[Replayed]
    ) -> None:
        others = self._by_partition(letters)
        place = {letter.id: at for at, letter in enumerate(letters)}
        ids, refused = list(mine.ids), list(mine.refused)
        parts: Promise[int] = Promise()
        tally = Tally(len(others), parts)

        def part(voice: Callable[[Any], None], value: Any) -> None:
            if isinstance(value, Exception):
                voice(value)
                return
            ids.extend(value[0])
            refused.extend(value[1])
            voice(1)

        for partition, chosen in others.items():
            self._tell("relay", Order("replay", [chosen, *rest], partition, partial(part, tally.voice())))

        def all_done(count: Promise[int]) -> None:
            value = outcome_of(count)
            replayed = Replayed(sorted(ids, key=place.__getitem__), refused, dry_run=False)
            settle(promise)(value if isinstance(value, Exception) else replayed)

        parts.add_done_callback(all_done)

    def _replay_here(self, arguments: Sequence[Any], reply: Callable[[Any], None]) -> None:
        ids, max_replays, lease, operator = arguments

        def replay(store: Backend, now: int) -> Revived:
            letters = [letter for id_ in ids for letter in store.dead_letters(DeadFilter(id=id_), limit=1)]
            return revive(store, letters, now, max_replays=max_replays, lease=lease, dry_run=False, operator=operator)

        def done(result: Any) -> None:
            if isinstance(result, Revived):
                self._enter_revived(result)
                reply([result.replayed.ids, result.replayed.refused])
            else:
                reply(result)

        self._call(StoreCall(replay, done))

    # ------------------------------------------------------------ routers that own other guilds

    def perform(self, name: str, arguments: Sequence[Any], reply: Callable[[Any], None]) -> None:
        """What another router orders here; ``reply`` gets a value that can travel, or an error."""
        match name, list(arguments):
            case "locate", [id_, guild]:
                self.tables.guilds.tell(guild, Locate(id_, reply))
            case "why", [id_, guild]:
                self.tables.guilds.tell(guild, Locate(id_, reply, why=True))
            case "cancel", [id_]:
                self._cancel_here(id_, reply)
            case "purge", [queue]:
                self._purge_here(queue).add_done_callback(lambda count: reply(outcome_of(count)))
            case "replay", several:
                self._replay_here(several, reply)
            case _:
                reply(EngineError(f"this router knows no order {name}"))  # it is of an older version


def _is_cancelled(stored: Stored | None) -> bool:
    return stored is not None and stored.status == Status.CANCELLED


def _sum(parts: Any) -> Any:
    return parts if isinstance(parts, Exception) else sum(parts)
