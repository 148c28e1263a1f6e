"""A store from its URL.

========================================== ==========================================================================
``memory://``                              in this process, gone with it
``sqlite:///router.db``                    a file, relative to the current directory
``sqlite:////var/lib/router.db``           a file, absolute
``sqlite:///router.db?synchronous=normal`` what was accepted last may be lost at a power cut, not at a crash
``redis://localhost:6379/0``               a Redis that many routers share; also ``rediss://``,
                                           ``redis+sentinel://`` and ``redis+cluster://``: see
                                           ``router.stores.redis.address`` and ``.options``
========================================== ==========================================================================
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

from router.stores.memory import MEMORY_RETENTION, MemoryStore
from router.stores.retention import Retention
from router.stores.sqlite import DURABILITY, SqliteStore

if TYPE_CHECKING:
    from router.stores.redis.store import RedisStore

StoreBackend: TypeAlias = "MemoryStore | SqliteStore | RedisStore"
"""An object with the ports ``Store`` and ``Queues``."""


def open_store(url: str, retention: Retention | None = None) -> StoreBackend:
    """The store that ``url`` names, not opened yet; ``ValueError`` says what is wrong with it, never its password.

    In memory no more audit rows are kept than ``MEMORY_RETENTION`` says, whatever ``retention`` wants.
    """
    if "://" in url and is_shared(url):
        return _redis(url, retention)
    parts = urlsplit(url)
    options = parse_qsl(parts.query, keep_blank_values=True)
    if parts.scheme == "memory":
        if parts.netloc or parts.path or options:
            raise ValueError("store URL: memory:// takes nothing else")
        if retention is None:
            return MemoryStore()
        rows = min(retention.audit_rows, MEMORY_RETENTION.audit_rows)
        return MemoryStore(replace(retention, audit_rows=rows))
    if parts.scheme == "sqlite":
        return _sqlite(parts.netloc, unquote(parts.path), options, retention)
    raise ValueError(f"store URL: unknown scheme {parts.scheme[:20]!r}; use memory://, sqlite:///FILE or redis://HOST")


def is_shared(url: str) -> bool:
    """Whether several routers can use this store at once."""
    return url.partition("://")[0].partition("+")[0] in ("redis", "rediss")


def file_of(url: str) -> Path | None:
    """The file of an SQLite store, absolute; ``None``: it is in no file of ours."""
    before = url.partition("?")[0]
    return Path(unquote(before.removeprefix("sqlite:///"))).absolute() if before.startswith("sqlite:///") else None


def _redis(url: str, retention: Retention | None) -> RedisStore:
    # Imported by those who use it: redis-py takes 0.1 s.
    from router.stores.redis.store import RedisStore

    try:
        return RedisStore(url, retention=retention)
    except ValueError as error:
        text = str(error)
        raise ValueError(text if text.startswith("store URL") else f"store URL: {text}") from None


def _sqlite(host: str, path: str, options: list[tuple[str, str]], retention: Retention | None) -> SqliteStore:
    if host:
        raise ValueError("store URL: sqlite takes three slashes before a relative path and four before an absolute one")
    path = path.removeprefix("/")
    if not path or path.endswith("/") or "\0" in path or path == ":memory:":
        raise ValueError("store URL: sqlite:/// needs the path of a file")
    synchronous = "FULL"
    for name, value in options:
        if name != "synchronous":
            raise ValueError(f"store URL: unknown option {name[:20]!r} of sqlite; there is synchronous")
        synchronous = value.upper()
        if synchronous not in DURABILITY:
            raise ValueError("store URL: synchronous is full or normal")
    return SqliteStore(path, synchronous=synchronous, retention=retention)
