"""What a schedule sends, as lines of a history: it is a client that sends each tick under a key made of the tick."""

from __future__ import annotations

import time
from collections.abc import Iterable

from tests.history.events import Begin, Event, Invoke, Ok

PREFIX = "schedule:"


def sent_by_schedules(events: Iterable[Event]) -> list[Event]:
    """A send at its tick, and its acceptance, for every tick of which a command began."""
    firsts: dict[str, Begin] = {}
    for event in events:
        if isinstance(event, Begin) and event.key.startswith(PREFIX):
            firsts.setdefault(event.key, event)
    lines: list[Event] = []
    since = time.time_ns() - time.monotonic_ns()
    for key, begin in firsts.items():
        sent, call = min(_tick(key) * 1_000_000 - since, begin.at - 2), f"call of {key}"
        lines.append(
            Invoke(
                at=sent,
                by="schedule",
                call=call,
                key=key,
                payload=begin.payload,
                guild=begin.guild,
                subject=begin.subject,
            )
        )
        lines.append(Ok(at=begin.at - 1, by="schedule", call=call, id=begin.id, sequence=begin.sequence))
    return lines


def ticks(events: Iterable[Event]) -> dict[str, list[int]]:
    """Of each schedule those of which a command began, ms since the epoch, rising."""
    found: dict[str, list[int]] = {}
    for event in sent_by_schedules(events):
        if isinstance(event, Invoke):
            name = event.key.removeprefix(PREFIX).rpartition(".")[0]
            found.setdefault(name, []).append(_tick(event.key))
    return {name: sorted(each) for name, each in found.items()}


def _tick(key: str) -> int:
    return int(key.rpartition(".")[2])
