"""The actor of named queues, as those know it who have errands there."""

from __future__ import annotations

from typing import Protocol

from actors.errand import Append, Look, Remove


class Teller(Protocol):
    """Its ref, or what stands for it. ``tell`` raises ``RuntimeFault`` when it is stopped, or has too much to do."""

    def tell(self, message: Append | Look | Remove) -> None:
        """What comes of it is told to the message's ``reply``."""
