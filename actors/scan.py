"""The scan: what foreign msgpack bytes are, before anything is built from them.

One mebibyte of nested empty maps decodes to 72 MiB, and array headers that declare a million elements each, nested,
to gigabytes; a limit on bytes bounds neither. So the headers are walked first, in one pass, and nothing is kept but
the keys of the open maps. Refused, always with ``actors.errors.EnvelopeError``:

- truncated data, declared lengths beyond the data, bytes after the end;
- more than ``depth`` open containers, more than ``elements`` array elements and map pairs in all;
- text or binary of more than ``string`` bytes, keys of more than 256 bytes, text that is not UTF-8;
- keys that are not text, and keys given twice in one map;
- extension types (timestamps too: times travel as milliseconds), the unused code ``0xc1``;
- NaN and infinities: JSON cannot carry them, and NaN is not equal to itself.

Integers may use the whole range of msgpack, -2**63 to 2**64 - 1. Binary values are allowed.
"""

from __future__ import annotations

from typing import NamedTuple, NoReturn

from actors.errors import EnvelopeError

KEY_BYTES = 256


class Bounds(NamedTuple):
    """What one value may measure."""

    depth: int  #: containers open at once; the outermost is 1
    elements: int  #: array elements and map pairs in all
    string: int  #: bytes of one text or binary value


_SCALAR, _FLOAT, _TEXT, _BINARY, _ARRAY, _MAP, _REFUSED = range(7)


def _codes() -> tuple[tuple[int, int, int], ...]:
    """(kind, size in the code itself or of the payload, bytes of a size that follows) for each first byte."""
    table = [(_SCALAR, 0, 0)] * 256
    for low in range(16):
        table[0x80 + low] = (_MAP, low, 0)
        table[0x90 + low] = (_ARRAY, low, 0)
    for low in range(32):
        table[0xA0 + low] = (_TEXT, low, 0)
    for code in (0xC1, 0xC7, 0xC8, 0xC9, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8):
        table[code] = (_REFUSED, 0, 0)
    for power in range(3):
        table[0xC4 + power] = (_BINARY, 0, 1 << power)
        table[0xD9 + power] = (_TEXT, 0, 1 << power)
    for power in range(4):
        table[0xCC + power] = table[0xD0 + power] = (_SCALAR, 1 << power, 0)
    table[0xCA], table[0xCB] = (_FLOAT, 4, 0), (_FLOAT, 8, 0)
    table[0xDC], table[0xDD] = (_ARRAY, 0, 2), (_ARRAY, 0, 4)
    table[0xDE], table[0xDF] = (_MAP, 0, 2), (_MAP, 0, 4)
    return tuple(table)


_CODES = _codes()
_Open = dict[bytes, None] | None  # the keys so far of an open map; None for an array


def scan(data: bytes, bounds: Bounds, field: str, *, root_map: bool = False) -> None:
    """Walk one msgpack value and raise ``EnvelopeError`` unless it keeps all rules and ``bounds``.

    The error's ``field`` is ``field``, followed by the path to the offending value. ``root_map``: the value itself
    must be a map.
    """
    if root_map and (not data or _CODES[data[0]][0] != _MAP):
        raise EnvelopeError(f"{field} is not a msgpack map", field=field)
    try:
        end = _walk(data, bounds, field)
    except IndexError:
        raise EnvelopeError(f"{field} is truncated", field=field) from None
    if end != len(data):
        what = "is truncated" if end > len(data) else f"has {len(data) - end} bytes after its end"
        raise EnvelopeError(f"{field} {what}", field=field)


def _walk(data: bytes, bounds: Bounds, field: str) -> int:  # noqa: PLR0912 - one loop over the seven kinds; calls would double its time
    """The offset behind the value. ``IndexError``: the data ends early."""
    depth_limit, budget, string_limit = bounds
    total = len(data)
    codes = _CODES
    stack: list[tuple[int, _Open]] = []
    left, keys, pos = 1, None, 0
    while True:
        while not left:
            if not stack:
                return pos
            left, keys = stack.pop()
        if keys is not None:
            pos = _key(data, pos, keys, field, stack)
        left -= 1
        kind, size, width = codes[data[pos]]
        pos += 1
        if width:
            size = int.from_bytes(data[pos : pos + width], "big")
            pos += width
        if kind == _SCALAR:
            pos += size
        elif kind in (_TEXT, _BINARY):
            if size > string_limit:
                _refuse(f"a value of {size} bytes, at most {string_limit} are allowed", field, stack, keys)
            if pos + size > total:
                _refuse("a declared length is beyond the data", field, stack, keys)
            if kind == _TEXT:
                _utf8(data[pos : pos + size], field, stack, keys)
            pos += size
        elif kind == _FLOAT:
            # All exponent bits set: infinity or NaN.
            if data[pos] & 0x7F == 0x7F and data[pos + 1] & (0x80 if size == 4 else 0xF0) in (0x80, 0xF0):
                _refuse("a number that is not finite", field, stack, keys)
            pos += size
        elif kind == _REFUSED:
            _refuse(f"an extension type or unused code 0x{data[pos - 1]:02x}", field, stack, keys)
        else:
            budget -= size
            if budget < 0:
                _refuse(f"more than {bounds.elements} elements", field, stack, keys)
            if size > total - pos:
                _refuse("a declared length is beyond the data", field, stack, keys)
            if len(stack) >= depth_limit:
                _refuse(f"a depth of more than {depth_limit}", field, stack, keys)
            stack.append((left, keys))
            left, keys = size, ({} if kind == _MAP else None)


def _key(data: bytes, pos: int, keys: dict[bytes, None], field: str, stack: list[tuple[int, _Open]]) -> int:
    """Note the key at ``pos``; the offset behind it. Equal text is equal bytes, since only UTF-8 passes."""
    kind, size, width = _CODES[data[pos]]
    pos += 1
    if kind != _TEXT:
        _refuse("a key that is not text", field, stack, {})
    if width:
        size = int.from_bytes(data[pos : pos + width], "big")
        pos += width
    if size > KEY_BYTES:
        _refuse(f"a key of {size} bytes, at most {KEY_BYTES} are allowed", field, stack, {})
    key = data[pos : pos + size]
    if len(key) < size:
        _refuse("a declared length is beyond the data", field, stack, {})
    if not key.isascii():
        _utf8(key, field, stack, {})
    if key in keys:
        _refuse(f"the key {key.decode()!a} twice", field, stack, {})
    keys[key] = None
    return pos + size


def _utf8(text: bytes, field: str, stack: list[tuple[int, _Open]], keys: _Open) -> None:
    if not text.isascii():
        try:
            text.decode()
        except UnicodeDecodeError:
            _refuse("text that is not UTF-8", field, stack, keys)


def _refuse(what: str, field: str, stack: list[tuple[int, _Open]], keys: _Open) -> NoReturn:
    """Name the place as far as it can be named: ``body.embeds[].title``; a key's odd characters are escaped."""
    path = field
    for open_keys in [*(frame[1] for frame in stack[1:]), keys] if stack else []:
        if open_keys is None:
            path += "[]"
        elif open_keys:
            path += "." + ascii(next(reversed(open_keys)).decode())[1:-1][:40]
    raise EnvelopeError(f"{path[:200]} has {what}", field=path[:200])
