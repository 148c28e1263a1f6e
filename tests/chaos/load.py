"""What the clients of a chaos run send: chosen by a seed, so a run can be told again."""

from __future__ import annotations

import hashlib
import itertools
import json
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import NamedTuple, Protocol

from tests.history.events import Begin, Event, Fail, Invoke, Ok, Unknown
from tests.history.recorder import Recorder

GUILDS = tuple(f"guild-{number}" for number in range(6))
SUBJECTS = ("ann", "bob")
HOLD = 60_000
"""ms: a run that is to be killed in here; its next attempt does not wait again."""

HOT = 0.3
"""Share of the orders that go to one lane, so that it is never empty when a kill comes."""

PAUSE = 0.010
"""Seconds a client waits at most between two calls: the router must be able to keep up."""


@dataclass(frozen=True, slots=True)
class Order:
    """One operation as the client means it; the payload of the message holds all of it."""

    type: str  #: a type of ``tests.chaos.catalog``
    guild: str
    subject: str
    key: str  #: also its idempotency key
    text: str = ""
    fails: int = 0  #: attempts that raise before the first that works
    before: int = 0  #: ms in the handler before the effect
    after: int = 0  #: ms in the handler after it
    reliable: bool = False  #: asks for the reliable way: over a named queue first

    @property
    def digest(self) -> str:
        """The hash of the payload, the same on both sides."""
        return hashlib.blake2b(repr(sorted(asdict(self).items())).encode(), digest_size=8).hexdigest()


class Told(NamedTuple):
    """What a door said to one call."""

    kind: type[Event]  #: ``Ok``, ``Fail`` or ``Unknown``
    fields: dict[str, object]


def accepted(id_: str, sequence: int, duplicate: bool) -> Told:
    return Told(Ok, {"id": id_, "sequence": sequence, "answer": "duplicate" if duplicate else "new"})


def refused(code: str) -> Told:
    return Told(Fail, {"code": "conflict" if code == "idempotency_key_reused" else code})


def silent(why: str) -> Told:
    return Told(Unknown, {"why": why})


class Door(Protocol):
    """A way into the router. Never raises for what a router may do."""

    def submit(self, order: Order) -> Told: ...


class Load:
    """Orders of one client: mostly new ones, some again, some under a used key; unknown ones are sent again first.

    ``lost`` and ``sent`` are orders of earlier lives: those nobody answered, and others that make good duplicates.
    ``hot`` of the new ones go to the first guild; ``pause``: seconds between two calls at most.
    """

    def __init__(
        self,
        seed: int,
        name: str,
        lost: Iterable[Order] = (),
        sent: Iterable[Order] = (),
        *,
        guilds: Sequence[str] = GUILDS,
        hot: float = HOT,
        pause: float = PAUSE,
    ) -> None:
        self._guilds = guilds
        self._hot = hot
        self._longest = pause
        self._random = random.Random(seed)
        self._name = name
        self._count = 0
        self._lost = deque(lost)
        self._sent: deque[Order] = deque(sent, maxlen=50)
        self._pause = threading.Event()

    def pause(self) -> None:
        """A client has other things to do, too."""
        self._pause.wait(self._random.random() * self._longest)

    def next(self) -> Order:
        """What this client sends next."""
        if self._lost:
            return self._lost.popleft()
        dice = self._random.random()
        if self._sent and dice < 0.08:
            return self._random.choice(self._sent)
        if self._sent and dice < 0.11:
            return replace(self._random.choice(self._sent), text="something else")
        order = self._new(dice)
        self._sent.append(order)
        return order

    def again(self, order: Order) -> None:
        """No answer came: as a careful client does, send it again under the same key."""
        if self._random.random() < 0.7:
            self._lost.append(order)

    def _new(self, dice: float) -> Order:
        self._count += 1
        pick = self._random
        slow = pick.random()
        hot = pick.random() < self._hot
        guilds = self._guilds
        guild, subject = (guilds[0], SUBJECTS[0]) if hot else (pick.choice(guilds), pick.choice(SUBJECTS))
        return Order(
            type="CHAOS_STRIKE" if dice > 0.8 else "CHAOS_STEP",
            guild=guild,
            subject=subject,
            key=f"{self._name}-{self._count}",
            text=f"text {pick.random()}",
            fails=1 if pick.random() < 0.05 else 0,
            before=pick.randrange(1, 30) if slow < 0.2 else 0,
            after=pick.randrange(1, 15) if slow > 0.85 else 0,
            reliable=pick.random() < 0.2,
        )


def call(recorder: Recorder, door: Door, order: Order, name: str, probe: bool = False) -> Told:
    """One send, written down before and after."""
    recorder.record(
        Invoke,
        call=name,
        key=order.key,
        payload=order.digest,
        guild=order.guild,
        subject=order.subject,
        probe=probe,
        note=json.dumps(asdict(order)),
    )
    told = door.submit(order)
    recorder.record(told.kind, call=name, **told.fields)
    return told


def converse(recorder: Recorder, door: Door, load: Load, name: str, over: Callable[[], bool] = lambda: False) -> None:
    """Send until it is ``over``, for ever by default."""
    for number in itertools.count(1):
        load.pause()
        if over():
            return
        order = load.next()
        told = call(recorder, door, order, f"{name}-{number}")
        if told.kind is Unknown:
            load.again(order)


def earlier_orders(events: Iterable[Event]) -> tuple[list[Order], list[Order]]:
    """Of a history so far: the orders nobody was told about, and the last ones that were confirmed."""
    orders: dict[str, Order] = {}
    calls: dict[str, str] = {}
    confirmed: dict[str, None] = {}
    for event in events:
        if isinstance(event, Invoke) and event.note and not event.probe:
            calls[event.call] = event.key
            orders.setdefault(event.key, Order(**json.loads(event.note)))
        elif isinstance(event, Ok) and event.call in calls:
            confirmed[calls[event.call]] = None
        elif isinstance(event, Fail) and event.call in calls:
            orders.pop(calls[event.call], None)  # rare, and a client that was told no has nothing to ask again
    lost = [order for key, order in orders.items() if key not in confirmed]
    sent = [orders[key] for key in confirmed if key in orders]
    return lost, sent[-20:]


def known_ids(events: Iterable[Event]) -> list[str]:
    """Every envelope that a client or a handler saw."""
    return list(dict.fromkeys(event.id for event in events if isinstance(event, Ok | Begin)))


def in_threads(jobs: Sequence[Callable[[], object]]) -> list[threading.Thread]:
    """Each job in a daemon thread of its own, started."""
    threads = [threading.Thread(target=job, daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    return threads


def wait_until(holds: Callable[[], bool], timeout: float, otherwise: Callable[[], str]) -> None:
    """Look at once and soon, then every few milliseconds, at most ``timeout`` seconds long; ``TimeoutError``."""
    pause, end, step = threading.Event(), time.monotonic() + timeout, 0.001
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(otherwise())
        pause.wait(step)
        step = min(2 * step, 0.02)
