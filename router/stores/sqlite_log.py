"""The log of durable steps, and its cleaning.

The oldest record is taken out when the log is larger than what it keeps alive calls for; what only that record holds is
written again in the step at hand. So the log stays within a factor of what is live, without a pause for a snapshot.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from router.stores.sqlite_file import SqliteFile
from router.stores.sqlite_records import Counters, Full, Images, full_images, pack_record

SLACK = 8 * 1024 * 1024
"""Bytes of log that are never cleaned."""

WEAR = 2
"""A record is taken out when the log is this many times as large as what is live."""

SHARE = 1024 * 1024
"""Bytes of old records taken out in one step, roughly."""

PART = 4 * 1024 * 1024
"""Bytes of effects in one row, roughly; a step that is larger takes several."""

PROBE = 64 * 1024
"""Bytes of the row that shows whether the file can be written."""


class Log:
    """The table ``log``. Called inside transactions."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file
        self._last = 0
        self._bytes = 0
        self._step_last = 0
        self._step_bytes = 0

    @property
    def next(self) -> int:
        """The number the next record will have."""
        return self._step_last + 1

    def read(self) -> Images:
        """All records, from the first."""
        images = Images()
        self._last = self._bytes = 0
        while True:
            rows = self._file.execute(
                "SELECT number, data FROM log WHERE number > ? ORDER BY number LIMIT 20", (self._last,)
            )
            for number, data in rows:
                images.read(number, data)
                self._last = number
                self._bytes += len(data)
            if not rows:
                break
        self._step_last, self._step_bytes = self._last, self._bytes
        return images

    def append(self, at: int, counters: Counters, effects: Iterable[tuple[Any, ...]], weight: int) -> None:
        """One step of about ``weight`` bytes, as one record, or as several when it is large; ``effects`` may look at
        ``next`` as it goes."""
        if weight < PART:
            self._insert(at, pack_record(counters, list(effects)))
            return
        part: list[tuple[Any, ...]] = []
        size = 0
        for effect in effects:
            part.append(effect)
            size += 100 + sum(len(value) for value in effect if type(value) is bytes)
            if size >= PART:
                self._insert(at, pack_record(counters, part))
                part, size = [], 0
        if part or not size:
            self._insert(at, pack_record(counters, part))

    def _insert(self, at: int, data: bytes) -> None:
        self._step_last += 1
        self._step_bytes += len(data)
        self._file.execute("INSERT INTO log (number, at, data) VALUES (?, ?, ?)", (self._step_last, at, data))

    def worn(self, live: int) -> Iterator[tuple[int, Full]]:
        """Take the oldest records out while the log is too large for so many live bytes.

        Each is handed over: what only it holds must be written again in the same step.
        """
        taken = 0
        while taken < SHARE and self._step_bytes > SLACK + WEAR * live:
            rows = self._file.execute(
                "SELECT number, data FROM log WHERE number > 0 AND number < ? ORDER BY number LIMIT 1", (self._last,)
            )
            if not rows:
                return
            number, data = rows[0]
            self._file.execute("DELETE FROM log WHERE number = ?", (number,))
            taken += len(data)
            self._step_bytes -= len(data)
            yield number, full_images(data)

    def committed(self) -> None:
        """The step is durable."""
        self._last, self._bytes = self._step_last, self._step_bytes

    def probe(self) -> None:
        """Write and remove a row; raises ``StoreUnavailable`` when that cannot be done."""
        self._file.begin()
        try:
            self._file.execute("INSERT OR REPLACE INTO log (number, at, data) VALUES (0, 0, zeroblob(?))", (PROBE,))
            self._file.commit()
        except BaseException:
            self._file.rollback()
            raise
        self._file.execute("DELETE FROM log WHERE number = 0")
