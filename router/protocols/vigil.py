"""The vigil: who of those that hold claims is gone, as one watcher sees it. Pure: it is told what the store knows."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from actors.workers import Presence

BREAK = 500  # ms between two looks after which the watcher itself was away: whoever it missed gets its time anew
QUIET = 300  # ms without a sign of life, while its line is closed, of a process that is gone: one sign may be lost
CLOSED = 150  # ms a line is closed; a server that was away closes all of them at once, and they come back one by one


class Vigil:
    """Two things speak for a worker: signs of life, which a busy or frozen process gives late, and its open line.

    It is gone when it was quiet for as long as it asked for patience; or when its line, which was open, has been closed
    for ``CLOSED`` and it was quiet for ``QUIET``. Not thread-safe.
    """

    def __init__(self) -> None:
        self._looked = 0
        self._since = 0  # that it looks without a break
        self._open: set[str] = set()  # whose line was seen open
        self._closed: dict[str, int] = {}  # and since when it is seen closed

    def again(self) -> None:
        """A look failed: nobody is quiet for longer than from the next one on."""
        self._looked = 0

    def gone(self, workers: Collection[Presence], lines: Mapping[str, bool], now: int) -> list[Presence]:
        """Those of them who are gone. ``lines``: as far as is known, whether a line is open."""
        if not 0 <= now - self._looked <= BREAK:
            self._since = now
            self._closed.clear()
        self._looked = now
        names = {each.worker for each in workers}
        self._open = {worker for worker in names if worker in self._open or lines.get(worker)}
        closed = {worker for worker in self._open if lines.get(worker) is False}
        self._closed = {worker: self._closed.get(worker, now) for worker in closed}
        return [each for each in workers if self._is_gone(each, now)]

    def _is_gone(self, it: Presence, now: int) -> bool:
        quiet = now - max(it.seen, self._since)
        closed = now - self._closed.get(it.worker, now)
        return quiet >= it.patience or (quiet >= QUIET and closed >= CLOSED)
