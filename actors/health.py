"""The health monitor: looks at what the router depends on, and reports what becomes of the breakers.

It owns the breakers' news: each transition becomes an event and a line of the audit trail, once and in order. Those
lines are also the breakers' memory: after a restart of the process each breaker goes on as its latest line says, so
that a target that was down is asked by a probe and not by the whole backlog. A store that forgets with its process
begins with all of them closed.

Whoever waits for a breaker is woken by it: all when the breaker closes, and one at a time while its break is over.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

from actors.envelope import Envelope
from actors.errors import EngineError
from actors.messages import Published, StoreCall
from actors.policy.breaker import Condition, Snapshot, Transition
from actors.ports import AuditFilter, Backend, LoadMeter, Note, Probe, Sign
from actors.runtime.actor import Actor
from actors.runtime.ref import Ref
from actors.tables.backlog import Backlog
from actors.tables.breakers import TOPIC, Breakers, is_target, read_snapshot, write_snapshot
from actors.tables.counters import Counters
from actors.tables.depths import EVERY, Depth, Depths, Sample
from actors.tables.gate import Gate
from actors.tables.load import Load
from actors.tables.services import STORE, Services

logger = logging.getLogger("guild_router.health")
breaker_log = logging.getLogger("guild_router.breaker")

NOTED_UNDER = "breaker"
CHANGED = "BREAKER_CHANGED"  #: the type of what is told of it
"""The id and kind of the audit lines, by which they are found again."""

REMEMBERED = 1_000
"""Lines read after a restart; of each breaker the newest counts."""

PATIENCE = 5.0
"""Seconds a look may take."""

UNWELL = 5_000
"""Milliseconds between two looks at a service that is not well: that it is back is worth knowing soon."""

CAREFUL = 1.0
"""Seconds until one more of those who wait is asked to try, while a break is over and nobody has tried."""

TICK = 1.0
"""Seconds between two looks at this process itself."""


class HealthMonitor(Actor):
    """Looks, reports, wakes."""

    mailbox_capacity = 100_000

    def __init__(
        self,
        *,
        probes: Sequence[Probe],
        meters: Sequence[LoadMeter],
        breakers: Breakers,
        services: Services,
        load: Load,
        gate: Gate,
        backlog: Backlog,
        counters: Counters,
        depths: Depths,
        journal: Callable[[], Ref],
        publish: Callable[[list[Published]], None],
        listening: Callable[[], bool],
        interval: int,
    ) -> None:
        super().__init__()
        self._probes = {probe.service: probe for probe in (_StoreProbe(journal), *probes)}
        self._meters = meters
        self._breakers = breakers
        self._services = services
        self._load = load
        self._gate = gate
        self._backlog = backlog
        self._counters = counters
        self._depths = depths
        self._journal = journal
        self._publish = publish
        self._listening = listening
        self._interval = interval
        self._looks: dict[str, _Look] = {}  # under way
        self._rung: dict[str, int] = {}  # breakers with a timer, and when it rings
        self._count = 0

    # ------------------------------------------------------------ messages

    def on_start(self) -> None:
        me = self.me
        self._breakers.listen(lambda: me.tell(_News()))
        self._restore()
        self._report()
        for name in self._probes:
            self._look(name)
        self._sample()
        self._tick()

    def on_receive(self, message: object) -> None:
        match message:
            case _News():
                self._report()
            case _Restored(done):
                self._breakers.restored = done
                self._report()
                if not done:
                    self.send_after(PATIENCE, _Retry())
            case _Retry():
                self._restore()
            case _Seen(look, sign):
                self._seen(look, sign)
            case _Due(service):
                self._look(service)
            case _Ring(name, at):
                if self._rung.get(name) == at:
                    del self._rung[name]
                    self._over(name)
            case _Sample():
                self._sample()
            case _Tick(asked):
                self._load.lagged(self.clock.monotonic() - asked)
                self._tick()

    # ------------------------------------------------------------ breakers

    def _restore(self) -> None:
        if self._breakers.restored:
            return
        breakers, me = self._breakers, self.me

        def found(snapshots: list[Snapshot] | EngineError) -> None:
            # Right here, on the journal's thread: what is recovered comes after this and must find them as they were.
            if not isinstance(snapshots, EngineError):
                breakers.restore(snapshots, self.clock.now())
            me.tell(_Restored(done=not isinstance(snapshots, EngineError)))

        self._journal().tell(StoreCall(lambda store, _: newest(store, REMEMBERED), found))

    def _report(self) -> None:
        now = self.clock.now()
        for transition in self._breakers.news():
            self._tell_of(transition)
            if transition.after is Condition.CLOSED:
                self._gate.breaker_closed(transition.name)
        for name, breaker in self._breakers.resting.items():
            self._ring(name, breaker.rest(now), now)

    def _tell_of(self, transition: Transition) -> None:
        level = logging.WARNING if transition.after is Condition.OPEN else logging.INFO
        name, before, after = transition.name, transition.before, transition.after
        breaker_log.log(level, "%s: %s, was %s (%s)", name, after, before, transition.reason)
        breaker = self._breakers.find(name)
        snapshot = breaker.snapshot() if breaker is not None else Snapshot(name, after)
        detail = write_snapshot(snapshot, transition)

        def write(store: Backend, now: int) -> None:
            store.write([Note(transition.at, NOTED_UNDER, NOTED_UNDER, "", "", detail)], now)
            announce = getattr(store, "announce", None)  # of a store that several routers share
            if announce is not None:
                announce(TOPIC, detail)

        self._journal().tell(StoreCall(write, _unwritten))
        if self._listening():
            self._count += 1
            about = _about(transition, self._count, detail)
            self._publish([Published(NOTED_UNDER, about, None, 0, f"{before} {after} {transition.reason}")])

    def _ring(self, name: str, rest: int, now: int) -> None:
        at = now + max(rest, 1)
        before = self._rung.get(name)
        if before is None or at < before:
            self._rung[name] = at
            self.send_after((at - now) / 1000, _Ring(name, at))

    def _over(self, name: str) -> None:
        """A break may be over. As long as nobody asks, one more is woken each second."""
        breaker = self._breakers.resting.get(name)
        if breaker is None:
            return
        now = self.clock.now()
        rest = breaker.rest(now)
        if not rest:
            self._gate.breaker_over(name)
        self._ring(name, rest or round(CAREFUL * 1000), now)

    # ------------------------------------------------------------ services

    def _look(self, service: str) -> None:
        look = self._looks[service] = _Look(service, self.clock.monotonic())
        me = self.me
        try:
            self._probes[service].probe(lambda sign: me.tell(_Seen(look, sign)))
        except Exception as error:
            logger.exception("the probe of %s raised", service)
            self._seen(look, Sign(well=False, detail=type(error).__name__))
            return
        self.send_after(PATIENCE, _Seen(look, Sign(well=False, detail=f"no answer within {PATIENCE:g} s")))

    def _seen(self, look: _Look, sign: Sign) -> None:
        service = look.service
        if self._looks.get(service) is not look:
            return  # it is answered, or given up
        del self._looks[service]
        now = self.clock.now()
        ms = (self.clock.monotonic() - look.asked) * 1000
        if self._services.looked(service, now, ms, sign):
            level = logging.INFO if sign.well else logging.WARNING
            logger.log(level, "%s is %s: %s", service, "well again" if sign.well else "not well", sign.detail or "-")
        interval = self._probes[service].interval or self._interval
        self.send_after((interval if sign.well else min(interval, UNWELL)) / 1000, _Due(service))

    # ------------------------------------------------------------ this process

    def _sample(self) -> None:
        def read(store: Backend, now: int) -> Sample:
            ages = self._backlog.ages(now)
            stats = store.stats()
            queues = {}
            for name in ages.keys() | stats.keys():
                waiting, age = ages.get(name, (0, 0))
                known = stats.get(name)
                ended = known.completed + known.failed if known else 0
                queues[name] = Depth(waiting, age, ended, known.dead if known else 0)
            return Sample(now, queues, self._counters.within())

        def found(sample: Sample | EngineError) -> None:
            if isinstance(sample, Sample):  # else the probe of the store says what is wrong
                self._depths.add(sample)

        self._journal().tell(StoreCall(read, found))
        self.send_after(EVERY, _Sample())

    def _tick(self) -> None:
        self._load.read(self._meters)
        due = self.clock.monotonic() + TICK
        self.send_after(TICK, _Tick(due))


class _StoreProbe:
    """The store, through the journal as every command goes."""

    service = STORE
    interval = 0

    def __init__(self, journal: Callable[[], Ref]) -> None:
        self._journal = journal

    def probe(self, done: Callable[[Sign], None]) -> None:
        def answered(found: Mapping[str, object] | EngineError) -> None:
            if isinstance(found, EngineError):
                done(Sign(well=False, detail=found.code))
            else:
                done(Sign(well=True))

        self._journal().tell(StoreCall(lambda store, _: store.stats(), answered))


def newest(store: Backend, limit: int) -> list[Snapshot]:
    """What the audit trail says last of each breaker.

    Where several routers write the trail, of targets only: the lines of a protocol are of any of them.
    """
    found: dict[str, Snapshot] = {}
    several = bool(getattr(store, "partitions", 0))
    for line in store.audit(AuditFilter(id=NOTED_UNDER), limit):
        snapshot = read_snapshot(line.detail) if line.kind == NOTED_UNDER else None
        if snapshot is not None and (is_target(snapshot.name) or not several):
            found.setdefault(snapshot.name, snapshot)
    return list(found.values())


def _about(transition: Transition, count: int, detail: bytes) -> Envelope:
    # No message of anybody: an event that the router itself is the source of.
    id_ = f"breaker.{transition.at}.{count}"
    return Envelope(id_, CHANGED, "event", "global", transition.name, "", 9, transition.at, 0, body=detail)


def _unwritten(result: object) -> None:
    if isinstance(result, Exception):
        logger.warning("a breaker's transition is missing in the audit trail: %s", result)


class _Look:
    """One look at a service, under way."""

    __slots__ = ("asked", "service")

    def __init__(self, service: str, asked: float) -> None:
        self.service = service
        self.asked = asked


class _News:
    """To itself: a breaker changed."""


class _Restored:
    """To itself: the journal has said how the breakers were before the start, or could not."""

    __match_args__ = ("done",)

    def __init__(self, *, done: bool) -> None:
        self.done = done


class _Retry:
    """To itself: ask once more how they were."""


class _Seen:
    """To itself: what a look found, or that it took too long."""

    __match_args__ = ("look", "sign")

    def __init__(self, look: _Look, sign: Sign) -> None:
        self.look = look
        self.sign = sign


class _Due:
    """To itself: time for the next look."""

    __match_args__ = ("service",)

    def __init__(self, service: str) -> None:
        self.service = service


class _Ring:
    """To itself: a breaker's break may be over."""

    __match_args__ = ("name", "at")

    def __init__(self, name: str, at: int) -> None:
        self.name = name
        self.at = at


class _Sample:
    """To itself: time to look how deep the queues are."""


class _Tick:
    """To itself: one more second; it was due then."""

    __match_args__ = ("due",)

    def __init__(self, due: float) -> None:
        self.due = due
