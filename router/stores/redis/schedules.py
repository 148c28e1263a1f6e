"""The Redis store's ``Schedules`` port: all of them under one hash tag; there are few."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from actors.schedules import Fire, Schedule, Schedules
from router.stores.redis import scripts
from router.stores.redis.link import Call, plain, run_script
from router.stores.redis.packing import pack, unpack
from router.stores.redis.queues import beside
from router.stores.redis.scripts import Script
from router.stores.redis.workers import RedisWorkers


class RedisSchedules(RedisWorkers, Schedules):
    """Schedules, and which router deals with which."""

    def put_schedule(self, schedule: Schedule, now: int) -> bool:
        given = (schedule.id, schedule.frame, schedule.rule, schedule.next, int(schedule.paused), now)
        return bool(unpack(self._ask(scripts.PUT_SCHEDULE, pack(given))))

    def remove_schedule(self, id: str) -> bool:
        return bool(unpack(self._ask(scripts.REMOVE_SCHEDULE, id)))

    def pause_schedule(self, id: str, paused: bool, next: int, now: int) -> bool:  # noqa: ARG002 - the port's
        return bool(unpack(self._ask(scripts.PAUSE_SCHEDULE, id, int(paused), next)))

    def schedules(self, after: str = "", limit: int = 1_000) -> list[Schedule]:
        self._check()
        key = self.names.schedules
        (ids,) = self._run([plain(key, "HKEYS", beside(key, "all"))])
        return self._read(sorted(id_ for each in ids if (id_ := each.decode()) > after)[:limit])

    def claim_due(self, router: str, now: int, until: int, limit: int = 100) -> list[Schedule]:
        return self._read([id_.decode() for id_ in unpack(self._ask(scripts.CLAIM_DUE, router, now, until, limit))])

    def next_due(self, now: int) -> int:
        return int(self._ask(scripts.NEXT_DUE, now))

    def fire(self, fire: Fire, now: int) -> bool:
        given = (fire.id, fire.tick, fire.next, fire.command, fire.recent, now)
        return bool(unpack(self._ask(scripts.FIRE, pack(given))))

    def _ask(self, script: Script, *arguments: Any) -> Any:
        self._check()
        call = run_script(script, [self.names.schedules], self._handle, uuid4().bytes, *arguments)
        return self._run([call], writes=True)[0]

    def _read(self, ids: list[str]) -> list[Schedule]:
        if not ids:
            return []
        key = self.names.schedules
        calls: list[Call] = [plain(key, "HMGET", beside(key, name), *ids) for name in ("all", "frames")]
        found, frames = self._run(calls)
        each = zip(ids, found, frames, strict=True)
        return [_schedule(id_, unpack(fields), frame) for id_, fields, frame in each if fields and frame is not None]


def _schedule(id_: str, fields: list[Any], frame: bytes) -> Schedule:
    rule, following, paused, made, last, fired, passed, recent = fields
    # An empty table of Lua has no kind: cmsgpack writes it as an array or as a map.
    ids = tuple(each.decode() for each in recent) if recent else ()
    return Schedule(id_, frame, rule, following, bool(paused), made, last, fired, passed, ids)
