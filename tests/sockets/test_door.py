"""Who may open a WebSocket, what may come in by it, and who is sent away."""

from __future__ import annotations

import base64
import gc
import json
import logging
import os
import socket
import struct
import threading
from collections.abc import Iterator

import httpx
import msgpack
import pytest
from websockets.exceptions import InvalidStatus

from router.messages.notifications import BroadcastNotification
from tests.http.daemons import GUILD, PATIENCE, Served, serve
from tests.sockets.peers import Peer, client, url_of

TOKENS = f"admin:a-secret,bot:b-secret,client:c-secret@{GUILD}"


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serve(tokens=TOKENS, socket_subscriptions=2) as served:
        yield served


@pytest.fixture(scope="module")
def open_to_all() -> Iterator[Served]:
    with serve() as served:
        yield served


def refused(served: Served, subprotocol: str = "router.v1.json", **options: object) -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as caught:
        Peer(url_of(served), subprotocol, **options)
    response = caught.value.response
    assert response.headers["Content-Type"] == "application/problem+json"
    return response.status_code, json.loads(response.body)["code"]


# ---------------------------------------------------------------- before the upgrade


def test_a_token_comes_in_a_header(served: Served) -> None:
    with Peer(url_of(served), token="a-secret") as peer:
        welcome = peer.hello()
        assert (welcome["op"], welcome["role"]) == ("welcome", "admin")
        assert "guilds" not in welcome
        assert welcome["limits"] == {"frameBytes": 1 << 20, "depth": 32, "inFlight": 1_000, "subscriptions": 2}
        assert welcome["pingInterval"] == 20_000


def test_a_token_comes_as_a_subprotocol_and_is_not_echoed(served: Served) -> None:
    with Peer(url_of(served), offer=["bearer.c-secret"]) as peer:
        assert peer.socket.subprotocol == "router.v1.json"
        welcome = peer.hello()
        assert (welcome["role"], welcome["guilds"]) == ("client", [GUILD])


def test_a_token_comes_in_the_first_frame(served: Served) -> None:
    with Peer(url_of(served)) as peer:
        assert peer.hello(token="b-secret")["role"] == "bot"


def test_a_wrong_token_is_401_before_the_upgrade_and_4401_after(served: Served) -> None:
    assert refused(served, token="wrong") == (401, "token_unknown")
    assert refused(served, offer=["bearer.wrong"]) == (401, "token_unknown")
    for token, code in ((None, "token_missing"), ("wrong", "token_unknown")):
        with Peer(url_of(served)) as peer:
            fields = {} if token is None else {"token": token}
            assert peer.hello(**fields)["code"] == code
            assert peer.closed()[0] == 4401


def test_a_refusal_is_one_plain_line_in_the_log_and_no_secret_is_in_it(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for options, status in (
        ({"token": "wrong-secret"}, 401),
        ({"token": "a-secret", "origin": "https://evil.example"}, 403),
    ):
        caplog.clear()
        refused(served, **options)
        with Peer(url_of(served), token="a-secret") as peer:  # after it all of the refusal is logged
            peer.hello()
        lines = [line for line in caplog.records if line.name.startswith(("uvicorn", "router.http"))]
        (told,) = [line for line in lines if str(status) in line.getMessage()]
        assert (told.levelno, told.exc_info) == (logging.INFO, None)
        assert told.getMessage().endswith(f'"WebSocket /ws" {status}')
        assert max(line.levelno for line in lines) == logging.INFO
        assert not [line for line in lines if "secret" in line.getMessage()]


def test_nothing_is_heard_before_the_first_frame_and_that_must_come_in_time(served: Served) -> None:
    with serve(socket_hello_timeout=0.1) as impatient, Peer(url_of(impatient)) as peer:
        assert peer.closed() == (4408, "no hello in time")
    with Peer(url_of(served), token="a-secret") as peer:
        peer.say("ping")
        assert peer.hear("error")["code"] == "hello_first"
        assert peer.closed()[0] == 4400


def test_a_subprotocol_of_ours_must_be_offered(open_to_all: Served) -> None:
    assert refused(open_to_all, "chat") == (400, "subprotocol")


def test_whoever_asks_for_it_without_an_upgrade_is_told_what_it_is(served: Served) -> None:
    for headers in ({}, {"Authorization": "Bearer a-secret"}, {"Connection": "Upgrade", "Upgrade": "h2c"}):
        answer = served.client.get("/ws", headers=headers)
        assert (answer.status_code, answer.headers["Upgrade"]) == (426, "websocket")
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["code"] == "upgrade_required"
    other = served.client.post("/ws")
    assert (other.status_code, set(other.headers["Allow"].split(", "))) == (405, {"GET", "HEAD"})


def test_pages_of_other_sites_may_not_connect(open_to_all: Served) -> None:
    assert refused(open_to_all, origin="https://evil.example") == (403, "cross_site")
    assert refused(open_to_all, headers={"Sec-Fetch-Site": "cross-site"}) == (403, "cross_site")
    with Peer(url_of(open_to_all), origin=open_to_all.daemon.url) as peer:
        assert peer.hello()["op"] == "welcome"


def test_a_name_that_is_not_ours_is_refused(open_to_all: Served) -> None:
    host, port = open_to_all.daemon.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as raw:
        raw.sendall(upgrade("evil.example"))
        assert b" 403 " in raw.recv(65_536).split(b"\r\n")[0]


def test_there_are_so_many_and_no_more_and_http_goes_on() -> None:
    with serve(socket_connections=2, max_connections=2) as served:
        held = [client(served) for _ in range(2)]
        assert refused(served) == (503, "too_many_connections")
        with httpx.Client(base_url=served.daemon.url) as another:
            for client_ in (served.client, another):  # as many as HTTP has, whatever the sockets take
                assert client_.get("/livez").status_code == 200
        held[0].close()
        with served_again(served) as peer:
            assert peer.ask("ping")["op"] == "pong"
        held[1].close()


def test_an_idle_socket_is_not_taken_for_a_request_whose_head_is_late() -> None:
    with serve(header_timeout=0.2) as served, client(served) as peer:
        with pytest.raises(TimeoutError):
            peer.socket.recv(0.5)  # the time of the head passes
        assert peer.ask("ping")["op"] == "pong"


def served_again(served: Served) -> Peer:
    """A place is free as soon as the server has seen the other leave."""
    sockets = served.daemon.app.state.sockets
    gone = threading.Event()
    loop = served.daemon._loop
    assert loop is not None

    def look() -> None:
        if len(sockets) < 2:
            gone.set()
        else:
            loop.call_later(0.01, look)

    loop.call_soon_threadsafe(look)
    assert gone.wait(PATIENCE)
    return client(served)


def upgrade(host: str = "127.0.0.1") -> bytes:
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        f"GET /ws HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: router.v1.msgpack\r\n\r\n"
    ).encode()


