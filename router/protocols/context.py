"""What a handler is told beside its command."""

from __future__ import annotations

import logging
import re
from collections.abc import MutableMapping
from typing import Any

from actors.envelope import Envelope
from actors.ports import Ticket

AUDIT_REASON = 512  # code points; Discord refuses the whole action when it is longer
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")

logger = logging.getLogger("router.protocols.handlers")


class Context:
    """One attempt, as its handler sees it. Times are ms since the epoch; what is not set is ``""`` or ``0``."""

    __slots__ = ("_command", "_logger", "attempt", "deadline", "envelope", "fencing_token", "sequence")

    def __init__(self, ticket: Ticket, command: object, deadline: int) -> None:
        self.envelope: Envelope = ticket.envelope
        self.sequence = ticket.sequence  #: the guild's number for it: 1, 2, 3 ...
        self.attempt = ticket.attempt  #: 1 for the first
        self.deadline = deadline  #: the attempt is given up then
        self.fencing_token = ticket.token  #: of the router that owns the guild; 0: it is alone
        self._command = command
        self._logger: logging.LoggerAdapter[logging.Logger] | None = None

    @property
    def id(self) -> str:
        """The envelope's id; the same in every attempt."""
        return self.envelope.id

    @property
    def idempotency_key(self) -> str:
        """To pass on to whoever deduplicates further down: the sender's key, else the envelope's id."""
        return self.envelope.idempotency_key or self.envelope.id

    @property
    def audit_reason(self) -> str:
        """For the audit log of the chat service: the command's reason and who asked, in at most 512 code points."""
        reason = getattr(self._command, "reason", None)
        text = _CONTROL.sub(" ", reason).strip() if isinstance(reason, str) else ""
        user = self.envelope.user
        tail = f" (by {user})" if user else ""
        text = text or self.envelope.type
        room = AUDIT_REASON - len(tail)
        return (text if len(text) <= room else text[: room - 1] + "…") + tail

    @property
    def logger(self) -> logging.LoggerAdapter[logging.Logger]:
        """Logs with the command's type, id and guild in front."""
        if self._logger is None:
            its = self.envelope
            self._logger = _Prefixed(logger, {"envelope_id": its.id, "guild": its.guild, "type": its.type})
        return self._logger


class _Prefixed(logging.LoggerAdapter[logging.Logger]):
    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        extra: Any = self.extra
        kwargs["extra"] = {**extra, **(kwargs.get("extra") or {})}
        # The ids cannot hold a percent sign, so they are safe in front of a format.
        return f"{extra['type']} {extra['envelope_id']} of {extra['guild']}: {msg}", kwargs
