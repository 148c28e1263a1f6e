"""DEBUG patterns, and lines that cannot be forged."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

from router.logs import COMPONENTS, OneLine, debug_loggers


def test_the_seeds_patterns_turn_on_their_components() -> None:
    chosen = debug_loggers("queue:*,websocket:*,circuit-breaker:*")
    for component, loggers in COMPONENTS.items():
        family = component.partition(":")[0]
        assert (set(loggers) <= chosen) == (family in {"queue", "websocket", "circuit-breaker"}), component


@pytest.mark.parametrize(
    ("patterns", "logger"),
    [
        ("queue:unified-processor", "guild_router.guild"),
        ("queue:health-monitor", "guild_router.health"),
        ("queue:deduplicator", "guild_router.deduplicator"),
        ("queue:deduplicator:*", "guild_router.deduplicator"),
        ("queue:deduplication:*", "guild_router.deduplicator"),
        ("queue:performance", "guild_router.performance"),
        ("something:else queue:named", "actors.queues"),
        ("*", "actors.runtime"),
    ],
)
def test_a_component_turns_on_its_loggers(patterns: str, logger: str) -> None:
    assert logger in debug_loggers(patterns)


@pytest.mark.parametrize("patterns", ["", "1", "true", "express:*", "-queue:*"])
def test_what_other_programs_mean_by_debug_turns_on_nothing(patterns: str) -> None:
    assert debug_loggers(patterns) == frozenset()


def test_a_minus_takes_away() -> None:
    chosen = debug_loggers("-queue:journal,queue:*")
    assert "guild_router.guild" in chosen
    assert "guild_router.journal" not in chosen


def test_a_hostile_id_cannot_forge_a_line() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "id %s", ("a\r\n2024 ERROR forged\x1b[31m\u2028",), None)
    line = OneLine().format(record)
    assert "\n" not in line
    assert "\x1b" not in line
    assert r"a\r\n2024 ERROR forged\x1b[31m\u2028" in line


def test_every_logger_of_the_code_belongs_to_a_component() -> None:
    root = Path(__file__).parents[2]
    known = tuple({logger for loggers in COMPONENTS.values() for logger in loggers})
    named = re.compile(r"getLogger\((?:\"([^\"]+)\"|(__name__))\)")
    for package in ("actors", "router"):
        for path in (root / package).rglob("*.py"):
            for match in named.finditer(path.read_text("utf-8")):
                name = match[1] or ".".join(path.relative_to(root).with_suffix("").parts)
                assert name.startswith(known), f"{path}: {name}"
