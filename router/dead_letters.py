"""The dead letters: what failed for good, to be looked at, replayed with care, or thrown away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from actors.answers import decode_answer
from actors.codec import pack
from actors.engine import Engine
from actors.ports import DeadFilter, DeadLetter, Note, Store
from actors.replays import Replayed
from actors.runtime.promise import Promise
from router.response import AttemptLine, ResponseError, line
from router.status import LIBRARY

PATIENCE = 30.0
LEASE = 900_000
"""A replayed command has this long (ms) to start again."""


class DeadLetterView(BaseModel):
    """One dead letter; camelCase on the wire. Payloads are shown by ``explain``, redacted."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)

    id: str
    type: str
    guild: str
    queue: str
    sequence: int
    reason: str
    error: ResponseError | None
    attempts: list[AttemptLine]
    replays: int
    died_at: int  #: ms since the epoch


Letters: TypeAlias = list[DeadLetter]
Views: TypeAlias = list[DeadLetterView]  # inside the class "list" is a method


class DeadLetters:
    """``router.dead_letters``. Filters that are not given do not filter; times are ms since the epoch."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def list(
        self,
        *,
        guild: str | int = "",
        queue: str = "",
        type: str = "",
        before: int = 0,
        limit: int = 100,
    ) -> Views:
        """Oldest first, in the order of their lanes."""
        return self._list(DeadFilter("", str(guild), queue, type, before), limit).get(timeout=PATIENCE)

    async def alist(
        self,
        *,
        guild: str | int = "",
        queue: str = "",
        type: str = "",
        before: int = 0,
        limit: int = 100,
    ) -> Views:
        """As ``list``."""
        return await self._list(DeadFilter("", str(guild), queue, type, before), limit)

    def replay(
        self,
        ids: Sequence[str] | None = None,
        *,
        guild: str | int = "",
        queue: str = "",
        type: str = "",
        before: int = 0,
        limit: int = 1_000,
        dry_run: bool = False,
        max_replays: int | None = None,
        operator: str = LIBRARY,
    ) -> Replayed:
        """Let dead letters live again at the tails of their lanes, in their old order, ``max_replays`` times at most.

        With ``ids`` just those, else all that match, oldest first, at most ``limit``. Every replay is audited.
        """
        which = DeadFilter("", str(guild), queue, type, before)
        return self._replay(ids, which, limit, dry_run, max_replays, operator).get(timeout=PATIENCE)

    async def areplay(
        self,
        ids: Sequence[str] | None = None,
        *,
        guild: str | int = "",
        queue: str = "",
        type: str = "",
        before: int = 0,
        limit: int = 1_000,
        dry_run: bool = False,
        max_replays: int | None = None,
        operator: str = LIBRARY,
    ) -> Replayed:
        """As ``replay``."""
        which = DeadFilter("", str(guild), queue, type, before)
        return await self._replay(ids, which, limit, dry_run, max_replays, operator)

    def purge(
        self,
        *,
        id: str = "",
        guild: str | int = "",
        queue: str = "",
        type: str = "",
        before: int = 0,
        limit: int = 10_000,
        operator: str = LIBRARY,
    ) -> int:
        """Throw away for good; how many."""
        return self._purge(DeadFilter(id, str(guild), queue, type, before), limit, operator).get(timeout=PATIENCE)

    async def apurge(
        self,
        *,
        id: str = "",
        guild: str | int = "",
        queue: str = "",
        type: str = "",
        before: int = 0,
        limit: int = 10_000,
        operator: str = LIBRARY,
    ) -> int:
        """As ``purge``."""
        return await self._purge(DeadFilter(id, str(guild), queue, type, before), limit, operator)

    def _list(self, which: DeadFilter, limit: int) -> Promise[Views]:
        return self._engine.store_call(
            lambda store, _: [_view(letter) for letter in store.dead_letters(which, 0, limit)]
        )

    def _replay(
        self,
        ids: Sequence[str] | None,
        which: DeadFilter,
        limit: int,
        dry_run: bool,
        max_replays: int | None,
        operator: str,
    ) -> Promise[Replayed]:
        bound = self._engine.options.max_replays if max_replays is None else max_replays
        wanted = None if ids is None else list(dict.fromkeys(ids))

        def choose(store: Store, _: int) -> Letters:
            if wanted is None:
                return store.dead_letters(which, 0, limit)
            found = [letter for id_ in wanted for letter in store.dead_letters(DeadFilter(id=id_), 0, 1)]
            return sorted(found, key=lambda letter: letter.position)

        return self._engine.replay(choose, bound, LEASE, dry_run=dry_run, operator=operator)

    def _purge(self, which: DeadFilter, limit: int, operator: str) -> Promise[int]:
        def purge(store: Store, now: int) -> int:
            count = store.purge_dead(which, limit)
            detail = pack({"action": "purge dead letters", "count": count, "filter": list(which)})
            store.write([Note(now, "operator", which.id, which.guild, operator, detail)], now)
            return count

        return self._engine.store_call(purge)


def _view(letter: DeadLetter) -> DeadLetterView:
    answer = decode_answer(letter.answer) if letter.answer else None
    fault = answer.fault if answer else None
    error = fault and ResponseError(
        code=fault.code, message=fault.message, retryable=fault.retryable, retry_after=fault.retry_after
    )
    return DeadLetterView(
        id=letter.id,
        type=letter.type,
        guild=letter.guild,
        queue=letter.queue,
        sequence=letter.sequence,
        reason=letter.reason,
        error=error,
        attempts=[line(attempt) for attempt in answer.attempts] if answer else [],
        replays=letter.replays,
        died_at=letter.died_at,
    )
