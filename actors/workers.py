"""What executes elsewhere: the port between a router that asks and workers in other processes.

An **asker** (a router) puts an attempt into a named queue as an entry whose id begins with ``attempt/`` (see
``actors.tickets``) and wants its outcome. A **worker** claims the entry, says that it begins, executes, and ends the
claim together with the outcome. All of it lies in the store, so any of the two may die at any moment:

- ``begin`` is written before the handler runs. Whoever gets the entry after the worker died sees that it was started
  and by whom, and that nobody said how it ended: it ends the entry as lost, and the asker, who counts attempts, decides
  whether there is another.
- ``finish`` is one atomic step: the entry leaves its queue, the **execution** (the dedupe record, by envelope id) says
  what came of it, and the outcome lies ready for its asker. There is no moment at which one of them is true alone.
- ``Queues.remove`` of an entry that nobody claimed is proof that it was not executed.

Bytes, ids and milliseconds; ``now`` is an argument; ``StoreUnavailable`` and repeats are as in ``actors.ports``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

EXECUTION_KEPT = 86_400_000
"""Ms an execution is remembered after its last word: as long as a reliable command may live."""

ANSWER_KEPT = 900_000
"""Ms an outcome waits for its asker: as long as an ordinary command may live."""

ANSWERS = 10_000
"""Outcomes that wait for one asker in one queue, at most; the oldest go first, and their askers ask the executions."""


GONE_KEPT = 60_000
"""Ms somebody without signs of life is remembered, for others to free its claims."""


class Undertake(NamedTuple):
    """A worker is about to call the handler.

    Rule, in this order, atomic with the write:

    1. The entry is not claimed under ``token`` (any more): ``False``, nothing is written.
    2. No execution of the envelope is known in this queue, or it is the one named by ``over``, or this very one
       (a repeat): it is this one from now on, begun and not ended; ``True``.
    3. Otherwise the ``Execution`` that is known; nothing is written.
    """

    queue: str
    entry: str  #: the claimed entry's id
    token: int  #: the claim's
    id: str  #: the envelope's
    attempt: int  #: the asker's number of the attempt
    worker: str
    over: tuple[str, int] = ("", 0)  #: (entry, token) of an execution that may be replaced
    owner: int = 0  #: the fencing token under which the asker owned the guild


class Execution(NamedTuple):
    """What is known of the latest execution of an envelope."""

    id: str
    entry: str
    token: int
    attempt: int
    worker: str
    begun_at: int
    ended_at: int  #: 0: nobody has said how it ended
    outcome: bytes  #: encoded; empty until it has ended
    owner: int = 0  #: as of its ``Undertake``


class Finish(NamedTuple):
    """The end of a claim, with what came of it.

    The execution, if it is the one begun by this entry and token and has not ended, is ended with ``outcome``,
    forgotten, or left open, as ``remember`` says; also when the claim was lost meanwhile or ended before, for it is the
    truth. Another claim's execution is left alone.

    The claim, if it is still held under ``token``: the entry is done (or leaves without a trace), and the outcome lies
    ready for ``asker``. If not, ``False``, and no outcome is filed. Said again of an entry that is done: ``True``, and
    nothing changes; of one that left no trace: ``False``.
    """

    queue: str
    entry: str
    token: int
    id: str
    outcome: bytes
    asker: str = ""  #: who wants to hear it; "": nobody
    #: ``True``: the execution has ended so; ``False``: it is forgotten, and the envelope may be begun anew; ``None``:
    #: nobody knows how it ended (yet), it stays begun
    remember: bool | None = True
    done: bool = True  #: the entry stays among the done ones; ``False``: it leaves no trace


class Answered(NamedTuple):
    """An outcome that lies ready."""

    queue: str
    entry: str
    id: str
    outcome: bytes
    at: int


class Presence(NamedTuple):
    """A worker that lives, as it describes itself."""

    worker: str  #: made at random at each start, never used again
    name: str  #: for people, such as ``host:pid``
    queues: tuple[str, ...]  #: that it consumes
    types: tuple[str, ...]  #: that it has handlers for
    idempotent: tuple[str, ...]  #: those of them whose handlers were declared safe to execute twice
    capacity: int  #: commands it executes at once
    running: int = 0
    seen: int = 0  #: its last sign of life; the store's business, ignored in ``report``
    until: int = 0  #: it is reached until then; likewise
    holds: tuple[str, ...] = ()  #: queues in which it may have claims
    patience: int = 10_000  #: ms without a sign of life after which it is taken for gone, whatever else speaks for it


class Workers(Protocol):
    """Executions, outcomes for askers, and who lives. Not thread-safe, like ``Queues``, whose claims these are."""

    def begin(self, undertakings: Sequence[Undertake], now: int) -> list[Execution | bool]:
        """See ``Undertake``; each by itself."""

    def finish(self, finishes: Sequence[Finish], now: int, keep: int) -> list[bool]:
        """See ``Finish``; the newest ``keep`` done entries of a queue stay to be seen."""

    def executions(self, queue: str, ids: Sequence[str]) -> list[Execution | None]:
        """What is known of these envelopes; ``None``: no worker ever began it, or it is forgotten."""

    def answers(
        self, asker: str, queues: Collection[str], limit: int = 1_000, heard: Collection[tuple[str, str]] = ()
    ) -> list[Answered]:
        """What lies ready for it in these queues, oldest first in each; it lies there until it was ``heard``.

        ``heard``: as the verb, and before; both at the cost of one.
        """

    def heard(self, asker: str, answers: Collection[tuple[str, str]]) -> None:
        """(queue, entry): these need not lie there any longer. Unknown ones are passed over."""

    def report(self, presence: Presence, now: int, ttl: int) -> None:
        """A sign of life, good for ``ttl`` ms; replaces what the worker said before. Swept ``GONE_KEPT`` later."""

    def retire(self, worker: str) -> None:
        """It is gone; idempotent."""

    def workers(self) -> list[Presence]:
        """Those who gave a sign of life, however long ago, and neither retired nor were freed; by name and id."""

    def lines(self, workers: Collection[str]) -> Mapping[str, bool]:
        """Whether these have their bell's connection to the store open now; left out: those of whom it cannot be said.

        It closes with the process, and stays open while the process is only frozen or busy.
        """

    def free(self, gone: Presence) -> int:
        """The claims it holds lapse now; how many. It is forgotten, unless it gave a sign of life since ``gone``.

        Until somebody else has claimed an entry, whoever held it may still end it. Idempotent.
        """


class Bell(Protocol):
    """Hints for those who wait for entries or outcomes, on a thread of its own; reconnects by itself.

    Each may be lost, late or doubled: whoever lives by them also looks by itself from time to time.
    """

    def open(self, queues: Collection[str], asker: str, rung: Callable[[str], None]) -> None:
        """Call ``rung(queue)`` when something came into one of these; ``rung("")``: an outcome for ``asker`` may lie
        ready, or something may have come anywhere. Quick, from another thread, until ``close``; opened again it rings
        for the new ones alone. Does not wait for a connection."""

    def close(self) -> None:
        """No more calls after this returns; idempotent."""
