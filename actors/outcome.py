"""What one attempt came to, and what the sender is answered in the end."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Verdict(StrEnum):
    """The five things an attempt can come to."""

    APPLIED = "applied"  #: it happened
    NOT_APPLIED = "not_applied"  #: proof that it did not happen
    REJECTED = "rejected"  #: final: retrying cannot help
    DEFERRED = "deferred"  #: not now; come back after ``retry_after``
    IN_DOUBT = "in_doubt"  #: sent, and no answer


class Fault(NamedTuple):
    """Why something failed, in a form that can be shown to the sender."""

    code: str  #: stable, such as ``handler_error`` or ``timeout``
    message: str
    retryable: bool = False
    retry_after: int = 0  #: ms; 0: no advice


WORKER_LOST = "worker_lost"
"""The code of an attempt whose executor went away after it had begun, before it said how it ended."""


class Outcome(NamedTuple):
    """The result of one attempt over one protocol."""

    verdict: Verdict
    data: bytes = b""  #: msgpack of what the executor returned; empty: nothing
    noop: bool = False  #: applied, but there was nothing to do
    executed: bool = False  #: the executor had it: it ran and failed, refused or did not end; not the protocol's fault
    fault: Fault | None = None
    retry_after: int = 0  #: with DEFERRED, ms
    final: bool = False  #: with IN_DOUBT: neither asking nor trying again can tell


class Status(StrEnum):
    """The final word on one envelope."""

    OK = "ok"
    NOOP = "noop"
    REJECTED = "rejected"
    FAILED = "failed"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    ANNIHILATED = "annihilated"
    DEAD = "dead"
    IN_DOUBT = "in_doubt"
    CANCELLED = "cancelled"


class Attempt(NamedTuple):
    """One line of an answer's history."""

    number: int  #: 1 for the first; a fallback that cost nothing keeps the number
    protocol: str
    verdict: str
    ms: int
    code: str = ""  #: of the fault, if any
    message: str = ""
    at: int = 0  #: when it began, ms since the epoch


@dataclass(slots=True)
class Answer:
    """What the sender of an envelope is told when its way has ended."""

    id: str
    status: Status
    data: bytes = b""
    fault: Fault | None = None
    method: str = ""  #: the protocol that executed it
    attempts: tuple[Attempt, ...] = ()
    duplicate: bool = False  #: this is the answer of an earlier envelope with the same operation key
    original: str = ""  #: with ``duplicate``: the id of that envelope
    sequence: int = 0  #: its guild's number for it
    accepted_at: int = 0
    settled_at: int = 0

    @property
    def success(self) -> bool:
        """Whether the operation's effect stands (``ok``, or ``noop``: it stood already)."""
        return self.status in (Status.OK, Status.NOOP)
