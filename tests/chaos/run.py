"""A chaos run from its first life to the checker's verdict."""

from __future__ import annotations

import random
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from actors.codec import peek
from actors.ports import DeadFilter
from router.stores.url import open_store
from tests.chaos.load import known_ids
from tests.chaos.nursery import Life, Nursery
from tests.history.checker import NO_LIMITS, Limits, Violation, check, statistics
from tests.history.events import Event, Final, Nemesis, Rest
from tests.history.recorder import Recorder, read, read_file

FINISH = 120.0
"""Seconds the last life may take: it drains what 50 killed ones left."""


class Outcome(NamedTuple):
    """What a run came to."""

    violations: list[Violation]
    statistics: dict[str, int]

    def __str__(self) -> str:
        counts = ", ".join(f"{name} {count}" for name, count in self.statistics.items())
        return "\n".join([counts, *map(str, self.violations[:20])])


class Scene:
    """A folder with store and history, and the nemesis that writes down what it does. ``store``: "": a file in it."""

    def __init__(self, folder: Path, nursery: Nursery, lie: str = "", store: str = "") -> None:
        self.folder = folder
        self.store = store or f"sqlite:///{folder / 'router.db'}"
        self.lie = lie
        self.life = 0
        self._nursery = nursery
        self._nemesis = Recorder(folder, "nemesis")

    @property
    def name(self) -> str:
        """Of the life that runs now."""
        return f"router-{self.life}"

    def start(self, part: str, **arguments: object) -> Life:
        """The next life: a function of ``tests.chaos.embedded``."""
        self.life += 1
        return self._nursery.start(
            f"tests.chaos.embedded:{part}",
            folder=str(self.folder),
            life=self.life,
            store=self.store,
            lie=self.lie,
            **arguments,
        )

    def kill(self, life: Life) -> None:
        """kill -9, and written down when it is gone: nothing of that life comes after this line."""
        life.signal(signal.SIGKILL)
        code = life.wait(10)
        if code != -signal.SIGKILL:
            raise AssertionError(f"{self.name} ended by itself with {code}")
        self.note("kill")

    def note(self, action: str) -> None:
        """Write down what happened to the life that runs now."""
        self._nemesis.record(Nemesis, action=action, target=self.name)

    def wait_for(self, life: Life, holds: Callable[[], bool], timeout: float = 30) -> None:
        """Look until it holds, while the life runs."""
        end = time.monotonic() + timeout
        while not holds():
            if time.monotonic() > end:
                raise TimeoutError(f"{self.name} did not come so far in {timeout} s")
            if life.ended(within=0.01):
                raise AssertionError(f"{self.name} ended by itself with {life.wait(1)}")

    def told(self) -> list[Event]:
        """What the life that runs has told so far."""
        path = self.folder / f"history-{self.name}.jsonl"
        return read_file(path) if path.exists() else []

    def finish(self) -> None:
        """The last life: drained, probed and ended well; then the store is asked."""
        code = self.start("finish").wait(FINISH)
        if code:
            raise AssertionError(f"the last life, {self.name}, ended with {code}")
        ask_store(self._nemesis, self.store, self.events())

    def events(self) -> list[Event]:
        """The history so far."""
        return read(self.folder)

    def outcome(self, limits: Limits = NO_LIMITS) -> Outcome:
        """The checker's verdict."""
        events = self.events()
        return Outcome(check(events, limits), statistics(events))


def torture(scene: Scene, *, seed: int, kills: int, longest: float = 0.35) -> Outcome:
    """Kill ``kills`` lives at random moments, some while they start, the others at most ``longest`` seconds later.

    Then come to rest, and check.
    """
    dice = random.Random(seed)
    for _ in range(kills):
        life = scene.start("live", seed=dice.randrange(1_000_000))
        if dice.random() < 0.85:
            scene.wait_for(life, lambda: any(_is_start(event, scene.name) for event in scene.told()))
        if life.ended(within=dice.uniform(0.01, longest)):
            raise AssertionError(f"{scene.name} ended by itself with {life.wait(1)}")
        scene.kill(life)
    scene.finish()
    return scene.outcome()


def _is_start(event: Event, name: str) -> bool:
    return isinstance(event, Nemesis) and event.action == "start" and event.target == name


def unsettled(store: Any) -> int:
    """Envelopes whose way has not ended, at most a page of each kind and partition."""
    if not hasattr(store, "arrived"):
        return len(store.pending(limit=1_000)) + len(store.delayed(limit=1_000))
    everywhere = range(store.partitions)
    placed = store.arrived(dict.fromkeys(everywhere, 0))
    return len(placed) + len(store.arrived_delayed(dict.fromkeys(everywhere, (0, ""))))


def left_in(url: str) -> int:
    """What a store that routers share has unsettled, while they run."""
    store = open_store(url)
    store.open(0)
    try:
        return unsettled(store)
    finally:
        store.close()


def ask_store(recorder: Recorder, url: str, events: Iterable[Event]) -> None:
    """At rest, with no router running: the last words and the counts, read by the port alone."""
    store = open_store(url)
    store.open(0)
    try:
        newest: dict[str, int] = defaultdict(int)
        for id_ in known_ids(events):
            stored = store.get(id_)
            if stored is not None and stored.state in ("settled", "dead"):
                guild = peek(stored.frame).guild
                newest[guild] = max(newest[guild], stored.sequence)
                recorder.record(Final, id=id_, status=stored.status, attempts=stored.attempts)
        stats = list(store.stats().values())
        dead = len(store.dead_letters(DeadFilter(), limit=100_000))
        recorder.record(
            Rest,
            source="store",
            counts={
                "accepted": sum(newest.values()),  # numbers are never reused, and each guild's last one is its probe
                "done": sum(line.completed for line in stats),
                "dead": dead,
                "cancelled": sum(line.failed for line in stats) - dead,
                "queued": unsettled(store),
                "running": sum(line.processing for line in stats),
            },
        )
    finally:
        store.close()
