"""The lease keeper: which partitions this router owns. It has a thread of its own, so that no busy pool makes it late.

Every third of a lease, and at the moment when a lease that somebody did not renew is over, it shows that the router
lives, renews what is held, looks who owns what, takes what is free and due to it, and begins to give away what it has
too much of. What could not be renewed in time starts nothing more before the store could give it to another: whoever
starts something asks the holding, which knows the time by itself. It goes on when the store says that nobody took it,
and is given up when the store says so, or says nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from actors.codec import pack
from actors.errors import StoreError
from actors.handover import Flushed, Handover
from actors.messages import Depart, Seized
from actors.options import Options
from actors.policy.partitions import decide
from actors.runtime.actor import Actor
from actors.runtime.clock import Timer
from actors.sharing import Beat, Lease, Moved, SharedStore
from actors.tables.backlog import Backlog, told_by
from actors.tables.holdings import Holding, Holdings, Stage
from actors.takeover import Takeover

logger = logging.getLogger("guild_router.partitions")

AFTER = 2
"""ms after the end of somebody's lease: its time is the store's, in whole ms, and this one's timer may be early."""

GLANCE = 0.01
"""Seconds between looks whether a partition that is given away has come to rest."""


class Departed(NamedTuple):
    """Asked of the keeper at the end: answered when it has let go of everything."""


