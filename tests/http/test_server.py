"""Connections that are slow, half-open, oversized or nonsense, against the real server."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator

import pytest

from tests.http.daemons import PATIENCE, Served, serve

HEAD = b"POST /api/commands HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serve(header_timeout=0.3, body_timeout=0.3, max_connections=20) as served:
        yield served


def connect(served: Served) -> socket.socket:
    host, port = served.daemon.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=PATIENCE)


def read_all(connection: socket.socket) -> bytes:
    received = b""
    while chunk := connection.recv(65_536):
        received += chunk
    return received


def problem(received: bytes) -> tuple[int, str]:
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["code"]


@pytest.mark.parametrize("sent", [b"", b"GET /livez HTT", b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Drip: "])
def test_a_head_that_does_not_come_in_time_ends_the_connection(served: Served, sent: bytes) -> None:
    with connect(served) as connection:
        connection.sendall(sent)
        assert read_all(connection) == b""


def test_a_second_head_that_does_not_come_ends_the_connection_too(served: Served) -> None:
    with connect(served) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\nGET /liv")
        received = read_all(connection)
        assert received.count(b"HTTP/1.1 200") == 1


def test_a_body_that_does_not_come_in_time_is_408(served: Served) -> None:
    with connect(served) as connection:
        connection.sendall(HEAD + b"Content-Length: 100\r\n\r\n{")
        assert problem(read_all(connection)) == (408, "body_timeout")


def test_a_chunked_body_that_is_too_long_is_413_and_ends_the_connection(served: Served) -> None:
    with connect(served) as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
        for _ in range(20):
            connection.sendall(chunk)
        assert problem(read_all(connection)) == (413, "body_too_large")


@pytest.mark.parametrize(
    "sent",
    [
        b"\x00\xff\x16\x03\x01 nonsense\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST /api/commands HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/commands HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
    ],
)
def test_what_is_no_request_is_400_and_ends_the_connection(served: Served, sent: bytes) -> None:
    with connect(served) as connection:
        connection.sendall(sent)
        assert problem(read_all(connection)) == (400, "bad_request")


@pytest.mark.parametrize("whole", [True, False])
def test_a_head_that_is_too_long_is_refused(served: Served, whole: bool) -> None:
    with connect(served) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * 40_000)
        if whole:
            connection.sendall(b"\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):  # closed with our bytes unread, its answer may be lost
            assert problem(read_all(connection)) in [(400, "bad_request"), (431, "head_too_large")]


def test_a_client_that_leaves_in_mid_request_harms_nobody(served: Served) -> None:
    for _ in range(30):
        with connect(served) as connection:
            connection.sendall(HEAD + b"Content-Length: 100\r\n\r\n{")
    deadline = time.monotonic() + PATIENCE
    while served.client.get("/livez").status_code == 503:  # until the server has seen them all leave
        assert time.monotonic() < deadline


def test_more_connections_than_allowed_get_503() -> None:
    with serve(max_connections=3) as served:
        held = [connect(served) for _ in range(4)]
        try:
            held[-1].sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            received = read_all(held[-1])
            assert problem(received) == (503, "too_many_connections")
            assert b"\r\nRetry-After: 1\r\n" in received.title()
        finally:
            for connection in held:
                connection.close()
