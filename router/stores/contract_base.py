# ruff: noqa: S101 - a suite that needs no test framework is made of plain asserts
"""What the parts of the conformance suite share."""

from __future__ import annotations

from typing import Any

from actors.envelope import Envelope
from actors.ports import Accept, Accepted, Begin, Settle

NOW = 1_700_000_000_000
WINDOW = 300_000


class Contract:
    """One backend, asked the same questions as every other.

    A test class derives from ``router.stores.contract.BackendContract`` and says how to get a backend. Nothing here
    asks for more than ``actors.ports`` promises; what a backend need not do is a flag.
    """

    durable = True  #: what was answered is there after ``reopen``
    transactional = True  #: ``together`` undoes everything when its body raises
    one_order = True  #: positions rise over all guilds; else only within slices of them, see ``actors.sharing``

    def make(self) -> Any:
        """A new, empty backend, not opened."""
        raise NotImplementedError

    def reopen(self, backend: Any, now: int = NOW) -> Any:
        """The same data after the backend was closed, or after its process died; opened."""
        backend.close()
        backend.open(now)
        return backend

    def opened(self, now: int = NOW) -> Any:
        """A new, empty backend, opened."""
        backend = self.make()
        backend.open(now)
        return backend


def envelope(id: str = "a", **fields: Any) -> Envelope:
    """An envelope with a key of its own, as far as ``fields`` do not say otherwise."""
    values: dict[str, Any] = {
        "type": "BAN",
        "kind": "command",
        "guild": "g",
        "subject": "s",
        "queue": "bot:moderation",
        "priority": 5,
        "created_at": NOW,
        "expires_at": NOW + 900_000,
        "key": id.encode().ljust(16, b"."),
        "fingerprint": b"f" * 16,
        "user": "u",
    }
    values.update(fields)
    return Envelope(id, **values)


def accept(what: Envelope | str = "a", *, window: int = WINDOW, opposes: tuple[str, ...] = (), **fields: Any) -> Accept:
    """The write that stores an envelope; its frame tells whose it is."""
    it = envelope(what, **fields) if isinstance(what, str) else what
    return Accept(it, b"frame of " + it.id.encode(), window, opposes)


def accepted(backend: Any, *writes: Accept, now: int = NOW) -> list[Accepted]:
    """Store these; all must be new."""
    results = backend.write(writes, now)
    for result in results:
        assert isinstance(result, Accepted), result
    return list(results)


def settle(id: str = "a", *, applied: bool = True, opposes: tuple[str, ...] = (), status: str = "ok") -> Settle:
    """The write that ends a way; the answer tells whose it is."""
    return Settle(id, status, b"answer of " + id.encode(), b"trail", applied, opposes)


def done(backend: Any, *writes: Accept, now: int = NOW, applied: bool = True) -> None:
    """Store these, start them, end them well."""
    accepted(backend, *writes, now=now)
    ids = [write.envelope.id for write in writes]
    backend.write([Begin(id_, 1, "direct") for id_ in ids], now)
    backend.write([settle(w.envelope.id, applied=applied, opposes=tuple(w.opposes)) for w in writes], now)
