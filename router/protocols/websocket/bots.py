"""The bots that are connected, what each is good for, and which of them gets a command."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

from actors.envelope import Envelope
from actors.policy.balancing import Balance, Balancer, Candidate, shard_of
from router.frames.frame import Frame

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
    """All of them, by name. Not thread-safe."""

    def __init__(self, how: Balance = Balance.ROUND_ROBIN) -> None:
        self._bots: dict[str, Bot] = {}
        self._balancer = Balancer(how)

    def __len__(self) -> int:
        return len(self._bots)

    def all(self) -> list[Bot]:
        """In the order they came."""
        return list(self._bots.values())

    def find(self, name: str) -> Bot | None:
        """The one that is connected under this name."""
        return self._bots.get(name)

    def add(self, bot: Bot) -> Bot | None:
        """It connected; the one it replaces, if any."""
        former = self._bots.pop(bot.name, None)
        self._bots[bot.name] = bot
        return former

    def remove(self, bot: Bot) -> None:
        """Its connection ended."""
        if self._bots.get(bot.name) is bot:
            del self._bots[bot.name]
            self._balancer.forget(bot.name)

    def fitting(self, envelope: Envelope, now: int) -> list[Bot]:
        """Who could execute it, full or not: those that own its shard if there are any, else those without shards."""
        found = [bot for bot in self._bots.values() if bot.fits(envelope) and not bot.stalled(now)]
        return [bot for bot in found if bot.offer.shards is not None] or found

    def choose(self, among: Iterable[Bot]) -> Bot | None:
        """Whose turn it is of those that are not full; it counts as its turn."""
        candidates = [Candidate(bot.name, len(bot.running), bot.offer.capacity, bot.offer.weight) for bot in among]
        chosen = self._balancer.pick(candidates)
        return None if chosen is None else self._bots[chosen.name]
