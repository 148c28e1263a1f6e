"""The engine's model over a store that several routers share: the same laws, whoever dies, sleeps or hears nothing.

The same model as of one router: it knows no routers. What it cannot know is when exactly a partition changes hands, so
after each step the routers have a few seconds to come to what it says; nothing they do on the way may break a law.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from actors.options import Options
from actors.sharing import Moved
from tests.engine.test_model import ACTORS, FACTS, GUILDS, OUTCOMES, SUBJECTS, Machine, Model
from tests.engine.town import House, Town
from tests.engine.world import Sender, World

pytestmark = pytest.mark.timeout(300)  # about 30 s on a quiet machine

OPTIONS = Options(passivate_after=5_000, sweep_every=2_000, handover=200)
MOST = 3  # routers at once
PATIENCE = 5.0  # seconds of the town's time


class SharedMachine(Machine):
    """Two or three routers; ``make_store(router)`` may be replaced by that of another store."""

    make_store: Callable[[str], Any] | None = None

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()

    @initialize(seed=st.integers(0, 1_000))
    def begin(self, seed: int) -> None:
        self.seed = seed
        self.town = Town(self.make_store)
        self.door = 0
        for _ in range(2):
            self.open_house()
        self.town.advance(1)

    def open_house(self) -> House:
        house = self.town.house(facts=FACTS, options=OPTIONS, seed=self.seed, settle=False)
        house.direct.usual = None
        house.engine.tables.listeners.add(lambda _: None)
        return house

    def teardown(self) -> None:
        try:
            if hasattr(self, "town"):
                self.to_rest()
        finally:
            if hasattr(self, "town"):
                self.town.clear()

    # ------------------------------------------------------------ what happens

    @rule(door=st.integers(0, 2))
    def go_elsewhere(self, door: int) -> None:
        """The next are sent to another router."""
        self.door = door

    @rule(name=st.sampled_from([*ACTORS, "partitions", "news", "relay"]), busy=st.booleans())
    def crash(self, name: str, busy: bool) -> None:
        super().crash(name, "applied", busy)

    @rule()
    def kill(self) -> None:
        """``kill -9`` of one router, and another one starts."""
        house = self.world
        self.old += house.senders
        running = list(house.held)
        self.nobody_knows(running)
        house.kill()
        self.open_house()
        self.taken_over(running)

    @rule()
    def come(self) -> None:
        """One more router."""
        if len(self.town.houses) < MOST:
            self.open_house()
            self.settle()

    @rule()
    def leave(self) -> None:
        """One router stops in good order."""
        if len(self.town.houses) == 1:
            return
        house = self.world
        for id_ in list(house.held):
            house.finish(id_)
            self.model.finish(self.model.commands[id_], "applied", self.town.clock.now(), None)
            self.settle()
        while house.held:
            id_ = house.held[0]
            house.finish(id_)
            self.model.finish(self.model.commands[id_], "applied", self.town.clock.now(), None)
            self.settle()
        self.old += house.senders
        house.stop()
        self.settle()

    @rule(seconds=st.sampled_from([0.2, 1.0, 3.0]))
    def doze(self, seconds: float) -> None:
        """One router sleeps, as by SIGSTOP; what it finishes when it wakes comes too late, or not."""
        house = self.world
        self.nobody_knows(house.held)
        attempts = [house.take(id_) for id_ in list(house.held)]
        if seconds < 0.3:
            house.doze()
            self.town.advance(seconds)
            house.wake()
            for attempt in attempts:
                house.direct.held[attempt.id] = attempt
            self.settle()
            return
        for attempt in attempts:
            house.ended(attempt)
        house.doze()
        self.town.advance(seconds)
        house.wake()
        for attempt in attempts:
            attempt.done(OUTCOMES["applied"])
        self.taken_over([attempt.id for attempt in attempts])

    @rule()
    def rob(self) -> None:
        """One router loses its leases at the store, as it finds out when it renews them next: at once, here."""
        house = self.world
        self.nobody_knows(house.held)
        attempts = [house.take(id_) for id_ in list(house.held)]
        for attempt in attempts:
            house.ended(attempt)
        for partition in house.held_partitions:
            self.town.hub.take_away(partition)
        house.engine.runtime.ref("partitions").tell(Moved())
        self.town.advance(0.7)
        for attempt in attempts:
            attempt.done(OUTCOMES["failed"])
        self.taken_over([attempt.id for attempt in attempts])

    @rule(deaf=st.booleans())
    def deafen(self, deaf: bool) -> None:
        """News do not reach one router; or they do again."""
        self.town.hub.faults_of(self.world.router).deaf = deaf

    @rule(after=st.booleans(), guild=st.sampled_from(GUILDS), subject=st.sampled_from(SUBJECTS))
    def lose_answer(self, after: bool, guild: str, subject: str) -> None:
        """Something is sent while the answer to one router's next write is lost."""
        self.town.hub.faults_of(self.world.router).doubt = "after" if after else "before"
        self.send("SAFE", guild, subject, "q", "", 0)
        self.town.hub.faults_of(self.world.router).doubt = ""

    def expect(self, sender: Sender, status: str) -> None:
        """In time: the end may have been elsewhere, and no news are sent of it again."""
        if status:
            self.town.until(lambda: sender.status, PATIENCE)
            self.model.start(self.town.clock.now())
            self.settle()
        super().expect(sender, status)

    def before_an_order(self) -> None:
        """Orders between routers travel as news, and nobody waits for them here while time passes."""
        for house in self.town:
            self.town.hub.faults_of(house.router).deaf = False
        self.settle()

    def nobody_knows(self, ids: list[str]) -> None:
        """Who is asked whether they happened cannot tell."""
        for house in self.town:
            for id_ in ids:
                house.direct.truth.pop(id_, None)

    def taken_over(self, running: list[str]) -> None:
        """Another router, or the same one anew, finds these running and nobody to tell how they end."""
        self.town.advance(1.2)
        now = self.town.clock.now()
        for id_ in running:
            command = self.model.commands[id_]
            self.model.finish(command, "doubt", now, None)
            if not command.status:
                command.until = self.stored(id_).until
        self.settle()

    # ------------------------------------------------------------ where to look

    @property
    def world(self) -> Any:
        return self.town.houses[self.door % len(self.town.houses)]

    @world.setter
    def world(self, world: Any) -> None:
        raise NotImplementedError

    @property
    def senders(self) -> list[Sender]:
        return self.town.senders

    @property
    def held(self) -> dict[str, World]:
        return dict(self.town.held)

    @property
    def worlds(self) -> list[World]:
        return list(self.town.houses)

    def stored(self, id_: str) -> Any:
        return self.town.observer.get(id_)

    def pending(self, guild: str) -> list[Any]:
        return self.town.observer.pending(guild)  # type: ignore[no-any-return]

    # ------------------------------------------------------------ what must be true

    def settle(self) -> None:
        super().settle()
        waited = 0.0
        while True:
            try:
                self.same()
            except AssertionError:
                if waited >= PATIENCE:
                    raise
                waited += 0.1
                self.town.advance(0.1)
                self.model.start(self.town.clock.now())
            else:
                return

    @precondition(lambda self: hasattr(self, "town"))
    @invariant()
    def owned_once(self) -> None:
        """No partition has two owners who believe it, and none is nobody's for long."""
        for partition in range(self.town.partitions):
            guild = self.town.guild_in(partition)
            self.town.until(lambda guild=guild: self.town.owner(guild) is not None, PATIENCE)

    @invariant()
    def same(self) -> None:
        if hasattr(self, "town"):
            super().same()

    def check_rest(self) -> None:
        self.advance(1.5)
        for house in self.town:
            house.at_rest_here()
        assert not self.town.observer.arrived(dict.fromkeys(range(self.town.partitions), 0))


TestShared = SharedMachine.TestCase
TestShared.settings = settings(max_examples=40, stateful_step_count=40, deadline=None, derandomize=True)
