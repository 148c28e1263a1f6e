"""DEBUG patterns, and lines that cannot be forged."""

from __future__ import annotations

import logging

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
        ("queue:unified-processor", "actors.guild"),
        ("queue:health-monitor", "actors.health"),
        ("queue:deduplicator", "actors.deduplicator"),
        ("queue:deduplicator:*", "actors.deduplicator"),
        ("queue:deduplication:*", "actors.policy.conflicts"),
        ("queue:performance", "router.performance"),
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
    assert "actors.guild" in chosen
    assert "actors.journal" not in chosen


def test_a_hostile_id_cannot_forge_a_line() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "id %s", ("a\r\n2024 ERROR forged\x1b[31m\u2028",), None)
    line = OneLine().format(record)
    assert "\n" not in line
    assert "\x1b" not in line
    assert r"a\r\n2024 ERROR forged\x1b[31m\u2028" in line
