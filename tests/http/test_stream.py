"""The event stream over real sockets: what is told to whom, going on after a cut, and its bounds."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from router.router import Router
from tests.http.daemons import GUILD, OTHER, PATIENCE, Served, ban, serve
from tests.http.streams import listen


def prepare(router: Router) -> None:
    @router.handler("BAN_USER")
    def ban_user(command: object, ctx: object) -> dict[str, bool]:
        return {"banned": True}


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serve(prepare, tokens=f"admin:SECRET,client:C@{GUILD},client:TWO@{GUILD}|{OTHER}") as served:
        yield served


def settled(event: dict[str, Any]) -> bool:
    return bool(event["kind"] == "settled")


def announce(served: Served, guild: str, text: str, **rest: Any) -> None:
    body = {
        "type": "BROADCAST_NOTIFICATION",
        "data": {
            "targetGuildId": guild,
            "notification": {"type": "UPDATE", "title": text, "message": text, "priority": "LOW"},
            **rest,
        },
    }
    assert served.client.post("/api/events", json=body).status_code == 202


def test_a_command_is_told_from_its_acceptance_to_its_response(served: Served) -> None:
    with listen(served) as stream:
        assert stream.answer.headers["Content-Type"].startswith("text/event-stream")
        assert stream.answer.headers["Cache-Control"] == "no-store"
        job = served.send(data=ban("1001")).json()["jobId"]
        told = stream.until(settled)
        assert [event["kind"] for event in told] == ["accepted", "started", "attempted", "settled"]
        assert {event["id"] for event in told} == {job}
        assert told[-1]["guildId"] == GUILD
        assert told[-1]["response"]["data"] == {"banned": True}
        assert stream.cursor == told[-1]["cursor"]
        assert "reason" not in str(told)  # a command's payload is nobody's here


def test_what_is_published_comes_with_its_data(served: Served) -> None:
    with listen(served, kinds="published") as stream:
        announce(served, GUILD, "hello")
        event = next(stream)
        assert (event["type"], event["guildId"]) == ("BROADCAST_NOTIFICATION", GUILD)
        assert event["data"]["notification"]["title"] == "hello"


def test_a_reader_that_was_cut_off_goes_on_where_it_was(served: Served) -> None:
    with listen(served, kinds="settled") as stream:
        served.send(data=ban("1002"))
        first = next(stream)["id"]
        cursor = stream.cursor
    missed = [served.send(data=ban(user)).json()["jobId"] for user in ("1003", "1004", "1005")]
    for job in missed:
        served.end_of(job)
    with listen(served, kinds="settled", cursor=cursor) as stream:
        come = [next(stream)["id"] for _ in missed]
    assert sorted(come) == sorted(missed)
    assert first not in come
    with listen(served, kinds="settled", after=cursor) as stream:  # where no header can be set
        assert [next(stream)["id"] for _ in missed] == come


def test_a_cursor_nobody_knows_is_a_gap(served: Served) -> None:
    with listen(served, cursor="cafe.7") as stream:
        gap = next(stream)
        assert (gap["kind"], gap["why"], gap["missed"]) == ("gap", "other_log", None)


def test_filters_choose_guild_type_kind_and_job(served: Served) -> None:
    def send(type_: str, guild: str, user: str) -> str:
        job: str = served.send(type_, guildId=guild, data=ban(user)).json()["jobId"]
        return job

    with (
        listen(served, guildId=OTHER, kinds="accepted") as of_guild,
        listen(served, types="KICK_USER,UNBAN_USER", kinds="accepted") as of_type,
        listen(served, types="BAN_USER", kinds="settled") as of_kind,
    ):
        send("BAN_USER", GUILD, "1100")
        kick = send("KICK_USER", GUILD, "1101")
        other = send("BAN_USER", OTHER, "1102")
        assert next(of_guild)["id"] == other
        assert next(of_type)["id"] == kick
        assert next(of_kind)["kind"] == "settled"
    with listen(served, jobId=other, after="x") as of_job:
        assert next(of_job)["kind"] == "gap"
        assert {event["id"] for event in of_job.until(settled)} == {other}


def test_roles_choose_among_what_is_addressed_to_roles(served: Served) -> None:
    with listen(served, kinds="published", roles="5") as stream:
        announce(served, GUILD, "for others", targetRoles=["6"])
        announce(served, GUILD, "for us", targetRoles=["5", "6"])
        announce(served, GUILD, "for all")
        assert [next(stream)["data"]["notification"]["title"] for _ in range(2)] == ["for us", "for all"]


def test_a_token_limited_to_guilds_hears_of_no_other(served: Served) -> None:
    with listen(served, token="C", kinds="accepted") as stream:
        served.send(guildId=OTHER, data=ban("1201"))
        ours = served.send(data=ban("1202")).json()["jobId"]
        assert next(stream)["id"] == ours
    with listen(served, token="C", guildId=OTHER) as stream:
        assert (stream.answer.status_code, stream.answer.json()["code"]) == (403, "other_guild")
    with listen(served, token="TWO", kinds="accepted") as stream:
        jobs = [served.send(guildId=guild, data=ban("1203")).json()["jobId"] for guild in (OTHER, GUILD)]
        assert [next(stream)["id"] for _ in jobs] == jobs


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"types": "NO_SUCH"}, "unknown_type"),
        ({"kinds": "settled,exploded"}, "invalid_message"),
        ({"guildId": ",".join("1" * (n + 1) for n in range(101))}, "invalid_message"),
        ({"roles": "x" * 200}, "invalid_message"),
        ({"colour": "red"}, "invalid_message"),
        ({"after": "x" * 65}, "invalid_message"),
    ],
)
def test_a_filter_that_means_nothing_is_refused(served: Served, query: dict[str, str], code: str) -> None:
    with listen(served, **query) as stream:
        assert (stream.answer.status_code, stream.answer.json()["code"]) == (422, code)


def test_the_stream_is_described(served: Served) -> None:
    described = served.client.get("/openapi.json").json()["paths"]["/api/events/stream"]["get"]
    assert list(described["responses"]["200"]["content"]) == ["text/event-stream"]
    assert {"401", "403", "422", "429", "503"} <= described["responses"].keys()
    names = {parameter["name"] for parameter in described["parameters"]}
    assert names == {"guildId", "types", "kinds", "jobId", "roles", "after", "Last-Event-ID"}


def test_a_quiet_stream_gives_signs_of_life_and_moves_the_cursor_on() -> None:
    with serve(prepare, stream_heartbeat=0.05) as served, listen(served, guildId=OTHER) as stream:
        stream.begin()
        began = stream.cursor
        served.send(data=ban("1"))  # of another guild: not for this reader, but its cursor passes it
        while stream.cursor == began:
            stream.begin()
        assert stream.cursor.partition(".")[0] == began.partition(".")[0]


def test_there_are_so_many_readers_and_no_more_until_one_leaves() -> None:
    with serve(prepare, stream_readers=2) as served:
        with listen(served), listen(served), listen(served) as third:
            assert third.answer.status_code == 429
            assert third.answer.json()["code"] == "too_many_readers"
            assert third.answer.headers["Retry-After"] == "5"
        for _ in range(1_000):
            with listen(served) as again:
                if again.answer.status_code == 200:
                    break
        else:
            raise AssertionError("the places of those who left are not free")


def test_a_reader_that_takes_nothing_is_cut_off_and_harms_nobody() -> None:
    text = "x" * 3_000
    with serve(prepare, write_timeout=0.2, stream_buffer=100_000) as served:
        log = served.router.hub.log()
        host, port = served.daemon.url.removeprefix("http://").split(":")
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            deaf.settimeout(PATIENCE)
            deaf.connect((host, int(port)))
            deaf.sendall(b"GET /api/events/stream?kinds=published HTTP/1.1\r\nHost: localhost\r\n\r\n")
            with listen(served, kinds="published") as quick:
                quick.begin()
                sent = 0
                while log.readers == 2 and sent < 3_000:
                    announce(served, GUILD, str(sent), notification=big(sent, text))
                    assert next(quick)["data"]["notification"]["title"] == str(sent)
                    sent += 1
                assert log.readers == 1, "the deaf reader is still there"


def big(number: int, text: str) -> dict[str, str]:
    return {"type": "UPDATE", "title": str(number), "message": text, "priority": "LOW"}


def test_streams_end_when_the_daemon_drains_and_tell_what_ended_in_it() -> None:
    begun, held = threading.Event(), threading.Event()

    def slow(router: Router) -> None:
        @router.handler("BAN_USER")
        def ban_user(command: object, ctx: object) -> None:
            begun.set()
            held.wait(PATIENCE)

    with serve(slow) as served, listen(served, kinds="started,settled") as stream:
        job = served.send(data=ban("1")).json()["jobId"]
        assert next(stream)["kind"] == "started"
        assert begun.wait(PATIENCE)  # what still waits for a thread goes back into its lane at the drain
        served.daemon.close()
        held.set()
        rest = list(stream)
        assert [(event["kind"], event["id"]) for event in rest] == [("settled", job)]
