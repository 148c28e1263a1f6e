"""The durable store's ``Queues`` and ``Workers`` ports: the memory's, each call a durable step."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from actors.entries import Claim, Entry, Nack, Types
from actors.workers import Execution, Finish, Undertake
from router.stores.sqlite_shelf import Watched


class SqliteQueues(Watched):
    """Named queues in the log."""

    @contextmanager
    def _step(self, now: int) -> Iterator[None]:
        with self.together():
            self._now = now
            yield

    def append(self, entries: Sequence[Entry], now: int) -> list[bool]:
        with self._step(now):
            return super().append(entries, now)

    def claim(self, queue: str, limit: int, now: int, until: int, holder: str = "", types: Types = None) -> list[Claim]:
        with self._step(now):
            return super().claim(queue, limit, now, until, holder, types)

    def ack(self, claims: Sequence[tuple[str, int]], now: int, keep: int) -> list[bool]:
        with self._step(now):
            return super().ack(claims, now, keep)

    def nack(self, nacks: Sequence[Nack], now: int, keep: int) -> list[bool]:
        with self._step(now):
            return super().nack(nacks, now, keep)

    def extend(self, claims: Sequence[tuple[str, int]], until: int) -> list[bool]:
        with self.together():
            return super().extend(claims, until)

    def remove(self, ids: Sequence[str]) -> list[bool]:
        with self.together():
            return super().remove(ids)

    def purge(self, queue: str) -> int:
        with self.together():
            return super().purge(queue)

    def forget_queues(self, before: int, now: int, keep: Collection[str] = (), limit: int = 1_000) -> int:
        with self._step(now):
            return super().forget_queues(before, now, keep, limit)

    def pause(self, queue: str, paused: bool) -> None:
        with self.together():
            super().pause(queue, paused)

    def replay_failed(self, queue: str, ids: Collection[str], now: int) -> int:
        with self._step(now):
            return super().replay_failed(queue, ids, now)

    def begin(self, undertakings: Sequence[Undertake], now: int) -> list[Execution | bool]:
        with self._step(now):
            return super().begin(undertakings, now)

    def finish(self, finishes: Sequence[Finish], now: int, keep: int) -> list[bool]:
        with self._step(now):
            return super().finish(finishes, now, keep)

    def heard(self, asker: str, answers: Collection[tuple[str, str]]) -> None:
        with self.together():
            super().heard(asker, answers)
