"""Stores that lie, to see that the checker hears it. Each wraps a real one and breaks one promise.

- ``early``: says accepted before the disk has it (one commit for many batches).
- ``forgetful``: deduplicates by a set of its own, which a restart forgets.
- ``shuffled``: recovery reads a set instead of an order.

Of a store that routers share:

- ``hasty``: says accepted for another router's guild, and writes it with one of its next batches.
- ``unordered``: takeovers read a set instead of an order.
- ``unfenced``: whoever had a lease once has it for ever, and no token is looked at.
"""

from __future__ import annotations

import hashlib
import importlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from hashlib import sha1
from typing import Any

from actors.ports import Accept, Accepted, Duplicate, KeyReused, Record, Result, Write
from actors.sharing import partition_of
from router.stores.redis import scripts


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
        return self._inner.together()

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
            return made
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


class Hasty(Liar):
    """Knows the next number of each guild by heart; for its own guilds it waits for the store."""

    batches = 200

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self._late: list[Accept] = []
        self._numbers: Counter[str] = Counter()
        self._count = 0

    def write(self, batch: Sequence[Write], now: int) -> list[Result]:
        self._count += 1
        if self._count % self.batches == 0:
            late, self._late = self._late, []
            self._inner.write(late, now)
        early = {at for at, write in enumerate(batch) if self._is_elsewhere(write)}
        honest = iter(self._inner.write([write for at, write in enumerate(batch) if at not in early], now))
        return [self._accepted(write) if at in early else next(honest) for at, write in enumerate(batch)]

    def _is_elsewhere(self, write: Write) -> bool:
        held = self._inner._tokens
        return isinstance(write, Accept) and partition_of(write.envelope.guild, self._inner.partitions) not in held

    def _accepted(self, write: Any) -> Accepted:
        self._late.append(write)
        guild = write.envelope.guild
        self._numbers[guild] += 1
        number = self._numbers[guild]
        return Accepted(write.envelope.id, number, number * self._inner.partitions, 0)


class Unordered(Liar):
    """Reads what it takes over in whatever order."""

    def arrived(self, after: Mapping[int, int], limit: int = 1_000) -> list[Record]:
        records: list[Record] = self._inner.arrived(after, limit)
        mixed: list[Record] = []
        for partition in after:
            mine = [record for record in records if record.position % self._inner.partitions == partition]
            places = [record.position for record in mine]
            mine.sort(key=lambda record: hashlib.blake2b(record.frame).digest())
            mixed += [record._replace(position=place) for record, place in zip(mine, places, strict=True)]
        return mixed


class Unfenced(Liar):
    """The scripts do not look at tokens."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        _rewrite(scripts.WRITE, r"local owns = .*", "local owns = token ~= 0")
        _rewrite(scripts.RENEW, r"if meta\[1\] == router and .* then", "if meta[1] then")


def _rewrite(script: Any, pattern: str, line: str) -> None:
    text, found = re.subn(pattern, line, script.text)
    assert found == 1, f"{script.name} has no such line any more: {pattern}"
    script.text, script.sha = text, sha1(text.encode(), usedforsecurity=False).hexdigest()


LIES: dict[str, type[Liar]] = {
    "early": Early,
    "forgetful": Forgetful,
    "shuffled": Shuffled,
    "hasty": Hasty,
    "unordered": Unordered,
    "unfenced": Unfenced,
}


def install(lie: str) -> None:
    """From here on every router of this process gets its store through this lie."""
    module: Any = importlib.import_module("router.router")
    honest = module.open_store
    module.open_store = lambda *given, **options: LIES[lie](honest(*given, **options))
