"""The engine's model over a store that several routers share: the same laws, whoever dies, sleeps or hears nothing.

The same model as of one router: it knows no routers. What it cannot know is when exactly a partition changes hands, so
after each step the routers have a few seconds to come to what it says; nothing they do on the way may break a law.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, multiple, precondition, rule

from actors.options import Options
from actors.ports import Stats
from actors.sharing import Moved
from tests.engine.ground import Ground, MemoryGround
from tests.engine.redis_ground import RedisGround
from tests.engine.test_model import (
    ACTORS,
    FACTS,
    GUILDS,
    LONG,
    OUTCOMES,
    PATIENT,
    SUBJECTS,
    Command,
    Machine,
    Model,
    bounds,
)
from tests.engine.town import House, Town
from tests.engine.world import Sender, World

pytestmark = pytest.mark.timeout(0 if LONG else 300)  # about 3 s in memory and 10 s on Redis on a quiet machine

OPTIONS = Options(passivate_after=5_000, sweep_every=2_000, handover=200, lag_limit=10**9)  # who sleeps often is late
MOST = 3  # routers at once
PATIENCE = 5.0  # seconds of the town's time


class SharedMachine(Machine):
    """Two or three routers, on one ground or another."""

    ground: Callable[[Any, int], Ground] = MemoryGround
    sent = Machine.sent

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()

    @initialize(seed=st.integers(0, 1_000))
    def begin(self, seed: int) -> None:
        self.seed = seed
        self.town = Town(self.ground)
        self.door = 0
        for _ in range(2):
            self.open_house()
        self.town.advance(1)

    def open_house(self) -> House:
        house = self.town.house(facts=FACTS, options=OPTIONS, breakers=PATIENT, seed=self.seed, settle=False)
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

    @rule(
        target=sent,
        several=st.lists(
            st.tuples(
                st.integers(0, 2),
                st.sampled_from(sorted(FACTS)),
                st.sampled_from(GUILDS),
                st.sampled_from(SUBJECTS),
                st.sampled_from(["", "k"]),
            ),
            min_size=2,
            max_size=5,
        ),
    )
    def send_several(self, several: list[tuple[int, str, str, str, str]]) -> Any:
        """At any of the doors."""
        ids = []
        for self.door, kind, guild, subject, key in several:
            ids.append(self.send(kind, guild, subject, "q", key, 0))
        return multiple(*ids)

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
        self.die(self.world, successor=True)

    @rule(guild=st.sampled_from(GUILDS))
    def kill_owner(self, guild: str) -> None:
        """``kill -9`` of the one that owns a guild, and those that are left take over, if any are."""
        owner = self.town.owner(guild)
        if owner is not None:
            self.die(owner, successor=len(self.town.houses) == 1)

    def die(self, house: House, *, successor: bool) -> None:
        self.old += house.senders
        running = list(house.held)
        self.nobody_knows(running)
        house.kill()
        if successor:
            self.open_house()
        self.taken_over(running)

    @rule()
    def come(self) -> None:
        """One more router."""
        if len(self.town.houses) < MOST:
            self.open_house()
            self.settle()

    @rule(patient=st.booleans())
    def leave(self, patient: bool) -> None:
        """One stops in good order; without patience, the busiest, while attempts run, which end with its process."""
        if len(self.town.houses) == 1:
            self.come()
        house = self.world if patient else max(self.town, key=lambda house: len(house.held))
        while patient and house.held:
            id_ = house.held[0]
            house.finish(id_)
            self.model.finish(self.model.commands[id_], "applied", self.town.clock.now(), None)
            self.settle()
        running = list(house.held)
        self.nobody_knows(running)
        self.old += house.senders
        busy = {self.town.partition(self.model.commands[id_].lane[0]) for id_ in running}
        house.stop()
        for guild in sorted(self.town.guilds, key=lambda guild: self.town.partition(guild) in busy):
            # long before a lease is over, or when it is
            seconds = 0.75 if self.town.partition(guild) in busy else 0.25
            self.town.until(lambda guild=guild: self.town.owner(guild), seconds)
        for id_ in running:
            command = self.model.commands[id_]
            if command.safe:  # interrupted, and not charged for it
                self.wait(command)
            else:  # found running by whoever comes next
                self.model.finish(command, "doubt", self.town.clock.now(), None)
        self.settle()

    @rule(seconds=st.sampled_from([0.2, 1.0, 3.0]), early=st.booleans())
    def doze(self, seconds: float, early: bool) -> None:
        """One router sleeps, as by SIGSTOP; what its executors finish meanwhile comes too late, or not.

        It hears of that after it has woken, or early: before it finds out that it slept, so that only the store can
        stop it. Alone it is right to write it down, for nobody has taken its partitions.
        """
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
        alone = len(self.town.houses) == 1
        for attempt in attempts:
            house.ended(attempt)
        house.doze()
        self.town.advance(seconds)
        if early:
            for attempt in attempts:
                attempt.done(OUTCOMES["applied"])
        house.wake()
        if not early:
            for attempt in attempts:
                attempt.done(OUTCOMES["applied"])
        if alone:
            for attempt in attempts:
                self.model.finish(self.model.commands[attempt.id], "applied", self.town.clock.now(), None)
            self.settle()
        else:
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
            self.town.ground.take_away(partition)
        house.engine.runtime.ref("partitions").tell(Moved())
        self.town.advance(0.7)
        for attempt in attempts:
            attempt.done(OUTCOMES["failed"])
        self.taken_over([attempt.id for attempt in attempts])

    @rule(queue=st.sampled_from(["q", "r"]), paused=st.booleans())
    def pause(self, queue: str, paused: bool) -> None:
        """Heard by all: who is deaf looks every few seconds, and what it begins until then is right."""
        for house in self.town:
            self.town.ground.faults_of(house.router).deaf = False
        super().pause(queue, paused)

    @rule(deaf=st.booleans())
    def deafen(self, deaf: bool) -> None:
        """News do not reach one router; or they do again."""
        self.town.ground.faults_of(self.world.router).deaf = deaf

    @rule(after=st.booleans())
    def lose_answer(self, after: bool) -> None:
        """The answer to one router's next write is lost, and what it wrote, or that it wrote nothing, unknown to it."""
        self.town.ground.faults_of(self.world.router).doubt = "after" if after else "before"

    def expect(self, sender: Sender, status: str) -> None:
        """In time: the end may have been elsewhere, and no news are sent of it again."""
        if status:
            self.town.until(lambda: sender.status, PATIENCE)
            self.model.start(self.town.clock.now())
            self.settle()
        super().expect(sender, status)

    def before_an_order(self) -> None:
        """Orders between routers travel as news and end in writes, and nobody waits for them here while time passes."""
        for house in self.town:
            faults = self.town.ground.faults_of(house.router)
            faults.deaf, faults.doubt = False, ""
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
                self.wait(command)
        self.settle()

    def wait(self, command: Command) -> None:
        """Until when only whoever put it back knows, for the model does not know when that was."""
        (stored,) = self.found([command.id])
        self.model.wait(command, stored.until)

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

    def found(self, ids: list[str]) -> list[Any]:
        return self.town.observer.find(ids)

    def pending(self, guild: str) -> list[Any]:
        return self.town.observer.pending(guild)

    def counts(self) -> Mapping[str, Stats]:
        return self.town.observer.stats()

    # ------------------------------------------------------------ what must be true

    def settle(self) -> None:
        super().settle()
        waited = 0.0
        while True:
            try:
                self.same()
            except AssertionError:
                if waited >= PATIENCE or self.early():
                    raise
                waited += 0.1
                self.town.advance(0.1)
                self.model.start(self.town.clock.now())
            else:
                return

    def early(self) -> bool:
        """Whether something runs that has to wait yet: with patience it would look as if it was in time."""
        waiting = [self.model.commands[id_] for id_ in self.held if id_ not in self.model.running]
        now = self.town.clock.now()
        return any(max(command.until, command.due) > now for command in waiting)

    @precondition(lambda self: hasattr(self, "town"))
    @invariant()
    def owned_once(self) -> None:
        """No partition has two owners who believe it, none is nobody's for long, and tokens rise."""
        for guild in self.town.guilds:
            self.town.until(lambda guild=guild: self.town.owner(guild) is not None, PATIENCE)
        self.town.look_at_leases()

    @invariant()
    def same(self) -> None:
        if hasattr(self, "town"):
            super().same()

    def check_rest(self) -> None:
        self.advance(1.5)
        for house in self.town:
            house.at_rest_here()
        assert not self.town.observer.arrived(dict.fromkeys(range(self.town.partitions), 0))


class RedisMachine(SharedMachine):
    """The same on a real server."""

    ground = RedisGround


TestMemory = SharedMachine.TestCase
TestMemory.settings = bounds(40)
TestRedis = RedisMachine.TestCase
TestRedis.settings = bounds(25)
