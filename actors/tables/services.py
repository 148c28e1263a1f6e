"""What is known of each service that the router depends on: the looks at it, and the calls it really got."""

from __future__ import annotations

from collections import deque
from threading import Lock
from typing import NamedTuple

from actors.policy.vitals import Reading, Window
from actors.ports import Sign

STORE = "store"
"""The store's name among them."""

MAX_NAMES = 1_000
OTHERS = "*"
"""What services are called together for which there is no room, as their breaker is."""

LOOKS = 60
"""Looks that make up the availability: an hour of them, once a minute."""


class ServiceView(NamedTuple):
    """One service, now."""

    name: str
    sign: Sign | None  #: of the latest look; ``None``: nobody looks, or has yet
    looked_at: int  #: ms since the epoch; 0: never
    look_ms: float  #: how long the latest look took
    since: int  #: since when it is as it is; 0: since the start
    availability: float  #: share of the latest looks that found it well; 1 without looks
    calls: Reading  #: attempts of commands, of the last minute


class _Service:
    __slots__ = ("failures", "lock", "look_ms", "looked_at", "looks", "sign", "since", "window")

    def __init__(self) -> None:
        self.lock = Lock()
        self.window = Window()
        self.failures = 0
        self.sign: Sign | None = None
        self.looked_at = 0
        self.look_ms = 0.0
        self.since = 0
        self.looks: deque[bool] = deque(maxlen=LOOKS)


class Services:
    """By name, which is that of its breaker. Thread-safe; names are bounded."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._services: dict[str, _Service] = {}

    @property
    def failures(self) -> int:
        """Attempts that were not carried, since the start.

        One that failed at a target (``rest:api``) may have been counted of its protocol (``rest``) too.
        """
        own: dict[str, int] = {}
        targets: dict[str, int] = {}
        for name, service in list(self._services.items()):
            protocol, target, _ = name.partition(":")
            counts = targets if target else own
            counts[protocol] = counts.get(protocol, 0) + service.failures
        return sum(max(own.get(name, 0), targets.get(name, 0)) for name in own.keys() | targets.keys())

    def called(self, name: str, now: int, ms: float, well: bool) -> None:
        """An attempt over it has ended; not well: it did not carry it."""
        service = self._services.get(name) or self._made(name)
        with service.lock:
            service.window.add(now, ms, well=well)
            service.failures += not well

    def looked(self, name: str, now: int, ms: float, sign: Sign) -> bool:
        """Somebody looked at it; whether it is otherwise than at the look before (``False`` at the first, if well)."""
        service = self._services.get(name) or self._made(name)
        with service.lock:
            before = service.sign
            changed = sign.well != before.well if before is not None else not sign.well
            if changed:
                service.since = now
            service.sign, service.looked_at, service.look_ms = sign, now, ms
            if sign.counts:
                service.looks.append(sign.well)
            return changed and sign.counts

    def view(self, name: str, now: int) -> ServiceView | None:
        """One of them; ``None``: nothing is known."""
        service = self._services.get(name)
        if service is None:
            return None
        with service.lock:
            looks = service.looks
            return ServiceView(
                name,
                service.sign,
                service.looked_at,
                service.look_ms,
                service.since,
                sum(looks) / len(looks) if looks else 1.0,
                service.window.read(now),
            )

    def is_well(self, name: str) -> bool:
        """Whether the latest look at it went well; also when nobody has looked yet."""
        service = self._services.get(name)
        return service is None or service.sign is None or service.sign.well

    def views(self, now: int) -> dict[str, ServiceView]:
        """All that anything is known of."""
        found = [self.view(name, now) for name in list(self._services)]
        return {view.name: view for view in found if view is not None}

    def _made(self, name: str) -> _Service:
        with self._lock:
            if name not in self._services and len(self._services) >= MAX_NAMES:
                name = OTHERS
            return self._services.setdefault(name, _Service())
