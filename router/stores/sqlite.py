"""The durable store: one SQLite file, group commits, everything that lives in memory as well.

Each step is one row appended to a log and one ``COMMIT``; what is settled leaves memory for indexed tables. After an
error memory is read again from the file, so what the store says is always what the file says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from actors.errors import StoreError, StoreUnavailable
from actors.ports import (
    Accept,
    AuditFilter,
    AuditLine,
    DeadFilter,
    Note,
    Replay,
    Result,
    Settle,
    Stored,
    Write,
)
from router.stores.memory_messages import asked, stored
from router.stores.memory_shelf import ended_line
from router.stores.retention import Retention
from router.stores.row import Row
from router.stores.sqlite_archive import Archive, Placed
from router.stores.sqlite_file import SqliteFile
from router.stores.sqlite_log import Log
from router.stores.sqlite_schedules import SqliteSchedules
from router.stores.sqlite_shelf import cost

DURABILITY = {"FULL": "disk", "NORMAL": "kernel"}

ARCHIVE_CHUNK = 100
"""Settled rows that leave memory in one step, at least, when there are too many of them."""

ARCHIVE_SHARE = 1_000
"""Settled rows that leave memory in one sweep, at most: about 50 ms."""


PATIENCE = 600_000
"""Ms a settled row is kept in memory for its window."""


class SqliteStore(SqliteSchedules):
    """``Store``, ``Queues``, ``Workers`` and ``Schedules`` in one file.

    ``synchronous`` is ``FULL`` (what was accepted survives a power cut) or ``NORMAL`` (it survives the process, and a
    power cut may take the last of it). ``young`` settled rows are kept in memory at most, and those only while their
    windows are open.
    """

    def __init__(
        self, path: str, *, synchronous: str = "FULL", retention: Retention | None = None, young: int = 50_000
    ) -> None:
        synchronous = synchronous.upper()
        if synchronous not in DURABILITY:
            raise ValueError(f"synchronous must be one of {sorted(DURABILITY)}, not {synchronous!r}")
        super().__init__(retention or Retention())
        self.durability = DURABILITY[synchronous]
        self._file = SqliteFile(path, synchronous=synchronous)
        self._log = Log(self._file)
        self._archive = Archive(self._file)
        self._young = young
        self._depth = 0
        self._broken = False  # something failed inside the step at hand
        self._stale = False  # memory may differ from the file
        self._doubtful = False  # the file could not be written lately

    # ------------------------------------------------------------ open and close

    def open(self, now: int) -> None:
        if self._opened:
            return
        self._now = now
        self._file.open()
        try:
            self._reload()
        except BaseException:
            self._file.close()
            raise
        super().open(now)

    def close(self) -> None:
        super().close()
        self._depth = 0
        self._broken = self._stale = self._doubtful = False
        self._clear_all()
        self._file.close()

    def _reload(self) -> None:
        self._clear_all()
        try:
            self._archive.load()
            self._restore(self._log.read())
        except (ValueError, TypeError, KeyError, LookupError) as error:
            raise StoreUnavailable(f"{self._file.path}: the log cannot be read ({error!r})") from error
        self._forget_changes()
        self._stale = False

    def _check(self) -> None:
        super()._check()
        if self._stale:
            self._file.open()
            self._reload()

    # ------------------------------------------------------------ steps

    @contextmanager
    def together(self) -> Iterator[None]:
        outermost = not self._depth
        if outermost:
            self._start()
        self._depth += 1
        try:
            yield
            if outermost:
                self._finish()
        except BaseException:
            self._broken = True
            raise
        finally:
            self._depth -= 1
            if outermost and self._broken:
                self._undo()

    def _start(self) -> None:
        self._check()
        if self._doubtful:
            # Memory runs ahead of the file within a step, and reading it back costs; so first see whether it pays.
            self._log.probe()
            self._doubtful = False
        try:
            self._file.begin()
        except StoreError:
            # A connection that cannot even begin is of no more use.
            self._file.disconnect()
            self._stale = self._doubtful = True
            raise

    def _finish(self) -> None:
        if self._broken:
            raise StoreUnavailable(f"{self._file.path}: a part of the step failed")
        if len(self._endings) > self._young:
            self._retire(self._now, max(ARCHIVE_CHUNK, len(self._changed_rows)), crowded=True)
        if self._dirty:
            self._write_aside()
            for number, full in self._log.worn(self._live_bytes):
                self._revisit(number, full)
            self._log.append(self._now, self._counters, self._effects(self._log), self._weight)
        self._file.commit()
        self._forget_changes()
        self._log.committed()

    def _write_aside(self) -> None:
        if self._former_rows:
            self._archive.put(self._former_rows, ())
        if self._leaving_holders:
            self._archive.hold(self._leaving_holders)
        self._write_notes()

    def _write_notes(self) -> None:
        if self._new_notes:
            self._archive.write_notes(self._new_notes.items())
            self._new_notes = {}
            self._noted_some = True

    def _undo(self) -> None:
        self._broken = False
        if self._opened:
            self._file.rollback()
            self._stale = self._doubtful = True

    def write(self, batch: Sequence[Write], now: int) -> list[Result]:
        with self._step(now):
            visitors = self._fetch(batch, now)
            results = self.apply(batch, now)
            for row in visitors:
                del self._rows[row.id]
            return results

    # ------------------------------------------------------------ what is not in memory

    def _fetch(self, batch: Sequence[Write], now: int) -> list[Row]:
        """Bring in what the batch asks for and memory does not have: holders of keys to stay, the rest as visitors."""
        if not self._archive.settled:
            return []
        rows, holders = self._rows, self._holders
        accepts = [write for write in batch if type(write) is Accept]
        if self._archive.windows:
            for write in accepts:
                if write.opposes:
                    self.learn(write.envelope.type, write.opposes)
            keys = {write.envelope.key for write in accepts}
            keys.update(rows[write.id].key for write in batch if type(write) is Replay and write.id in rows)
            self._welcome(self._archive.take_keys([key for key in keys if key and key not in holders], now))
            self._welcome(self._archive.take_lanes(self._ending_lanes(batch, accepts), now))
        known = {write.envelope.id for write in accepts}
        known.update(write.id for write in batch if not isinstance(write, Accept | Note))
        visitors = self._archive.by_id([id_ for id_ in known if id_ not in rows])
        for row in visitors:
            rows[row.id] = row
        return visitors

    def _ending_lanes(self, batch: Sequence[Write], accepts: Sequence[Accept]) -> set[tuple[str, str, str]]:
        new = {write.envelope.id: write.envelope for write in accepts}
        lanes: set[tuple[str, str, str]] = set()
        for write in batch:
            if type(write) is Settle and write.applied:
                about = self._rows.get(write.id) or new.get(write.id)
                if about is not None:
                    types = self._opposers.get(about.type, frozenset()).union(write.opposes)
                    lanes.update((about.guild, about.subject, kind) for kind in types)
        return lanes

    def _welcome(self, rows: Sequence[Row]) -> None:
        for row in rows:
            row.archived = False
            self._rows[row.id] = row
            self._holders[row.key] = row
            self._endings.appendleft((row, row.ending, row.settled_at))
            if row.type in self._opposed_types and not row.idempotency:
                self._lanes.file(row)
            self._new_rows[row.id] = row
            self._live_bytes += cost(row)

    def _retire(self, now: int, limit: int, *, crowded: bool) -> int:
        """Move up to ``limit`` settled rows, oldest first, out of memory; only those past their windows, as far as
        these are of the usual length, unless there are too many."""
        rows: list[Row] = []
        holding: list[Row] = []
        while self._endings and len(rows) < limit:
            row, ending, at = self._endings[0]
            current = row.ending == ending and bool(row.status)
            if current and not crowded and at + min(row.window, PATIENCE) > now:
                break
            self._endings.popleft()
            if not current:
                continue
            rows.append(row)
            row.archived = True
            if row.dead:
                self._changed_rows[row.id] = row
                continue
            if self._holders.get(row.key) is row and at + row.window > now:
                holding.append(row)
            self._release(row)
            del self._rows[row.id]
            self._row_gone(row)
        if rows:
            self._archive.put(rows, holding)
        return len(rows)

    # ------------------------------------------------------------ reads that go beyond memory

    def get(self, id: str) -> Stored | None:
        self._check()
        row = self._rows.get(id) or next(iter(self._archive.by_id([id])), None)
        return None if row is None else stored(row)

    def audit(self, which: AuditFilter, limit: int = 100) -> list[AuditLine]:
        self._check()
        self._write_notes()
        placed: dict[int, Placed] = {line[1]: line for line in self._archive.audit(which, limit)}
        for row, ending, at in self._endings:
            if row.ending == ending and row.status:
                line = ended_line(row)
                if asked(line, which):
                    placed[ending] = (at, ending, line)
        newest = sorted(placed.values(), key=lambda each: each[:2], reverse=True)
        return [line for _, _, line in newest[:limit]]

    # ------------------------------------------------------------ forgetting

    def sweep(self, now: int, limit: int) -> int:
        with self._step(now):
            swept = self._retire(now, min(limit, ARCHIVE_SHARE), crowded=False)
            swept += self._archive.sweep(now, limit - swept, self._retention, len(self._endings))
            swept += self._sweep_dead(now, limit - swept)
            swept += self._sweep_failed(now, limit - swept)
            return swept + self._sweep_workers(now, limit - swept)

    def purge_dead(self, which: DeadFilter, limit: int) -> int:
        with self.together():
            return super().purge_dead(which, limit)
