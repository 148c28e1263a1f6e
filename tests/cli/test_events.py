"""``guild-router events`` against a daemon."""

from __future__ import annotations

import json
import signal
from pathlib import Path

from tests.cli.processes import running
from tests.http.daemons import GUILD, OTHER, ban, serve


def test_events_are_followed_as_lines_until_it_is_stopped(tmp_path: Path) -> None:
    with serve() as served, running("events", "--after", "0", "--url", served.daemon.url, cwd=tmp_path) as process:
        process.line_with("events are missing")  # the stream of this life begins here
        job = served.send(data=ban("1")).json()["jobId"]
        line = process.line_with(job)
        assert "accepted" in line
        assert f"BAN_USER guild {GUILD}" in line
        served.client.delete(f"/api/commands/{job}")
        assert "cancelled" in process.line_with("settled")
        process.signal(signal.SIGINT)
        assert process.ended() == 0


def test_as_json_each_line_is_an_object_with_a_cursor_to_go_on_after(tmp_path: Path) -> None:
    with serve() as served:
        first = served.send(data=ban("1")).json()["jobId"]
        served.send(data=ban("2"), guildId=OTHER)
        options = ("--json", "--guild", GUILD, "--kind", "accepted", "--url", served.daemon.url)
        with running("events", "--after", "0", "--limit", "2", *options, cwd=tmp_path) as process:
            assert process.ended() == 0
            gap, event = (json.loads(line) for line in process.lines)
        assert gap["kind"] == "gap"
        assert (event["kind"], event["id"], event["type"]) == ("accepted", first, "BAN_USER")
        second = served.send(data=ban("3")).json()["jobId"]
        with running("events", "--after", event["cursor"], "--limit", "1", *options, cwd=tmp_path) as process:
            assert process.ended() == 0
            assert [json.loads(line)["id"] for line in process.lines] == [second]


def test_what_the_daemon_refuses_and_a_daemon_that_is_not_there_are_one_line_and_status_1(tmp_path: Path) -> None:
    with serve() as served:
        url = served.daemon.url
        with running("events", "--type", "NO_SUCH", "--url", url, cwd=tmp_path) as process:
            assert process.ended() == 1
            assert "(unknown_type)" in process.lines[-1]
    with running("events", "--url", url, cwd=tmp_path) as process:
        assert process.ended() == 1
        assert "(unreachable)" in process.lines[-1]
    with running("events", "--url", "nonsense", cwd=tmp_path) as process:
        assert process.ended() == 2
