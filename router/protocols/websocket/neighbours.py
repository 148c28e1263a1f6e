"""The other routers: their places, what their bots are good for, and who said lately that it has none after all."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from itertools import count
from typing import Any

from actors.codec import unpack
from actors.envelope import Envelope
from actors.errors import EnvelopeError
from actors.sharing import Member
from router.protocols.websocket.letters import queue_of
from router.protocols.websocket.offers import Reach, decode

logger = logging.getLogger("router.protocols.websocket")

REFUSED = 1_000  # ms a router that had no bot for a guild is not asked for it
KEPT = 10_000  # such refusals

#: what a router tells of itself in ``Member.about``: how many bots it has, what they are good for, and its place
BOTS, OFFERS, PLACE = "bots", "offers", "place"


class Neighbours:
    """As ``members()`` shows them; look at them often. Read from any thread, changed by ``look`` and ``refused``."""

    def __init__(self, router: str, members: Callable[[], Sequence[Member]]) -> None:
        self._router = router
        self._members = members
        self._told: dict[str, bytes] = {}
        self._reaches: dict[str, Reach] = {}
        self._names: dict[str, str] = {}
        self._places: dict[str, int] = {}
        self._seen = False  # they were looked at, with this router among them
        self._refusals: OrderedDict[tuple[str, str, str], int] = OrderedDict()  # (router, guild, type) -> until

    def look(self, now: int) -> bool:
        """Whether what can be reached has changed."""
        everybody = self._members()
        self._seen = self._seen or bool(everybody)
        members = [member for member in everybody if member.router != self._router]
        said = {member.router: _said(member.about) for member in members}
        self._names = {member.router: member.name for member in members}
        self._places = {router: place for router, (place, _) in said.items() if place >= 0}
        told = {router: offers for router, (place, offers) in said.items() if offers and place >= 0}
        changed = told != self._told
        if changed:
            self._reaches = {
                router: self._reaches[router] if self._told.get(router) == offers else _reach(offers)
                for router, offers in told.items()
            }
            self._told = told
        return self._forgive(now) or changed

    def name(self, router: str) -> str:
        """For people."""
        return self._names.get(router, router)

    def queue(self, router: str) -> str:
        """The queue of a router that has bots, as last seen."""
        return queue_of(self._places.get(router, 0))

    def consumed(self, queue: str) -> bool:
        """Whether a living router has this queue."""
        return any(queue_of(place) == queue for place in list(self._places.values()))

    def place(self, mine: int) -> int:
        """This router's, which has ``mine`` so far (-1: none): of two that have the same, the later in order moves."""
        places = self._places
        if not self._seen:
            return mine
        if mine >= 0 and not any(place == mine and router < self._router for router, place in places.items()):
            return mine
        taken = set(places.values())
        return next(place for place in count() if place not in taken)

    def with_bots(self) -> list[str]:
        """Those that have any."""
        return list(self._reaches)

    def fitting(self, envelope: Envelope, but: Collection[str] = ()) -> tuple[int | None, list[str]]:
        """The best rank of any bot elsewhere, and the routers that have one of it."""
        best: int | None = None
        found: list[str] = []
        for router, reach in self._reaches.items():
            rank = reach.rank(envelope)
            if rank is None or router in but or (router, envelope.guild, envelope.type) in self._refusals:
                continue
            if best is None or rank < best:
                best, found = rank, []
            if rank == best:
                found.append(router)
        return best, found

    def safe(self, envelope: Envelope) -> bool:
        """Whether every bot that could get it declared that executing it twice does no harm."""
        _, routers = self.fitting(envelope)
        reaches = [self._reaches.get(router) for router in routers]
        return bool(routers) and all(reach is not None and reach.safe(envelope) for reach in reaches)

    def refused(self, router: str, envelope: Envelope, now: int) -> None:
        """It has no bot for this after all; what it tells is old, or coarse."""
        self._refusals[router, envelope.guild, envelope.type] = now + REFUSED
        while len(self._refusals) > KEPT:
            self._refusals.popitem(last=False)

    def _forgive(self, now: int) -> bool:
        over = [key for key, until in list(self._refusals.items()) if until <= now]
        for key in over:
            self._refusals.pop(key, None)
        return bool(over)


def _said(about: bytes) -> tuple[int, bytes]:
    """(place, offers); another version may say neither."""
    try:
        said: Any = unpack(about)
    except EnvelopeError:
        said = None
    place, offers = (said.get(PLACE), said.get(OFFERS)) if isinstance(said, dict) else (None, None)
    return place if type(place) is int else -1, offers if isinstance(offers, bytes) else b""


def _reach(offers: bytes) -> Reach:
    try:
        return Reach(decode(offers))
    except EnvelopeError as error:
        logger.warning("what another router tells of its bots cannot be read: %s", error)
        return Reach()
