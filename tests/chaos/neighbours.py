"""Embedded routers over one Redis, each a forked life that is told what to send: for faults at a chosen point."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from tests.chaos.load import Order, wait_until
from tests.chaos.nursery import Life, Nursery
from tests.chaos.run import FINISH, Outcome, ask_store, left_in
from tests.chaos.ticks import sent_by_schedules
from tests.history.checker import NO_LIMITS, Limits, check, statistics
from tests.history.events import Event, Nemesis
from tests.history.recorder import Recorder, read


class Neighbour:
    """One life."""

    def __init__(self, name: str, life: Life) -> None:
        self.name = name
        self.life = life


class Neighbours:
    """A folder with a history, and the nemesis that writes down what it does. ``lie``: of ``tests.chaos.liars``.

    ``fenced``: whether the world outside looks at tokens.
    """

    def __init__(
        self, folder: Path, store: str, nurseries: Sequence[Nursery], *, lie: str = "", fenced: bool = True
    ) -> None:
        self.folder = folder
        self.store = store
        self._nurseries = nurseries
        self._arguments = {"folder": str(folder), "store": store, "lie": lie, "fenced": fenced}
        self._lives = 0
        self._nemesis = Recorder(folder, "nemesis")

    def start(self, place: int, *orders: Order, clocks: int = 0, patience: float = 30) -> Neighbour:
        """The next life, in this nursery: it sends these one after the other. Returned when its router runs.

        ``clocks``: so many schedules it makes, which tick every second.
        """
        neighbour = self._start(place, "script", orders=[asdict(order) for order in orders], clocks=clocks)
        self.wait_for(lambda event: isinstance(event, Nemesis) and event.target == neighbour.name, 1, patience)
        return neighbour

    def launch(self, place: int, *orders: Order, store: str = "") -> Neighbour:
        """As ``start``, and nobody waits for it. ``store``: another way to the same one."""
        more = {"store": store} if store else {}
        return self._start(place, "script", orders=[asdict(order) for order in orders], **more)

    def _start(self, place: int, part: str, **arguments: object) -> Neighbour:
        self._lives += 1
        life = self._nurseries[place].start(
            f"tests.chaos.embedded:{part}", life=self._lives, **(self._arguments | arguments)
        )
        return Neighbour(f"router-{self._lives}", life)

    def kill(self, neighbour: Neighbour) -> None:
        """kill -9, and written down when it is gone."""
        neighbour.life.signal(signal.SIGKILL)
        code = neighbour.life.wait(10)
        if code != -signal.SIGKILL:
            raise AssertionError(f"{neighbour.name} ended by itself with {code}")
        self.note("kill", neighbour)

    def freeze(self, neighbour: Neighbour) -> None:
        """SIGSTOP."""
        neighbour.life.signal(signal.SIGSTOP)
        self.note("stop", neighbour)

    def thaw(self, neighbour: Neighbour) -> None:
        """SIGCONT."""
        self.note("cont", neighbour)
        neighbour.life.signal(signal.SIGCONT)

    def note(self, action: str, neighbour: Neighbour) -> None:
        """Write down a fault."""
        self._nemesis.record(Nemesis, action=action, target=neighbour.name)

    def wait_for(self, like: Callable[[Event], bool], count: int, patience: float = 30) -> list[Event]:
        """Until the history holds so many lines of a kind; those."""
        wait_until(lambda: len(self.lines(like)) >= count, patience, lambda: f"{len(self.lines(like))} of {count}")
        return self.lines(like)

    def rest(self, patience: float = 30) -> None:
        """Until everything that was accepted has ended, and its end is written."""
        wait_until(lambda: left_in(self.store) == 0, patience, lambda: f"{left_in(self.store)} commands are left")

    def lines(self, like: Callable[[Event], bool]) -> list[Event]:
        """All of a kind, in the order of time."""
        return [event for event in read(self.folder) if like(event)]

    def finish(self, place: int, limits: Limits = NO_LIMITS) -> Outcome:
        """The last life, when all others are gone: drained, probed and ended well; then the store is asked."""
        last = self._start(place, "finish")
        code = last.life.wait(FINISH)
        if code:
            raise AssertionError(f"the last life, {last.name}, ended with {code}")
        ask_store(self._nemesis, self.store, read(self.folder))
        events = read(self.folder)
        events += sent_by_schedules(events)
        return Outcome(check(events, limits), statistics(events))
