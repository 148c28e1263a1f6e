"""An envelope as bots get it, over a socket or in a request."""

from __future__ import annotations

from typing import Any

from actors import codec
from actors.envelope import Envelope
from actors.errors import EnvelopeError
from router.frames.from_router import Sealed


def sealed(envelope: Envelope) -> Sealed:
    """What is not set is left out; raises ``EnvelopeError`` for a body that is no map."""
    data: Any = codec.unpack(envelope.body) if envelope.body else {}
    if not isinstance(data, dict):
        raise EnvelopeError("body is not a map", field="body")
    return Sealed.model_construct(
        id=envelope.id,
        type=envelope.type,
        kind=envelope.kind,
        guild_id=envelope.guild,
        subject=envelope.subject,
        queue=envelope.queue,
        priority=envelope.priority,
        user_id=envelope.user or None,
        created_at=envelope.created_at,
        expires_at=envelope.expires_at,
        idempotency_key=envelope.idempotency_key or None,
        request_id=envelope.request_id or None,
        correlation_id=envelope.correlation_id or None,
        source=envelope.source or None,
        headers=dict(envelope.headers),
        data=data,
    )
