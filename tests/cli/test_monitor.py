"""``guild-router monitor``: what it shows, for as long as it runs."""

from __future__ import annotations

import io
import json
import signal
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from router.cli.breakers import span
from router.cli.monitor import Look, screen
from tests.cli.processes import running
from tests.http.daemons import GUILD, ban, serve


def shown(look: Look, before: Look | None = None) -> list[str]:
    text = io.StringIO()
    Console(file=text, width=160, color_system=None).print(screen(look, before, "http://here"))
    return text.getvalue().splitlines()


def seen(**changes: Any) -> dict[str, Any]:
    """What a daemon answers that holds one waiting command of a guild, and whose breaker is open."""
    metrics = dict.fromkeys(
        ("messagesPublished", "messagesConsumed", "messagesFailed", "messagesRetried", "duplicateOperations"), 10
    )
    times = {"answered": 4, "meanMs": 12.3, "objectiveMs": 1_000, "share": 0.75}
    metrics |= {
        "deadLetterMessages": 1,
        "guildsLive": 2,
        "topGuilds": [{"guildId": GUILD, "backlog": 7}],
        "scaling": {"queues": {"bot:music": {"backlog": 7, "oldestEligibleAge": 65_000}}},
        "objectives": {"critical": times, "low": times | {"objectiveMs": None}},
    } | changes
    counts = {"name": "bot:music", "waiting": 7, "active": 0, "completed": 3, "failed": 1, "dead": 1, "paused": True}
    breaker = {"name": "rest:\x1b[31mapi", "state": "open", "retryAfter": 4_200, "opened": 1}
    return {
        "health": {
            "overall": False,
            "overloaded": True,
            "load": {"level": 0.9, "cause": "memory"},
            "backlog": 7,
            "running": 0,
        },
        "metrics": metrics,
        "queues": {"queues": [counts]},
        "services": {"services": {}, "breakers": [breaker]},
        "alerts": {"alerts": [{"code": "queue_stalled", "severity": "critical", "about": "bot:music", "text": "dead"}]},
    }


def test_one_picture_has_queues_lanes_breakers_and_what_is_wrong() -> None:
    lines = shown(Look(0.0, seen()))
    assert "not healthy" in lines[0]
    assert "load 90% (memory)" in lines[0]
    assert "overloaded" in lines[0]

    def line_of(text: str) -> list[str]:
        return next(line for line in lines if line.startswith(text)).split()

    assert line_of("bot:music") == ["bot:music", "7", "0", "65.0", "s", "3", "1", "1", "paused"]
    assert line_of("rest:")[:5] == ["rest:\\x1b[31mapi", "open", "4.2", "s", "0"], "nothing that a terminal obeys"
    assert line_of(GUILD) == [GUILD, "7"]
    assert line_of("critical") == ["critical", "4", "12", "ms", "1.0", "s", "75.0%"]
    assert line_of("queue_stalled") == ["queue_stalled", "bot:music", "dead"]


def test_a_store_that_is_away_is_told_in_its_place_and_the_rest_goes_on() -> None:
    lines = shown(Look(0.0, seen(deadLetterMessages=None) | {"queues": None}))
    assert "the store does not answer" in [line.strip() for line in lines]
    assert any(line.startswith("critical") for line in lines)
    line = next(line for line in lines if line.startswith(" ") and line.split()[-1:] == ["-"])
    assert line.split() == [*["10"] * 5, "-"]


def test_rates_are_of_the_time_between_two_looks_and_never_negative() -> None:
    later = seen(messagesPublished=30, messagesConsumed=5)
    line = next(line for line in shown(Look(4.0, later), Look(0.0, seen())) if line.startswith("now"))
    assert line.split() == ["now", "5.0/s", "0.0/s", "0.0/s", "0.0/s", "0.0/s"]


@pytest.mark.parametrize(
    ("ms", "text"),
    [(None, ""), (0, "0 ms"), (999, "999 ms"), (1_500, "1.5 s"), (600_000, "10 min"), (90_000_000, "25 h")],
)
def test_spans_are_told_as_a_person_reads_them(ms: int | None, text: str) -> None:
    assert span(ms) == text


def test_it_goes_on_until_it_is_told_to_stop_with_one_document_for_each_look(tmp_path: Path) -> None:
    with serve() as served:
        served.send(data=ban(), delayMs=60_000)
        with running("monitor", "--json", "--interval", "0.2", "--url", served.daemon.url, cwd=tmp_path) as process:
            looks = [json.loads(process.line_with("{")) for _ in range(3)]
            process.signal(signal.SIGINT)
            assert process.ended() == 130
        assert {look["health"]["overall"] for look in looks} == {True}
        assert {look["metrics"]["scaling"]["queues"]["bot:moderation"]["backlog"] for look in looks} == {1}
        stamps = [look["health"]["timestamp"] for look in looks]
        assert stamps == sorted(set(stamps))
