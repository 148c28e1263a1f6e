"""The codec: envelopes and opaque values as bytes. The only user of msgpack in the engine.

A frame is one msgpack array of four: ``[major, minor, header, body]``. ``header`` is an array of the envelope's
fields in the order of ``Envelope``, from ``id`` to ``headers``; ``body`` is binary: the msgpack map of the payload, or
empty.
A newer minor version may only append fields to ``header``; they are kept as ``Envelope.extra = (minor, *fields)`` and
written again behind our own, under their minor. Another major version is refused.

Bytes of a stranger are scanned before anything is built from them (``actors.scan``); bytes of our own store are
``trusted`` and only have to have the shape. Whatever is wrong is one error, ``actors.errors.EnvelopeError``, whose
``field`` says where.
"""

from __future__ import annotations

import re

import msgpack  # type: ignore[import-untyped]  # it ships no types

from actors.envelope import Envelope
from actors.errors import EnvelopeError
from actors.scan import Bounds, scan

MAJOR = 1
MINOR = 0
FRAME_BYTES = 1 << 20
BODY = Bounds(depth=32, elements=10_000, string=1 << 19)
ENVELOPE = Bounds(depth=8, elements=1_000, string=FRAME_BYTES)  #: the frame around the body
EXTRA_FIELDS = 64
HEADERS = 64
HEADER_NAME = 128
HEADER_VALUE = 4_096
PROTOCOLS = 8
NUMBER = (1 << 53) - 1  #: the largest integer that every JSON reader keeps
KINDS = frozenset({"command", "event", "notification", "task"})

_FIELDS = Envelope._fields.index("extra")  # header fields of our own minor version
_PEEK = 4_096  # a header is usually below 1 KiB; more is read when it is not

_TEXT_LIMITS = {  # characters, least and most
    "type": (1, 128),
    "subject": (0, 128),
    "queue": (1, 128),
    "idempotency_key": (0, 255),
    "source": (0, 32),
    "user": (0, 64),
    "request_id": (0, 128),
    "correlation_id": (0, 128),
    "reply_to": (0, 256),
    "sender": (0, 128),
}
_NUMBERS = ("created_at", "expires_at", "due_at", "sender_sequence")
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_GUILD = re.compile(r"(?:user:)?[A-Za-z0-9_-]{1,64}")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")  # breaks lines, terminals or UTF-8

# ---------------------------------------------------------------- envelopes


def encode(envelope: Envelope) -> bytes:
    """The frame. Raises ``EnvelopeError`` for values that have no encoding and for frames over ``FRAME_BYTES``."""
    extra, body = envelope.extra, envelope.body
    header: tuple[object, ...] = envelope[:_FIELDS]
    minor = MINOR
    if extra:
        minor, header = _newer_minor(extra), (*header, *extra[1:])
    if type(body) is not bytes:
        raise EnvelopeError(f"body is {type(body).__name__}, not bytes", field="body")
    try:
        frame = _packed((MAJOR, minor, header, body), "header")
    except EnvelopeError:
        for field, value in zip(Envelope._fields, envelope, strict=True):
            _packed(value, field)  # the one to blame
        raise
    if len(frame) > FRAME_BYTES:
        raise EnvelopeError(f"a frame of {len(frame)} bytes, at most {FRAME_BYTES} are allowed", field="frame")
    return frame


def decode(frame: bytes, *, trusted: bool = False) -> Envelope:
    """The envelope of a frame.

    ``trusted``: the frame was encoded here, so limits, the fields' types and the body are not checked again.
    """
    if not trusted:
        if len(frame) > FRAME_BYTES:
            raise EnvelopeError(f"a frame of {len(frame)} bytes, at most {FRAME_BYTES} are allowed", field="frame")
        scan(frame, ENVELOPE, "frame")
    try:
        major, minor, header, body = msgpack.unpackb(frame, use_list=False)
        envelope = _built(major, minor, header, body)
    except _UNREADABLE as error:
        raise _unreadable(error, "frame") from error
    if not trusted:
        check_envelope(envelope)
    return envelope


