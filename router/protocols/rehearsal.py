"""What a test of a protocol holds in its hands: a bench, two commands, a ``done`` that collects."""

# ruff: noqa: S101 - asserts are what it is for

from __future__ import annotations

from threading import Condition
from typing import Any, Protocol

from actors.ports import ExecutionProtocol
from router.messages.base import Message
from router.messages.communication import SendMessage
from router.messages.moderation import BanUser

CAP = 30.0  # seconds a test waits for what must come


class Bench(Protocol):
    """A protocol ready for use, and what belongs to it."""

    protocol: ExecutionProtocol

    def now(self) -> int:
        """Its clock, in ms since the epoch."""

    def advance(self, seconds: float) -> None:
        """Move its clock."""

    def close(self) -> None:
        """End everything."""


class Outcomes:
    """A ``done`` that collects."""

    def __init__(self) -> None:
        self._changed = Condition()
        self.all: list[Any] = []

    def __call__(self, outcome: Any, _data: bytes = b"", /) -> None:
        with self._changed:
            self.all.append(outcome)
            self._changed.notify_all()

    def wait(self, count: int = 1) -> list[Any]:
        """The first ``count``, as soon as they are there."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.all) >= count, CAP), f"{len(self.all)} of {count} came"
            return self.all[:count]

    @property
    def one(self) -> Any:
        """The only one."""
        (only,) = self.wait()
        return only


def ban(**fields: Any) -> Message:
    """A command whose repetition does no harm."""
    return BanUser(guild_id="1" * 17, user_id="2" * 17, moderator_id="3" * 17, reason="spam", **fields)


def say(text: str = "hello") -> Message:
    """A command whose repetition shows."""
    return SendMessage(guild_id="1" * 17, channel_id="4" * 17, content=text)
