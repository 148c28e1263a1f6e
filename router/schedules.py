"""Schedules: what is sent again and again, as users make and manage them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from hashlib import blake2b
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from actors.codec import decode, encode, pack
from actors.engine import Engine
from actors.envelope import Envelope
from actors.messages import Submission
from actors.policy.ticks import BadRule, Overlap, Rule, checked, following
from actors.ports import Backend, Note
from actors.rules import decode_rule, encode_rule
from actors.runtime.errors import RuntimeFault
from actors.runtime.promise import Promise
from actors.schedules import Schedule as Stored
from actors.timetable import Look
from router.errors import InvalidMessage, shape
from router.messages.base import Message
from router.messages.body import pack_body
from router.messages.layout import layout_of

T = TypeVar("T")

PATIENCE = 30.0
MOST = 10_000
"""Schedules of one store."""

_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
_NOT_HERE = frozenset({"idempotency_key", "delay", "id", "created_at", "sender", "sender_sequence", "request_id"})
_RULE_FIELDS = {"catch_up": "catchUpMs", "every": "everyMs"}

Seal = Callable[[Message, str, Mapping[str, Any]], Envelope]
Unseal = Callable[[Envelope], Message]


class ScheduleView(BaseModel):
    """One schedule; camelCase on the wire, times in ms since the epoch, durations in ms."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)

    id: str
    type: str
    guild: str
    cron: str | None
    timezone: str | None
    every_ms: int | None
    at: int | None
    overlap: str
    catch_up_ms: int
    paused: bool
    next: int | None  #: the tick that comes; null: none does any more
    last: int | None  #: when it was fired last
    fired: int  #: commands sent
    passed: int  #: ticks missed, or skipped because an earlier command was not done
    recent: list[str]  #: ids of the latest commands, oldest first
    made_at: int


Views = list[ScheduleView]


class Schedule:
    """A schedule that was made. Every method that waits has an async twin with the prefix ``a``."""

    def __init__(self, schedules: Callable[[], Schedules], id_: str) -> None:
        self._found = schedules
        self.id = id_

    @property
    def _schedules(self) -> Schedules:
        return self._found()

    def view(self) -> ScheduleView | None:
        """As it stands; ``None``: it was removed."""
        return self._schedules.get(self.id)

    async def aview(self) -> ScheduleView | None:
        """As ``view``."""
        return await self._schedules.aget(self.id)

    def cancel(self) -> bool:
        """It fires no more; ``False``: it was gone. What it sent goes on."""
        return self._schedules.remove(self.id)

    async def acancel(self) -> bool:
        """As ``cancel``."""
        return await self._schedules.aremove(self.id)

    def pause(self) -> bool:
        """It fires no more until it is resumed; survives restarts. ``False``: it is gone."""
        return self._schedules.pause(self.id)

    async def apause(self) -> bool:
        """As ``pause``."""
        return await self._schedules.apause(self.id)

    def resume(self) -> bool:
        """It goes on with the next tick that comes. ``False``: it is gone."""
        return self._schedules.resume(self.id)

    async def aresume(self) -> bool:
        """As ``resume``."""
        return await self._schedules.aresume(self.id)