class Partitions(Actor):
    """Wins, renews, loses and gives away. ``about()``: what other routers may know of this one."""

    mailbox_capacity = 100_000

    def __init__(
        self,
        store: SharedStore,
        *,
        name: str,
        about: Callable[[], Mapping[str, object]],
        options: Options,
        holdings: Holdings,
        takeover: Takeover,
        handover: Handover,
        backlog: Backlog,
    ) -> None:
        super().__init__()
        self._leases = store.leases()
        self._connected = False
        self._name = name
        self._about = about
        self._ttl = options.lease
        self._beat = options.lease / 3_000
        self._margin = options.lease_margin / 1_000
        self._holdings = holdings
        self._takeover = takeover
        self._handover = handover
        self._backlog = backlog
        self._failing = False
        self._moved = False
        self._next: Timer | None = None
        self._glance: Timer | None = None
        self._lapse: Timer | None = None

    # ------------------------------------------------------------ messages

    def on_start(self) -> None:
        self._tend()

    def on_stop(self) -> None:
        if self._holdings.departing:
            self._let_go()
        self._leases.close()

    def on_failure(self, *_: object) -> None:
        # The holdings stay: the successor renews them, or their time is over by itself.
        self._leases.close()

    def on_receive(self, message: object) -> Any:
        match message:
            case _Tick():
                self._next = None
                self._tend()
            case Moved():
                self._moved = True
            case _Lapse():
                self._lapse = None
                self._tend()
            case _Glance():
                self._glance = None
                self._watch_leaving()
            case Flushed():
                self._release(_tokens(self._handover.flushed(message)))
            case Seized(partition, token):
                holding = self._holdings.get(partition)
                if holding is not None and holding.token == token:
                    self._lose(holding, "the store says it is another's")
            case Depart():
                self._depart()
            case Departed():
                self._let_go()
        return None

    def on_flush(self) -> None:
        if self._moved:
            self._moved = False
            self._tend()
        self._handover.wake_all()

    # ------------------------------------------------------------ the beat

    def _tend(self) -> None:
        if self._next is not None:
            self._next.cancel()
        self._next = self.send_after(self._beat, _Tick())
        try:
            self._connect()
            if self._holdings.departing:
                self._renew()
            else:
                self._take_part()
        except StoreError as error:
            self._fail(error)
        else:
            if self._failing:
                self._failing = False
                logger.warning("the leases can be reached again")
        self._watch_leaving()
        self._watch_lapse()

    def _watch_lapse(self) -> None:
        """Look again when the first of them is over, should it not be renewed before."""
        if self._lapse is not None:
            self._lapse.cancel()
            self._lapse = None
        untils = [holding.until for holding in self._holdings.all()]
        if untils:
            self._lapse = self.send_after(max(0.0, min(untils) - self.clock.monotonic()), _Lapse())

    def _connect(self) -> None:
        if not self._connected:
            self._leases.open()
            self._connected = True

    def _fail(self, error: StoreError) -> None:
        if not self._failing:
            self._failing = True
            logger.error("the leases cannot be reached: %s", error)
        self._drop_lapsed()

    def _drop_lapsed(self) -> None:
        for holding in self._holdings.all():
            if holding.lapsed():
                self._lose(holding, "it could not be renewed in time")

    def _renew(self) -> None:
        held = self._holdings.all()
        if held:
            asked = self.clock.monotonic()
            self._keep(held, self._leases.renew(self._holdings.router, _tokens(held), self._ttl), asked)

    def _take_part(self) -> None:
        held = self._holdings.all()
        asked = self.clock.monotonic()
        me, about = self._holdings.router, pack(dict(self._about()))
        beat = self._leases.beat(me, self._name, about, _tokens(held), self._ttl)
        self._keep(held, beat.kept, asked)
        self._look(beat)
        self._await_lapse(beat.leases)

    def _await_lapse(self, leases: Sequence[Lease]) -> None:
        """Somebody who lives would have renewed by now: look again when it is too late for that, not a beat later."""
        left = min((lease.left for lease in leases if lease.left and lease.router != self._holdings.router), default=0)
        soon = (left + AFTER) / 1_000
        if left and soon < self._beat and self._next is not None:
            self._next.cancel()
            self._next = self.send_after(soon, _Tick())

    def _keep(self, held: Sequence[Holding], kept: Collection[int], asked: float) -> None:
        for holding in held:
            partition = holding.partition
            if partition in kept:
                late = holding.lapsed()
                holding.until = self._until(asked)
                if late:  # some of its guilds may have wished to start something meanwhile
                    self._handover.wake(partition)
            else:
                self._lose(holding, "it was another's meanwhile")

    def _until(self, asked: float) -> float:
        """Counted from before the store was asked, so that it is over here before it is over there."""
        return asked + self._ttl / 1_000 - self._margin

    def _look(self, beat: Beat) -> None:
        holdings, handover = self._holdings, self._handover
        me = holdings.router
        holdings.members, holdings.leases = beat.members, beat.leases
        self._backlog.heard([told_by(member.about) for member in beat.members if member.router != me])
        holdings.seen_at = self.clock.now()
        owners = [lease.router if lease.left else "" for lease in holdings.leases]
        for holding in holdings.all():
            owners[holding.partition] = me
        moves = decide(
            me,
            {member.router for member in holdings.members},
            owners,
            running=handover.running(),
            leaving=[holding.partition for holding in handover.leaving()],
            stuck=handover.stuck(),
        )
        if moves.acquire:
            self._acquire(moves.acquire)
        for holding in holdings.all():
            if holding.partition in moves.release:
                if holding.stage is Stage.OPEN:
                    handover.leave(holding)
            elif holding.stage is Stage.LEAVING:
                handover.stay(holding)

    def _acquire(self, partitions: tuple[int, ...]) -> None:
        asked = self.clock.monotonic()
        leases = self._leases.acquire(self._holdings.router, partitions, self._ttl)
        won = [self._holdings.win(lease.partition, lease.token, self._until(asked)) for lease in leases]
        if won:
            self._takeover.take(won)

    def _lose(self, holding: Holding, why: str) -> None:
        logger.warning("lost partition %d: %s", holding.partition, why)
        self._handover.forget(holding)

    # ------------------------------------------------------------ giving away

    def _watch_leaving(self) -> None:
        if not self._handover.leaving():
            return
        resting = self._handover.rested()
        if resting:
            self._handover.flush(resting, self.me)
        if self._glance is None:
            self._glance = self.send_after(GLANCE, _Glance())

    def _release(self, tokens: dict[int, int]) -> None:
        if not tokens:
            return
        try:
            self._connect()
            self._leases.release(self._holdings.router, tokens)
        except StoreError as error:
            logger.warning("partitions could not be released, their leases lapse: %s", error)

    # ------------------------------------------------------------ the end

    def _depart(self) -> None:
        """No member any more, so that others take what is released; leases are kept until their partitions rest."""
        if self._holdings.departing:
            return
        self._holdings.departing = True
        for holding in self._holdings.all():
            self._handover.leave(holding)
        self._leave_members()
        self._watch_leaving()

    def _let_go(self) -> None:
        """Of everything. What was interrupted may still run, and nobody is to begin the next of its lane yet."""
        held = self._holdings.all()
        tokens = _tokens([holding for holding in held if not holding.interrupted])
        running = _tokens([holding for holding in held if holding.interrupted])
        for holding in held:
            self._handover.forget(holding)
        self._release(tokens)
        if running:
            self._leave_to_lapse(running)
        if not self._holdings.departing:
            self._holdings.departing = True
            self._leave_members()

    def _leave_to_lapse(self, tokens: dict[int, int]) -> None:
        """A whole lease from now on: a daemon needs about 0.3 s from here to the end of its process."""
        logger.info("something of %s may still run: their leases lapse", ", ".join(map(str, tokens)))
        try:
            self._connect()
            self._leases.renew(self._holdings.router, tokens, self._ttl)
        except StoreError as error:
            logger.warning("leases could not be renewed, and lapse earlier: %s", error)

    def _leave_members(self) -> None:
        try:
            self._connect()
            self._leases.leave(self._holdings.router)
        except StoreError as error:
            logger.warning("the other routers could not be told of this one's end: %s", error)


def _tokens(held: Sequence[Holding]) -> dict[int, int]:
    return {holding.partition: holding.token for holding in held}


class _Tick:
    """To itself: a third of a lease is over."""


class _Lapse:
    """To itself: a lease that was not renewed is over."""


class _Glance:
    """To itself: look whether something has come to rest."""
