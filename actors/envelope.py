"""The envelope: what travels between actors, stores and protocols instead of a message."""

from __future__ import annotations

from typing import NamedTuple


class Envelope(NamedTuple):
    """One message on its way: a readable header and a body nobody in the engine decodes.

    All times are milliseconds since the epoch. A text field that is not set is ``""``, a time or number ``0``.
    """

    id: str  #: UUIDv7 in its canonical text form; equal ids are one envelope, whoever stores it twice
    type: str  #: the catalog's name, such as ``BAN_USER``
    kind: str  #: ``command``, ``event``, ``notification`` or ``task``
    guild: str  #: tenant and unit of order: a guild id, ``user:<id>``, or ``global``
    subject: str  #: what it acts on inside its guild; (guild, subject) is the lane
    queue: str  #: the catalog's queue name, such as ``bot:moderation``
    priority: int  #: 1 (lowest) to 10
    created_at: int  #: by the sender's clock
    expires_at: int  #: not started later than this
    due_at: int = 0  #: enters its lane at this time; 0: at once
    key: bytes = b""  #: operation key, 16 bytes; empty: never a duplicate
    fingerprint: bytes = b""  #: identity of type and payload, 16 bytes
    idempotency_key: str = ""  #: as the sender gave it; when set, equal keys must have equal fingerprints
    source: str = ""  #: the door: ``library``, ``proxy``, ``rest``, ``websocket``, ``queue``, ``schedule``
    user: str = ""  #: the acting user
    request_id: str = ""
    correlation_id: str = ""
    reply_to: str = ""
    realtime: bool = False  #: the sender wants the fastest protocol first
    reliable: bool = False  #: the sender wants the most durable protocol first
    protocols: tuple[str, ...] = ()  #: the sender's own plan; empty: decided by policy
    sender: str = ""  #: with ``sender_sequence``: who numbers its messages
    sender_sequence: int = 0  #: 1, 2, 3 ... by ``sender``; 0: not numbered
    headers: tuple[tuple[str, str], ...] = ()
    extra: tuple[object, ...] = ()  #: header fields of a newer minor version, passed on untouched
    body: bytes = b""  #: msgpack map of the payload

    @property
    def lane(self) -> tuple[str, str]:
        """(guild, subject): strict FIFO, one in flight."""
        return (self.guild, self.subject)
