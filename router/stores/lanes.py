"""Rows by lane and type, in flight and finished."""

from __future__ import annotations

from collections.abc import Iterable

from router.stores.row import Row

Rows = dict[str, Row]


class Lanes:
    """The rows of each (guild, subject, type): those in flight, in the order of their ordinals, and finished ones.

    Nearly every lane holds one row, which stands for itself, whatever becomes of it; two dictionaries are made for the
    second.
    """

    __slots__ = ("_lanes",)

    def __init__(self) -> None:
        self._lanes: dict[tuple[str, str, str], Row | tuple[Rows, Rows]] = {}

    def file(self, row: Row) -> None:
        """Put a row last in its lane, as its status says."""
        lane = (row.guild, row.subject, row.type)
        filed = self._lanes.setdefault(lane, row)
        if filed is row:
            return
        if isinstance(filed, Row):
            first = filed
            filed = self._lanes[lane] = ({}, {})
            filed[1 if first.status else 0][first.id] = first
        filed[1 if row.status else 0][row.id] = row

    def finish(self, row: Row) -> None:
        """A row in flight has finished."""
        filed = self._lanes.get((row.guild, row.subject, row.type))
        if type(filed) is tuple and filed[0].pop(row.id, None) is not None:
            filed[1][row.id] = row

    def drop(self, row: Row) -> None:
        """Take a row out, if it is there."""
        lane = (row.guild, row.subject, row.type)
        filed = self._lanes.get(lane)
        if filed is None:
            return
        if filed is row:
            del self._lanes[lane]
        elif type(filed) is tuple:
            filed[0].pop(row.id, None)
            filed[1].pop(row.id, None)
            if not filed[0] and not filed[1]:
                del self._lanes[lane]

    def last(self, guild: str, subject: str, kind: str) -> Row | None:
        """The row in flight that was filed last."""
        filed = self._lanes.get((guild, subject, kind))
        if filed is None:
            return None
        if isinstance(filed, Row):
            return None if filed.status else filed
        return next(reversed(filed[0].values()), None)

    def in_flight(self, guild: str, subject: str, kind: str) -> Iterable[Row]:
        """Rows in flight, in the order of their ordinals."""
        filed = self._lanes.get((guild, subject, kind))
        if filed is None:
            return ()
        if isinstance(filed, Row):
            return () if filed.status else (filed,)
        return filed[0].values()

    def finished(self, guild: str, subject: str, kind: str) -> Iterable[Row]:
        """Finished rows."""
        filed = self._lanes.get((guild, subject, kind))
        if filed is None:
            return ()
        if isinstance(filed, Row):
            return (filed,) if filed.status else ()
        return filed[1].values()
