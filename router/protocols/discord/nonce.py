"""The nonce of a message: with it, Discord gives the message back that was sent before instead of sending another."""

from __future__ import annotations

from base64 import b32encode
from hashlib import blake2b

VALID = 120_000
"""ms after the first sending in which Discord surely knows it; its documentation says "the past few minutes"."""


def nonce_of(id_: str) -> str:
    """24 characters made of an envelope's id (Discord takes 25): the same for each attempt, and for nothing else."""
    return b32encode(blake2b(id_.encode(), digest_size=15, person=b"discord-nonce").digest()).decode().lower()
