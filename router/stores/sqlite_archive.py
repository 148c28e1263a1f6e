"""Settled envelopes that left memory, and notes: tables, with indexes for every question that is asked of them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from actors.ports import AuditFilter, AuditLine, Note
from router.stores.memory_shelf import ended_line
from router.stores.retention import Retention
from router.stores.row import Row
from router.stores.sqlite_file import SqliteFile
from router.stores.sqlite_records import pack_row, unpack_row

Placed = tuple[int, int, AuditLine]
"""A line with what orders it: time, then number."""


class Archive:
    """The tables ``settled``, ``windows`` and ``notes``. Called inside transactions."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file
        self.settled = 0  #: rows
        self.windows = 0  #: rows
        self.notes = 0  #: rows

    def load(self) -> None:
        """Count once, at start."""
        ((self.settled,),) = self._file.execute("SELECT count(*) FROM settled")
        ((self.windows,),) = self._file.execute("SELECT count(*) FROM windows")
        ((self.notes,),) = self._file.execute("SELECT count(*) FROM notes")

    # ------------------------------------------------------------ in and out

    def put(self, rows: Sequence[Row], holding: Sequence[Row]) -> None:
        """Take in settled rows; those of ``holding`` still answer duplicates."""
        self._file.insert(
            "INSERT OR REPLACE INTO settled (ending, at, id, guild, user, type, keep_until, data)",
            [
                (row.ending, row.settled_at, row.id, row.guild, row.user, row.type, _until(row), pack_row(row))
                for row in rows
            ],
        )
        self.settled += len(rows)
        if holding:
            self.hold(holding)

    def hold(self, rows: Sequence[Row]) -> None:
        """These settled rows still answer duplicates."""
        # In the order of the table: neighbours share a page, and a page is written once.
        entries = sorted((row.key, lane_of_row(row), row.ending, _until(row)) for row in rows)
        self._file.insert("INSERT OR REPLACE INTO windows (key, lane, ending, keep_until)", entries)
        self.windows += len(entries)

    def by_id(self, ids: Collection[str]) -> list[Row]:
        """The latest end of each id that is here."""
        if not self.settled or not ids:
            return []
        latest: dict[str, Row] = {}
        for (data,) in self._file.among("SELECT data FROM settled WHERE id IN ({}) ORDER BY ending", ids):
            row = unpack_row(data)
            row.dead = False  # those that still are have not left memory
            latest[row.id] = row
        return list(latest.values())

    def take_keys(self, keys: Collection[bytes], now: int) -> list[Row]:
        """Rows that hold one of these keys: out of the archive, back to memory."""
        if not self.windows or not keys:
            return []
        found = self._file.among("SELECT ending FROM windows WHERE keep_until > ? AND key IN ({})", keys, now)
        return self._take([ending for (ending,) in found])

    def take_lanes(self, lanes: Collection[tuple[str, str, str]], now: int) -> list[Row]:
        """Rows of these lanes and types that hold their keys: out of the archive, back to memory."""
        if not self.windows or not lanes:
            return []
        numbers = [lane_of(*lane) for lane in lanes]
        found = self._file.among("SELECT ending FROM windows WHERE keep_until > ? AND lane IN ({})", numbers, now)
        return self._take([ending for (ending,) in found])

    def _take(self, endings: list[int]) -> list[Row]:
        if not endings:
            return []
        rows = self._file.among("SELECT data FROM settled WHERE ending IN ({})", endings)
        taken = sorted((unpack_row(data) for (data,) in rows), key=lambda row: row.ending)
        self._file.among("DELETE FROM settled WHERE ending IN ({})", [row.ending for row in taken])
        self._file.among("DELETE FROM windows WHERE key IN ({})", [row.key for row in taken])
        self.settled -= len(taken)
        self.windows -= len(taken)
        return taken

    def write_notes(self, notes: Iterable[tuple[Note, int]]) -> None:
        """Write down lines, each with its number, unless the very same stands there."""
        rows = [(note.at, _digest(note), line, *note[1:]) for note, line in notes]
        before = self._file.changes()
        self._file.insert("INSERT OR IGNORE INTO notes (at, digest, line, kind, id, guild, user, detail)", rows)
        self.notes += self._file.changes() - before

    # ------------------------------------------------------------ the audit trail

    def audit(self, which: AuditFilter, limit: int) -> list[Placed]:
        """The newest lines asked for, settled and notes."""
        where, parameters = _where(which)
        found: list[Placed] = []
        if self.settled:
            kind = (" AND type = ?", [which.type]) if which.type else ("", [])
            for ending, data in self._file.execute(
                f"SELECT ending, data FROM settled WHERE {where}{kind[0]} ORDER BY at DESC, ending DESC LIMIT ?",  # noqa: S608 - fixed words
                [*parameters, *kind[1], limit],
            ):
                row = unpack_row(data)
                found.append((row.settled_at, ending, ended_line(row)))
        if self.notes and not which.type:
            for at, line, *rest in self._file.execute(
                f"SELECT at, line, kind, id, guild, user, detail FROM notes WHERE {where} ORDER BY at DESC, line DESC LIMIT ?",  # noqa: S608, E501 - fixed words
                [*parameters, limit],
            ):
                word, id_, guild, user, detail = rest
                found.append((at, line, AuditLine(at, word, id_, guild, user, "", detail)))
        return found

    # ------------------------------------------------------------ forgetting

    def sweep(self, now: int, limit: int, retention: Retention, young: int) -> int:
        """Forget in the order of age; ``young`` settled rows are still in memory."""
        edge = retention.audit_edge(now)
        left = limit
        gone = self._delete("windows", "key", "keep_until <= ?", "keep_until", left, now)
        self.windows -= gone
        left -= gone
        over = self.settled + young - retention.audit_rows
        gone = self._delete("settled", "ending", "keep_until <= ?", "ending", min(left, over), now)
        gone += self._delete("settled", "ending", "keep_until <= ? AND at <= ?", "at", left - gone, now, edge)
        self.settled -= gone
        left -= gone
        gone = self._delete("notes", "at, digest", "1", "at, line", min(left, self.notes - retention.audit_rows))
        gone += self._delete("notes", "at, digest", "at <= ?", "at, line", left - gone, edge)
        self.notes -= gone
        return limit - left + gone

    def _delete(self, table: str, key: str, where: str, order: str, limit: int, *parameters: int) -> int:
        if limit <= 0:
            return 0
        before = self._file.changes()
        chosen = f"SELECT {key} FROM {table} WHERE {where} ORDER BY {order} LIMIT ?"  # noqa: S608 - fixed words
        self._file.execute(f"DELETE FROM {table} WHERE ({key}) IN ({chosen})", [*parameters, limit])  # noqa: S608 - ditto
        return self._file.changes() - before


def lane_of(guild: str, subject: str, kind: str) -> int:
    """A number for a lane and type, the same in every process."""
    text = "\0".join((guild, subject, kind)).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 1


def lane_of_row(row: Row) -> int | None:
    """The lane whose opposed commands end this row's window; an idempotency key's window ends by time only."""
    return None if row.idempotency else lane_of(row.guild, row.subject, row.type)


def _until(row: Row) -> int:
    return row.settled_at + row.window


def _digest(note: Note) -> bytes:
    digest = hashlib.blake2b(digest_size=8)
    for part in (note.kind, note.id, note.guild, note.user, note.detail):
        data = part if isinstance(part, bytes) else part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.digest()


def _where(which: AuditFilter) -> tuple[str, list[Any]]:
    terms = ["at >= ?"]
    parameters: list[Any] = [which.since]
    if which.until:
        terms.append("at < ?")
        parameters.append(which.until)
    for column, value in (("id", which.id), ("guild", which.guild), ("user", which.user)):
        if value:
            terms.append(f"{column} = ?")
            parameters.append(value)
    return " AND ".join(terms), parameters
