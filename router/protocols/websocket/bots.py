"""The bots that are connected, what each is good for, and which of them gets a command."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from typing import NamedTuple, Protocol, TypeVar

from actors.envelope import Envelope
from actors.policy.balancing import Balance, Balancer, Candidate, shard_of
from router.frames.frame import Frame

K = TypeVar("K", bound=Hashable)

WINDOW = 64  # bots that are compared for one command
STALLED = 5_000  # ms without the ``ack`` of a command that was sent: it gets no other until then


class Link(Protocol):
    """The way to one bot. Thread-safe, quick; after the end of the connection everything is silently lost."""

    def post(self, message: bytes | str, may_send: Callable[[], bool]) -> None:
        """Send it, if ``may_send()`` still says so at the last moment before it leaves."""

    def say(self, frame: Frame) -> None:
        """Send a frame."""

    def encode(self, frame: Frame) -> bytes | str:
        """As this bot reads it."""

    def replace(self) -> None:
        """Close it: the same bot has connected again."""


class Offer(NamedTuple):
    """What a bot announces."""

    handles: frozenset[str]
    shards: frozenset[int] | None = None  #: ``None``: it is not sharded
    shard_count: int = 1
    guilds: frozenset[str] | None = None  #: only these; ``None``: any
    capacity: int = 10
    weight: float = 1.0
    idempotent: frozenset[str] = frozenset()


NOTHING = Offer(frozenset())


class Outlook(NamedTuple):
    """Of bots that could execute a command."""

    owner: bool  #: they have the guild's shard; else they are not sharded
    free: bool  #: one of them has room


class Bot:
    """One connected bot. Its fields are guarded by the protocol's lock."""

    __slots__ = ("allowed", "draining", "gone", "instance", "link", "name", "offer", "running", "unacked")

    def __init__(self, name: str, instance: str, link: Link, allowed: frozenset[str] = frozenset()) -> None:
        self.name = name  #: its own, kept over reconnects and restarts
        self.instance = instance  #: of its process
        self.link = link
        self.allowed = allowed  #: guilds its token is limited to; none: all
        self.offer = NOTHING
        self.running: set[str] = set()  #: ids of the commands it has, or is about to get
        self.unacked: dict[str, int] = {}  #: of these: sent at, ms, and not acknowledged
        self.draining = False
        self.gone = False

    def fits(self, envelope: Envelope) -> bool:
        """Whether it could execute it, were it not full or stalled."""
        offer, guild = self.offer, envelope.guild
        if self.draining or self.gone or envelope.type not in offer.handles:
            return False
        if offer.guilds is not None and guild not in offer.guilds:
            return False
        if self.allowed and guild not in self.allowed:
            return False
        if offer.shards is None:
            return True
        shard = shard_of(guild, offer.shard_count)
        return shard is None or shard in offer.shards

    def stalled(self, now: int) -> bool:
        """Whether it owes an ``ack`` for too long."""
        return bool(self.unacked) and now - next(iter(self.unacked.values())) > STALLED


