"""Ticks of a schedule: which one is due, which are missed, which is next. Times in ms since the epoch.

Cron expressions are those of Debian's cron (five fields, or six with seconds in front), read by cronsim, in a time
zone. Where a zone's clock goes forward, a job at a fixed time in the gap runs right after it; where it goes back, such
a job runs once, and one with ``*`` or ``*/n`` in minutes or hours runs in every minute or hour that passes. Expressions
with seconds know no such rule: they run at each moment that has the time.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from itertools import takewhile
from typing import NamedTuple
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

SECOND = 1_000
DAY = 86_400_000
LONGEST = 366 * DAY  # the longest period, and how far ahead a first tick may be
CRON_LENGTH = 128  # characters; real ones have 9 to 40
LATEST_CATCH_UP = DAY
FIELDS = (5, 6)
LATEST = 253_370_764_800_000  # the year 9999, where calendars end
_WINDOWS = (60 * SECOND, 3_600 * SECOND, DAY)  # looked back through for the latest tick, so that few are counted
_NAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


class BadRule(ValueError):
    """A rule of a schedule that cannot be: ``field`` says what of it, the text why."""

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"{field} {rule}")
        self.field = field
        self.rule = rule


class Overlap(StrEnum):
    """What a tick does while the command of an earlier one is not done."""

    SKIP = "skip"  #: it is passed over
    BUFFER_ONE = "buffer_one"  #: one may wait behind the one that is not done; more are passed over
    ALLOW = "allow"  #: it is sent; lanes keep the order


ROOM = {Overlap.SKIP: 1, Overlap.BUFFER_ONE: 2}
"""Commands of a schedule that may be on their way, the new one counted."""


class Rule(NamedTuple):
    """When a schedule ticks: by exactly one of ``cron``, ``every`` and ``at``."""

    cron: str = ""
    timezone: str = "UTC"  #: of ``cron``
    every: int = 0  #: ms
    anchor: int = 0  #: with ``every``: ticks are whole periods from here
    at: int = 0
    overlap: Overlap = Overlap.SKIP
    catch_up: int = 60_000  #: ms a tick may be late; later, it is missed


class Due(NamedTuple):
    """What an open tick that has come means now."""

    tick: int  #: to be fired; 0: none, all of them are missed
    next: int  #: the open one after that; 0: none


def checked(rule: Rule, now: int) -> Rule:
    """The rule, if it can be; raises ``BadRule``. A cron expression is brought to its plain form."""
    given = [name for name in ("cron", "every", "at") if getattr(rule, name)]
    if len(given) != 1:
        raise BadRule("schedule", "must have exactly one of cron, every and at")
    if not 0 <= rule.catch_up <= LATEST_CATCH_UP:
        raise BadRule("catch_up", "must be from 0 to a day")
    if rule.cron:
        rule = rule._replace(cron=_checked_cron(rule.cron))
        _zone(rule.timezone)
    elif rule.every and not SECOND <= rule.every <= LONGEST:
        raise BadRule("every", "must be from a second to 366 days")
    elif rule.at and not 0 < rule.at < LATEST:
        raise BadRule("at", "must be a time before the year 9999")
    if not following(rule, now):
        raise BadRule("cron" if rule.cron else "at", "must name a time that comes")
    return rule


def following(rule: Rule, after: int) -> int:
    """The first tick later than ``after``; 0: none."""
    if rule.at:
        return rule.at if rule.at > after else 0
    if rule.every:
        return rule.anchor + ((after - rule.anchor) // rule.every + 1) * rule.every
    return next(_ticks(rule, after), 0)


def due(rule: Rule, tick: int, now: int) -> Due:
    """``tick`` is open and has come: what is fired, at most one however many have passed, and what is next."""
    latest = _latest(rule, tick, now)
    return Due(latest if now - latest <= rule.catch_up else 0, following(rule, now))


def has_room(overlap: Overlap, under_way: int) -> bool:
    """Whether one more may be sent while so many of the schedule's commands are not done."""
    return overlap not in ROOM or under_way < ROOM[overlap]


def _latest(rule: Rule, tick: int, now: int) -> int:
    """The last tick up to ``now``, from ``tick`` on."""
    if rule.at:
        return tick
    if rule.every:
        return max(tick, rule.anchor + (now - rule.anchor) // rule.every * rule.every)
    for window in _WINDOWS:
        start = max(tick, now - window)
        latest = 0
        for each in takewhile(lambda at: at <= now, _ticks(rule, start - 1)):
            latest = each
        if latest or start == tick:
            return max(tick, latest)
    return tick  # a tick of longer than a day ago is missed, whichever it was


def _ticks(rule: Rule, after: int) -> Iterator[int]:
    start = datetime.fromtimestamp(after // SECOND, _zone(rule.timezone))
    try:
        for moment in CronSim(rule.cron, start):
            yield round(moment.timestamp()) * SECOND
    except (RuntimeError, OverflowError, ValueError):
        # It comes no more within 50 years, or before the end of all calendars.
        return


def _checked_cron(text: str) -> str:
    if len(text) > CRON_LENGTH:
        raise BadRule("cron", f"must have at most {CRON_LENGTH} characters")
    text = " ".join(text.split())
    plain = _NAMES.get(text.lower(), text)
    if plain.startswith("@"):
        raise BadRule("cron", f"must be an expression or one of {', '.join(sorted(_NAMES))}")
    if len(plain.split()) not in FIELDS:
        raise BadRule("cron", "must have five fields, or six with seconds in front")
    try:
        CronSim(plain, datetime.fromtimestamp(0, UTC))
    except CronSimError as error:
        raise BadRule("cron", f"must be valid: {str(error).lower()}") from error
    except Exception as error:
        raise BadRule("cron", "must be valid") from error
    return plain


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except Exception as error:
        raise BadRule("timezone", "must be a name of the time zone database, such as Europe/Berlin") from error
