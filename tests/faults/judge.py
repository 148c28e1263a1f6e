"""What a case may come to: one effect, or an honest "nobody knows"; never two, and never none without saying so."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from router.response import Response


class Fault(StrEnum):
    """What is done to a protocol while it has one command in hand."""

    REFUSED = "refused"  #: nobody there takes it
    BEFORE_SEND = "before_send"  #: its time passes before it reaches an executor
    LOST = "lost"  #: done, and the answer never comes
    SLOW = "slow"  #: done, but later than anybody waits
    ADAPTER = "adapter"  #: our adapter crashes in the middle
    PEER = "peer"  #: the executor's process dies in the middle
    BREAKER = "breaker"  #: the breaker is open
    LIMITED = "limited"  #: the executor says: too many


class Case(NamedTuple):
    """One cell."""

    protocol: str
    fault: Fault
    idempotent: bool
    fallback: bool  #: a second protocol may be tried

    def __str__(self) -> str:
        repeatable = "idempotent" if self.idempotent else "once"
        return f"{self.protocol}-{self.fault}-{repeatable}" + ("-fallback" if self.fallback else "")


class Seen(NamedTuple):
    """What was seen of a case: the sender's answer, and the ledger's counts after everything had ended."""

    status: str  #: "": no answer came
    struck: bool  #: the fault did happen
    runs: int
    effects: int
    attempts: tuple[str, ...] = ()  #: ``protocol:outcome``
    code: str = ""

    @classmethod
    def of(cls, response: Response | None, *, struck: bool, runs: int, effects: int) -> Seen:
        """From the sender's answer."""
        if response is None:
            return cls("", struck, runs, effects)
        attempts = tuple(f"{line.protocol}:{line.outcome}" for line in response.attempts)
        return cls(response.status, struck, runs, effects, attempts, response.error.code if response.error else "")


def complaint(case: Case, seen: Seen) -> str:
    """What is wrong; "": nothing."""
    if seen.effects > 1:
        return f"done {seen.effects} times"
    if not seen.status:
        return "no answer"
    if not seen.struck:
        return "the fault did not happen"
    if seen.status in ("ok", "noop"):
        return "" if seen.effects == 1 else "said to be done, and was not"
    if seen.status == "in_doubt":
        return "in doubt, although it may be repeated" if case.idempotent else ""
    if seen.effects:
        return f"said to be {seen.status}, and was done"
    return f"{seen.status}, although every fault here passes and there was time"
