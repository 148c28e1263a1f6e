"""The ``rest`` protocol: a command is one HTTP request to one of several targets.

Which target: those that serve the command's type and guild, in the order of ``balancing``; one that rests or has its
hands full is passed over. Whoever proves that nothing left (refused, no address) is followed by the next one at once:
that costs nothing, since nothing was executed. Every other answer is the attempt's.

Each target has a breaker of its own, named ``rest:NAME``. An answer in doubt counts there and not against the protocol
as a whole, so that one sick bot does not keep commands from the healthy ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from actors.envelope import Envelope
from actors.outcome import Outcome, Verdict
from actors.policy.balancing import Balance, Balancer, Candidate
from actors.policy.breaker import Breaker, Open, Permit
from actors.ports import Done, Probe, Sign, Ticket, Verified
from actors.runtime.clock import Clock
from router.protocols import results
from router.protocols.executor import tell
from router.protocols.rest.calls import Call, Calls
from router.protocols.rest.net import Net
from router.protocols.rest.target import NOBODY_KNOWS, Found, Sent, Target

FULL = 100  # ms; advice to come back
STOPPED = 1_000  # ms
PATIENCE = 5.0  # seconds for a look
TOLERANCE = 300_000  # ms a sender's clock may be off by, as the door takes it by default


class RestProtocol:
    """``targets``: in the order of preference of equal ones; ``breakers``: of a target, by ``rest:NAME``."""

    name = "rest"

    def __init__(
        self,
        targets: Sequence[Target],
        *,
        clock: Clock,
        breakers: Callable[[str], Breaker],
        wait_ms: int = 15_000,
        balance: Balance = Balance.ROUND_ROBIN,
    ) -> None:
        self._targets = {target.name: target for target in targets}
        self._clock = clock
        self._breakers = breakers
        self._balancer = Balancer(balance)  # on the loop only
        self._running = dict.fromkeys(self._targets, 0)  # on the loop only
        self._calls = Calls(clock, wait_ms)
        self._net = Net()
        self._open = False
        self.dedupes = all(getattr(target, "dedupes", False) for target in targets)

    def open(self) -> None:
        """See ``ExecutionProtocol``; may be called again."""
        for name in self._targets:
            self._breakers(f"{self.name}:{name}")  # an operator finds it although nothing was sent yet
        self._net.open()
        self._open = True

    def close(self, drain: float) -> None:
        """See ``ExecutionProtocol``; requests without an answer after ``drain`` seconds are in doubt and cut off."""
        self._open = False
        self._calls.drain(drain)
        self._net.close(self._hang_up)

    def reaches(self, envelope: Envelope) -> bool:
        """Whether a target serves it; one that rests does, and says when to come back."""
        return self._open and any(target.serves(envelope) for target in self._targets.values())

    def idempotent(self, envelope: Envelope) -> bool:
        """Whether each target it may go to says so."""
        serving = [target for target in self._targets.values() if target.serves(envelope)]
        return bool(serving) and all(target.idempotent(envelope) for target in serving)

    def reset(self, breaker: str) -> None:
        """An operator closed a breaker: the target it is of may be asked again, whatever else held it."""
        for name, target in self._targets.items():
            if breaker in (self.name, f"{self.name}:{name}"):
                self._net.go(partial(_resume, target))

    def start(self, ticket: Ticket, done: Done) -> None:
        """See ``ExecutionProtocol``."""
        if not self._open:
            tell(done, results.deferred("shutting_down", "the router stops", STOPPED))
            return
        call = self._calls.enter(ticket, done)
        if call is not None and not self._net.go(lambda: self._run(call)):
            self._calls.end(call, results.deferred("shutting_down", "the router stops", STOPPED))

    def recall(self, id: str) -> bool:
        """``True`` as long as nothing of it has been done."""
        return self._calls.take_back(id)

    def verify(self, envelope: Envelope, done: Verified) -> None:
        """By the late answer, by the executor's own record, by the request under way when it ends."""
        if not self._net.go(lambda: self._verify(envelope, done)):
            tell(done, None)

    # ------------------------------------------------------------ on the loop: sending

    async def _run(self, call: Call) -> None:
        if not self._calls.begin(call):
            return
        outcome = results.in_doubt("cancelled", "the router stopped while it was sent")
        try:
            outcome = await self._execute(call)
        except Exception as error:  # noqa: BLE001 - a fault of ours; how far it came nobody knows
            outcome = results.in_doubt("protocol_error", results.text_of(error))
        finally:
            self._calls.end(call, outcome)

    async def _execute(self, call: Call) -> Outcome:
        ticket = call.ticket
        left = [target for target in self._targets.values() if target.serves(ticket.envelope)]
        outcome = results.deferred("no_target", "no endpoint serves this type and guild", STOPPED)
        resting: list[int] = []
        while left:
            now = self._clock.now()
            if now >= call.deadline or (ticket.start_by and now >= ticket.start_by):
                return results.deferred("too_late", "its time was over before it was sent", FULL)
            if ticket.lapsed is not None and ticket.lapsed():
                return results.deferred("lease_lapsed", "its guild may be another router's by now", FULL)
            target = self._next(left)
            if target is None:
                return results.deferred("busy", "every endpoint for it has its hands full", FULL)
            left.remove(target)
            breaker = self._breakers(f"rest:{target.name}")
            permit = breaker.permit(now)
            if isinstance(permit, Open):
                resting.append(permit.remaining)
                continue
            outcome = await self._send(call, target, breaker, permit)
            if outcome.verdict is not Verdict.NOT_APPLIED or outcome.executed:
                return outcome
        if resting and outcome.verdict is Verdict.DEFERRED:
            return results.deferred("breaker_open", "every endpoint for it rests", min(resting))
        return outcome

    def _next(self, left: Sequence[Target]) -> Target | None:
        for rank in sorted({one.rank for one in left}):
            candidates = [
                Candidate(one.name, self._running[one.name], one.capacity, one.weight)
                for one in left
                if one.rank == rank
            ]
            if (chosen := self._balancer.pick(candidates)) is not None:
                return self._targets[chosen.name]
        return None

    async def _send(self, call: Call, target: Target, breaker: Breaker, permit: Permit) -> Outcome:
        began = self._clock.now()
        self._calls.sending(call, target.name, breaker, permit, began)
        self._running[target.name] += 1
        outcome: Outcome | None = None
        try:
            outcome = await target.execute(call.ticket, call.deadline)
        finally:
            self._running[target.name] -= 1
            now = self._clock.now()
            if outcome is None:
                breaker.fail(permit, now)
            else:
                _count(breaker, permit, outcome, now, now - began, target.unwell)
        if outcome.verdict is Verdict.IN_DOUBT:
            return outcome._replace(executed=True)
        return outcome

    # ------------------------------------------------------------ on the loop: asking

    async def _verify(self, envelope: Envelope, done: Verified) -> None:
        found = NOBODY_KNOWS
        try:
            found = await self._happened(envelope)
        finally:
            tell(done, *found)

    async def _happened(self, envelope: Envelope) -> Found:
        known, name, sent_at = self._calls.found(envelope.id)
        if known is not None:
            return _of(known)
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[Outcome] = loop.create_future()

        def heard(outcome: Outcome) -> None:
            loop.call_soon_threadsafe(_set, ended, outcome)

        running = self._calls.join(envelope, heard)
        # Sent by an earlier process: it can only be said that it was after its sender made it, by the sender's clock.
        now = self._clock.now()
        sent = Sent(sent_at, sent_at) if sent_at else Sent(min(envelope.created_at, now) - TOLERANCE, now)
        asked = [target for target in self._targets.values() if target.serves(envelope) and name in ("", target.name)]
        said = [await target.verify(envelope, sent) if target.knows(envelope) else NOBODY_KNOWS for target in asked]
        if yes := next((found for found in said if found.happened), None):
            return yes
        if running:
            # It is not there yet, which proves nothing while it may still arrive.
            return _of(await ended)
        return Found(False) if said and all(found.happened is False for found in said) else NOBODY_KNOWS

    # ------------------------------------------------------------ looking

    def probes(self) -> list[Probe]:
        """A look at each target."""
        return [_Look(f"{self.name}:{name}", target, self._net) for name, target in self._targets.items()]

    async def _hang_up(self) -> None:
        for target in self._targets.values():
            await target.close()