class Schedules:
    """``router.schedules``."""

    def __init__(self, engine: Engine, seal: Seal, unseal: Unseal) -> None:
        self._engine = engine
        self._seal = seal
        self._unseal = unseal

    # ------------------------------------------------------------ making

    def prepared(
        self, message: Message, rule: Mapping[str, Any], id_: str | None, options: Mapping[str, Any]
    ) -> Stored:
        """A schedule that is not stored yet. Raises ``InvalidMessage`` with the field and the rule."""
        refused = sorted(_NOT_HERE & options.keys())
        if refused:
            raise InvalidMessage(refused[0], "is made anew for each tick, and cannot be given")
        now = self._engine.clock.now()
        try:
            checked_rule = checked(_rule(rule, now), now)
        except BadRule as error:
            name = _RULE_FIELDS.get(error.field, error.field)
            raise InvalidMessage(name, error.rule, shape(rule.get(error.field))) from error
        sealed = self._seal(message, "template", options)
        # As it was given: an instant that was made of a duration counts from each tick, not from now.
        body = pack_body(layout_of(type(message)).payload(message))
        template = sealed._replace(body=body, source="schedule")
        data = encode_rule(checked_rule)
        if id_ is None:
            # Of what it is, so that a program that makes it at every start has one and not many.
            what = pack([template.type, template.guild, body, data if not checked_rule.every else checked_rule.every])
            id_ = f"{template.type.lower()}-{blake2b(what, digest_size=8).hexdigest()}"[-64:]
        elif not _ID.fullmatch(id_):
            raise InvalidMessage("id", "must be 1 to 64 of A-Za-z0-9_.-", shape(id_))
        frame = encode(template._replace(id=f"schedule.{id_}", created_at=0, expires_at=_lifetime(sealed)))
        return Stored(id_, frame, data, following(checked_rule, now))

    def put(self, stored: Stored, operator: str = "") -> Promise[Schedule]:
        """Store it; what is known by the same id is replaced."""

        def put(store: Backend, now: int) -> Schedule:
            known = {each.id: each for each in store.schedules("", MOST)}
            if len(known) >= MOST and stored.id not in known:
                raise InvalidMessage("schedule", f"must not be one more than the {MOST} there are")
            if store.put_schedule(_anchored(stored, known.get(stored.id)), now):
                _note(store, now, operator, "schedule", stored.id)
            return Schedule(lambda: self, stored.id)

        return self._changing(put)

    def submission(self, stored: Stored, tick: int) -> Submission:
        """The command of one tick. Raises what is wrong with it now: its type may be gone."""
        template = decode(stored.frame, trusted=True)
        message = self._unseal(template)
        name = f"{stored.id}.{tick}"
        options: dict[str, Any] = {
            "idempotency_key": f"schedule:{name}",
            "priority": template.priority,
            "expires_in": template.expires_at / 1000,
            "requires_realtime": template.realtime,
            "requires_reliability": template.reliable,
            "protocols": template.protocols,
            "correlation_id": template.correlation_id or None,
            "reply_to": template.reply_to or None,
            "headers": dict(template.headers),
            "actor": template.user or None,
            "source": "schedule",
        }
        envelope = self._seal(message, name, options)
        return Submission(envelope, encode(envelope))

    # ------------------------------------------------------------ looking and managing

    def list(self) -> Views:
        """All, by id."""
        return self._list().get(timeout=PATIENCE)

    async def alist(self) -> Views:
        """As ``list``."""
        return await self._list()

    def get(self, id: str) -> ScheduleView | None:
        """One; ``None``: there is none of this id."""
        return self._get(id).get(timeout=PATIENCE)

    async def aget(self, id: str) -> ScheduleView | None:
        """As ``get``."""
        return await self._get(id)

    def remove(self, id: str, *, operator: str = "") -> bool:
        """It fires no more; ``False``: there is none. What it sent goes on."""
        return self._remove(id, operator).get(timeout=PATIENCE)

    async def aremove(self, id: str, *, operator: str = "") -> bool:
        """As ``remove``."""
        return await self._remove(id, operator)

    def pause(self, id: str, *, operator: str = "") -> bool:
        """It fires no more until it is resumed; durable. ``False``: there is none."""
        return self._pause(id, True, operator).get(timeout=PATIENCE)

    async def apause(self, id: str, *, operator: str = "") -> bool:
        """As ``pause``."""
        return await self._pause(id, True, operator)

    def resume(self, id: str, *, operator: str = "") -> bool:
        """It goes on with the next tick that comes; what passed meanwhile is not made up for."""
        return self._pause(id, False, operator).get(timeout=PATIENCE)

    async def aresume(self, id: str, *, operator: str = "") -> bool:
        """As ``resume``."""
        return await self._pause(id, False, operator)

    def _list(self) -> Promise[Views]:
        return self._call(lambda store, _: [view_of(each) for each in store.schedules("", MOST)])

    def _get(self, id_: str) -> Promise[ScheduleView | None]:
        def get(store: Backend, _: int) -> ScheduleView | None:
            return next((view_of(each) for each in store.schedules("", MOST) if each.id == id_), None)

        return self._call(get)

    def _remove(self, id_: str, operator: str) -> Promise[bool]:
        def remove(store: Backend, now: int) -> bool:
            removed = store.remove_schedule(id_)
            if removed:
                _note(store, now, operator, "remove schedule", id_)
            return removed

        return self._changing(remove)

    def _pause(self, id_: str, paused: bool, operator: str) -> Promise[bool]:
        def pause(store: Backend, now: int) -> bool:
            found = next((each for each in store.schedules("", MOST) if each.id == id_), None)
            if found is None:
                return False
            store.pause_schedule(id_, paused, following(decode_rule(found.rule), now), now)
            if found.paused != paused:
                _note(store, now, operator, "pause schedule" if paused else "resume schedule", id_)
            return True

        return self._changing(pause)

    def _call(self, fn: Callable[[Backend, int], T]) -> Promise[T]:
        return self._engine.store_call(fn)

    def _changing(self, fn: Callable[[Backend, int], T]) -> Promise[T]:
        promise = self._call(fn)
        promise.add_done_callback(partial(_wake, self._engine))
        return promise


