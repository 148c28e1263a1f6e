"""All WebSockets of this process: their bound, what they share, and their end."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from starlette.requests import Request
from starlette.websockets import WebSocket

from router.event_log import Logged
from router.frames import from_router
from router.frames.codec import encode_map
from router.http.auth import Gate
from router.http.problems import HttpProblem
from router.http.sockets.admission import Admission
from router.http.sockets.connection import Connection
from router.http.sockets.following import Followers
from router.http.sockets.outbox import Message
from router.router import Router
from router.settings import Settings
from router.settings_sockets import EventNames
from router.version import package_version

ROOM_AGAIN: Final = 1_000  # ms
COME_AGAIN: Final = 1_000  # ms; after a router that stops there may be another
ENCODED: Final = 2_000  # events kept as they are sent, for the next one who wants them


class Sockets:
    """Made with the application; used on its loop."""

    def __init__(self, router: Router, settings: Settings) -> None:
        self.router = router
        self.settings = settings
        self.gate = Gate(settings.tokens)
        self.names = EventNames(settings.socket_events)
        self.followers = Followers(router.hub, self.names)
        self.connections: set[Connection] = set()
        self.draining = False
        self.version = package_version()
        self._count = 0
        self._encoded: OrderedDict[tuple[str, str], Message] = OrderedDict()

    def __len__(self) -> int:
        return len(self.connections)

    def check_room(self) -> None:
        """Refuse one more than is allowed, and everybody while the router stops."""
        if self.draining:
            text = "The router is stopping."
            raise HttpProblem(503, "shutting_down", text, retry_after=COME_AGAIN, retryable=True)
        if len(self.connections) >= self.settings.socket_connections:
            text = f"All {self.settings.socket_connections} WebSockets are in use."
            raise HttpProblem(503, "too_many_connections", text, retry_after=ROOM_AGAIN, retryable=True)

    async def serve(self, websocket: WebSocket, admission: Admission) -> None:
        """One connection, from the upgrade to its end."""
        self._count += 1
        connection = Connection(self, websocket, admission, f"c{self._count}")
        self.connections.add(connection)
        try:
            await connection.run()
        finally:
            self.connections.discard(connection)

    def goodbye(self, reason: str) -> None:
        """The router stops: tell everybody; what runs may end."""
        self.draining = True
        for connection in list(self.connections):
            said = from_router.Goodbye(correlation_id=connection.fresh(), reason=reason, retry_after=COME_AGAIN)
            connection.say(said)

    def event(self, logged: Logged, subprotocol: str) -> Message:
        """An event as it is sent: made once, however many want it."""
        key = (logged.cursor, subprotocol)
        message = self._encoded.get(key)
        if message is None:
            message = self._encoded[key] = encode_map(self._shown(logged), subprotocol)
            if len(self._encoded) > ENCODED:
                self._encoded.popitem(last=False)
        return message

    def _shown(self, logged: Logged) -> dict[str, object]:
        envelope = logged.event.envelope
        shown = {name: value for name, value in logged.shown.items() if value is not None and name != "replyTo"}
        shown |= {
            "op": "event",
            "correlationId": correlation(envelope.correlation_id) or envelope.id,
            "name": self.names.of(logged.event.kind, envelope.queue, envelope.type),
        }
        return shown


def correlation(text: str) -> str:
    """A correlation id of another door, if it can be one of a frame."""
    return text if 0 < len(text) <= 128 and text.isascii() and text.isprintable() and " " not in text else ""


async def not_upgraded(_: Request) -> None:
    """``/ws`` asked for as a page: whoever does so is told what it is."""
    text = "This is a WebSocket: connect with Upgrade: websocket and one of its subprotocols."
    headers = {"Upgrade": "websocket", "Connection": "Upgrade"}
    raise HttpProblem(426, "upgrade_required", text, headers=headers, retryable=False)


async def serve(websocket: WebSocket) -> None:
    """The route ``/ws``."""
    sockets: Sockets = websocket.app.state.sockets
    await sockets.serve(websocket, websocket.scope["state"]["admission"])
