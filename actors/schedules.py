"""The port of schedules: what is sent again and again, by which rule, and which tick comes next.

Of a schedule's ticks exactly one is open at a time: ``next``. A router claims it for a short while, sends the command
under an id made of schedule and tick (so that sent twice it is stored once), and then moves the schedule on with
``fire``, which compares the tick: over any number of routers, and over one that dies in between, a tick is fired once.

Bytes, ids and milliseconds; ``now`` is an argument; ``StoreUnavailable`` and repeats are as in ``actors.ports``.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Schedule(NamedTuple):
    """One schedule."""

    id: str
    frame: bytes  #: the command, as it was given; opaque
    rule: bytes  #: when, and what else holds; opaque
    next: int  #: the tick that is open; 0: none comes any more
    paused: bool = False
    made_at: int = 0
    last: int = 0  #: when it was fired last; 0: not yet
    fired: int = 0  #: ticks fired since it was made
    passed: int = 0  #: ticks passed over: missed, or skipped because an earlier one was not done
    recent: tuple[str, ...] = ()  #: ids of the commands of the last firings, oldest first


class Fire(NamedTuple):
    """An open tick is dealt with.

    Rule, atomic with the write: nothing happens unless the schedule is there, is not paused and ``tick`` is its open
    one; then ``next`` is, and what became of ``tick`` is counted.
    """

    id: str
    tick: int
    next: int  #: 0: the last one was this
    command: str = ""  #: id of the command that was sent; "": the tick was passed over
    recent: int = 2  #: how many ids of firings are kept


class Schedules(Protocol):
    """Not thread-safe, like ``Store``; one backend implements both."""

    def put_schedule(self, schedule: Schedule, now: int) -> bool:
        """New, or replaces the one of this id: of that, ``made_at``, counts and firings stay. ``False``: it was
        there with the same frame and rule, and nothing changes."""

    def remove_schedule(self, id: str) -> bool:
        """It fires no more; ``False``: there is none. What it sent goes on."""

    def pause_schedule(self, id: str, paused: bool, next: int, now: int) -> bool:
        """Paused, it keeps its tick; resumed, ``next`` is the open one. ``False``: there is none.

        To pause a paused one or to resume one that is not paused changes nothing.
        """

    def schedules(self, after: str = "", limit: int = 1_000) -> list[Schedule]:
        """All, by id, those above ``after``."""

    def claim_due(self, router: str, now: int, until: int, limit: int = 100) -> list[Schedule]:
        """Those whose open tick has come, by tick and id, for this router to deal with until ``until``.

        Not those that another router claimed until after ``now``. A repeated claim of one router gets the same again.
        """

    def next_due(self, now: int) -> int:
        """When to look again: the earliest open tick, or end of somebody's claim on one that has come; 0: no need."""

    def fire(self, fire: Fire, now: int) -> bool:
        """See ``Fire``; it ends the claim. ``False``: somebody else did, or it was paused, replaced or removed."""
