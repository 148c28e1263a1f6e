"""The audit log's reason, as a header. A reason that is too long makes Discord refuse the whole action."""

from __future__ import annotations

from urllib.parse import quote

HEADER = "X-Audit-Log-Reason"
LONGEST = 512
"""Discord says "1-512 URL-encoded UTF-8 characters" and not whether before or after the encoding."""


def header_of(reason: str) -> str:
    """At most 512 code points, percent-encoded."""
    return quote(reason[:LONGEST], safe="")


def shorter_header_of(reason: str) -> str:
    """As ``header_of``, and at most 512 characters after the encoding: for a second try, when the first was refused.

    Never ends in the middle of a character.
    """
    text = ""
    for character in reason[:LONGEST]:
        encoded = quote(character, safe="")
        if len(text) + len(encoded) > LONGEST:
            break
        text += encoded
    return text
