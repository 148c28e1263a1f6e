"""What sqlite3 and the operating system say, in the engine's words: one table."""

from __future__ import annotations

import sqlite3

from actors.errors import StoreError, StoreInUse, StoreUnavailable

Meaning = tuple[type[StoreError], str]

BY_CODE: dict[int, Meaning] = {
    sqlite3.SQLITE_BUSY: (StoreInUse, "another process holds the database"),
    sqlite3.SQLITE_LOCKED: (StoreInUse, "another connection of this process holds the database"),
    sqlite3.SQLITE_FULL: (StoreUnavailable, "the disk is full"),
    sqlite3.SQLITE_IOERR: (StoreUnavailable, "the disk cannot be read or written"),
    sqlite3.SQLITE_READONLY: (StoreUnavailable, "the database is read-only"),
    sqlite3.SQLITE_PERM: (StoreUnavailable, "the database may not be opened"),
    sqlite3.SQLITE_CANTOPEN: (StoreUnavailable, "the database cannot be opened"),
    sqlite3.SQLITE_CORRUPT: (StoreUnavailable, "the database is corrupt"),
    sqlite3.SQLITE_NOTADB: (StoreUnavailable, "the file is not a database"),
    sqlite3.SQLITE_NOMEM: (StoreUnavailable, "out of memory"),
    sqlite3.SQLITE_PROTOCOL: (StoreUnavailable, "the locking protocol failed"),
    sqlite3.SQLITE_TOOBIG: (StoreUnavailable, "a record is too large"),
    sqlite3.SQLITE_SCHEMA: (StoreUnavailable, "the schema was changed by somebody else"),
    sqlite3.SQLITE_INTERRUPT: (StoreUnavailable, "the operation was interrupted"),
    sqlite3.SQLITE_ABORT: (StoreUnavailable, "the operation was aborted"),
    sqlite3.SQLITE_AUTH: (StoreUnavailable, "the operation is not authorized"),
    sqlite3.SQLITE_NOLFS: (StoreUnavailable, "the file system knows no files of this size"),
    sqlite3.SQLITE_INTERNAL: (StoreUnavailable, "SQLite failed"),
    sqlite3.SQLITE_ERROR: (StoreUnavailable, "SQLite refused a statement"),
    sqlite3.SQLITE_EMPTY: (StoreUnavailable, "SQLite failed"),
    sqlite3.SQLITE_CONSTRAINT: (StoreUnavailable, "the database contradicts itself"),
    sqlite3.SQLITE_MISMATCH: (StoreUnavailable, "the database contradicts itself"),
    sqlite3.SQLITE_MISUSE: (StoreUnavailable, "SQLite was used wrongly"),
    sqlite3.SQLITE_FORMAT: (StoreUnavailable, "SQLite failed"),
    sqlite3.SQLITE_RANGE: (StoreUnavailable, "SQLite was used wrongly"),
    sqlite3.SQLITE_NOTFOUND: (StoreUnavailable, "SQLite failed"),
}
"""By SQLite's primary result code."""

BY_CLASS: dict[type[Exception], Meaning] = {
    sqlite3.ProgrammingError: (StoreUnavailable, "the store is not open"),
    sqlite3.Error: (StoreUnavailable, "SQLite failed"),
    OSError: (StoreUnavailable, "the file cannot be used"),
    MemoryError: (StoreUnavailable, "out of memory"),
    OverflowError: (StoreUnavailable, "a number is too large for the database"),
}
"""For errors without a code of SQLite's; the most specific class counts."""


def translated(error: Exception, path: str, *, opened: bool) -> StoreError:
    """The engine's error for a foreign one; raise it ``from`` that. An open store is only ever unavailable."""
    kind, meaning = _meaning(error)
    return (StoreUnavailable if opened else kind)(f"{path}: {meaning} ({error})")


def _meaning(error: Exception) -> Meaning:
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None and code & 0xFF in BY_CODE:
        return BY_CODE[code & 0xFF]
    for each in type(error).__mro__:
        if each in BY_CLASS:
            return BY_CLASS[each]
    raise TypeError(f"not an error of the database: {error!r}")
