"""The ``websocket`` protocol of a router that shares its store: a bot is reached wherever it is connected.

A guild's commands start at the router that owns it, and a bot's socket ends at whichever router it came to. So the
owner sends an attempt to the router that has the bot, and that one executes it as its own. Whoever has the guild's
shard is preferred to a bot without shards, and among equals a bot of this router that has room to any other: its way is
the shortest.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from actors.envelope import Envelope
from actors.outcome import Outcome, Verdict
from actors.ports import Done, Ticket, Verified
from actors.runtime.clock import Clock, Timer
from actors.runtime.errors import NotRunning
from actors.sharing import Member
from actors.tables.deliveries import Desk
from router.protocols.consumers import Check, unchecked
from router.protocols.teller import Teller
from router.protocols.websocket.abroad import Abroad, Trip
from router.protocols.websocket.guests import Guests
from router.protocols.websocket.inquiries import Inquiries
from router.protocols.websocket.neighbours import BOTS, OFFERS, PLACE, Neighbours
from router.protocols.websocket.offers import ANYBODY, OWNER, report
from router.protocols.websocket.protocol import WebSocketProtocol

logger = logging.getLogger("router.protocols.websocket")

LOOK = 0.1
"""Seconds between looks at the other routers; what they tell of themselves is renewed six times a second."""

ELSEWHERE = frozenset(("no_bot", "router_gone", "shutting_down", "claim_lost"))
"""Codes of deferrals after which another bot, or the same one at another router, is tried at once."""

TIMES = 4
"""Routers that are tried for one attempt before its guild is told that it has to wait."""

DOUBTFUL = 10_000
"""Attempts in doubt whose router is remembered, so that the next attempt goes to the same bot."""


class Everywhere:
    """``bots``: those of this router; ``members``: all that live (``actors.sharing``); ``changed`` is called when what
    can be reached has changed. ``check`` and ``discreet``: the guard's, for what other routers ask for."""

    name = "websocket"
    dedupes = True

    def __init__(
        self,
        bots: WebSocketProtocol,
        named_queues: Callable[[], Teller],
        desk: Desk,
        router: str,
        *,
        clock: Clock,
        members: Callable[[], Sequence[Member]],
        timeout_ms: int = 30_000,
        changed: Callable[[], None] = lambda: None,
        check: Check = unchecked,
        discreet: Callable[[Envelope, Done], Done] = lambda _, done: done,
    ) -> None:
        self.bots = bots
        self._clock = clock
        self._changed = changed
        self._open = False
        self._timer: Timer | None = None
        self._place = -1
        self._retreating = False
        self._reported: tuple[tuple[Any, ...], bytes] = ((), b"")
        self._doubtful: OrderedDict[str, str] = OrderedDict()  # envelope -> router that may have done it
        self._neighbours = Neighbours(router, members)
        self._guests = Guests(bots, named_queues, desk, router, clock=clock, check=check, discreet=discreet)
        self._abroad = Abroad(
            named_queues,
            self._neighbours,
            clock,
            router,
            wait_ms=timeout_ms,
            ended=self._ended,
            heard=self._answered,
        )
        self._inquiries = Inquiries(bots, named_queues, self._abroad.elsewhere, self._neighbours, clock, router)

    # ------------------------------------------------------------ asked by the engine (actors.ports.ExecutionProtocol)

    def open(self) -> None:
        """See ``ExecutionProtocol``; may be called again."""
        self.bots.open()
        self._retreating = False
        self._guests.open()
        self._abroad.open()
        if not self._open:
            self._open = True
            self._look_around()

    def close(self, drain: float) -> None:
        """See ``ExecutionProtocol``."""
        self._open = False
        if self._timer is not None:
            self._timer.cancel()
        self._guests.close()
        self.bots.close(drain)
        self._abroad.close(drain)
        self._inquiries.close()

    def retreat(self, seconds: float) -> None:
        """Before the end: do what other routers asked for already, and tell them that there is nobody to ask."""
        self._retreating = True
        self._guests.retreat(seconds)

    def reaches(self, envelope: Envelope) -> bool:
        """Whether a bot that is connected to any living router handles the type for the guild."""
        return self.bots.reaches(envelope) or (self._open and self._neighbours.fitting(envelope)[0] is not None)

    def idempotent(self, envelope: Envelope) -> bool:
        """Whether every bot that could get it declared so."""
        return self.bots.idempotent(envelope) if not self._choose(envelope) else self._neighbours.safe(envelope)

    def start(self, ticket: Ticket, done: Done) -> None:
        """See ``ExecutionProtocol``."""
        id_ = ticket.envelope.id
        if self._abroad.join(id_, done):
            return
        if self.bots.knows(id_):
            self.bots.start(ticket, done)
        else:
            self._go(ticket, [done], frozenset())

    def recall(self, id: str) -> bool:
        """``True`` while it has not left this process."""
        return self.bots.recall(id) or self._abroad.recall(id)

    def verify(self, envelope: Envelope, done: Verified) -> None:
        """By what was heard here since; else by whoever may know, wherever it is."""
        if self.bots.knows(envelope.id):
            self.bots.verify(envelope, done)
        else:
            self._inquiries.ask(envelope, done)

    # ------------------------------------------------------------ told and asked by others

    def bots_changed(self) -> None:
        """One came or went, or what it can do changed."""
        self._guests.follow()

    def outcomes(self) -> None:
        """Some may lie ready in the store."""
        self._abroad.elsewhere.listen()

    def about(self) -> dict[str, object]:
        """What other routers are told of these bots."""
        offers = [] if self._retreating else self.bots.offers()
        place = -1 if self._retreating else self._place
        known, told = self._reported
        if known != (key := tuple(offers)):
            told = report(offers) if offers else b""
            self._reported = (key, told)
        return {BOTS: self.bots.bots()[0], OFFERS: told, PLACE: place}

    # ------------------------------------------------------------ inside

    def _answered(self, entry: str, outcome: Outcome) -> None:
        self._inquiries.heard(entry, outcome)

    def _look_around(self) -> None:
        if not self._open:
            return
        if self._neighbours.look(self._clock.now()):
            self._changed()
        if self._place >= 0 or self.bots.bots()[0]:  # whoever never had a bot needs none
            self._place = self._neighbours.place(self._place)
            self._guests.move(self._place)
        self._abroad.look_around()
        self._inquiries.look_around()
        try:
            self._timer = self._clock.call_later(LOOK, self._look_around)
        except NotRunning:  # time itself has ended, and the router with it
            self._timer = None

    def _choose(self, envelope: Envelope, tried: frozenset[str] = frozenset()) -> str:
        """The router it goes to; "": this one."""
        here = self.bots.outlook(envelope)
        best, routers = self._neighbours.fitting(envelope, tried)
        if best is None:
            return ""
        if here is not None:
            rank = OWNER if here.owner else ANYBODY
            if rank < best or (rank == best and here.free):
                return ""
        former = self._doubtful.get(envelope.id, "")
        return former if former in routers else self._abroad.least(routers)

    def _go(self, ticket: Ticket, waiters: list[Done], tried: frozenset[str]) -> None:
        router = self._choose(ticket.envelope, tried) if self._open else ""
        if router:
            self._abroad.send(ticket, waiters, router, tried)
            return
        for done in waiters:
            self.bots.start(ticket, done)

    def _ended(self, trip: Trip, outcome: Outcome) -> None:
        ticket, envelope, now = trip.ticket, trip.ticket.envelope, self._clock.now()
        code = outcome.fault.code if outcome.fault is not None else ""
        if outcome.verdict is Verdict.IN_DOUBT:
            self._doubtful[envelope.id] = trip.router
            while len(self._doubtful) > DOUBTFUL:
                self._doubtful.popitem(last=False)
        elif self._doubtful:
            self._doubtful.pop(envelope.id, None)
        if outcome.verdict is Verdict.DEFERRED and not outcome.executed and code in ELSEWHERE:
            self._neighbours.refused(trip.router, envelope, now)
            if len(trip.tried) < TIMES and self._may_go_on(ticket, now):
                self._go(ticket, trip.waiters, trip.tried)
                return
        trip.tell(outcome)

    def _may_go_on(self, ticket: Ticket, now: int) -> bool:
        late = ticket.start_by and now >= ticket.start_by
        return self._open and not late and not (ticket.lapsed is not None and ticket.lapsed())