def peek(frame: bytes) -> Envelope:
    """The envelope without its body (``body`` is empty), at the same cost however large the body is.

    For frames that were decoded or encoded here before: nothing is checked but the shape of the header.
    """
    size = min(len(frame), _PEEK)
    while True:
        try:
            if size == len(frame):
                major, minor, header, _ = msgpack.unpackb(frame, use_list=False)
            else:
                major, minor, header = _beginning(frame, size)
            return _built(major, minor, header, b"")
        except msgpack.OutOfData:  # only while not all of the frame was read
            size = min(size * 8, len(frame))
        except _UNREADABLE as error:
            raise _unreadable(error, "frame") from error


def _beginning(frame: bytes, size: int) -> tuple[object, object, object]:
    """Major, minor and header from the first ``size`` bytes, which are all that is copied."""
    reader = msgpack.Unpacker(use_list=False, max_buffer_size=size)
    reader.feed(memoryview(frame)[:size])
    if reader.read_array_header() != 4:
        raise EnvelopeError("frame is not an array of four", field="frame")
    return reader.unpack(), reader.unpack(), reader.unpack()


def _built(major: object, minor: object, header: object, body: object) -> Envelope:
    if major != MAJOR or type(major) is not int:
        shown = major if type(major) is int else type(major).__name__
        raise EnvelopeError(f"major version {shown}, only {MAJOR} is known here", field="major")
    if type(header) is not tuple or len(header) < _FIELDS:
        raise EnvelopeError(f"header is not an array of at least {_FIELDS}", field="header")
    if type(body) is not bytes:
        raise EnvelopeError(f"body is {type(body).__name__}, not bytes", field="body")
    if type(minor) is not int or minor < MINOR or (minor == MINOR and len(header) > _FIELDS):
        raise EnvelopeError("minor does not fit the header", field="minor")
    if minor == MINOR:
        return Envelope._make((*header, (), body))
    # Fields we do not know are kept, never read.
    return Envelope._make((*header[:_FIELDS], (minor, *header[_FIELDS:]), body))


def check_envelope(envelope: Envelope) -> None:
    """What every door holds an envelope to, whoever built it; raises ``EnvelopeError`` with the field."""
    for field, (least, most) in _TEXT_LIMITS.items():
        check_text(getattr(envelope, field), field, least, most)
    for field in _NUMBERS:
        _check_number(getattr(envelope, field), field, 0, NUMBER)
    _check_number(envelope.priority, "priority", 1, 10)
    if type(envelope.id) is not str or not _ID.fullmatch(envelope.id):
        raise EnvelopeError("id is not 1 to 128 of A-Z a-z 0-9 _ . : -", field="id")
    if type(envelope.guild) is not str or not _GUILD.fullmatch(envelope.guild):
        raise EnvelopeError("guild is not 1 to 64 of A-Z a-z 0-9 _ -, or those after 'user:'", field="guild")
    if type(envelope.kind) is not str or envelope.kind not in KINDS:
        raise EnvelopeError(f"kind is not one of {', '.join(sorted(KINDS))}", field="kind")
    for field in ("key", "fingerprint"):
        value = getattr(envelope, field)
        if type(value) is not bytes or len(value) not in (0, 16):
            raise EnvelopeError(f"{field} is not empty and not 16 bytes", field=field)
    for field in ("realtime", "reliable"):
        if type(getattr(envelope, field)) is not bool:
            raise EnvelopeError(f"{field} is not a boolean", field=field)
    if envelope.sender_sequence and not envelope.sender:
        raise EnvelopeError("sender_sequence without a sender", field="sender")
    _check_lists(envelope)
    check_body(envelope.body)


