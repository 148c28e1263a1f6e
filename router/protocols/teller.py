"""The actor of named queues, as those know it who have errands there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from actors.errand import Append, Look, Remove
from actors.outcome import Outcome
from actors.runtime.errors import MailboxFull, RuntimeFault
from router.protocols import results
from router.protocols.workshop import BUSY, STOPPED


class Teller(Protocol):
    """Its ref, or what stands for it. ``tell`` raises ``RuntimeFault`` when it is stopped, or has too much to do."""

    def tell(self, message: Append | Look | Remove) -> None:
        """What comes of it is told to the message's ``reply``."""


def send(named_queues: Callable[[], Teller], message: Append | Look | Remove) -> Outcome | None:
    """Tell it; the reason why not, if so."""
    try:
        named_queues().tell(message)
    except MailboxFull:
        return results.deferred("busy", "the named queues have too much to do", BUSY)
    except RuntimeFault:
        return results.deferred("shutting_down", "the named queues are stopped", STOPPED)
    return None
