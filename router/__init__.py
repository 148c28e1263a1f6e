"""guild-router: a command router for bots in many guilds."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from router.errors import InvalidMessage, RouterError, UnknownType
    from router.messages.priority import Priority
    from router.protocols.marks import handles
    from router.protocols.signals import Fail, InDoubt, Noop, Reject, RetryLater
    from router.reply import Acceptance, Reply
    from router.response import Response
    from router.router import Router
    from router.settings import Settings

__all__ = [
    "Acceptance",
    "Fail",
    "InDoubt",
    "InvalidMessage",
    "Noop",
    "Priority",
    "Reject",
    "Reply",
    "Response",
    "RetryLater",
    "Router",
    "RouterError",
    "Settings",
    "UnknownType",
    "handles",
]

# Looked up when asked for: the terminal's commands need no engine and no catalog, which take a second to import.
_HOMES = {
    "Acceptance": "router.reply",
    "Fail": "router.protocols.signals",
    "InDoubt": "router.protocols.signals",
    "InvalidMessage": "router.errors",
    "Noop": "router.protocols.signals",
    "Priority": "router.messages.priority",
    "Reject": "router.protocols.signals",
    "Reply": "router.reply",
    "Response": "router.response",
    "RetryLater": "router.protocols.signals",
    "Router": "router.router",
    "RouterError": "router.errors",
    "Settings": "router.settings",
    "UnknownType": "router.errors",
    "handles": "router.protocols.marks",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