def _count(
    breaker: Breaker, permit: Permit, outcome: Outcome, now: int, ms: int, unwell: frozenset[str] = frozenset()
) -> None:
    """What an answer says of its target's health; as ``Landing.pilot`` says it of a protocol's."""
    match outcome.verdict:
        case Verdict.APPLIED:
            breaker.succeed(permit, now, ms)
        case Verdict.IN_DOUBT | Verdict.NOT_APPLIED if not outcome.executed:
            breaker.fail(permit, now)
        case _ if outcome.executed and outcome.fault is not None and outcome.fault.code in unwell:
            breaker.fail(permit, now)
        case _:
            breaker.release(permit, now)


async def _resume(target: Target) -> None:
    target.resume()


def _of(outcome: Outcome) -> Found:
    if outcome.verdict is Verdict.IN_DOUBT:
        return NOBODY_KNOWS
    return Found(outcome.verdict is Verdict.APPLIED, outcome.data)


class _Look:
    """At one target, by whoever watches over the router's health."""

    interval = 0  # ms; as often as at other services

    def __init__(self, service: str, target: Target, net: Net) -> None:
        self.service = service
        self._target = target
        self._net = net

    def probe(self, done: Callable[[Sign], None]) -> None:
        """See ``Probe``."""
        if not self._net.go(lambda: self._look(done)):
            done(Sign(well=False, detail="stopped", counts=False))

    async def _look(self, done: Callable[[Sign], None]) -> None:
        sign = Sign(well=False, detail="the look was broken off", counts=False)
        try:
            async with asyncio.timeout(PATIENCE):
                sign = await self._target.look()
        except TimeoutError:
            sign = Sign(well=False, detail="no answer")
        finally:
            tell(done, sign)


def _set(future: asyncio.Future[Outcome], outcome: Outcome) -> None:
    if not future.done():
        future.set_result(outcome)