def _check_lists(envelope: Envelope) -> None:
    protocols, headers, extra = envelope.protocols, envelope.headers, envelope.extra
    if type(protocols) is not tuple or len(protocols) > PROTOCOLS:
        raise EnvelopeError(f"protocols is not a list of at most {PROTOCOLS}", field="protocols")
    for protocol in protocols:
        check_text(protocol, "protocols", 1, 32)
    if type(headers) is not tuple or len(headers) > HEADERS:
        raise EnvelopeError(f"headers is not a list of at most {HEADERS}", field="headers")
    for pair in headers:
        if type(pair) is not tuple or len(pair) != 2:
            raise EnvelopeError("headers has something that is not a pair", field="headers")
        check_text(pair[0], "headers", 1, HEADER_NAME)
        check_text(pair[1], "headers", 0, HEADER_VALUE)
    if type(extra) is not tuple or len(extra) > 1 + EXTRA_FIELDS:
        raise EnvelopeError(f"more than {EXTRA_FIELDS} fields that are not known here", field="extra")


def check_text(value: object, field: str, least: int, most: int) -> None:
    """Text of a header: ``least`` to ``most`` characters, none of them a control character or line break."""
    if type(value) is not str:
        raise EnvelopeError(f"{field} is {type(value).__name__}, not text", field=field)
    if not least <= len(value) <= most:
        raise EnvelopeError(f"{field} has {len(value)} characters, not {least} to {most}", field=field)
    if _CONTROL.search(value):
        raise EnvelopeError(f"{field} has a control character", field=field)


def _check_number(value: object, field: str, least: int, most: int) -> None:
    if type(value) is not int or not least <= value <= most:
        raise EnvelopeError(f"{field} is not an integer from {least} to {most}", field=field)


def _newer_minor(extra: tuple[object, ...]) -> int:
    minor = extra[0]
    if type(minor) is not int or minor <= MINOR:
        raise EnvelopeError("extra does not begin with its minor version", field="extra")
    return minor


# ---------------------------------------------------------------- bodies and opaque values


def check_body(body: bytes) -> None:
    """A body is empty, or a msgpack map within ``BODY``; what passes can be decoded at a bounded cost."""
    if type(body) is not bytes:
        raise EnvelopeError(f"body is {type(body).__name__}, not bytes", field="body")
    if len(body) > FRAME_BYTES:
        raise EnvelopeError(f"a body of {len(body)} bytes, at most {FRAME_BYTES} are allowed", field="body")
    if body:
        scan(body, BODY, "body", root_map=True)


def check_value(data: bytes, field: str = "data") -> None:
    """As ``check_body``, for a stranger's result data: any one value, not only a map; empty is nothing."""
    if len(data) > FRAME_BYTES:
        raise EnvelopeError(f"{field} has {len(data)} bytes, at most {FRAME_BYTES} are allowed", field=field)
    if data:
        scan(data, BODY, field)


def pack(value: object) -> bytes:
    """An opaque value (an answer, a trail, a handler's result) as bytes.

    Raises ``EnvelopeError`` for what msgpack cannot carry: foreign types, integers beyond 64 bits, lone surrogates,
    values that contain themselves.
    """
    return _packed(value, "value")


def unpack(data: bytes) -> object:
    """The value that ``pack`` was given; tuples come back as lists. For our own bytes or ones that passed a check."""
    try:
        value: object = msgpack.unpackb(data, strict_map_key=False)
    except _UNREADABLE as error:
        raise _unreadable(error, "value") from error
    return value


# Everything msgpack raises on purpose, and what a frame of another shape raises when it is taken apart.
_UNREADABLE = (ValueError, TypeError, OverflowError, RecursionError, BufferError, msgpack.UnpackException)


def _packed(value: object, field: str) -> bytes:
    try:
        packed = msgpack.packb(value)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise EnvelopeError(f"{field} cannot be encoded: {type(error).__name__}", field=field) from error
    if type(packed) is not bytes:  # msgpack's types say that it may return None
        raise EnvelopeError(f"{field} cannot be encoded", field=field)
    return packed


def _unreadable(error: Exception, field: str) -> EnvelopeError:
    # Not the error's own text: it may quote the bytes.
    return EnvelopeError(f"{field} is not readable: {type(error).__name__}", field=field)
