"""Logging of the daemon: one line per record, and ``DEBUG=queue:*,websocket:*`` per component."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from fnmatch import fnmatchcase
from time import gmtime

#: component, as DEBUG names it -> the loggers behind it
COMPONENTS: Mapping[str, tuple[str, ...]] = {
    "queue:unified-processor": (
        "guild_router.router",
        "guild_router.engine",
        "guild_router.intake",
        "guild_router.guild",
    ),
    "queue:deduplicator": ("guild_router.deduplicator",),
    "queue:deduplication:operations": ("guild_router.deduplicator",),
    "queue:journal": ("guild_router.journal", "guild_router.store"),
    "queue:named": ("actors.queues", "router.protocols.queue"),
    "queue:handlers": ("router.protocols.handlers",),
    "queue:schedules": ("guild_router.schedules",),
    "queue:worker": ("guild_router.worker", "actors.keeper"),
    "queue:health-monitor": ("guild_router.health",),
    "queue:performance": ("guild_router.performance",),
    "queue:events": ("guild_router.hub",),
    "cluster:partitions": ("guild_router.partitions",),
    "cluster:steward": ("guild_router.steward",),
    "cluster:news": ("guild_router.news",),
    "cluster:workers": ("guild_router.foreman",),
    "websocket:protocol": ("router.protocols.websocket",),
    "websocket:client": ("router.client",),
    "rest:protocol": ("router.protocols.rest",),
    "circuit-breaker:breaker": ("guild_router.breaker",),
    "circuit-breaker:adapter": ("guild_router.adapter",),
    "queue:permissions": ("router.permissions",),
    "http:door": ("router.http",),
    "http:server": ("uvicorn",),
    "actors:runtime": ("actors.runtime",),
}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def debug_loggers(patterns: str) -> frozenset[str]:
    """The loggers that ``patterns`` turn on: a list by comma or space; ``*`` matches anything, ``-`` takes away.

    The variable is shared by custom with other programs, so what matches nothing of ours is not an error.
    """
    chosen: set[str] = set()
    parts = [part for part in re.split(r"[\s,]+", patterns) if part]
    for part in parts:
        if not part.startswith("-"):
            chosen |= _matching(part)
    for part in parts:
        if part.startswith("-"):
            chosen -= _matching(part[1:])
    return frozenset(chosen)


def _matching(pattern: str) -> set[str]:
    # ``queue:deduplicator:*`` names the component and everything below it
    family = pattern.removesuffix(":*")
    return {
        logger
        for component, loggers in COMPONENTS.items()
        if component == family or fnmatchcase(component, pattern)
        for logger in loggers
    }


class OneLine(logging.Formatter):
    """Time (UTC), level, logger, message; control characters are escaped, so no id can forge a line."""

    converter = staticmethod(gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name is logging's
        return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), super().formatMessage(record))


def configure(level: str, debug: str) -> None:
    """Log to standard error from now on; for the daemon's own process, never for a program we are embedded in."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine())
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in debug_loggers(debug):
        logging.getLogger(name).setLevel(logging.DEBUG)
