"""The guild actor: the lanes of one guild, from a place in line to the end of the way.

It decides by pure rules (lanes, conflicts, plan, steps) and acts only by writing to the journal: an attempt starts
after it is written down, an answer goes out after it is written down. Pooled: there may be 100,000 of them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from actors.errors import EngineError, OwnerAway, ShuttingDown
from actors.messages import Cancel, Done, Enqueue, Gone, Locate, PurgeQueue, Remind, StoreCall, Verified, Wake, tell
from actors.outbox import GuildTools, Outbox
from actors.outcome import Attempt, Fault, Outcome, Status, Verdict
from actors.places import pending_of, place_of
from actors.policy.conflicts import resolve
from actors.policy.facts import OnExhausted
from actors.policy.lanes import PARKED, Lanes, Place, Stage
from actors.policy.plan import plan
from actors.policy.steps import (
    UNKNOWN,
    Bury,
    Fallback,
    Finish,
    Situation,
    Step,
    Verify,
    Wait,
    after,
    after_verification,
    overdue,
)
from actors.ports import Record
from actors.runtime.actor import Actor
from actors.tables.flights import Flight
from actors.tables.gate import Turn, lane_name
from actors.tables.holdings import Holding, Holdings
from actors.waits import wait_of

logger = logging.getLogger("guild_router.guild")

HISTORY = 64
"""Attempts kept of one envelope."""

LATE = Fault("expired", "its deadline passed before it could start")

STRANDED = Outcome(Verdict.NOT_APPLIED, fault=Fault("stranded", "it never departed"))


class GuildActor(Actor):
    """One guild. ``fresh``: everything it must know will be told; else it reads the store first.

    Places come in the order of position, and each comes once, but for what is told again after a crash: a place that
    is not here and not above all that ever came has ended its way already.
    """

    mailbox_capacity = 1_000_000
    slice_size = 64
    redeliver = 2

    def __init__(self, guild: str, tools: GuildTools, *, fresh: bool) -> None:
        super().__init__()
        self._guild = guild
        self._tools = tools
        self._lanes = Lanes()
        self._outbox = Outbox(tools)
        self._loading = not fresh
        self._buffer: list[object] = []
        self._newest = 0  # the highest position that ever came
        self._parked: list[Place] = []
        self._reminded = 0
        self._was_idle = True
        self._in_hand = ""  # the envelope that a crash is blamed on
        self._starting: Holding | None = None  # entered, for the rest of this slice
        self._partition = 0 if tools.holdings is None else tools.holdings.partition(guild)

    # ------------------------------------------------------------ messages

    def on_start(self) -> None:
        if self._tools.holdings is not None:
            holding = self._outbox.holding = self._tools.holdings.taken(self._partition)
            if holding is None:
                self._loading = False  # who reads it is somebody else
        if self._loading:
            self._load()

    def on_stop(self) -> None:
        if self._lanes or self._loading:
            self._tools.guilds.leave_unread(self._guild)
        for message in self._buffer:
            if isinstance(message, Cancel | Locate | PurgeQueue):
                tell(message.reply, ShuttingDown("the router stopped before it came to this", retry_after=5_000))

    def on_failure(self, *_: object) -> None:
        if self._in_hand:
            self._tools.blame.add(self._in_hand)
        self._outbox.abandon()
        self._started()
        self._mail_buffer()

    def on_receive(self, message: object) -> None:
        if self._tools.holdings is not None:
            self._look_whose(self._tools.holdings)
        if self._loading and not isinstance(message, _Loaded | _Reload):
            self._wait_for_load(message)
            return
        match message:
            case Enqueue(places):
                self._enter(places)
            case Done(id_, attempt, protocol, outcome, ms):
                self._done(id_, attempt, protocol, outcome, ms)
            case Wake():
                self._unpark()
                self._pump(self.clock.now())
                self._tools.gate.nudge(self._guild)
            case Verified(id_, attempt, happened, data):
                self._verified(id_, attempt, happened, data)
            case Cancel() | Locate() | PurgeQueue():
                self._obey(message)
            case Gone(envelope):
                self._gone(envelope.id)
            case _Loaded(reader, records):
                if reader is self and self._loading:
                    self._loaded(records)
            case _Reload():
                self._load()

    def _obey(self, order: Cancel | Locate | PurgeQueue) -> None:
        match order:
            case Cancel(id_, reply):
                self._outbox.reply(id_, reply, self._cancel(self._lanes.get(id_)))
            case Locate(id_, reply, why):
                place = self._lanes.get(id_)
                if why:
                    tell(reply, wait_of(place, self._lanes, self._tools, self.clock.now(), owned=self._may_start()))
                else:
                    tell(reply, self._lanes.ahead(place) if place and place.stage is Stage.QUEUED else 0)
            case PurgeQueue(queue, reply):
                mine = [place for place in self._lanes if place.envelope.queue == queue]
                self._outbox.reply("", reply, sum(self._cancel(place) for place in mine))

    def on_flush(self) -> None:
        if self._loading:
            return
        now = self.clock.now()
        if self._was_idle and self._lanes:  # before the pump: whoever is refused there waits to be woken
            self._tools.guilds.busy(self._guild)
        for place in self._lanes.expired(now):
            self._in_hand = place.envelope.id
            self._finish(place, Finish(overdue(attempts=place.attempts, doubt=place.doubt), LATE), now)
        self._pump(now)
        self._outbox.send()
        self._started()
        self._remind(now)
        idle = not self._lanes
        if idle:
            self._tools.guilds.idle(self._guild, now)
        self._was_idle = idle

    def _remind(self, now: int) -> None:
        at = self._lanes.wake_at(now)
        if not at:
            return
        if self._reminded <= now or at < self._reminded:
            self._reminded = at
            self._tools.scheduler().tell(Remind(at, self._guild))

    # ------------------------------------------------------------ entering

    def _load(self) -> None:
        guild, me = self._guild, self.me
        self._tools.journal().tell(
            StoreCall(lambda store, _: pending_of(store, guild), lambda found: me.tell(_Loaded(self, found)))
        )

    def _wait_for_load(self, message: object) -> None:
        # Places and outcomes that came before the answer of the journal are in the answer: they were written, or stand
        # in the table of flights, before they were told.
        if isinstance(message, Wake | Cancel | Locate | PurgeQueue):
            self._buffer.append(message)

    def _loaded(self, records: list[Record] | EngineError) -> None:
        if isinstance(records, EngineError):
            self.send_after(self._tools.options.store_retry / 1000, _Reload())
            return
        self._loading = False
        holding = self._outbox.holding
        token = 0 if holding is None else holding.token
        places = [place_of(record, token=token) for record in records]
        flights = self._tools.flights
        for place in places:
            flight = flights.get(place.envelope.id)
            if flight is not None and not place.protocol and not flight.taken:
                self._strand(flight)  # a predecessor crashed before the journal heard of it
        self._enter(places)
        self._mail_buffer()

    def _mail_buffer(self) -> None:
        # Back into the mailbox, where a message is safe whatever happens to this incarnation.
        while self._buffer:
            self.me.tell(self._buffer[0])
            del self._buffer[0]

    def _look_whose(self, holdings: Holdings) -> None:
        holding = holdings.taken(self._partition)
        if holding is not self._outbox.holding:
            self._disown()
            self._outbox.holding = holding

    def _disown(self) -> None:
        """The partition was lost, or lost and won again: whatever is known here is out of date."""
        for place in self._lanes:
            flight = self._tools.flights.get(place.envelope.id) if place.stage is Stage.RUNNING else None
            if flight is not None and flight.ticket.token == place.token:
                self._strand(flight)
        self._outbox.disown()
        self._started()
        self._lanes = Lanes()
        self._parked = []
        self._newest = self._reminded = 0
        self._loading = False
        for message in self._buffer:
            if isinstance(message, Cancel | Locate | PurgeQueue):
                tell(message.reply, OwnerAway("its guild has just gone to another router", retry_after=1_000))
        self._buffer = []

    def _enter(self, places: Iterable[Place]) -> None:
        holding = self._outbox.holding
        token = 0 if holding is None else holding.token
        for place in places:
            if place.token != token:
                continue  # read under another ownership
            self._in_hand = place.envelope.id
            running, place.protocol = place.protocol, ""
            if place.position <= self._newest:
                if self._lanes.get(place.envelope.id) is None:
                    self._tools.deduplicator().tell(Gone(place.envelope))
                continue
            self._newest = place.position
            if not self._lanes.enter(place):
                continue
            if self._tools.blame.count(place.envelope.id) >= self._tools.options.poison_limit:
                self._poison(place)
            elif running:
                self._found_running(place, running)
            else:
                self._conflict(place)
        self._in_hand = ""

    def _conflict(self, place: Place) -> None:
        facts = self._tools.facts(place.envelope.type)
        if not facts.opposes:
            return
        resolution = resolve(facts, self._lanes.opposed(place, facts.opposes))
        if resolution is None:
            return
        now = self.clock.now()
        policy = resolution.policy.value
        place.events.append((now, "conflict", policy))
        self._outbox.publish("conflict", place, policy)
        by = f"by {place.envelope.type} {place.envelope.id}"
        for other in resolution.superseded:
            other.events.append((now, "conflict", f"{policy} {by}"))
            self._finish(other, Finish(Status.SUPERSEDED, Fault("superseded", by)), now)
        if resolution.annihilated is not None:
            other = resolution.annihilated
            other.events.append((now, "conflict", f"{policy} {by}"))
            self._finish(other, Finish(Status.ANNIHILATED, Fault("annihilated", by)), now)
            fault = Fault("annihilated", f"with {other.envelope.type} {other.envelope.id}")
            self._finish(place, Finish(Status.ANNIHILATED, fault), now)
        elif resolution.rejected:
            fault = Fault("conflict", "an opposed command waits for the same subject", True, 1_000)
            self._finish(place, Finish(Status.REJECTED, fault), now)

    def _found_running(self, place: Place, protocol: str) -> None:
        # The store says an attempt is under way: either its outcome is still to come, or nobody is left to send one.
        flight = self._tools.flights.get(place.envelope.id)
        now = self.clock.now()
        if flight is not None and flight.ticket.attempt == place.attempts + 1 and flight.protocol == protocol:
            self._lanes.resume(place, protocol, flight.started)
            if flight.outcome is not None:
                self._done(place.envelope.id, place.attempts + 1, protocol, flight.outcome, flight.ms)
            return
        if flight is not None:  # of an attempt the store does not know of
            self._strand(flight)
        self._lanes.resume(place, protocol, now)
        place.recovered = True
        fault = Fault("crashed", "the router ended while it ran", True)
        self._judge(place, Outcome(Verdict.IN_DOUBT, fault=fault), 0, now)

    # ------------------------------------------------------------ starting

    def _pump(self, now: int) -> int:
        """Start what may start; how many."""
        started = 0
        lanes, tools = self._lanes, self._tools
        while self._may_start() and lanes.running < tools.options.guild_running:
            place = lanes.next(now)
            if place is None:
                break
            envelope = place.envelope
            self._in_hand = envelope.id
            if place.expires_at <= now:
                self._finish(place, Finish(overdue(attempts=place.attempts, doubt=place.doubt), LATE), now)
                continue
            route = self._route(place)
            if not route:
                tools.gate.park(self._guild)
                route = self._route(place)  # one may have come between the look and the parking
            if not route:
                self._park(place, "no_executor", now)
                continue
            awake = tools.breakers.awake(route, envelope, now)
            if not awake:
                tools.gate.rest(self._guild, tools.breakers.names(route, envelope))
                awake = tools.breakers.awake(route, envelope, now)  # likewise
            if not awake:
                self._park(place, "breaker_open", now)
                continue
            turn, at = tools.gate.enter(envelope, now)
            if turn is Turn.GO:
                if awake[0] != route[0]:
                    place.events.append((now, "diverted", f"{route[0]} to {awake[0]}, its breaker is open"))
                    tools.breakers.divert(route[0], awake[0])
                lanes.start(place, awake[0], now)
                self._outbox.begin(place, now)
                started += 1
            elif turn is Turn.FULL:
                break
            elif turn is Turn.LATER:
                self._note_wait(place, "rate_limit", now)
                lanes.wait(place, at, "rate_limit")
            else:
                self._park(place, turn.value, now)
        self._in_hand = ""
        return started

    def _may_start(self) -> bool:
        """Whether the partition is this router's to start something of, for the rest of this slice."""
        holding = self._outbox.holding
        if holding is None:
            return True  # alone; of a partition that is not held there is nothing here
        if self._starting is None and holding.enter():
            self._starting = holding
        return self._starting is not None

    def _started(self) -> None:
        """What this slice started stands in the table of flights, or never will."""
        if self._starting is not None:
            self._starting.exit()
            self._starting = None

    def _route(self, place: Place) -> tuple[str, ...]:
        envelope = place.envelope
        reachable = [name for name, protocol in self._tools.protocols.items() if protocol.reaches(envelope)]
        if len(reachable) <= 1 and not envelope.protocols:
            return tuple(reachable)
        return plan(envelope, self._tools.facts(envelope.type), reachable)

    def _park(self, place: Place, reason: str, now: int) -> None:
        self._note_wait(place, reason, now)
        self._lanes.wait(place, PARKED, reason)
        self._parked.append(place)

    def _note_wait(self, place: Place, reason: str, now: int) -> None:
        # Once for each reason in a row: it may be woken in vain any number of times.
        if not place.events or place.events[-1][1:] != ("held", reason):
            place.events.append((now, "held", reason))

    def _unpark(self) -> None:
        parked, self._parked = self._parked, []
        for place in parked:
            if place.lane is not None and place.until == PARKED:
                self._lanes.wait(place, 0, "")

    # ------------------------------------------------------------ judging

    def _running(self, id_: str, attempt: int) -> Place | None:
        place = self._lanes.get(id_)
        if place is None or place.stage is not Stage.RUNNING or place.attempts + 1 != attempt:
            return None
        return place

    def _done(self, id_: str, attempt: int, protocol: str, outcome: Outcome, ms: int) -> None:
        flight = self._tools.flights.get(id_)
        if flight is None or flight.outcome is not outcome:
            return  # it was judged before
        self._outbox.landed(flight)
        place = self._running(id_, attempt)
        if place is None or place.protocol != protocol:
            logger.debug("late outcome of %s attempt %d over %s: %s", id_, attempt, protocol, outcome.verdict)
            return
        self._in_hand = id_
        self._judge(place, outcome, ms, self.clock.now())
        self._in_hand = ""

    def _judge(self, place: Place, outcome: Outcome, ms: int, now: int) -> None:
        fault = outcome.fault
        code, text = (fault.code, fault.message) if fault else ("", "")
        verdict = outcome.verdict.value
        if len(place.history) >= HISTORY:
            del place.history[1]  # the first and the newest tell the story; a command may be deferred without end
        place.history.append(Attempt(place.attempts + 1, place.protocol, verdict, ms, code, text, place.started_at))
        self._outbox.publish("attempted", place, verdict)
        if outcome.verdict is Verdict.APPLIED:  # nearly always; and it depends on nothing else
            self._finish(place, Finish(Status.NOOP if outcome.noop else Status.OK), now, outcome.data)
            return
        if self._tools.blame.count(place.envelope.id) >= self._tools.options.poison_limit:
            self._poison(place)
            return
        unsent = outcome.verdict in (Verdict.DEFERRED, Verdict.NOT_APPLIED) and not outcome.executed
        if unsent and place.expires_at <= now:
            self._finish(place, Finish(overdue(attempts=place.attempts, doubt=place.doubt), LATE), now)
            return
        step = after(outcome, self._situation(place), now=now, random=self._tools.random.random())
        self._act(place, step, outcome, now)

    def _situation(self, place: Place) -> Situation:
        envelope = place.envelope
        facts = self._tools.facts(envelope.type)
        protocol = self._tools.protocols.get(place.protocol)
        safe = facts.idempotent or (protocol is not None and protocol.idempotent(envelope))
        # One that rests is no way to go on: it would only say when to come back.
        route = self._tools.breakers.awake(self._route(place), envelope, self.clock.now())
        return Situation(facts, place.attempts, place.tried, place.protocol, route, safe, place.failures, place.doubt)

    def _verified(self, id_: str, attempt: int, happened: bool | None, data: bytes) -> None:
        flight = self._tools.flights.get(id_)
        if flight is None or not flight.asked_at or flight.ticket.attempt != attempt:
            return  # it was answered before
        self._outbox.landed(flight)
        place = self._running(id_, attempt)
        if place is None:
            return
        now = self.clock.now()
        self._in_hand = id_
        last = place.history[-1] if place.history else None
        fault = Fault(last.code, last.message) if last and last.code else UNKNOWN
        found = "unknown" if happened is None else "applied" if happened else "not_applied"
        place.events.append((now, "verified", found))
        if last is not None and happened is not None:
            place.history[-1] = last._replace(verdict=found)  # no doubt is left
        random = self._tools.random.random()
        step = after_verification(happened, fault, self._situation(place), now=now, random=random)
        verdict = Verdict.NOT_APPLIED if happened is False else Verdict.IN_DOUBT
        self._act(place, step, Outcome(verdict, data, fault=fault), now)
        self._in_hand = ""

    def _act(self, place: Place, step: Step, outcome: Outcome, now: int) -> None:
        match step:
            case Finish():
                self._finish(place, step, now, outcome.data)
            case Fallback(protocol, spent):
                place.events.append((now, "fallback", f"{place.protocol} to {protocol}"))
                place.tried = () if spent else (*place.tried, place.protocol)
                if spent:
                    place.attempts += 1
                    place.doubt = True
                self._lanes.again(place, protocol, now)
                self._tools.gate.occupy(place.envelope)
                self._outbox.begin(place, now)
            case Wait(until, spent, reason):
                self._wait(place, until, spent, reason, outcome, now)
            case Bury(fault):
                place.attempts += 1
                self._bury(place, fault, now)
            case Verify():
                self._outbox.check(place, outcome, now)

    def _wait(self, place: Place, until: int, spent: bool, reason: str, outcome: Outcome, now: int) -> None:
        place.tried = ()
        place.failures = 0 if spent else place.failures + 1
        if spent:
            place.attempts += 1
            place.doubt = place.doubt or outcome.verdict is Verdict.IN_DOUBT
            if until >= place.expires_at:
                self._finish(place, Finish(overdue(attempts=place.attempts, doubt=place.doubt), outcome.fault), now)
                return
        place.events.append((now, "wait", f"{reason} until {until}"))
        self._outbox.defer(place, until, reason)
        self._lanes.wait(place, until, reason)

    # ------------------------------------------------------------ ending

    def _finish(self, place: Place, step: Finish, now: int, data: bytes = b"") -> None:
        self._outbox.settle(place, step.status, step.fault, now, data)
        self._lanes.leave(place)

    def _bury(self, place: Place, fault: Fault, now: int) -> None:
        envelope = place.envelope
        policy = self._tools.facts(envelope.type).on_exhausted
        rest = self._lanes.lane_of(envelope.subject)[1:] if policy is OnExhausted.BURY else []
        for buried in (place, *rest):
            self._outbox.bury(buried, fault, now)
            self._lanes.leave(buried)
            fault = Fault("lane_buried", f"{envelope.id} of its lane died before it")
        if policy is OnExhausted.PAUSE:
            self._tools.pause_lane(lane_name(self._guild, envelope.subject))

    def _gone(self, id_: str) -> None:
        # The store has seen the end of its way. Nothing of it may run here, and nothing of it waits for an outcome.
        place = self._lanes.get(id_)
        if place is None:
            return
        flight = self._tools.flights.get(id_)
        if flight is not None and not flight.taken:
            self._strand(flight)
        self._lanes.leave(place)

    def _strand(self, flight: Flight) -> None:
        """It will never depart."""
        if self._tools.flights.land(flight, STRANDED, 0):
            self._tools.gate.leave(flight.ticket.envelope)
        self._tools.flights.drop([flight])

    def _poison(self, place: Place) -> None:
        fault = Fault("poison", f"our own actors crashed on it {self._tools.options.poison_limit} times")
        self._tools.blame.forget(place.envelope.id)
        self._outbox.bury(place, fault, self.clock.now())
        self._lanes.leave(place)

    def _cancel(self, place: Place | None) -> bool:
        if place is None or place.stage is not Stage.QUEUED or place.doubt:
            return False
        fault = Fault("cancelled", "taken back before it was done")
        self._finish(place, Finish(Status.CANCELLED, fault), self.clock.now())
        return True


class _Loaded:
    """The journal's answer: the guild's unsettled envelopes. A predecessor's is out of date."""

    __match_args__ = ("reader", "records")

    def __init__(self, reader: GuildActor, records: list[Record] | EngineError) -> None:
        self.reader = reader
        self.records = records


class _Reload:
    """To itself: read the store again."""
