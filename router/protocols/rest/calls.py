"""The requests under way, and what became of them: however often an envelope is asked for, it is sent once.

A request is never cancelled because somebody stopped waiting: a request that was cut off may have been executed all the
same. Its answer comes late, is remembered, and answers the next attempt or the question whether it happened.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Condition

from actors.envelope import Envelope
from actors.outcome import Outcome, Verdict
from actors.policy.breaker import Breaker, Permit
from actors.ports import Done, Ticket
from actors.runtime.clock import Clock
from router.protocols import results
from router.protocols.coarse import NEVER, CoarseTimer
from router.protocols.executor import tell
from router.protocols.records import Records

SENT = 100_000  # envelopes of which is known when they were sent, and where to


class Call:
    """One request. Touched under the lock of its ``Calls``, but for what belongs to the loop."""

    __slots__ = ("begun", "breaker", "deadline", "limit", "permit", "sent_at", "target", "ticket", "waiters")

    def __init__(self, ticket: Ticket, done: Done) -> None:
        self.ticket = ticket
        self.waiters: list[Done] = [done]
        self.begun = False
        self.deadline = 0  #: ms since the epoch; nothing more is sent then
        self.limit = NEVER  #: those who wait are told then
        self.target = ""
        self.sent_at = 0
        self.breaker: Breaker | None = None
        self.permit: Permit | None = None


class Calls:
    """Thread-safe. ``wait``: ms those who ask wait for an answer, and never longer than their ticket's deadline."""

    def __init__(self, clock: Clock, wait: int) -> None:
        self._clock = clock
        self._wait = wait
        self._calls: dict[str, Call] = {}
        self._sent: OrderedDict[str, tuple[str, int]] = OrderedDict()
        self._records = Records()
        self._lock = Condition()
        self._timer = CoarseTimer(clock, self._look)

    def enter(self, ticket: Ticket, done: Done) -> Call | None:
        """A new call to be sent; ``None``: it is under way or was answered, and ``done`` will hear or has heard."""
        now = self._clock.now()
        limit = self._limit(ticket, now)
        known: Outcome | None = None
        call: Call | None = None
        with self._lock:
            running = self._calls.get(ticket.envelope.id)
            if running is not None:
                running.waiters.append(done)
                running.limit = min(running.limit, limit)
            else:
                known = self._records.answer(ticket.envelope.id, ticket.attempt, safe=True)
                if known is None:
                    call = Call(ticket, done)
                    call.deadline = call.limit = limit
                    self._calls[ticket.envelope.id] = call
        if known is not None:
            tell(done, known)
        else:
            self._timer.want(limit, now)
        return call

    def begin(self, call: Call) -> bool:
        """It is about to be sent; ``False``: it was taken back."""
        with self._lock:
            if self._calls.get(call.ticket.envelope.id) is not call:
                return False
            call.begun = True
            return True

    def sending(self, call: Call, target: str, breaker: Breaker, permit: Permit, now: int) -> None:
        """It goes to this target, on this permit."""
        with self._lock:
            call.target, call.breaker, call.permit, call.sent_at = target, breaker, permit, now
            self._sent[call.ticket.envelope.id] = (target, now)
            self._sent.move_to_end(call.ticket.envelope.id)
            while len(self._sent) > SENT:
                self._sent.popitem(last=False)

    def take_back(self, id_: str) -> bool:
        """``True``: it had not begun, never will, and nobody is told."""
        with self._lock:
            call = self._calls.get(id_)
            if call is None or call.begun:
                return False
            del self._calls[id_]
            return True

    def end(self, call: Call, outcome: Outcome) -> None:
        """It came to this."""
        id_ = call.ticket.envelope.id
        with self._lock:
            if self._calls.get(id_) is call:
                del self._calls[id_]
            waiters, call.waiters = call.waiters, []
            heard = bool(waiters)
            # A refusal that nobody heard is proof for whoever asks whether it happened.
            proof = outcome.verdict is Verdict.DEFERRED and not heard and call.begun
            kept = Outcome(Verdict.NOT_APPLIED, executed=True, fault=outcome.fault) if proof else outcome
            if kept.verdict is not Verdict.IN_DOUBT:
                self._records.keep(id_, kept, call.ticket.attempt, heard=heard)
            self._lock.notify_all()
        for done in waiters:
            tell(done, outcome)

    def found(self, id_: str) -> tuple[Outcome | None, str, int]:
        """(what is remembered, the target it was last sent to, when); "" and 0: not known."""
        with self._lock:
            target, at = self._sent.get(id_, ("", 0))
            return self._records.find(id_), target, at

    def join(self, envelope: Envelope, done: Done) -> bool:
        """Hear the end of a request under way, whenever it comes; ``False``: there is none."""
        with self._lock:
            call = self._calls.get(envelope.id)
            if call is None:
                return False
            call.waiters.append(done)
            return True

    def drain(self, seconds: float) -> None:
        """Give what is under way so long, take back what has not begun, and call the rest in doubt."""
        stopping = results.deferred("shutting_down", "the router stops", 1_000)
        with self._lock:
            unbegun = [call for call in self._calls.values() if not call.begun]
        for call in unbegun:
            if self.take_back(call.ticket.envelope.id):
                self.end(call, stopping)
        with self._lock:
            self._lock.wait_for(lambda: not self._calls, seconds)
            left = list(self._calls.values())
        self._timer.stop()
        for call in left:
            self.end(call, results.in_doubt("shutting_down", "there was no answer yet when the router stopped"))

    # ------------------------------------------------------------ time

    def _limit(self, ticket: Ticket, now: int) -> int:
        return min(now + self._wait, ticket.deadline) if ticket.deadline else now + self._wait

    def _look(self, now: int) -> int:
        following = NEVER
        overdue: list[tuple[Call, list[Done]]] = []
        with self._lock:
            for call in self._calls.values():
                if call.limit > now:
                    following = min(following, call.limit)
                    continue
                call.limit = NEVER
                waiters, call.waiters = call.waiters, []
                overdue.append((call, waiters))
        for call, waiters in overdue:
            self._overdue(call, waiters, now)
        return following

    def _overdue(self, call: Call, waiters: list[Callable[[Outcome], None]], now: int) -> None:
        if call.breaker is not None and call.permit is not None:
            call.breaker.fail(call.permit, now)
        if self.take_back(call.ticket.envelope.id):
            outcome = results.deferred("busy", "the network had no time for it", 100)
        else:
            outcome = results.in_doubt("timeout", f"{call.target or 'it'} did not answer in time")
        for done in waiters:
            tell(done, outcome)
