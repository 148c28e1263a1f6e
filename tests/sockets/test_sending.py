"""Commands sent over a socket: as over HTTP, and told where they stand until their end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from router.router import Router
from tests.http.daemons import GUILD, MODERATOR, OTHER, PATIENCE, TARGET, Served, ban, serve
from tests.sockets.peers import Frame, Peer, client, url_of

CHANNEL = "381870553235193857"


class Gate:
    """Handlers of this process that a test holds back."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.began = threading.Semaphore(0)

    def __call__(self, router: Router) -> None:
        @router.handler("BAN_USER")
        def banned(command: Any, ctx: Any) -> dict[str, str]:
            return {"banned": command.user_id, "correlation": ctx.envelope.correlation_id}

        @router.handler("SEND_MESSAGE")
        def send(command: Any, ctx: Any) -> str:
            self.began.release()
            assert self.open.wait(PATIENCE)
            return str(command.content)


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open.set()


@pytest.fixture
def served(gate: Gate) -> Iterator[Served]:
    events = {"accepted@SEND_MESSAGE": "chat:queued", "settled@SEND_MESSAGE": "chat:completed"}
    with serve(gate, workers=2, guild_running=2, socket_events=events) as served:
        yield served
        gate.open.set()


def command(peer: Peer, type_: str = "BAN_USER", data: Frame | None = None, **fields: Any) -> Frame:
    """Send one and hear whether it is taken."""
    body = {"type": type_, "guildId": GUILD, "userId": MODERATOR, "data": ban() if data is None else data}
    return peer.ask("command", **{**body, **fields})


def text(content: str = "hello", channel: str = CHANNEL) -> Frame:
    return {"channelId": channel, "content": content}


@pytest.mark.parametrize("subprotocol", ["router.v1.json", "router.v1.msgpack"])
def test_a_command_is_acknowledged_when_it_is_stored_and_answered_in_the_end(served: Served, subprotocol: str) -> None:
    with client(served, subprotocol) as peer:
        ack = command(peer, correlationId="my-own", requestId="r1")
        assert (ack["op"], ack["requestId"], ack["sequence"], ack["duplicate"]) == ("ack", "r1", 1, False)
        assert served.client.get(f"/api/commands/{ack['jobId']}").status_code == 200
        result = peer.hear("result")
        assert (result["correlationId"], result["jobId"], result["requestId"]) == ("my-own", ack["jobId"], "r1")
        assert result["response"]["status"] == "ok"
        assert result["response"]["data"] == {"banned": TARGET, "correlation": "my-own"}
        assert served.client.get(f"/api/commands/{ack['jobId']}").json()["result"] == result["response"]


def test_a_repeated_command_is_one_and_both_get_its_result(served: Served) -> None:
    with client(served) as peer, client(served) as other:
        first, second = command(peer), command(other)
        assert second["duplicate"] is True
        assert second["originalId"] == second["jobId"] == first["jobId"]
        result = other.hear("result")
        assert result["jobId"] == first["jobId"]
        assert result["response"]["duplicate"] is True


def test_the_same_operation_over_http_and_over_the_socket_is_one(served: Served) -> None:
    job = served.send().json()["jobId"]
    with client(served) as peer:
        assert command(peer)["originalId"] == job


def test_many_in_flight_are_each_answered_under_their_own_correlation(served: Served, gate: Gate) -> None:
    gate.open.set()
    with client(served, "router.v1.msgpack") as peer:
        wanted = {}
        for number in range(300):
            data = text(f"text {number}", channel=str(381870553235193000 + number))
            body = {"type": "SEND_MESSAGE", "guildId": str(100000000000000000 + number % 30), "data": data}
            wanted[peer.say("command", **body)] = f"text {number}"
        found = {}
        while len(found) < 300:
            result = peer.hear("result")
            found[result["correlationId"]] = result["response"]["data"]
        assert found == wanted


def test_the_sender_is_told_where_its_command_stands_under_the_names_of_the_installation(
    served: Served, gate: Gate
) -> None:
    with client(served) as peer:
        running = [command(peer, "SEND_MESSAGE", text(str(n), str(381870553235193000 + n)))["jobId"] for n in range(2)]
        for _ in running:
            assert gate.began.acquire(timeout=PATIENCE)
        ack = command(peer, "SEND_MESSAGE", text("last", "381870553235193009"))
        assert ack["position"] == 2
        mine = ack["jobId"]
        gate.open.set()
        states = []
        while not states or states[-1]["op"] != "result":
            states.append(peer.hear("status", "result", that=lambda frame: frame["jobId"] == mine))
        told = [(frame["state"], frame["position"], frame["name"]) for frame in states[:-1]]
        assert ("started", 0, "started") in told
        assert all(name == "chat:queued" for state, _, name in told if state == "queued")
        positions = [position for state, position, _ in told if state == "queued"]
        assert positions == sorted(positions, reverse=True)
        assert all(position < 2 for position in positions)
        assert states[-1]["name"] == "chat:completed"
        assert states[-1]["response"]["data"] == "last"


