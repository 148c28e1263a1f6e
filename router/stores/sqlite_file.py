"""The database file: one connection, one lock, transactions, and errors in the engine's words.

One connection reads, writes and checkpoints: SQLite before 3.51.3 can, rarely, corrupt a database in WAL mode when two
connections write and checkpoint at once.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from actors.errors import StoreUnavailable
from router.stores.file_lock import FileLock
from router.stores.sqlite_errors import translated
from router.stores.sqlite_schema import migrate

FOREIGN = (sqlite3.Error, OSError, MemoryError, OverflowError)

VALUES_STEPS = (1, 4, 16, 64, 256, 512)
"""Row counts of the multi-row statements, so that few statement texts are prepared and all stay prepared."""


class SqliteFile:
    """A thin gateway. Every error it raises is a ``StoreError``."""

    def __init__(self, path: str, *, synchronous: str) -> None:
        self.path = path
        self._synchronous = synchronous
        self._lock: FileLock | None = None
        self._connection: sqlite3.Connection | None = None

    @property
    def opened(self) -> bool:
        """Whether there is a connection."""
        return self._connection is not None

    def open(self) -> None:
        """Take the lock, connect, migrate."""
        if self._connection is not None:
            return
        folder = os.path.dirname(os.path.realpath(self.path))
        if not os.path.isdir(folder):
            raise StoreUnavailable(f"{self.path}: the directory {folder} does not exist")
        try:
            if self._lock is None:
                lock = FileLock(os.path.realpath(self.path) + ".lock")
                lock.acquire()
                self._lock = lock
            # Opened by one actor's thread and, after that actor's crash, closed and opened by its successor's.
            connection = sqlite3.connect(
                self.path, timeout=1.0, isolation_level=None, cached_statements=256, check_same_thread=False
            )
        except FOREIGN as error:
            self.close()
            raise translated(error, self.path, opened=False) from error
        self._connection = connection
        try:
            for pragma in (
                "locking_mode = EXCLUSIVE",
                "journal_mode = WAL",
                f"synchronous = {self._synchronous}",
                "secure_delete = OFF",
                "cache_size = -32768",
                "journal_size_limit = 67108864",
                "trusted_schema = OFF",
            ):
                connection.execute(f"PRAGMA {pragma}")
            migrate(connection, self.path)
        except FOREIGN as error:
            self.close()
            raise translated(error, self.path, opened=False) from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Disconnect and let go of the lock; idempotent."""
        try:
            self.disconnect()
        finally:
            lock, self._lock = self._lock, None
            if lock is not None:
                lock.release()

    def disconnect(self) -> None:
        """Give up the connection, not the lock."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except sqlite3.Error as error:
                raise translated(error, self.path, opened=True) from error

    def begin(self) -> None:
        """Start a transaction."""
        self.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """End it well; durable when this returns."""
        self.execute("COMMIT")

    def rollback(self) -> None:
        """End it as if it had not been; gives up the connection when even that fails."""
        connection = self._connection
        if connection is not None:
            try:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            except FOREIGN:
                # The connection is of no use any more; the next one rolls back by recovering the log.
                self.disconnect()

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of one statement."""
        connection = self._connection
        if connection is None:
            raise StoreUnavailable(f"{self.path}: the store is not open")
        try:
            return connection.execute(statement, parameters).fetchall()
        except FOREIGN as error:
            raise translated(error, self.path, opened=True) from error

    def changes(self) -> int:
        """Rows changed since the connection was made."""
        return 0 if self._connection is None else self._connection.total_changes

    def insert(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """``statement`` ends before ``VALUES``; few statements for many rows, because each one is a chance for
        another thread to keep the interpreter for as long as its switch interval."""
        at = 0
        while at < len(rows):
            step = next((each for each in reversed(VALUES_STEPS) if each <= len(rows) - at), 1)
            values = ",".join(["(" + ",".join("?" * len(rows[0])) + ")"] * step)
            parameters = [value for row in rows[at : at + step] for value in row]
            self.execute(f"{statement} VALUES {values}", parameters)
            at += step

    def among(self, statement: str, values: Iterable[Any], *before: Any) -> list[tuple[Any, ...]]:
        """``statement`` holds one ``{}``, where a list of parameters goes; ``before`` are those in front of it."""
        wanted = list(values)
        found: list[tuple[Any, ...]] = []
        for at in range(0, len(wanted), VALUES_STEPS[-1]):
            part = wanted[at : at + VALUES_STEPS[-1]]
            step = next(each for each in VALUES_STEPS if each >= len(part))
            # Padding with NULL, which equals nothing, keeps the number of statement texts small.
            part += [None] * (step - len(part))
            found += self.execute(statement.format(",".join("?" * step)), [*before, *part])
        return found
