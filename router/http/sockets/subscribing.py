"""The side of a connection that looks on: subscriptions to what happens, with cursors and credit."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from router.event_log import Gap, Logged, Reader, Wanted, check_types
from router.frames import from_router, to_router
from router.http.problems import HttpProblem
from router.settings_sockets import KINDS

if TYPE_CHECKING:
    from router.http.sockets.connection import Connection

BUFFER: Final = 1_000  # events that wait for one subscription; more are a gap


class Subscribing:
    """On the loop of the connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._subscriptions: dict[str, _Subscription] = {}

    def take(self, frame: to_router.Subscribe | to_router.Unsubscribe | to_router.Credit) -> None:
        """Raises ``HttpProblem``."""
        match frame:
            case to_router.Subscribe():
                self._subscribe(frame)
            case to_router.Unsubscribe():
                former = self._subscriptions.pop(frame.subscription, None)
                if former is None:
                    raise _unknown(frame.subscription)
                former.close()
                said = from_router.Ack(correlation_id=frame.correlation_id, subscription=frame.subscription)
                self._connection.say(said)
            case to_router.Credit():
                subscription = self._subscriptions.get(frame.subscription)
                if subscription is None:
                    raise _unknown(frame.subscription)
                subscription.grant(frame.credit)

    def close(self) -> None:
        """The connection has ended."""
        for subscription in self._subscriptions.values():
            subscription.close()
        self._subscriptions.clear()

    def _subscribe(self, frame: to_router.Subscribe) -> None:
        connection = self._connection
        most = connection.settings.socket_subscriptions
        former = self._subscriptions.get(frame.subscription)
        if former is None and len(self._subscriptions) >= most:
            text = f"One connection has at most {most} subscriptions."
            raise HttpProblem(429, "too_many_subscriptions", text, retryable=False)
        wanted = self._wanted(frame)
        if former is not None:
            former.close()
        log = connection.router.hub.log()
        reader = log.read(wanted, frame.after or "", limit=BUFFER)
        self._subscriptions[frame.subscription] = _Subscription(connection, frame, reader)
        connection.say(
            from_router.Ack(
                correlation_id=frame.correlation_id,
                subscription=frame.subscription,
                cursor=frame.after or log.cursor,
            )
        )
        connection.spawn(self._subscriptions[frame.subscription].run())

    def _wanted(self, frame: to_router.Subscribe) -> Wanted:
        connection = self._connection
        for guild in frame.guilds or ():
            connection.caller.enter(guild)
        check_types(frame.types or (), connection.router.catalog)
        if unknown := set(frame.kinds or ()) - set(KINDS):
            rule = f"must be of {', '.join(KINDS)}"
            text = f"kinds {rule}."
            raise HttpProblem(
                422,
                "invalid_message",
                text,
                field="kinds",
                rule=rule,
                shape=f"a list of {len(unknown)}",
                retryable=False,
            )
        return Wanted(
            guilds=frozenset(frame.guilds or connection.caller.guilds),
            types=frozenset(frame.types or ()),
            kinds=frozenset(frame.kinds or ()),
            roles=frozenset(frame.roles or ()),
            jobs=frozenset(frame.jobs or ()),
            users=frozenset(frame.users or ()),
            within=connection.caller.guilds,
        )


class _Subscription:
    """A reader of the log, and how much of it the peer wants now."""

    def __init__(self, connection: Connection, frame: to_router.Subscribe, reader: Reader) -> None:
        self._connection = connection
        self._name = frame.subscription
        self._reader = reader
        self._credit = frame.credit
        self._granted = asyncio.Event()
        self._closed = False

    def grant(self, credit: int) -> None:
        if self._credit is None:
            raise HttpProblem(409, "no_credit", "This subscription was made without credit.", retryable=False)
        self._credit += credit
        self._granted.set()

    def close(self) -> None:
        self._closed = True
        self._reader.close()
        self._granted.set()

    async def run(self) -> None:
        try:
            while not self._closed:
                for event in await self._reader.next():
                    await self._allowed()
                    if self._closed:
                        return
                    self._say(event)
        finally:
            self._reader.close()

    async def _allowed(self) -> None:
        await self._connection.room()
        while self._credit == 0 and not self._closed:
            self._granted.clear()
            await self._granted.wait()
        if self._credit is not None:
            self._credit -= 1

    def _say(self, event: Logged | Gap) -> None:
        connection = self._connection
        if isinstance(event, Gap):
            connection.say(
                from_router.Gap(
                    correlation_id=connection.fresh(),
                    subscription=self._name,
                    cursor=event.cursor,
                    why=event.why,
                    missed=event.missed,
                )
            )
        else:
            message = connection.sockets.event(event, connection.subprotocol)
            connection.put(lambda: message, len(message))


def _unknown(name: str) -> HttpProblem:
    text = f"There is no subscription {name}."
    return HttpProblem(404, "unknown_subscription", text, field="subscription", retryable=False)
