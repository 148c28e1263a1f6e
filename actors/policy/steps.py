"""What follows from an outcome: the in-doubt rule, free fallback, and what spends an attempt.

- ``applied`` and ``rejected`` end the way. Who is rejected after an attempt in doubt is told ``in_doubt``: that it will
  not be done again is no proof that it was not done.
- ``not_applied`` before the executor ran, and ``deferred``: the next protocol of the plan, at no cost; when there is
  none left, ``not_applied`` spends the attempt and ``deferred`` only waits.
- ``not_applied`` by an executor that ran and failed spends the attempt.
- ``in_doubt`` spends the attempt. It is repeated (over the next protocol at once, else later) only when the command is
  idempotent; otherwise the router asks (the executors look into their dedupe record, then there is the handler's
  ``verify``), and if nobody knows, the sender is told. A record is asked and not trusted blindly: it is bounded, and it
  ends with its process.
- What spends an attempt waits by the type's backoff before the next one; not if the worker that had it went away:
  nothing is overloaded then, and the guild has waited already.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from actors.outcome import WORKER_LOST, Fault, Outcome, Status, Verdict
from actors.policy.backoff import delay, exhausted
from actors.policy.facts import Backoff, Facts

NUDGE = Backoff(initial=100, factor=2.0, cap=5_000, jitter=0.2)
"""How long to wait after a deferral without advice (ms): short, because it costs nobody an attempt."""


class Situation(NamedTuple):
    """What is known of the envelope when the outcome comes."""

    facts: Facts
    spent: int  #: attempts spent before this one
    tried: tuple[str, ...]  #: protocols that failed freely within this attempt, not counting this one
    protocol: str  #: this one
    plan: Sequence[str]  #: the protocols that can be reached now, best first
    idempotent: bool  #: executing twice does no harm
    waits: int  #: waits in a row that cost no attempt
    doubt: bool = False  #: an earlier attempt may have happened


class Finish(NamedTuple):
    """The end: answer the sender."""

    status: Status
    fault: Fault | None = None


class Fallback(NamedTuple):
    """Go on at once over another protocol."""

    protocol: str
    spent: bool  #: as a new attempt


class Wait(NamedTuple):
    """Keep the place in the lane and come back."""

    until: int
    spent: bool
    reason: str


class Bury(NamedTuple):
    """The attempts are used up."""

    fault: Fault


class Verify(NamedTuple):
    """Ask whether it happened."""


Step: TypeAlias = Finish | Fallback | Wait | Bury | Verify

UNKNOWN = Fault("in_doubt", "sent, and no answer: it may or may not have happened")


def after(outcome: Outcome, at: Situation, *, now: int, random: float) -> Step:
    """The one decision that follows an attempt. ``random`` in [0, 1)."""
    match outcome.verdict:
        case Verdict.APPLIED:
            return Finish(Status.NOOP if outcome.noop else Status.OK)
        case Verdict.REJECTED:
            return Finish(Status.IN_DOUBT if at.doubt else Status.REJECTED, outcome.fault)
        case Verdict.NOT_APPLIED:
            if not outcome.executed and (other := _next(at)):
                return Fallback(other, spent=False)
            return _spend(outcome.fault or Fault("not_applied", "it did not happen", True), at, now, random)
        case Verdict.DEFERRED:
            if not outcome.executed and (other := _next(at)):
                return Fallback(other, spent=False)
            pause = outcome.retry_after or delay(NUDGE, at.waits + 1, random)
            return Wait(now + pause, spent=False, reason=outcome.fault.code if outcome.fault else "deferred")
        case Verdict.IN_DOUBT:
            if outcome.final:
                return Finish(Status.IN_DOUBT, outcome.fault or UNKNOWN)
            if not at.idempotent:
                return Verify()
            if not exhausted(at.spent + 1, at.facts.attempts) and (other := _next(at)):
                return Fallback(other, spent=True)
            return _spend(outcome.fault or UNKNOWN, at, now, random)


def after_verification(happened: bool | None, fault: Fault | None, at: Situation, *, now: int, random: float) -> Step:
    """What follows when the router has asked: ``None`` is "nobody knows"."""
    if happened is None:
        return Finish(Status.IN_DOUBT, fault or UNKNOWN)
    if happened:
        return Finish(Status.OK)
    return _spend(fault or UNKNOWN, at, now, random)


def overdue(*, attempts: int, doubt: bool) -> Status:
    """The status of an envelope whose deadline passed while it waited."""
    if doubt:
        return Status.IN_DOUBT
    return Status.FAILED if attempts else Status.EXPIRED


def _next(at: Situation) -> str:
    for protocol in at.plan:
        if protocol != at.protocol and protocol not in at.tried:
            return protocol
    return ""


def _spend(fault: Fault, at: Situation, now: int, random: float) -> Step:
    spent = at.spent + 1
    if exhausted(spent, at.facts.attempts):
        return Bury(fault)
    pause = 0 if fault.code == WORKER_LOST else delay(at.facts.backoff, spent, random)
    return Wait(now + max(pause, fault.retry_after), spent=True, reason=fault.code)