class Bots:
    """All of them, by name, by shard and by type. Not thread-safe."""

    def __init__(self, how: Balance = Balance.ROUND_ROBIN) -> None:
        self._bots: dict[str, Bot] = {}
        self._balancer = Balancer(how)
        self._turn = 0
        self._counts: Counter[int] = Counter()  # shard counts that are announced: one, unless somebody reshards
        self._sharded: dict[Bot, None] = {}
        self._by_shard: dict[tuple[int, int], dict[Bot, None]] = {}
        self._by_type: dict[str, dict[Bot, None]] = {}  # of those without shards

    def __len__(self) -> int:
        return len(self._bots)

    def all(self) -> list[Bot]:
        """In the order they came."""
        return list(self._bots.values())

    def find(self, name: str) -> Bot | None:
        """The one that is connected under this name."""
        return self._bots.get(name)

    def add(self, bot: Bot, offer: Offer) -> Bot | None:
        """It connected, or offers something else now; the other one that it replaces, if any."""
        former = self._bots.get(bot.name)
        if former is not None:
            self._unlist(former)
        if former is not bot:
            self._bots.pop(bot.name, None)
            self._bots[bot.name] = bot
        bot.offer = offer
        self._list(bot)
        return former if former is not bot else None

    def remove(self, bot: Bot) -> None:
        """Its connection ended."""
        if self._bots.get(bot.name) is bot:
            self._unlist(bot)
            del self._bots[bot.name]
            self._balancer.forget(bot.name)

    def fitting(self, envelope: Envelope, now: int) -> Iterator[Bot]:
        """Who could execute it, full or not: those that own its shard if there are any, else those without shards."""
        for group in self._groups(envelope):
            found = False
            for bot in group:
                if bot.fits(envelope) and not bot.stalled(now):
                    found = True
                    yield bot
            if found:
                return

    def outlook(self, envelope: Envelope, now: int) -> Outlook | None:
        """What those that fit are like; ``None``: none fits."""
        owner = free = False
        bot = None
        for bot in self.fitting(envelope, now):
            owner, free = bot.offer.shards is not None, len(bot.running) < bot.offer.capacity
            if free:
                break
        return None if bot is None else Outlook(owner, free)

    def room(self) -> bool:
        """Whether any of them could be given anything."""
        return any(not bot.draining and len(bot.running) < bot.offer.capacity for bot in self._bots.values())

    def choose(self, envelope: Envelope, now: int) -> Bot | None:
        """Whose turn it is of those that fit and are not full; it counts as its turn."""
        for group in self._groups(envelope):
            found = False
            for some in self._windows(group):
                fitting = [bot for bot in some if bot.fits(envelope) and not bot.stalled(now)]
                found = found or bool(fitting)
                if bot := self._pick(fitting):
                    return bot
            if found:
                return None
        return None

    def _windows(self, group: Collection[Bot]) -> Iterator[Sequence[Bot]]:
        members = list(group)
        if len(members) <= WINDOW:
            yield members
            return
        # Of very many it is enough to look at some, other ones each time, until one has room.
        self._turn = begin = (self._turn + WINDOW) % len(members)
        for start in range(begin, begin + len(members), WINDOW):
            left = begin + len(members) - start
            yield [members[place % len(members)] for place in range(start, start + min(WINDOW, left))]

    def _pick(self, among: Sequence[Bot]) -> Bot | None:
        candidates = [Candidate(bot.name, len(bot.running), bot.offer.capacity, bot.offer.weight) for bot in among]
        chosen = self._balancer.pick(candidates)
        return None if chosen is None else self._bots[chosen.name]

    def _groups(self, envelope: Envelope) -> Iterator[Collection[Bot]]:
        for count in self._counts:
            shard = shard_of(envelope.guild, count)
            yield self._sharded if shard is None else self._by_shard.get((count, shard), ())
        yield self._by_type.get(envelope.type, ())

    def _list(self, bot: Bot) -> None:
        offer = bot.offer
        if offer.shards is None:
            for name in offer.handles:
                self._by_type.setdefault(name, {})[bot] = None
            return
        self._counts[offer.shard_count] += 1
        self._sharded[bot] = None
        for shard in offer.shards:
            self._by_shard.setdefault((offer.shard_count, shard), {})[bot] = None

    def _unlist(self, bot: Bot) -> None:
        offer = bot.offer
        if offer.shards is None:
            for name in offer.handles:
                _drop(self._by_type, name, bot)
            return
        self._counts[offer.shard_count] -= 1
        if not self._counts[offer.shard_count]:
            del self._counts[offer.shard_count]
        self._sharded.pop(bot, None)
        for shard in offer.shards:
            _drop(self._by_shard, (offer.shard_count, shard), bot)


def _drop(table: dict[K, dict[Bot, None]], key: K, bot: Bot) -> None:
    members = table.get(key, {})
    members.pop(bot, None)
    if not members:
        table.pop(key, None)