def _anchored(new: Stored, known: Stored | None) -> Stored:
    """Made again with the same period it keeps its beat."""
    if known is not None:
        rule, old = decode_rule(new.rule), decode_rule(known.rule)
        if rule == old._replace(anchor=rule.anchor):
            return new._replace(rule=known.rule)
    return new


def view_of(stored: Stored) -> ScheduleView:
    """As it is shown."""
    rule = decode_rule(stored.rule)
    template = decode(stored.frame, trusted=True)
    return ScheduleView(
        id=stored.id,
        type=template.type,
        guild=template.guild,
        cron=rule.cron or None,
        timezone=rule.timezone if rule.cron else None,
        every_ms=rule.every or None,
        at=rule.at or None,
        overlap=rule.overlap.value,
        catch_up_ms=rule.catch_up,
        paused=stored.paused,
        next=stored.next or None,
        last=stored.last or None,
        fired=stored.fired,
        passed=stored.passed,
        recent=list(stored.recent),
        made_at=stored.made_at,
    )


def _wake(engine: Engine, _: object) -> None:
    try:
        engine.runtime.ref("timetable").tell(Look())
    except RuntimeFault:
        return  # it starts again, and looks first thing; or the router stops


def _note(store: Backend, now: int, operator: str, action: str, id_: str) -> None:
    detail = pack({"action": action, "schedule": id_})
    store.write([Note(now, "operator", "", "", operator, detail)], now)


def _lifetime(sealed: Envelope) -> int:
    """Ms a command of this kind has to start, which its template holds instead of a deadline."""
    return sealed.expires_at - (sealed.due_at or sealed.created_at)


def _rule(given: Mapping[str, Any], now: int) -> Rule:
    cron, timezone = given.get("cron"), given.get("timezone") or "UTC"
    every, at = given.get("every"), given.get("at")
    if cron is not None and not isinstance(cron, str):
        raise BadRule("cron", "must be an expression, such as 0 4 * * *")
    if not isinstance(timezone, str):
        raise BadRule("timezone", "must be a name, such as Europe/Berlin")
    try:
        overlap = Overlap("buffer_one" if given.get("overlap") == "queue" else given.get("overlap") or "skip")
    except ValueError as error:
        raise BadRule("overlap", f"must be one of {', '.join(Overlap)}") from error
    catch_up = given.get("catch_up")
    return Rule(
        cron=cron or "",
        timezone=timezone,
        every=0 if every is None else _span("every", every),
        anchor=0 if every is None else now,
        at=0 if at is None else _instant(at),
        overlap=overlap,
        catch_up=60_000 if catch_up is None else _span("catch_up", catch_up),
    )


def _span(name: str, value: Any) -> int:
    """Seconds, or a ``timedelta``, as ms."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        raise BadRule(name, "must be seconds or a timedelta")
    return round(value * 1000)


def _instant(at: Any) -> int:
    if isinstance(at, datetime) and at.tzinfo is not None:
        return round(at.timestamp() * 1000)
    if isinstance(at, bool) or not isinstance(at, int):
        raise BadRule("at", "must be milliseconds since the epoch, or a datetime with a time zone")
    return at
