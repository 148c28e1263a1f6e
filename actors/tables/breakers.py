"""The breakers of one router: one for each protocol, and one for each target of a protocol that has several.

They live outside the actors: adapters ask them, guilds look at them before they start anything, and the health monitor
reports what becomes of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from threading import Lock

from actors.codec import pack, unpack
from actors.envelope import Envelope
from actors.policy.breaker import Breaker, BreakerSettings, Condition, Snapshot, Transition
from actors.policy.breaker_box import MAX_NAMES, OTHERS, BreakerBox
from actors.ports import ExecutionProtocol
from actors.tables.services import Services

UNTOLD = 10_000
"""Transitions that wait for a monitor that is not there; the oldest are forgotten."""

TOPIC = "breakers"
"""Of the news that tell other routers of a breaker (``actors.sharing.Told``)."""


class Breakers:
    """By name: a protocol's own (``websocket``), or that of one of its targets (``rest:api``). Thread-safe.

    A protocol that has several targets says which by a method ``target(envelope)``; they are bounded in number, since
    users may name them (see ``BreakerBox``).
    """

    def __init__(self, settings: BreakerSettings | None = None, *, max_names: int = MAX_NAMES) -> None:
        self._settings = settings or BreakerSettings()
        self._own: dict[str, Breaker] = {}
        self.services = Services()  #: what their calls came to
        self._box = BreakerBox(
            self._settings, max_names=max_names, listener=self._changed, observer=self.services.called
        )
        self._targets: dict[str, Callable[[Envelope], str]] = {}
        self._resets: list[Callable[[str], object]] = []
        self._lock = Lock()
        self._news: deque[Transition] = deque(maxlen=UNTOLD)
        self._notify: Callable[[], object] = _nobody
        self.resting: Mapping[str, Breaker] = {}  #: those that are not closed; nearly always none
        self.restored = False  #: whether the state before a restart was looked for
        self.diverted: dict[tuple[str, str], int] = {}  #: starts over the second because the first rested

    def serve(self, protocols: Iterable[ExecutionProtocol]) -> None:
        """A breaker for each of these, which is never forgotten."""
        for protocol in protocols:
            if protocol.name not in self._own:
                self._own[protocol.name] = Breaker(
                    protocol.name, self._settings, listener=self._changed, observer=self.services.called
                )
            target = getattr(protocol, "target", None)  # most protocols have one target and no such method
            if target is not None:
                self._targets[protocol.name] = target
            if (reset := getattr(protocol, "reset", None)) is not None:  # it has more to let go of than a breaker
                self._resets.append(reset)

    # ------------------------------------------------------------ of one attempt

    def of(self, protocol: str, envelope: Envelope) -> Breaker:
        """The breaker an attempt asks."""
        target = self._targets.get(protocol)
        name = target(envelope) if target is not None else ""
        return self._box.get(f"{protocol}:{name}") if name else self._own[protocol]

    def awake(self, route: tuple[str, ...], envelope: Envelope, now: int) -> tuple[str, ...]:
        """Those of the protocols that would be asked now."""
        if not self.resting:
            return route
        return tuple(name for name in route if not self._rest(name, envelope, now))

    def divert(self, before: str, after: str) -> None:
        """An attempt goes over ``after``, since the breaker of ``before``, which came first, is open."""
        with self._lock:
            self.diverted[before, after] = self.diverted.get((before, after), 0) + 1

    def names(self, route: tuple[str, ...], envelope: Envelope) -> list[str]:
        """Of the breakers these would ask."""
        return [self.of(name, envelope).name for name in route]

    def _rest(self, protocol: str, envelope: Envelope, now: int) -> int:
        if protocol in self._targets:
            return self.of(protocol, envelope).rest(now)
        breaker = self.resting.get(protocol)
        return breaker.rest(now) if breaker is not None else 0

    # ------------------------------------------------------------ by name

    def get(self, name: str) -> Breaker:
        """The breaker of this name, made if need be: for a protocol that asks for itself."""
        return self._own.get(name) or self._box.get(name)

    def find(self, name: str) -> Breaker | None:
        """The breaker of this name if there is one; for operators, who must not make any."""
        return self._own.get(name) or self._box.find(name)

    def reset(self, name: str, now: int) -> bool:
        """An operator closes it, and whatever else its protocol holds for the same reason; ``False``: there is none."""
        breaker = self.find(name)
        if breaker is None:
            return False
        for reset in self._resets:
            reset(name)
        breaker.reset(now)
        return True

    def snapshots(self) -> list[Snapshot]:
        """All of them, the protocols' own first."""
        return [breaker.snapshot() for breaker in list(self._own.values())] + self._box.snapshots()

    # ------------------------------------------------------------ news

    def listen(self, notify: Callable[[], object]) -> None:
        """Call ``notify()``, quick and from any thread, when there is news; of several who listen the last."""
        self._notify = notify

    def news(self) -> list[Transition]:
        """What happened since the last time this was asked, each once; of one breaker in its order."""
        found = []
        while self._news:
            found.append(self._news.popleft())
        return found

    def _changed(self, transition: Transition) -> None:
        self._look_again(transition.name)
        self._news.append(transition)
        self._notify()

    def _look_again(self, name: str) -> None:
        with self._lock:
            breaker = self.find(name)
            resting = {other: each for other, each in self.resting.items() if other != name}
            if breaker is not None and breaker.condition is not Condition.CLOSED:
                resting[name] = breaker
            self.resting = resting

    # ------------------------------------------------------------ from before, and from elsewhere

    def restore(self, snapshots: Iterable[Snapshot], now: int) -> None:
        """Go on where a process stopped (see ``Breaker.restore``); breakers that changed since are left alone."""
        for snapshot in snapshots:
            breaker = self.get(snapshot.name)
            if breaker.name == OTHERS != snapshot.name or breaker.condition is not Condition.CLOSED:
                continue
            breaker.restore(snapshot, now)
            self._look_again(snapshot.name)

    def heard(self, detail: bytes, now: int) -> None:
        """Another router told of a breaker (``Told`` news of ``TOPIC``): open there, one that is closed here rests too.

        Only of targets, which both share; a protocol's own breaker speaks of that router's handlers and bots. That it
        closed there is no news here: the own probe finds out.
        """
        snapshot = read_snapshot(detail)
        if snapshot is None or not is_target(snapshot.name):
            return
        if snapshot.condition in (Condition.OPEN, Condition.FORCED_OPEN):
            self.restore([snapshot], now)
            self._notify()


def is_target(name: str) -> bool:
    """Whether this is the breaker of a protocol's target, not of a protocol."""
    return ":" in name


def write_snapshot(snapshot: Snapshot, transition: Transition) -> bytes:
    """As it goes into the audit trail, and to other routers: a map for people, with what ``restore`` needs."""
    return pack(
        {
            "breaker": snapshot.name,
            "before": transition.before.value,
            "after": transition.after.value,
            "reason": transition.reason,
            "until": snapshot.until,
            "timeout": snapshot.timeout,
        }
    )


def read_snapshot(detail: bytes) -> Snapshot | None:
    """Out of ``write_snapshot``; ``None``: something else."""
    match unpack(detail):
        case {"breaker": str(name), "after": str(after), "until": int(until), "timeout": int(timeout)}:
            return Snapshot(name, Condition(after), until, timeout) if after in _CONDITIONS else None
        case _:
            return None


_CONDITIONS = frozenset(condition.value for condition in Condition)


def _nobody() -> None:
    """Before the monitor listens."""
