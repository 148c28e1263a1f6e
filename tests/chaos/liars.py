"""Stores that lie, to see that the checker hears it. Each wraps a real one and breaks one promise.

- ``early``: says accepted before the disk has it (one commit for many batches).
- ``forgetful``: deduplicates by a set of its own, which a restart forgets.
- ``shuffled``: recovery reads a set instead of an order.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from actors.ports import Accept, Accepted, Duplicate, KeyReused, Record, Result, Write


class Liar:
    """Passes everything on."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class Early(Liar):
    """Holds one transaction open over many batches, so what was answered is still in the air."""

    batches = 40

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self._open: AbstractContextManager[None] | None = None
        self._count = 0

    def write(self, batch: Sequence[Write], now: int) -> list[Result]:
        if self._open is None:
            self._open = self._inner.together()
            self._open.__enter__()
        results: list[Result] = self._inner.write(batch, now)
        self._count += 1
        if self._count % self.batches == 0:
            self._commit()
        return results

    def together(self) -> AbstractContextManager[None]:
        if self._open is None:
            self._open = self._inner.together()
            self._open.__enter__()
        return self._inner.together()  # type: ignore[no-any-return] # it joins the open one

    def close(self) -> None:
        self._commit()
        self._inner.close()

    def _commit(self) -> None:
        if self._open is not None:
            held, self._open = self._open, None
            held.__exit__(None, None, None)


class Forgetful(Liar):
    """Takes the key away before the store sees it, and keeps it in memory."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self._known: dict[bytes, Accepted] = {}
        self._prints: dict[bytes, bytes] = {}

    def write(self, batch: Sequence[Write], now: int) -> list[Result]:
        with self._inner.together():
            return [self._one(write, now) for write in batch]

    def _one(self, write: Write, now: int) -> Result:
        if not isinstance(write, Accept) or not write.envelope.key:
            result: Result = self._inner.write([write], now)[0]
            return result
        envelope = write.envelope
        known = self._known.get(envelope.key)
        if known is None:
            made = self._inner.write([write._replace(envelope=envelope._replace(key=b""))], now)[0]
            self._known[envelope.key], self._prints[envelope.key] = made, envelope.fingerprint
            return made  # type: ignore[no-any-return] # the inner store is untyped here
        if self._prints[envelope.key] != envelope.fingerprint:
            return KeyReused(envelope.id, known.id)
        stored = self._inner.get(known.id)
        return Duplicate(envelope.id, known.id, known.sequence, stored.answer if stored else b"")


class Shuffled(Liar):
    """Remembers what is unsettled, and not in which order."""

    def pending(self, guild: str = "", after: int = 0, limit: int = 1_000) -> list[Record]:
        records: list[Record] = self._inner.pending(guild, after, limit)
        places = [record.position for record in records]
        # Sorted by what a hash makes of it, as a set would hand them out.
        mixed = sorted(records, key=lambda record: hashlib.blake2b(record.frame).digest())
        return [record._replace(position=position) for record, position in zip(mixed, places, strict=True)]


LIES: dict[str, type[Liar]] = {"early": Early, "forgetful": Forgetful, "shuffled": Shuffled}


def install(lie: str) -> None:
    """From here on every router of this process gets its store through this lie."""
    module: Any = importlib.import_module("router.router")
    honest = module.open_store
    module.open_store = lambda *given, **options: LIES[lie](honest(*given, **options))
