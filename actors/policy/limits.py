"""Limits at several levels at once: rate, concurrency and backlog of the router, a guild, a user, a type, a queue.

A level is a pair (kind, name) such as ``("guild", "81384788765712384")`` or ``("global", "")``. A rule bounds every
name of its kind, or one name alone, and then replaces the general rule for it. Levels without a rule are free.

What is asked of several levels is granted at all of them or at none. Rates are token buckets in exact integers: in any
span of ``t`` ms no level admits more than ``burst + rate * t / per``. Not thread-safe: it has one owner.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

LevelName: TypeAlias = tuple[str, str]
Reason: TypeAlias = Literal["rate", "concurrency", "backlog"]

MAX_NAMES = 200_000


@dataclass(frozen=True, slots=True)
class Rule:
    """The bounds of one kind of level; 0 is "no bound"."""

    kind: str
    name: str = ""  #: this name alone; "": every name of the kind
    rate: int = 0  #: messages per ``per`` ms
    per: int = 1_000  #: ms
    burst: int = 0  #: most at one instant; 0: as many as ``rate``
    concurrency: int = 0  #: admitted and not released
    backlog: int = 0  #: entered and not left

    def __post_init__(self) -> None:
        for field in ("rate", "burst", "concurrency", "backlog"):
            if getattr(self, field) < 0:
                raise ValueError(f"{field} of the limit of {self.kind!r} is {getattr(self, field)}, less than 0")
        if self.per < 1:
            raise ValueError(f"per of the limit of {self.kind!r} is {self.per}, less than 1 ms")
        if self.burst and not self.rate:
            raise ValueError(f"the limit of {self.kind!r} has a burst of {self.burst} but no rate")

    @property
    def capacity(self) -> int:
        """The most that one level can ever admit at one instant."""
        return self.burst or self.rate


@dataclass(frozen=True, slots=True)
class Admitted:
    """Granted at every level."""


class Denied(NamedTuple):
    """Refused, and nothing was taken anywhere. Of several refusals, the one that lasts longest."""

    kind: str
    name: str
    reason: Reason
    retry_after: int = 0  #: ms; 0: nobody can tell (a slot must be released, the backlog must shrink)
    forever: bool = False  #: the cost is above the capacity: never retry


class Usage(NamedTuple):
    """What one level holds now."""

    tokens: int  #: whole ones that could be spent at once
    running: int
    backlog: int


ADMITTED = Admitted()


class _Level:
    """Counters of one name. A token is ``per`` units, and ``rate`` units flow in each ms: no fractions, no drift."""

    __slots__ = ("at", "backlog", "rule", "running", "units")

    def __init__(self, rule: Rule, now: int) -> None:
        self.rule = rule
        self.units = rule.capacity * rule.per
        self.at = now
        self.running = 0
        self.backlog = 0

    def refill(self, now: int) -> int:
        rule = self.rule
        if now > self.at:  # a clock that went back gives nothing and takes nothing
            self.units = min(rule.capacity * rule.per, self.units + (now - self.at) * rule.rate)
            self.at = now
        return self.units

    def idle(self, now: int) -> bool:
        """Whether it knows nothing that a new one would not know."""
        return not self.running and not self.backlog and self.refill(now) == self.rule.capacity * self.rule.per


class Limits:
    """All levels of one owner. Names that are idle are forgotten; at most ``max_names`` are known by admission.

    Beyond that, a name that is not known is refused as by its rate: forgetting a name in use would break its bound.
    """

    def __init__(self, rules: Iterable[Rule], *, max_names: int = MAX_NAMES) -> None:
        self._rules: dict[LevelName, Rule] = {}
        for rule in rules:
            if (rule.kind, rule.name) in self._rules:
                raise ValueError(f"two limits of {rule.kind!r} {rule.name!r}")
            self._rules[rule.kind, rule.name] = rule
        self._levels: OrderedDict[LevelName, _Level] = OrderedDict()
        self._max_names = max_names

    def __len__(self) -> int:
        """Names known now."""
        return len(self._levels)

    def admit(self, levels: Sequence[LevelName], now: int, cost: int = 1) -> Admitted | Denied:
        """Take ``cost`` tokens and one slot at every level, or nothing. ``release`` gives the slots back.

        A full backlog refuses too; entering it is a step of its own (``enter``), since what was refused later or is
        known already does not enter.
        """
        if cost < 0:
            raise ValueError(f"a cost of {cost}, less than 0")
        worst: Denied | None = None
        asked: list[tuple[LevelName, _Level]] = []
        for name in dict.fromkeys(levels):
            rule = self._rule(name)
            if rule is None:
                continue
            level = self._levels.get(name)
            if level is None and len(self._levels) >= self._max_names and not self._sweep(now):
                denied: Denied | None = Denied(*name, "rate", rule.per)
            else:
                level = level or _Level(rule, now)
                asked.append((name, level))
                denied = _denial(level, name, now, cost)
            if denied is not None and (worst is None or _lasts(denied) > _lasts(worst)):
                worst = denied
        if worst is not None:
            return worst
        for name, level in asked:
            if level.rule.rate:
                level.units -= cost * level.rule.per
            if level.rule.concurrency:
                level.running += 1
            if name not in self._levels:
                self._levels[name] = level
                self._sweep(now)
        return ADMITTED

    def give_back(self, levels: Sequence[LevelName], now: int, cost: int = 1) -> None:
        """The tokens of an admission of which nothing came; never above what the level can hold."""
        for _, level in self._known(levels):
            if level.rule.rate:
                level.units = min(level.rule.capacity * level.rule.per, level.refill(now) + cost * level.rule.per)

    def release(self, levels: Sequence[LevelName]) -> None:
        """Give the slots of one admission back. ``ValueError`` if one of them is not taken; then none is given back."""
        held = [(name, level) for name, level in self._known(levels) if level.rule.concurrency]
        expected = sum(1 for name in dict.fromkeys(levels) if (rule := self._rule(name)) and rule.concurrency)
        if len(held) != expected or not all(level.running for _, level in held):
            raise ValueError("released a slot that was not taken")
        for name, level in held:
            level.running -= 1
            self._forget_if_idle(name, level)

    def enter(self, levels: Sequence[LevelName], now: int) -> None:
        """Count one more in the backlog of every level that bounds it. Never refused: it is stored already."""
        for name in dict.fromkeys(levels):
            rule = self._rule(name)
            if rule is not None and rule.backlog:
                level = self._levels.get(name)
                if level is None:
                    level = self._levels[name] = _Level(rule, now)
                level.backlog += 1

    def leave(self, levels: Sequence[LevelName]) -> None:
        """Count one less. ``ValueError`` if one of the levels has none; then nothing is changed."""
        known = [(name, level) for name, level in self._known(levels) if level.rule.backlog]
        expected = sum(1 for name in dict.fromkeys(levels) if (rule := self._rule(name)) and rule.backlog)
        if len(known) != expected or not all(level.backlog for _, level in known):
            raise ValueError("left a backlog that was not entered")
        for name, level in known:
            level.backlog -= 1
            self._forget_if_idle(name, level)

    def usage(self, level: LevelName, now: int) -> Usage | None:
        """What the level holds; ``None``: no rule bounds it."""
        rule = self._rule(level)
        if rule is None:
            return None
        known = self._levels.get(level)
        if known is None:
            return Usage(rule.capacity, 0, 0)
        return Usage(known.refill(now) // rule.per, known.running, known.backlog)

    def _rule(self, name: LevelName) -> Rule | None:
        return self._rules.get(name) or self._rules.get((name[0], ""))

    def _known(self, levels: Sequence[LevelName]) -> list[tuple[LevelName, _Level]]:
        return [(name, self._levels[name]) for name in dict.fromkeys(levels) if name in self._levels]

    def _sweep(self, now: int) -> bool:
        """Whether a name was forgotten.

        Two steps of a hand that goes round, for each name that comes: idle ones go faster than new ones come, and
        nobody waits for a walk over all of them.
        """
        before = len(self._levels)
        for _ in range(min(2, before)):
            name, level = next(iter(self._levels.items()))
            if level.idle(now):
                del self._levels[name]
            else:
                self._levels.move_to_end(name)
        return len(self._levels) < before

    def _forget_if_idle(self, name: LevelName, level: _Level) -> None:
        if not level.running and not level.backlog and not level.rule.rate:
            del self._levels[name]


def _denial(level: _Level, name: LevelName, now: int, cost: int) -> Denied | None:
    rule = level.rule
    if rule.rate:
        if cost > rule.capacity:
            return Denied(*name, "rate", 0, forever=True)
        missing = cost * rule.per - level.refill(now)
        if missing > 0:
            return Denied(*name, "rate", -(-missing // rule.rate))
    if rule.concurrency and level.running >= rule.concurrency:
        return Denied(*name, "concurrency")
    if rule.backlog and level.backlog >= rule.backlog:
        return Denied(*name, "backlog")
    return None


def _lasts(denied: Denied) -> tuple[bool, int]:
    return denied.forever, denied.retry_after