def test_who_does_not_follow_hears_no_more_than_the_acknowledgement(served: Served) -> None:
    with client(served) as peer:
        ack = command(peer, follow=False)
        served.end_of(ack["jobId"])
        assert peer.ask("ping")["op"] == "pong"
        assert peer.aside == []


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"data": {"userId": "x y", "reason": "spam"}}, "invalid_message", "data.userId"),
        ({"type": "NO_SUCH_TYPE"}, "unknown_type", None),
        ({"type": "USER_NOTIFICATION"}, "wrong_kind", "type"),
        ({"guildId": "'; drop table"}, "invalid_message", "guildId"),
        ({"timestamp": 1}, "clock_skew", None),
    ],
)
def test_what_http_refuses_is_refused_here_with_the_same_code(
    served: Served, fields: dict[str, Any], code: str, field: str | None
) -> None:
    body = {"type": "BAN_USER", "guildId": GUILD, "userId": MODERATOR, "data": ban(), **fields}
    problem = served.client.post("/api/commands", json=body).json()
    with client(served) as peer:
        nack = command(peer, **fields)
        assert (nack["op"], nack["code"]) == ("nack", code)
        assert nack["code"] == problem["code"]
        assert code == "clock_skew" or nack["message"] == problem["detail"]  # that one counts milliseconds
        if field:
            assert nack["field"] == field
        assert peer.ask("ping")["op"] == "pong"


def test_a_key_used_for_another_payload_is_refused(served: Served) -> None:
    with client(served) as peer:
        assert command(peer, idempotencyKey="k")["op"] == "ack"
        nack = command(peer, data=ban(reason="other"), idempotencyKey="k")
        assert (nack["code"], nack["retryable"]) == ("idempotency_key_reused", False)


def test_a_limit_says_when_to_come_back(gate: Gate) -> None:
    with serve(gate, guild_backlog=1) as served, client(served) as peer:
        assert command(peer, "SEND_MESSAGE", text("a"))["op"] == "ack"
        nack = command(peer, "SEND_MESSAGE", text("b"))
        assert (nack["op"], nack["retryable"]) == ("nack", True)
        assert nack["retryAfter"] > 0
        assert nack["position"] == 1
        gate.open.set()


def test_a_connection_has_so_many_commands_at_once_and_no_more(gate: Gate) -> None:
    with serve(gate, socket_in_flight=2) as served, client(served) as peer:
        for number in range(2):
            assert command(peer, "SEND_MESSAGE", text(str(number)))["op"] == "ack"
        nack = command(peer, "SEND_MESSAGE", text("2"))
        assert (nack["code"], nack["retryAfter"]) == ("too_many_in_flight", 500)
        gate.open.set()
        peer.hear("result")
        assert command(peer, "SEND_MESSAGE", text("3"))["op"] == "ack"


def test_a_command_that_has_not_started_is_taken_back(served: Served, gate: Gate) -> None:
    with client(served) as peer:
        first = command(peer, "SEND_MESSAGE", text("a"))
        assert gate.began.acquire(timeout=PATIENCE)
        second = command(peer, "SEND_MESSAGE", text("b"))
        assert peer.ask("cancel", jobId=second["jobId"])["op"] == "ack"
        result = peer.hear("result")
        assert (result["jobId"], result["response"]["status"]) == (second["jobId"], "cancelled")
        assert peer.ask("cancel", jobId=first["jobId"])["code"] == "not_cancellable"
        assert peer.ask("cancel", jobId="never-heard-of")["code"] == "unknown_command"


def test_a_token_that_is_limited_to_guilds_sends_and_takes_back_there_only() -> None:
    with serve(tokens=f"admin:a,client:c@{GUILD}") as served, Peer(url_of(served), token="c") as peer:
        peer.hello()
        assert command(peer)["op"] == "ack"
        assert command(peer, guildId=OTHER)["code"] == "other_guild"
        foreign = served.client.post(
            "/api/commands", json={"type": "BAN_USER", "guildId": OTHER, "userId": MODERATOR, "data": ban()}
        )
        assert peer.ask("cancel", jobId=foreign.json()["jobId"])["code"] == "unknown_command"


def test_a_sender_that_goes_away_takes_nothing_with_it(served: Served, gate: Gate) -> None:
    with client(served) as peer:
        ack = command(peer, "SEND_MESSAGE", text("a"))
        assert gate.began.acquire(timeout=PATIENCE)
        assert len(served.daemon.app.state.sockets.followers) == 1
        peer.vanish()
        gate.open.set()
        assert served.end_of(ack["jobId"])["status"] == "ok"
    assert len(served.daemon.app.state.sockets.followers) == 0


def test_while_the_router_stops_it_takes_no_command(gate: Gate) -> None:
    with serve(gate) as served, client(served) as peer:
        command(peer, "SEND_MESSAGE", text("a"))
        assert gate.began.acquire(timeout=PATIENCE)
        served.daemon.close()
        assert peer.hear("goodbye")["reason"] == "draining"
        nack = command(peer, "SEND_MESSAGE", text("b"))
        while nack["op"] != "nack":  # it was on its way before the door was shut
            nack = command(peer, "SEND_MESSAGE", text("c"))
        assert (nack["code"], nack["retryable"]) == ("shutting_down", True)
        gate.open.set()
        assert peer.hear("result")["response"]["status"] == "ok"
        assert peer.closed()[0] in (1001, 1012)
