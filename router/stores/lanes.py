"""Rows by lane and type."""

from __future__ import annotations

from collections.abc import Iterable

from router.stores.row import Row


class Lanes:
    """Rows of a (guild, subject, type) in the order they were filed.

    Nearly every lane holds one row, so one row stands for itself and a dictionary is made for the second.
    """

    __slots__ = ("_lanes",)

    def __init__(self) -> None:
        self._lanes: dict[tuple[str, str, str], Row | dict[str, Row]] = {}

    def file(self, row: Row) -> None:
        """Put a row last in its lane."""
        lane = (row.guild, row.subject, row.type)
        filed = self._lanes.setdefault(lane, row)
        if filed is not row:
            if isinstance(filed, Row):
                filed = self._lanes[lane] = {filed.id: filed}
            filed[row.id] = row

    def unfile(self, row: Row) -> None:
        """Take a row out, if it is there."""
        lane = (row.guild, row.subject, row.type)
        filed = self._lanes.get(lane)
        if filed is row or (isinstance(filed, dict) and filed.pop(row.id, None) is not None and not filed):
            del self._lanes[lane]

    def rows(self, guild: str, subject: str, kind: str) -> Iterable[Row]:
        """The rows of one lane and type."""
        filed = self._lanes.get((guild, subject, kind))
        if filed is None:
            return ()
        return (filed,) if isinstance(filed, Row) else filed.values()

    def last(self, guild: str, subject: str, kind: str) -> Row | None:
        """The row filed last of one lane and type."""
        filed = self._lanes.get((guild, subject, kind))
        if filed is None or isinstance(filed, Row):
            return filed
        return next(reversed(filed.values()))
