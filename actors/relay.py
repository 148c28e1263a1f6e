"""Orders for guilds that another router owns: asked of all by news, answered by whoever owns them.

``Told("ask", [number, asker, partition or -1, order, arguments])`` goes to every other router; the owner of the
partition, or with ``-1`` each of them, does it and announces ``Told("answer", [number, asker, router, value, error])``.
Both may be lost or doubled, so an order is asked again until it is answered or its time is over, and every order is
one that may be done twice. News are not kept: an order that finds no owner fails with ``OwnerAway`` and is the
operator's to repeat.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

from actors.codec import pack, unpack
from actors.errors import EngineError, OwnerAway
from actors.messages import StoreCall, tell
from actors.ports import Backend
from actors.runtime.actor import Actor
from actors.runtime.errors import RuntimeFault
from actors.runtime.ref import Ref
from actors.sharing import SharedStore, Told
from actors.tables.holdings import Holdings

logger = logging.getLogger("guild_router.news")

ASK, ANSWER = "ask", "answer"

AGAIN = 0.5
"""Seconds until an order that was not answered is asked again."""

TIMES = 6
"""How often in all: long enough for a partition of a dead router to find a new owner."""

REMEMBERED = 256
"""Orders of others whose answers are kept, for those that are asked again because the answer was lost."""

ALL = -1
"""Instead of a partition: every router does its part."""


class Order(NamedTuple):
    """Engine -> relay: have it done elsewhere; ``reply`` gets the value (of ``ALL``: one of each), or an error."""

    name: str
    arguments: Sequence[Any]
    partition: int
    reply: Callable[[Any], None]


class Performed(NamedTuple):
    """Engine -> relay: what became of an order that another router gave."""

    number: int
    asker: str
    value: Any


class Relay(Actor):
    """Asks, and has done what it is asked: ``perform(name, arguments, reply)`` does it in this engine."""

    mailbox_capacity = 10_000

    def __init__(
        self,
        holdings: Holdings,
        journal: Callable[[], Ref],
        perform: Callable[[str, Sequence[Any], Callable[[Any], None]], None],
    ) -> None:
        super().__init__()
        self._holdings = holdings
        self._journal = journal
        self._perform = perform
        self._open: dict[int, _Open] = {}
        self._done: OrderedDict[tuple[str, int], list[Any] | None] = OrderedDict()  # None: under way

    def on_stop(self) -> None:
        for one in self._open.values():
            tell(one.order.reply, OwnerAway("the router stopped before it was answered"))

    def on_failure(self, *_: object) -> None:
        self.on_stop()

    def on_receive(self, message: object) -> None:
        match message:
            case Order():
                self._ask(message)
            case _Again(number):
                self._again(number)
            case Told(topic, detail) if topic == ASK:
                self._asked(*unpack(detail))  # type: ignore[misc]  # as ``_announce`` packed it
            case Told(topic, detail) if topic == ANSWER:
                self._answered(*unpack(detail))  # type: ignore[misc]  # likewise
            case Performed(number, asker, value):
                self._performed(number, asker, value)

    # ------------------------------------------------------------ asking

    def _ask(self, order: Order) -> None:
        number = next(self._holdings.orders)
        others = {member.router for member in self._holdings.members} - {self._holdings.router}
        one = self._open[number] = _Open(order, others if order.partition == ALL else set())
        if order.partition == ALL and not others:
            self._finish(number, one)
            return
        self._send(number, one)

    def _send(self, number: int, one: _Open) -> None:
        one.times += 1
        order = one.order
        self._announce(ASK, [number, self._holdings.router, order.partition, order.name, list(order.arguments)])
        self.send_after(AGAIN, _Again(number))

    def _again(self, number: int) -> None:
        one = self._open.get(number)
        if one is None:
            return
        alive = {member.router for member in self._holdings.members}
        if one.order.partition == ALL:
            one.missing &= alive
            if not one.missing:
                self._finish(number, one)
                return
        if one.times < TIMES:
            self._send(number, one)
        else:
            del self._open[number]
            tell(one.order.reply, OwnerAway("the router that owns the guild did not answer", retry_after=1_000))

    def _answered(self, number: int, asker: str, router: str, value: Any, error: list[str] | None) -> None:
        one = self._open.get(number) if asker == self._holdings.router else None
        if one is None:
            return
        if error is not None:
            if error[0] != OwnerAway.code:  # else it has just changed hands: asked again
                del self._open[number]
                tell(one.order.reply, EngineError(error[1]))
            return
        one.values.setdefault(router, value)
        one.missing.discard(router)
        if not one.missing:
            self._finish(number, one)

    def _finish(self, number: int, one: _Open) -> None:
        del self._open[number]
        values = list(one.values.values())
        tell(one.order.reply, values if one.order.partition == ALL else values[0])

    # ------------------------------------------------------------ being asked

    def _asked(self, number: int, asker: str, partition: int, name: str, arguments: list[Any]) -> None:
        if partition != ALL and self._holdings.taken(partition) is None:
            return
        known = (asker, number)
        if known in self._done:
            answer = self._done[known]
            if answer is not None:
                self._announce(ANSWER, answer)
            return
        self._done[known] = None
        while len(self._done) > REMEMBERED:
            self._done.popitem(last=False)
        me = self.me
        self._perform(name, arguments, lambda value: me.tell(Performed(number, asker, value)))

    def _performed(self, number: int, asker: str, value: Any) -> None:
        error = [value.code, str(value)] if isinstance(value, EngineError) else None
        answer = [number, asker, self._holdings.router, None if error else value, error]
        if error is None:
            self._done[asker, number] = answer
        else:
            self._done.pop((asker, number), None)  # asked again, it may go better
        self._announce(ANSWER, answer)

    def _announce(self, topic: str, parts: list[Any]) -> None:
        detail = pack(parts)

        def announce(store: Backend, _: int) -> None:
            cast("SharedStore", store).announce(topic, detail)

        try:
            self._journal().tell(StoreCall(announce, _ignore))
        except RuntimeFault as error:
            logger.debug("an order was not passed on: %s", error)


class _Open:
    """An order that is not answered yet."""

    __slots__ = ("missing", "order", "times", "values")

    def __init__(self, order: Order, missing: set[str]) -> None:
        self.order = order
        self.missing = missing  #: routers whose part is not known yet
        self.times = 0
        self.values: dict[str, Any] = {}


class _Again:
    """To itself: has it been answered?"""

    __match_args__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number


def _ignore(result: object) -> None:
    """What was not announced is asked again."""
