"""Rows by lane and type, in flight and finished."""

from __future__ import annotations

from collections.abc import Iterable

from router.stores.row import Row

Rows = dict[str, Row]


class Lanes:
    """The rows of each lane by type: those in flight, in the order of their ordinals, and finished ones.

    Nearly every lane holds one row, which stands for itself, whatever becomes of it; dictionaries are made for the
    second.
    """

    __slots__ = ("_lanes",)

    def __init__(self) -> None:
        # By (guild, subject): the row, or by type those in flight and those finished.
        self._lanes: dict[tuple[str, str], Row | dict[str, tuple[Rows, Rows]]] = {}

    def file(self, row: Row) -> None:
        """Put a row last in its lane, as its status says."""
        lane = (row.guild, row.subject)
        filed = self._lanes.setdefault(lane, row)
        if filed is row:
            return
        if isinstance(filed, Row):
            first = filed
            filed = self._lanes[lane] = {first.type: ({}, {})}
            filed[first.type][1 if first.status else 0][first.id] = first
        if row.type not in filed:
            filed[row.type] = ({}, {})
        filed[row.type][1 if row.status else 0][row.id] = row

    def finish(self, row: Row) -> None:
        """A row in flight has finished."""
        filed = self._lanes.get((row.guild, row.subject))
        if type(filed) is dict and row.type in filed:
            in_flight, finished = filed[row.type]
            if in_flight.pop(row.id, None) is not None:
                finished[row.id] = row

    def drop(self, row: Row) -> None:
        """Take a row out, if it is there."""
        lane = (row.guild, row.subject)
        filed = self._lanes.get(lane)
        if filed is row:
            del self._lanes[lane]
        elif type(filed) is dict and row.type in filed:
            in_flight, finished = filed[row.type]
            in_flight.pop(row.id, None)
            finished.pop(row.id, None)
            if not in_flight and not finished:
                del filed[row.type]
                if not filed:
                    del self._lanes[lane]

    def has_others(self, row: Row) -> bool:
        """Whether any other row is in this row's lane."""
        filed = self._lanes.get((row.guild, row.subject))
        return filed is not None and filed is not row

    def last(self, guild: str, subject: str, kind: str) -> Row | None:
        """The row in flight that was filed last."""
        filed = self._lanes.get((guild, subject))
        if isinstance(filed, Row):
            return filed if filed.type == kind and not filed.status else None
        if filed is None or kind not in filed:
            return None
        return next(reversed(filed[kind][0].values()), None)

    def in_flight(self, guild: str, subject: str, kind: str) -> Iterable[Row]:
        """Rows in flight, in the order of their ordinals."""
        filed = self._lanes.get((guild, subject))
        if isinstance(filed, Row):
            return (filed,) if filed.type == kind and not filed.status else ()
        if filed is None or kind not in filed:
            return ()
        return filed[kind][0].values()

    def finished(self, guild: str, subject: str, kind: str) -> Iterable[Row]:
        """Finished rows."""
        filed = self._lanes.get((guild, subject))
        if isinstance(filed, Row):
            return (filed,) if filed.type == kind and filed.status else ()
        if filed is None or kind not in filed:
            return ()
        return filed[kind][1].values()
