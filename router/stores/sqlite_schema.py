"""The tables, and the numbered way to them from every earlier version.

``log``: one row for each durable step, with all it changed; what is live is read from here into memory at start.
``settled``: ends of ways that left memory, for ``get`` and the audit trail. ``windows``: those of them whose operation
still answers duplicates. ``notes``: the other lines of the audit trail.
"""

from __future__ import annotations

import sqlite3

from actors.errors import StoreVersion

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE log (number INTEGER PRIMARY KEY, at INTEGER NOT NULL, data BLOB NOT NULL)
    """,
    """
    CREATE TABLE settled (
        ending INTEGER PRIMARY KEY, at INTEGER NOT NULL, id TEXT NOT NULL, guild TEXT NOT NULL, user TEXT NOT NULL,
        type TEXT NOT NULL, keep_until INTEGER NOT NULL, data BLOB NOT NULL
    );
    CREATE INDEX settled_id ON settled (id);
    CREATE INDEX settled_at ON settled (at);
    CREATE INDEX settled_guild ON settled (guild, at);
    CREATE INDEX settled_user ON settled (user, at);
    CREATE TABLE windows (
        key BLOB PRIMARY KEY, lane INTEGER, ending INTEGER NOT NULL, keep_until INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX windows_lane ON windows (lane) WHERE lane IS NOT NULL;
    CREATE INDEX windows_end ON windows (keep_until)
    """,
    """
    CREATE TABLE notes (
        at INTEGER NOT NULL, digest BLOB NOT NULL, line INTEGER NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL,
        guild TEXT NOT NULL, user TEXT NOT NULL, detail BLOB NOT NULL, PRIMARY KEY (at, digest)
    ) WITHOUT ROWID;
    CREATE INDEX notes_id ON notes (id, at);
    CREATE INDEX notes_guild ON notes (guild, at);
    CREATE INDEX notes_user ON notes (user, at)
    """,
)
"""Statements of version 1, 2, 3 ...; what was released is never changed, only added to."""

VERSION = len(MIGRATIONS)

APPLICATION_ID = 0x47_52_54_52
"""``GRTR``: this file is a store of ours."""


def migrate(connection: sqlite3.Connection, path: str, to: int = VERSION) -> None:
    """Bring a database to version ``to``, one transaction for each step; raises ``StoreVersion`` for a newer one."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION_ID and (application or version or tables):
        raise StoreVersion(f"{path}: a database, but not a store of guild-router")
    if version > VERSION:
        raise StoreVersion(f"{path}: written by a newer version (its schema is {version}, ours {VERSION})")
    while version < to:
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in MIGRATIONS[version].split(";"):
                connection.execute(statement)
            version += 1
            connection.execute(f"PRAGMA user_version = {version}")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
