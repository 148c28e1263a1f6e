"""Operation facts: what the engine must know of a message type without knowing the message."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ConflictPolicy(StrEnum):
    """What happens when a command meets an opposed one that waits in its lane and has not started."""

    QUEUE = "queue"  #: both run, in order
    SUPERSEDE = "supersede"  #: the newest wins; the older is answered ``superseded``
    ANNIHILATE = "annihilate"  #: neither runs; both are answered ``annihilated``
    REJECT = "reject"  #: the newcomer is answered ``rejected``


class OnExhausted(StrEnum):
    """What a dead letter does to the rest of its lane."""

    CONTINUE = "continue"
    PAUSE = "pause"  #: the lane waits for an operator
    BURY = "bury"  #: the rest of the lane follows into the dead letters, in order


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff, in milliseconds: ``initial * factor**n`` up to ``cap``, spread by ``jitter``.

    ``jitter`` is ``"full"`` (uniform in [0, delay]) or a fraction f (uniform in [delay, delay * (1 + f)]).
    """

    initial: int = 2_000
    factor: float = 2.0
    cap: int = 30_000
    jitter: str | float = "full"


@dataclass(frozen=True, slots=True)
class Facts:
    """The operation facts of one message type; the catalog of the product supplies them."""

    type: str
    kind: str = "command"
    queue: str = "bot:commands"
    priority: int = 5
    idempotent: bool = False  #: the same command twice leaves the same state
    window: int = 300_000  #: ms a finished operation answers its duplicates
    opposes: frozenset[str] = frozenset()  #: types that undo or contradict this one on the same subject
    conflict: ConflictPolicy = ConflictPolicy.QUEUE
    attempts: int = 3  #: 0: without end
    backoff: Backoff = Backoff()
    on_exhausted: OnExhausted = OnExhausted.CONTINUE
    timeout: int = 0  #: ms one attempt may take; 0: the protocol's own
    retention_done: int = 10
    retention_failed: int = 5
