"""The adapter: the actor that owns one protocol. One attempt in, one outcome out, whatever happens in between."""

from __future__ import annotations

import logging

from actors.messages import Check, Start, Verified
from actors.outcome import Fault, Outcome, Verdict
from actors.policy.breaker import Open
from actors.ports import ExecutionProtocol, Ticket
from actors.runtime.actor import Actor
from actors.tables.blame import Blame
from actors.tables.breakers import Breakers
from actors.tables.flights import Flight, Flights
from actors.tables.guilds import Guilds
from actors.tables.landing import Landing

logger = logging.getLogger("guild_router.adapter")

WATCH = 1.0
"""Seconds between looks for attempts whose protocol forgot to answer."""

PATIENCE = 10_000
"""Milliseconds a protocol has to say whether an attempt happened; its lane waits meanwhile."""

ASKED = 2
"""How often it is asked, when this adapter crashed before it had an answer."""

# An innocent one: it had not even been looked at, so it costs no attempt.
PUT_BACK = Outcome(
    Verdict.DEFERRED,
    executed=True,
    fault=Fault("adapter_restarted", "its adapter crashed before it", retryable=True),
    retry_after=1,
)
LAPSED = Outcome(
    Verdict.DEFERRED, executed=True, fault=Fault("lease_lapsed", "its guild may be another router's by now", True)
)
BOUNCED = Outcome(
    Verdict.NOT_APPLIED, fault=Fault("adapter_restarted", "its adapter crashed before it started", retryable=True)
)
TORN = Outcome(
    Verdict.IN_DOUBT, fault=Fault("adapter_restarted", "its adapter crashed while it started", retryable=True)
)


class Adapter(Actor):
    """Breaker, attempt, outcome."""

    mailbox_capacity = 1_000_000
    slice_size = 500

    def __init__(
        self,
        protocol: ExecutionProtocol,
        *,
        breakers: Breakers,
        flights: Flights,
        landing: Landing,
        guilds: Guilds,
        blame: Blame,
        grace: int,
    ) -> None:
        super().__init__()
        self._protocol = protocol
        self._breakers = breakers
        self._flights = flights
        self._landing = landing
        self._guilds = guilds
        self._blame = blame
        self._grace = grace
        self._in_hand = ""

    def on_start(self) -> None:
        self._protocol.open()
        # What a predecessor had not given to the protocol has proof of not having happened; what it had given is still
        # on its way and lands by itself, or is called in doubt by the watch.
        now = self.clock.now()
        for flight in self._flights.of(self._protocol.name):
            if not flight.taken:
                self._landing.land(flight, PUT_BACK, now)
            elif not flight.handed:
                self._landing.land(flight, BOUNCED, now)
            elif not flight.given:
                self._end(flight, TORN, now)
        for flight in self._flights.asked(self._protocol.name):
            self._check(flight)
        self.send_after(WATCH, _Watch())

    def on_failure(self, *_: object) -> None:
        if self._in_hand:
            self._blame.add(self._in_hand)

    def on_receive(self, message: object) -> None:
        match message:
            case Start(ticket):
                self._start(ticket)
            case Check(envelope, attempt):
                flight = self._flights.get(envelope.id)
                if flight is not None and flight.asked_at and flight.ticket.attempt == attempt:
                    self._check(flight)
            case _Watch():
                self._watch(self.clock.now())
                self.send_after(WATCH, _Watch())

    def _start(self, ticket: Ticket) -> None:
        flight = self._flights.get(ticket.envelope.id)
        if flight is None or flight.ticket is not ticket or flight.taken or flight.outcome is not None:
            return  # an attempt that was given up or taken over before it came here
        self._in_hand = ticket.envelope.id
        flight.taken = True
        now = self.clock.now()
        if ticket.lapsed is not None and ticket.lapsed():
            self._landing.land(flight, LAPSED, now)
            self._in_hand = ""
            return
        breaker = self._breakers.of(self._protocol.name, ticket.envelope)
        permit = breaker.permit(now)
        if isinstance(permit, Open):
            # Its guild saw it closed, or its break over. This costs no attempt.
            fault = Fault("breaker_open", f"{breaker.name} is resting", True, permit.remaining)
            self._landing.land(flight, Outcome(Verdict.DEFERRED, fault=fault, retry_after=permit.remaining), now)
        else:
            flight.permit = permit
            flight.handed = True
            done = self._landing.pilot(flight, permit, breaker, self.clock.now)
            try:
                self._protocol.start(ticket, done)
            except Exception as error:
                # Against its contract. How far it came nobody knows.
                logger.exception("%s raised on %s", self._protocol.name, ticket.envelope.id)
                fault = Fault("protocol_error", f"{self._protocol.name} raised {type(error).__name__}", retryable=True)
                done(Outcome(Verdict.IN_DOUBT, fault=fault))
            flight.given = True
        self._in_hand = ""

    def _check(self, flight: Flight) -> None:
        envelope, attempt = flight.ticket.envelope, flight.ticket.attempt
        guild, id_ = envelope.guild, envelope.id

        def done(happened: bool | None, data: bytes = b"", /) -> None:
            self._guilds.tell(guild, Verified(id_, attempt, happened, data))

        flight.times_asked += 1
        if flight.times_asked > ASKED:
            done(None)
            return
        try:
            self._protocol.verify(envelope, done)
        except Exception:
            logger.exception("%s raised when it was asked about %s", self._protocol.name, id_)
            done(None)

    def _watch(self, now: int) -> None:
        name = self._protocol.name
        for flight in self._flights.of(name):
            deadline = flight.ticket.deadline
            if flight.handed and deadline and now > deadline + self._grace:
                fault = Fault("timeout", f"{name} gave no answer in time", retryable=True)
                self._end(flight, Outcome(Verdict.IN_DOUBT, fault=fault), now)
        for flight in self._flights.asked(name):
            if now > flight.asked_at + PATIENCE:
                id_ = flight.ticket.envelope.id
                self._guilds.tell(flight.guild, Verified(id_, flight.ticket.attempt, None))

    def _end(self, flight: Flight, outcome: Outcome, now: int) -> None:
        """In the protocol's stead, which will not say."""
        breaker = self._breakers.of(self._protocol.name, flight.ticket.envelope)
        self._landing.overdue(flight, breaker, outcome, now)


class _Watch:
    """To itself: nobody waits for ever for a protocol that forgot to answer."""