# ---------------------------------------------------------------- frames


@pytest.mark.parametrize(
    "message",
    [b"\xdf\xff\xff\xff\xff", b"\x81" * 5_000, b"\xc1", b"\x81\xa2op\xd6\xff\x00\x00\x00\x00", "{}", b"\x93\x01\x02"],
)
def test_what_cannot_be_read_is_answered_and_ends_the_connection(open_to_all: Served, message: bytes | str) -> None:
    with client(open_to_all, "router.v1.msgpack") as peer:
        peer.raw(message)
        said = peer.hear("error")
        assert (said["code"], said["correlationId"]) == ("bad_frame", "-")
        assert peer.closed()[0] == 4400
    with client(open_to_all) as other:
        assert other.ask("ping")["op"] == "pong"


def test_a_message_of_more_than_a_mebibyte_ends_the_connection(open_to_all: Served) -> None:
    with client(open_to_all) as peer:
        peer.raw("x" * ((1 << 20) + 1))
        assert peer.closed()[0] == 1009


def test_text_that_is_not_utf8_ends_the_connection(open_to_all: Served) -> None:
    with raw_socket(open_to_all) as raw:
        raw.sendall(frame(0x81, b"\xff\xfe"))
        assert close_code(raw) == 1007


def test_a_message_of_endless_fragments_ends_the_connection(open_to_all: Served) -> None:
    with raw_socket(open_to_all) as raw:
        raw.sendall(frame(0x02, b"") + frame(0x00, b"") * 2_000)
        assert close_code(raw) == 1009


def test_a_frame_that_breaks_a_rule_is_answered_and_the_connection_goes_on(open_to_all: Served) -> None:
    with client(open_to_all) as peer:
        said = peer.ask("subscribe")
        assert (said["op"], said["field"], said["rule"]) == ("error", "subscription", "is missing")
        assert peer.ask("nonsense")["field"] == "op"
        assert peer.ask("hello")["code"] == "hello_again"
        assert peer.ask("ping")["op"] == "pong"


def test_a_peer_that_breaks_rules_without_end_is_sent_away(open_to_all: Served) -> None:
    with client(open_to_all) as peer:
        for _ in range(100):
            peer.say("nonsense")
        assert peer.closed() == (4400, "too many unfit frames")


def test_a_client_is_no_bot_and_a_bot_has_a_name(served: Served) -> None:
    with Peer(url_of(served), token="c-secret") as peer:
        peer.hello(name="x")
        assert peer.announce("BAN_USER")["code"] == "role"
    with Peer(url_of(served), token="b-secret") as peer:
        peer.hello()
        assert peer.announce("BAN_USER")["code"] == "nameless"


