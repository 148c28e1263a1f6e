"""Tickets for tests."""

from __future__ import annotations

from itertools import count
from typing import Any

from actors.codec import encode
from actors.ports import Ticket
from router.messages.seal import seal

_numbers = count(1)


def ticket(bench: Any, message: Any, attempt: int = 1, deadline: int = 0, **sealed: Any) -> Ticket:
    """Of a new envelope."""
    envelope = seal(message, id=f"t{next(_numbers)}", now=bench.now(), source="library", **sealed)
    return Ticket(envelope, encode(envelope), attempt, deadline, sequence=7, token=3)
