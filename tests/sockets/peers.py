"""Whoever connects: a peer that says and hears single frames, over a real socket."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Self

import msgpack
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from router.frames import JSON
from tests.http.daemons import PATIENCE, Served

Frame = dict[str, Any]


def url_of(served: Served) -> str:
    return served.daemon.url.replace("http://", "ws://") + "/ws"


class Peer:
    """A client or a bot, in the words of the wire."""

    def __init__(self, url: str, subprotocol: str = JSON, **options: Any) -> None:
        offered = [subprotocol, *options.pop("offer", [])]
        token = options.pop("token", None)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers |= options.pop("headers", {})
        self.subprotocol = subprotocol
        connecting = connect(
            url,
            subprotocols=offered,
            additional_headers=headers,
            compression=None,
            max_size=1 << 21,
            **{"max_queue": None, **options},  # it would not see the end behind frames that a test does not read
        )
        self._stack = ExitStack()
        self.socket: ClientConnection = self._stack.enter_context(connecting)
        self._count = 0
        self.aside: list[Frame] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._stack.close()

    def vanish(self) -> None:
        """End without a word, as a killed process does."""
        self.socket.socket.close()

    # ------------------------------------------------------------ frames

    def say(self, op: str, **fields: Any) -> str:
        """Send one; its correlation id."""
        self._count += 1
        frame = {"op": op, "correlationId": str(self._count), **fields}
        self.raw(json.dumps(frame) if self.subprotocol == JSON else msgpack.packb(frame))
        return str(frame["correlationId"])

    def raw(self, message: str | bytes) -> None:
        self.socket.send(message)

    def next(self) -> Frame:
        """The next one, whatever it is."""
        message = self.socket.recv(PATIENCE)
        frame: Frame = json.loads(message) if isinstance(message, str) else msgpack.unpackb(message)
        return frame

    def hear(self, *ops: str, that: Callable[[Frame], bool] = lambda _: True) -> Frame:
        """The next one of these kinds that fits; the others are kept for later."""
        for index, frame in enumerate(self.aside):
            if frame["op"] in ops and that(frame):
                return self.aside.pop(index)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            frame = self.next()
            if frame["op"] in ops and that(frame):
                return frame
            self.aside.append(frame)
        raise AssertionError(f"none of {ops} among {self.aside}")

    def ask(self, op: str, **fields: Any) -> Frame:
        """Send one and hear its answer."""
        asked = self.say(op, **fields)
        return self.hear("ack", "nack", "error", "welcome", "pong", that=lambda frame: frame["correlationId"] == asked)

    def closed(self) -> tuple[int, str]:
        """Read until the connection ends: the close code and why."""
        try:
            while True:
                self.aside.append(self.next())
        except ConnectionClosed as end:
            return (end.rcvd.code, end.rcvd.reason) if end.rcvd is not None else (1006, "")

    # ------------------------------------------------------------ manners

    def hello(self, **fields: Any) -> Frame:
        return self.ask("hello", **fields)

    def announce(self, *handles: str, **fields: Any) -> Frame:
        return self.ask("announce", handles=list(handles), **fields)

    def finish(self, order: Frame, outcome: str = "applied", **fields: Any) -> None:
        """Answer a command that came: it was executed."""
        said = {"correlationId": order["correlationId"], "id": order["envelope"]["id"], "attempt": order["attempt"]}
        self.say("ack", **said)
        self.say("result", outcome=outcome, **said, **fields)


def client(served: Served, subprotocol: str = JSON, **options: Any) -> Peer:
    """One that has been welcomed."""
    peer = Peer(url_of(served), subprotocol, **options)
    peer.hello()
    return peer


def bot(
    served: Served, *handles: str, name: str = "bot-1", instance: str = "i1", token: str | None = None, **offer: Any
) -> Peer:
    """One that has been welcomed and has announced itself."""
    peer = Peer(url_of(served), token=token)
    peer.hello(name=name, instance=instance)
    answer = peer.announce(*handles, **offer)
    assert answer["op"] == "ack", answer
    return peer
