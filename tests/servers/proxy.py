"""A network between a client and a Redis that does what networks do: loses answers, cuts, halves, delays."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

Words = list[bytes]
Which = Callable[[Words], bool]

LATE = 0.03
"""Seconds that an answer is late."""


class Proxy:
    """Passes everything on, but for the commands of ``fail(which, how)``: the next one that matches, or so many.

    ``how``: ``reply`` (done, and the answer is lost with the connection), ``request`` (lost before it came),
    ``half`` (the same in the middle of it), ``half reply`` (the answer breaks off), ``silence`` (done, and no answer
    comes, the connection stands), ``late`` (the answer comes after a while, byte by byte). With ``at`` the halves are
    cut there instead of in the middle.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.commands: list[Words] = []
        self._which: Which | None = None
        self._how = ""
        self._times = 0
        self.at: int | None = None
        self.failed = 0
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def fail(self, which: Which, how: str, times: int = 1, *, at: int | None = None) -> None:
        """The next commands that match."""
        with self._lock:
            self._which, self._how, self._times, self.at = which, how, times, at

    def cut(self) -> None:
        """All connections, now."""
        for each in list(self._sockets):
            _shut(each)

    def close(self) -> None:
        """No more connections, and no threads left."""
        _shut(self._server)
        self._server.close()
        self.cut()
        for thread in self._threads:
            thread.join(5)

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            for each in (client, server):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets |= {client, server}
            pipe = _Pipe(self, client, server)
            for work in (pipe.upstream, pipe.downstream):
                thread = threading.Thread(target=work, daemon=True)
                self._threads.append(thread)
                thread.start()

    def take(self, words: Words) -> str:
        """How this command fails; "": it does not."""
        with self._lock:
            self.commands.append(words)
            if self._which is None or not self._which(words):
                return ""
            self._times -= 1
            if not self._times:
                self._which = None
            self.failed += 1
            return self._how

    def let_go(self, sockets: tuple[socket.socket, ...]) -> None:
        """These are done."""
        for each in sockets:
            self._sockets.discard(each)
            _shut(each)
            each.close()


class _Pipe:
    """One connection, two directions."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._how = ""

    def upstream(self) -> None:
        data = b""
        with suppress(OSError):
            while chunk := self._client.recv(65536):
                data += chunk
                while (parsed := _parse(data)) is not None:
                    words, size = parsed
                    packed, data = data[:size], data[size:]
                    how = self._proxy.take(words)
                    if how == "request":
                        raise OSError
                    if how == "half":
                        self._server.sendall(packed[: self._cut(size)])
                        raise OSError
                    if how:
                        self._how = how
                    self._server.sendall(packed)
        if self._how not in ("silence", "late"):
            _shut(self._client)
            _shut(self._server)

    def downstream(self) -> None:
        with suppress(OSError):
            while chunk := self._server.recv(65536):
                if self._how == "silence":
                    continue
                if self._how == "late":
                    self._trickle(chunk)
                    self._how = ""
                    continue
                if self._how == "half reply":
                    self._client.sendall(chunk[: self._cut(len(chunk))])
                if self._how:
                    break
                self._client.sendall(chunk)
        self._proxy.let_go((self._client, self._server))

    def _cut(self, size: int) -> int:
        return size // 2 if self._proxy.at is None else self._proxy.at

    def _trickle(self, chunk: bytes) -> None:
        threading.Event().wait(LATE)
        for byte in chunk:
            self._client.sendall(bytes([byte]))


def _parse(data: bytes) -> tuple[Words, int] | None:
    """The first command, and how many bytes it took; ``None``: it is not all there."""
    line, found, _ = data.partition(b"\r\n")
    if not found:
        return None
    at = len(line) + 2
    words: Words = []
    for _ in range(int(line[1:])):
        end = data.find(b"\r\n", at)
        if end < 0:
            return None
        size = int(data[at + 1 : end])
        if len(data) < end + 4 + size:
            return None
        words.append(data[end + 2 : end + 2 + size])
        at = end + 4 + size
    return words, at


def _shut(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
