"""guild-router: a command router for bots in many guilds."""

from __future__ import annotations

from router.errors import InvalidMessage, RouterError, UnknownType
from router.messages.priority import Priority
from router.protocols.marks import handles
from router.protocols.signals import Noop, Reject, RetryLater
from router.reply import Acceptance, Reply
from router.response import Response
from router.router import Router
from router.settings import Settings

__all__ = [
    "Acceptance",
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
