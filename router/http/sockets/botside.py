"""The side of a connection that executes: a bot and its frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from router.frames import to_router
from router.frames.closing import Close
from router.frames.codec import encode
from router.frames.frame import Frame
from router.frames.from_router import Ack
from router.http.problems import HttpProblem
from router.protocols.websocket.bots import Bot, Offer

if TYPE_CHECKING:
    from router.http.sockets.connection import Connection


class BotSide:
    """What one bot says goes to the protocol; what the protocol says goes to the bot (``bots.Link``)."""

    def __init__(self, connection: Connection, name: str, instance: str) -> None:
        self._connection = connection
        self._protocol = connection.router.protocols.websocket
        self._bot = Bot(name, instance, self, connection.caller.guilds)

    # ------------------------------------------------------------ from the bot

    def take(self, frame: to_router.ToRouter) -> None:
        """One of its frames; on the loop."""
        match frame:
            case to_router.Announce():
                self._protocol.join(self._bot, offer_of(frame))
                self._connection.say(Ack(correlation_id=frame.correlation_id))
            case to_router.Taken():
                self._protocol.taken(self._bot, frame)
            case to_router.Executed():
                self._protocol.executed(self._bot, frame)
            case to_router.Refused():
                self._protocol.refused(self._bot, frame)
            case to_router.Recorded():
                self._protocol.recorded(self._bot, frame)
            case to_router.Goodbye():
                self._protocol.drain(self._bot)

    def close(self) -> None:
        """The connection has ended."""
        self._protocol.leave(self._bot)

    # ------------------------------------------------------------ to the bot, from any thread

    def post(self, message: bytes | str, may_send: Callable[[], bool]) -> None:
        """See ``Link``."""
        self._connection.put(lambda: message if may_send() else None, len(message))

    def say(self, frame: Frame) -> None:
        """See ``Link``."""
        self._connection.say(frame)

    def encode(self, frame: Frame) -> bytes | str:
        """See ``Link``."""
        return encode(frame, self._connection.subprotocol)

    def replace(self) -> None:
        """See ``Link``; on the loop, since it is another connection's frame that leads here."""
        self._connection.cut(Close.REPLACED, "this bot has connected again")


def offer_of(frame: to_router.Announce) -> Offer:
    """What a bot announces, checked as a whole."""
    if (frame.shards is None) is not (frame.shard_count is None):
        raise _unfit("shardCount", "must come together with shards")
    count = frame.shard_count or 1
    if frame.shards is not None and any(shard >= count for shard in frame.shards):
        raise _unfit("shards", "must be below shardCount")
    return Offer(
        handles=frozenset(frame.handles),
        shards=None if frame.shards is None else frozenset(frame.shards),
        shard_count=count,
        guilds=None if frame.guilds is None else frozenset(frame.guilds),
        capacity=frame.capacity,
        weight=frame.weight,
        idempotent=frozenset(frame.idempotent),
    )


def _unfit(field: str, rule: str) -> HttpProblem:
    return HttpProblem(422, "invalid_message", f"{field} {rule}.", field=field, rule=rule, retryable=False)
