"""Several worlds over one store that they share: one clock, one thread, and everything that happens between routers.

A router can be killed, put to sleep as by SIGSTOP, cut off from the store, made deaf to news, robbed of a lease. The
store is a parameter, the town's ground: the hub in memory, or a real Redis, whose time is the town's too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from actors.runtime.context import context
from actors.runtime.testing import ManualClock, Stepper
from actors.sharing import Lease, partition_of
from router.stores.memory_hub import MemoryHub
from tests.engine.ground import Ground, MemoryGround
from tests.engine.world import Attempt, Sender, World

PARTITIONS = 4


class Deck(Stepper):
    """Runs one router's actors, as long as it lives and is awake."""

    asleep = False
    dead = False

    def step(self) -> bool:
        return not (self.asleep or self.dead) and super().step()


class HouseTimer:
    """A timer of one router."""

    def __init__(self, clock: HouseClock, callback: Callable[[], None]) -> None:
        self._clock = clock
        self._callback = callback
        self._over = False
        self.timer: Any = None

    def ring(self) -> None:
        if self._over or self._clock.deck.dead:
            return
        if self._clock.deck.asleep:
            self._clock.late.append(self)
            return
        self._over = True
        self._callback()

    def cancel(self) -> bool:
        was, self._over = self._over, True
        self.timer.cancel()
        return not was


class HouseClock:
    """The town's time; a router that sleeps finds its timers late when it wakes."""

    def __init__(self, clock: ManualClock, deck: Deck) -> None:
        self._clock = clock
        self.deck = deck
        self.late: list[HouseTimer] = []

    def now(self) -> int:
        return self._clock.now()

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def call_later(self, delay_seconds: float, callback: Callable[[], None]) -> HouseTimer:
        timer = HouseTimer(self, callback)
        timer.timer = self._clock.call_later(delay_seconds, timer.ring)
        return timer

    def advance(self, seconds: float, between: Callable[[], object] | None = None) -> None:
        self._clock.advance(seconds, between)

    def pending(self) -> int:
        return self._clock.pending()

    def close(self) -> None:
        self.deck.dead = True

    drop_timers = close


class House(World):
    """One router of a town."""

    def __init__(self, town: Town, router: str, **options: Any) -> None:
        self.town = town
        self.router = router
        self.deck = Deck(seed=options.pop("seed", None))
        super().__init__(
            town.ground.store(router), clock=HouseClock(town.clock, self.deck), stepper=self.deck, **options
        )
        self.running = town.running

    def run(self) -> None:
        self.town.run()

    @property
    def holdings(self) -> Any:
        return self.engine.tables.holdings

    @property
    def held_partitions(self) -> list[int]:
        """What it owns, as it believes."""
        return sorted(holding.partition for holding in self.holdings.all())

    def owns(self, guild: str) -> bool:
        """Whether it believes to own a guild."""
        holding = self.holdings.of(guild)
        return holding is not None and not holding.lapsed()

    def began(self, attempt: Attempt) -> None:
        super().began(attempt)
        self.town.began(attempt)

    def check(self) -> None:
        super().check()
        assert not self.town.outdated, f"begun under a token of former times: {self.town.outdated}"

    def at_rest_here(self) -> None:
        """It has nothing left to do."""
        self.check()
        tables = self.engine.tables
        assert not self.held
        assert (len(tables.flights), tables.gate.running, len(tables.waiters), tables.backlog.total) == (0, 0, 0, 0)

    def doze(self) -> None:
        """As SIGSTOP."""
        self.deck.asleep = True

    def wake(self) -> None:
        """As SIGCONT: what should have happened meanwhile happens now."""
        self.deck.asleep = False
        late, self.clock.late = self.clock.late, []
        for timer in late:
            timer.ring()
        self.run()

    def kill(self) -> None:
        super().kill()
        self.town.bury(self)

    def stop(self, drain: float = 5.0) -> None:
        """In good order; time passes only as the town's clock is turned. What still runs then ends with the process."""
        self.engine.stop(drain)
        self.town.bury(self)