@pytest.mark.parametrize(
    ("offer", "field"),
    [
        ({"shards": [0]}, "shardCount"),
        ({"shardCount": 2}, "shardCount"),
        ({"shards": [2], "shardCount": 2}, "shards"),
    ],
)
def test_shards_must_fit_their_count(open_to_all: Served, offer: dict[str, object], field: str) -> None:
    with Peer(url_of(open_to_all)) as peer:
        peer.hello(name="x", instance="i")
        said = peer.announce("BAN_USER", **offer)
        assert (said["op"], said["field"]) == ("nack", field)


def test_a_server_pings_and_cuts_off_who_does_not_answer() -> None:
    with serve(socket_ping_interval=0.1, socket_ping_timeout=0.1) as served, raw_socket(served) as raw:
        assert b"\x89\x04" in received(raw, b"\x89\x04")
        assert close_code(raw) == 1011


# ---------------------------------------------------------------- slow readers


def test_a_peer_that_reads_nothing_is_cut_off_and_costs_the_others_nothing() -> None:
    notice = {"type": "UPDATE", "title": "t", "message": "x" * 4_000, "priority": "LOW"}
    with serve(write_timeout=0.5, socket_buffer=262_144) as served, client(served) as good:
        good.ask("subscribe", subscription="all")
        with raw_socket(served, small=True) as stalled:
            stalled.sendall(
                frame(0x82, msgpack.packb({"op": "subscribe", "correlationId": "2", "subscription": "all"}))
            )
            received(stalled, b"subscription")
            sockets = served.daemon.app.state.sockets
            heard = 0
            for _batch in range(200):  # 800 kB each, until what the kernel holds for the stalled one is full
                for _ in range(200):
                    served.router.publish(BroadcastNotification(notification=notice))
                cursors = [int(good.hear("event")["cursor"].rpartition(".")[2]) for _ in range(200)]
                assert cursors == list(range(heard + 1, heard + 201))
                heard += 200
                if len(sockets) == 1:
                    break
            assert len(sockets) == 1, "the stalled one is still there"
            assert not [gap for gap in good.aside if gap["op"] == "gap"]
            assert close_code(stalled) == 4430


def test_a_peer_for_whom_too_much_waits_is_cut_off_at_once() -> None:
    with serve(socket_buffer=65_536, write_timeout=60) as served, raw_socket(served, small=True) as stalled:
        ping = frame(0x82, msgpack.packb({"op": "ping", "correlationId": "x" * 128}))
        ended = threading.Event()

        def flood() -> None:
            try:
                while not ended.is_set():
                    stalled.sendall(ping * 100)
            except OSError:
                ended.set()

        thread = threading.Thread(target=flood)
        thread.start()
        try:
            assert ended.wait(PATIENCE)
        finally:
            ended.set()
            thread.join(PATIENCE)


def test_a_peer_that_vanishes_while_it_does_not_read_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    notice = {"type": "UPDATE", "title": "t", "message": "x" * 8_000, "priority": "LOW"}
    with serve(write_timeout=60) as served, client(served) as good:
        good.ask("subscribe", subscription="all")
        leaving = raw_socket(served, small=True)
        leaving.sendall(frame(0x82, msgpack.packb({"op": "subscribe", "correlationId": "2", "subscription": "a"})))
        received(leaving, b"subscription")
        for _ in range(1_000):  # 8 MB: more than the kernel takes for it
            served.router.publish(BroadcastNotification(notification=notice))
            good.hear("event")
        leaving.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        leaving.close()  # a reset, not an end
        served_again(served).close()
    gc.collect()
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


# ---------------------------------------------------------------- a socket without manners


def raw_socket(served: Served, *, small: bool = False) -> socket.socket:
    """Upgraded and welcomed, and from then on whatever the test wants."""
    host, port = served.daemon.url.removeprefix("http://").split(":")
    raw = socket.socket()
    if small:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    raw.settimeout(PATIENCE)
    raw.connect((host, int(port)))
    raw.sendall(upgrade())
    received(raw, b"\r\n\r\n")
    raw.sendall(frame(0x82, msgpack.packb({"op": "hello", "correlationId": "1"})))
    received(raw, b"subscriptions")
    return raw


def frame(first: int, payload: bytes) -> bytes:
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack("!H", size)
    return bytes([first]) + length + b"\x00\x00\x00\x00" + payload


def received(raw: socket.socket, until: bytes) -> bytes:
    data = b""
    while until not in data:
        chunk = raw.recv(65_536)
        assert chunk, data[-200:]
        data += chunk
    return data


def close_code(raw: socket.socket) -> int:
    """Read all; the close frame is the last that came."""
    data = b""
    while True:
        try:
            chunk = raw.recv(65_536)
        except ConnectionResetError:
            break
        if not chunk:
            break
        data += chunk
        if (at := data.rfind(b"\x88")) >= 0 and len(data) >= at + 4 and data[at + 1] == len(data) - at - 2:
            return int.from_bytes(data[at + 2 : at + 4], "big")
    at = data.rfind(b"\x88")
    return int.from_bytes(data[at + 2 : at + 4], "big")
