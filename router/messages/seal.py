"""From message to envelope and back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from hashlib import blake2b

from actors.codec import HEADER_NAME, HEADER_VALUE, HEADERS, PROTOCOLS, check_text, pack
from actors.envelope import Envelope
from actors.errors import EnvelopeError
from router.errors import InvalidMessage, shape
from router.messages.address import GLOBAL, actor_of, guild_of, instant_of
from router.messages.base import Message
from router.messages.body import pack_body, unpack_body, with_field
from router.messages.canonical import Unfit, invalid
from router.messages.deadlines import time_to_start
from router.messages.fields import ID_RULE, LINE_PATTERN, is_id
from router.messages.layout import layout_of
from router.messages.priority import Priority, priority_of
from router.messages.registry import Catalog, catalog
from router.messages.wire import read_payload

LATEST = (1 << 53) - 1

_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}", re.ASCII)
_LINE = re.compile(LINE_PATTERN)
_NO_HEADERS: Mapping[str, str] = {}


def seal(
    message: Message,
    *,
    id: str,
    now: int,
    source: str,
    priority: Priority | int | str | None = None,
    delay_ms: int = 0,
    at: int | None = None,
    expires_in_ms: int | None = None,
    realtime: bool = False,
    reliable: bool = False,
    idempotency_key: str = "",
    protocols: Sequence[str] = (),
    user: str = "",
    sender: str = "",
    sender_sequence: int = 0,
    request_id: str = "",
    correlation_id: str = "",
    reply_to: str = "",
    headers: Mapping[str, str] = _NO_HEADERS,
    created_at: int | None = None,
) -> Envelope:
    """The envelope of a message, ready to be stored.

    Times are ms: ``now``, ``at`` and ``created_at`` since the epoch, ``delay_ms`` and ``expires_in_ms`` from ``now``; a
    deadline and the duration of a ban or timeout count from the moment it is due. ``user`` overrides the acting user.
    Raises ``InvalidMessage``.
    """
    operation = message.__operation__
    layout = layout_of(type(message))
    _check_names(id, source, user)
    due_at = _due(message, now, delay_ms, at)
    level = operation.priority if priority is None else priority_of(priority)
    actor = user or actor_of(message)
    guild = guild_of(message, actor)
    subject = layout.subject(message)
    if len(subject) > 128 or not (subject.isprintable() or _LINE.fullmatch(subject)):
        rule = "must be at most 128 characters, none of them a control character or line break"
        raise InvalidMessage(f"subject {operation.subject}", rule, shape(subject))
    begins = due_at or now
    if expires_in_ms is None:
        expires_at = begins + time_to_start(level, realtime=realtime, reliable=reliable, own=operation.expires)
    else:
        expires_at = begins + _span("ttlMs", expires_in_ms, 1)

    try:
        payload = layout.payload(message)
    except Unfit as error:
        raise invalid("data", error) from None
    body = pack_body(payload)
    fingerprint = layout.fingerprint(body)
    if idempotency_key:
        _check_texts((("idempotencyKey", idempotency_key, 255),), _NO_HEADERS, ())
        key = blake2b(pack([guild, idempotency_key]), digest_size=16, person=b"idempotency").digest()
    elif layout.keyed and not operation.read_only:  # queries are shared before they are sent
        key = layout.operation_key(guild, payload)
    else:
        key = b""
    # After key and fingerprint: an instant made here differs at every repeat of the same wish.
    if operation.resolves is not None and (instant := instant_of(message, begins)) is not None:
        body = with_field(body, layout.instant, instant[operation.resolves[1]])

    if sender or request_id or correlation_id or reply_to or headers or protocols:
        texts = (
            ("sender", sender, 128),
            ("requestId", request_id, 128),
            ("correlationId", correlation_id, 128),
            ("replyTo", reply_to, 256),
        )
        _check_texts(texts, headers, protocols)
    if sender_sequence and not sender:
        raise InvalidMessage("sender", "is required with senderSequence")
    return Envelope._make(
        (
            id,
            operation.type,
            operation.kind,
            guild,
            subject,
            operation.queue,
            level,
            now if created_at is None else _span("createdAt", created_at, 0),
            expires_at,
            due_at,
            key,
            fingerprint,
            idempotency_key,
            source,
            actor,
            request_id,
            correlation_id,
            reply_to,
            realtime,
            reliable,
            tuple(protocols),
            sender,
            sender_sequence and _span("senderSequence", sender_sequence, 0),
            tuple(headers.items()) if headers else (),
            (),
            body,
        )
    )


def unseal(envelope: Envelope, catalog: Catalog = catalog) -> Message:
    """The message in an envelope. Raises ``UnknownType`` or ``InvalidMessage``."""
    cls = catalog.find(envelope.type)
    payload = unpack_body(envelope.body)
    guild: str | None = envelope.guild
    if guild == GLOBAL or envelope.guild.startswith("user:") or payload.get(layout_of(cls).tenant) == guild:
        guild = None  # derived from the rest, and will be again
    return read_payload(cls, payload, guild_id=guild, actor_id=envelope.user or None)


def _check_names(id_: str, source: str, user: str) -> None:
    if type(id_) is not str or not _ID.fullmatch(id_):
        raise InvalidMessage("id", "must be 1 to 128 of A-Z a-z 0-9 _ . : -", shape(id_))
    if len(source) > 32 or not source.isprintable():
        raise InvalidMessage("source", "must be at most 32 printable characters", shape(source))
    if user and not is_id(user):
        raise InvalidMessage("userId", ID_RULE, shape(user))


def _due(message: Message, now: int, delay_ms: int, at: int | None) -> int:
    """When it enters its lane; 0: at once."""
    if delay_ms and at is not None:
        raise InvalidMessage("delayMs", "cannot be given together with at")
    if at is not None:
        return at if _span("at", at, 0) > now else 0
    if not delay_ms and message.__operation__.delay:
        delay_ms = message.__dict__[message.__operation__.delay] or 0
    return now + delay_ms if delay_ms and _span("delayMs", delay_ms, 0) else 0


def _span(field: str, value: int, least: int) -> int:
    if type(value) is not int or not least <= value <= LATEST // 2:
        raise InvalidMessage(field, f"must be an integer from {least} to {LATEST // 2}", shape(value))
    return value


def _check_texts(texts: tuple[tuple[str, str, int], ...], headers: Mapping[str, str], protocols: Sequence[str]) -> None:
    """The header's free texts, by the rules that hold for every frame."""
    field = ""
    try:
        for field, text, most in texts:
            if text != "":
                check_text(text, field, 1, most)
        field = "protocols"
        for protocol in protocols:
            check_text(protocol, field, 1, 32)
        field = "headers"
        for name, value in headers.items():
            check_text(name, field, 1, HEADER_NAME)
            check_text(value, field, 0, HEADER_VALUE)
    except EnvelopeError as error:
        raise InvalidMessage(field, str(error).removeprefix(f"{error.field} ")) from None
    if len(headers) > HEADERS or len(protocols) > PROTOCOLS:
        field = "headers" if len(headers) > HEADERS else "protocols"
        raise InvalidMessage(field, f"must be at most {HEADERS} headers and {PROTOCOLS} protocols")
