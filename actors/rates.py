"""Rates that hold over all routers of one store: what the engine asks of it before it takes a command in.

A **level** is a kind and a name, such as ``guild`` and its id. Each is a bucket of ``rate`` tokens that fills at
``rate`` tokens per ``per`` ms of the store's own clock: in any span of ``t`` ms of it no level gives more than
``rate + rate * t / per``, whoever asks. A level of which nothing is known is full.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol


class Rated(NamedTuple):
    """A level whose rate is bounded. Who asks says how: after a change of settings the next one counts."""

    kind: str
    name: str
    rate: int  #: tokens per ``per``, and the most at one instant; at least 1
    per: int  #: ms; at least 1


class Spent(NamedTuple):
    """A level has no token now. Of several, the one that has one last."""

    kind: str
    name: str
    retry_after: int  #: ms until it has one again, if nobody takes it before


class Rates(Protocol):
    """A connection of its own. Not thread-safe; raises ``StoreUnavailable`` as the store does."""

    def open(self) -> None:
        """Connect, or when it is first asked."""

    def close(self) -> None:
        """Let go of the connection; idempotent. Asking again connects again."""

    def take(self, asked: Sequence[Sequence[Rated]]) -> list[Spent | None]:
        """For each, in order: one token of all its levels (``None``), or nothing of any.

        One atomic step, one round trip. When the answer is lost, tokens may have been taken for nothing: at most those
        of this one call, and they come back as the buckets fill. Never is a token given twice.
        """

    def give_back(self, unused: Mapping[Rated, int]) -> None:
        """Tokens that were taken and not used; a level holds no more than it can. May be repeated as ``take``."""
