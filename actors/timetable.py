"""The timetable: sends what schedules say when their ticks have come, each tick once over all routers.

A look claims the due schedules in the store; then, for each, the command is sent under an id made of schedule and tick,
and only when it is stored the schedule moves on. A router that dies in between leaves the tick open: whoever claims
it next sends it again, which the store knows by its id.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, NamedTuple

from actors.codec import pack
from actors.errors import EngineError, EnvelopeError
from actors.messages import StoreCall, Submission
from actors.outcome import Answer
from actors.policy.ticks import due, has_room
from actors.ports import Backend, Note
from actors.rules import decode_rule
from actors.runtime.actor import Actor
from actors.runtime.clock import Timer
from actors.runtime.errors import RuntimeFault
from actors.runtime.ref import Ref
from actors.schedules import Fire, Schedule

logger = logging.getLogger("guild_router.schedules")

FLOOR = 5_000  # ms between looks where nothing is due: other routers may have added or changed some
CLAIM = 10_000  # ms until another router deals with what this one claimed and did not end
AGAIN = 1_000  # ms, at least, until a command that the door refused for now is sent again

Make = Callable[[Schedule, int], Submission]
"""``make(schedule, tick)``: the command of that tick, without a waiter; raises what is wrong with it."""


class Look(NamedTuple):
    """Anybody -> timetable: schedules changed."""


class Timetable(Actor):
    """``router``: this one among those that share the store."""

    mailbox_capacity = 10_000

    def __init__(self, journal: Callable[[], Ref], intake: Callable[[], Ref], make: Make, router: str) -> None:
        super().__init__()
        self._journal = journal
        self._intake = intake
        self._make = make
        self._router = router
        self._timer: Timer | None = None
        self._asked = False  # a look is under way
        self._open: dict[tuple[str, int], int] = {}  # ticks being dealt with, and since when
        self._once_more = False

    def on_start(self) -> None:
        self._look()

    def on_receive(self, message: object) -> None:
        match message:
            case Look():
                self._look()
            case _Due():
                self._timer = None
                self._look()
            case _Found(claimed, following, now):
                self._asked = False
                self._open = {tick: since for tick, since in self._open.items() if since + CLAIM > now}
                new = [each for each in claimed if (each[0].id, each[0].next) not in self._open]
                for schedule, under_way in new:
                    self._open[schedule.id, schedule.next] = now
                    self._deal(schedule, under_way, now)
                # All that could be claimed is being dealt with: what else is due waits for the first that is done.
                self._wait(now + AGAIN if not new and 0 < following <= now else following, now)
            case _Failed():
                self._asked = False
                self._wait(0, self.clock.now())
            case _Sent(fire):
                self._fire(fire, "")
            case _NotSent(fire, error):
                self._not_sent(fire, error)
            case _Fired(fire, answer):
                self._fired(fire, answer)

    # ------------------------------------------------------------ looking

    def _look(self) -> None:
        if self._asked:
            self._once_more = True
            return
        self._asked, self._once_more = True, False
        me, router = self.me, self._router

        def look(store: Backend, now: int) -> _Found:
            claimed = store.claim_due(router, now, now + CLAIM)
            return _Found([(each, _under_way(store, each)) for each in claimed], store.next_due(now), now)

        def told(answer: Any) -> None:
            _tell(me, _Failed() if isinstance(answer, Exception) else answer)

        try:
            self._journal().tell(StoreCall(look, told))
        except RuntimeFault:
            self._asked = False
            self._wait(0, self.clock.now())

    def _wait(self, following: int, now: int) -> None:
        left = min(following or now + FLOOR, now + FLOOR) - self.clock.now()
        if self._once_more or left <= 0:
            self._look()
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.send_after(left / 1000, _Due())

    # ------------------------------------------------------------ one open tick

    def _deal(self, schedule: Schedule, under_way: int, now: int) -> None:
        try:
            rule = decode_rule(schedule.rule)
        except EnvelopeError as error:
            logger.error("schedule %s has ended: %s", schedule.id, error)  # noqa: TRY400 - its text says it all
            self._fire(Fire(schedule.id, schedule.next, 0), error.code)
            return
        what = due(rule, schedule.next, now)
        fire = Fire(schedule.id, schedule.next, what.next)
        if not what.tick:
            self._fire(fire, "missed")
        elif not has_room(rule.overlap, under_way):
            self._fire(fire, "overlap")
        else:
            self._send(schedule, what.tick, fire)

    def _send(self, schedule: Schedule, tick: int, fire: Fire) -> None:
        try:
            submission = self._make(schedule, tick)
        except Exception as error:
            # Its type is gone, or has other rules by now: this tick is passed over, and the next is tried.
            logger.exception("schedule %s cannot be fired", schedule.id)
            self._fire(fire, str(getattr(error, "code", type(error).__name__)))
            return
        submission.waiter = _Waiter(self.me, fire._replace(command=submission.envelope.id))
        try:
            self._intake().tell(submission)
        except RuntimeFault:
            self._again(fire, AGAIN)

    def _not_sent(self, fire: Fire, error: EngineError) -> None:
        if error.retryable:
            logger.warning("schedule %s waits: %s", fire.id, error)
            self._again(fire, max(AGAIN, error.retry_after))
        else:
            self._fire(fire._replace(command=""), error.code)

    def _again(self, fire: Fire, after: int) -> None:
        """The tick stays open, and the claim is ours."""
        self._open.pop((fire.id, fire.tick), None)
        self.send_after(after / 1000, Look())

    def _fire(self, fire: Fire, passed_over: str) -> None:
        def write(store: Backend, now: int) -> bool:
            done = store.fire(fire, now)
            if done and passed_over:
                detail = pack({"schedule": fire.id, "tick": fire.tick, "reason": passed_over})
                store.write([Note(now, "schedule", "", "", "", detail)], now)
            return done

        me = self.me

        def told(answer: Any) -> None:
            _tell(me, _Fired(fire, answer))

        try:
            self._journal().tell(StoreCall(write, told))
        except RuntimeFault:
            self._again(fire, AGAIN)

    def _fired(self, fire: Fire, answer: Any) -> None:
        if isinstance(answer, Exception):
            logger.warning("schedule %s could not move on: %s", fire.id, answer)
            self._again(fire, AGAIN)
        else:
            self._open.pop((fire.id, fire.tick), None)
            self._look()


class _Due:
    """To itself: a tick has come, or it is time to look."""


class _Found(NamedTuple):
    """Journal -> timetable: what was claimed, with how many commands of each are under way; when to look again."""

    claimed: list[tuple[Schedule, int]]
    following: int
    now: int


class _Failed:
    """Journal -> timetable: the store could not say."""


class _Sent(NamedTuple):
    fire: Fire


class _NotSent(NamedTuple):
    fire: Fire
    error: EngineError


class _Fired(NamedTuple):
    fire: Fire
    answer: Any


class _Waiter:
    """Whom intake and deduplicator tell what became of a tick's command."""

    def __init__(self, timetable: Ref, fire: Fire) -> None:
        self._timetable = timetable
        self._fire = fire

    def on_accepted(self, id: str, sequence: int, ahead: int, original: str) -> None:  # noqa: ARG002 - the port's
        _tell(self._timetable, _Sent(self._fire))

    def on_refused(self, error: EngineError) -> None:
        _tell(self._timetable, _NotSent(self._fire, error))

    def on_expired(self, error: EngineError, answer: Answer) -> None:  # noqa: ARG002 - the port's words
        _tell(self._timetable, _NotSent(self._fire, error))

    def on_answered(self, answer: Answer) -> None:
        """Its way is its own business from here on."""


def _under_way(store: Backend, schedule: Schedule) -> int:
    found = [store.get(id_) for id_ in schedule.recent]
    return sum(1 for stored in found if stored is not None and not stored.status)


def _tell(ref: Ref, message: object) -> None:
    try:
        ref.tell(message)
    except RuntimeFault as error:
        logger.debug("the timetable was not told of a %s: %s", type(message).__name__, error)