class Town:
    """Routers on one store. ``ground(clock, partitions)`` makes what they stand on."""

    def __init__(self, ground: Callable[[Any, int], Ground] = MemoryGround, *, partitions: int = PARTITIONS) -> None:
        self.clock = ManualClock()
        self.partitions = partitions
        self.ground = ground(self.clock, partitions)
        self.houses: list[House] = []
        self.gone: list[House] = []
        self.count = 0
        self.running: dict[tuple[str, str], Attempt] = {}  #: by lane: what is in any protocol's hands now
        self.tokens: dict[int, int] = {}  #: by partition: the highest under which anything began
        self.outdated: list[Attempt] = []  #: begun under a lower one than something before it
        self.observer = self.ground.store("observer")
        self.observer.open(self.clock.now())
        self.leases = self.observer.leases()
        self.leases.open()
        self.seen: dict[int, Lease] = {}  #: by partition: the last time somebody had it

    def __iter__(self) -> Iterator[House]:
        return iter(list(self.houses))

    @property
    def hub(self) -> MemoryHub:
        """The ground of a town in memory."""
        assert isinstance(self.ground, MemoryGround)
        return self.ground.hub

    def house(self, *, start: bool = True, settle: bool = True, **options: Any) -> House:
        """One more router; with ``settle``, everybody has found out."""
        self.count += 1
        house = House(self, f"r{self.count}", start=False, **options)
        house.count = 1_000 * self.count
        self.houses.append(house)
        if start:
            house.engine.start()
            context.stepper = self
            if settle:
                self.advance(1.0)
        return house

    def bury(self, house: House) -> None:
        """It is gone."""
        house.deck.dead = True
        if house in self.houses:
            self.houses.remove(house)
            self.gone.append(house)
        for attempts in [script.held.values() for script in house.protocols.values()]:
            for attempt in attempts:
                house.ended(attempt)
        self.ground.bury(house.router)
        context.stepper = self

    def began(self, attempt: Attempt) -> None:
        """Some protocol was given it: whoever owns a partition has a higher token than all who owned it before."""
        partition = self.partition(attempt.ticket.envelope.guild)
        highest = self.tokens.get(partition, 0)
        if attempt.ticket.token < highest:
            self.outdated.append(attempt)
        self.tokens[partition] = max(highest, attempt.ticket.token)

    # ------------------------------------------------------------ time

    def run(self, max_steps: int = 100_000) -> int:
        """Until nobody has anything to do now, or to hear; each router acts in turn."""
        steps = 0
        context.stepper = self
        while any(house.deck.step() for house in self.houses) or self.ground.deliver():
            steps += 1
            if steps > max_steps:
                raise RuntimeError(f"still busy: {[house.deck.runnable()[:5] for house in self.houses]}")
        return steps

    def advance(self, seconds: float) -> None:
        """Time passes, and everybody acts in time."""
        self.clock.advance(seconds, between=self.run)

    def until(self, done: Callable[[], object], seconds: float = 5.0, step: float = 0.01) -> float:
        """Let time pass until it is so; how long it took."""
        begun = self.clock.monotonic()
        self.run()
        while not done():
            assert self.clock.monotonic() - begun < seconds, "it never came to it"
            self.advance(step)
        return self.clock.monotonic() - begun

    # ------------------------------------------------------------ looking

    @property
    def held(self) -> dict[str, House]:
        """Attempts in protocols' hands, and where."""
        return {id_: house for house in self.houses for id_ in house.held}

    @property
    def senders(self) -> list[Sender]:
        """All, of routers that live."""
        return [sender for house in self.houses for sender in house.senders]

    @property
    def all_starts(self) -> list[str]:
        """Ids of every attempt that began, router by router, also of those that are gone."""
        return [id_ for house in (*self.houses, *self.gone) for id_ in house.starts]

    def owner(self, guild: str) -> House | None:
        """Who owns a guild, as it believes itself."""
        owners = [house for house in self.houses if house.owns(guild)]
        assert len(owners) <= 1, f"{guild} is owned by {[house.router for house in owners]}"
        return owners[0] if owners else None

    def stored(self, id: str) -> Any:
        """As the store knows it."""
        return self.observer.get(id)

    def look_at_leases(self) -> None:
        """At the store: whoever has a partition now and had not has a token above all before."""
        for lease in self.leases.look():
            last = self.seen.get(lease.partition)
            if not lease.router:
                continue
            if last is not None and (lease.router, lease.token) != (last.router, last.token):
                assert lease.token > last.token, f"{lease} after {last}"
            self.seen[lease.partition] = lease

    def guild_of(self, house: House) -> str:
        """A guild that it owns."""
        return next(guild for guild in map(str, range(1_000)) if house.owns(guild))

    def partition(self, guild: str) -> int:
        """That of a guild."""
        return partition_of(guild, self.partitions)

    @property
    def guilds(self) -> list[str]:
        """One of each partition."""
        return [self.guild_in(partition) for partition in range(self.partitions)]

    def guild_in(self, partition: int) -> str:
        """A guild of a partition."""
        return next(guild for guild in map(str, range(1_000)) if self.partition(guild) == partition)

    def clear(self) -> None:
        """All are killed."""
        for house in self:
            house.kill()
        self.ground.clear()
        if context.stepper is self:
            context.stepper = None
