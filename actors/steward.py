"""The steward: fetches from the store what this router may use of limits on starts that hold over all routers.

It looks when the gate rings (somebody found no slot or no token, or a slot is free that others wait for), when the
store tells of slots, and every third of a lease while anything is in use. A level nobody uses costs nothing: it is
given up after ``IDLE``. It has a thread of its own, as the lease keeper has, since it waits for the store.

What must survive a crash is in the gate's quota; what the others want is learned anew.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial

from actors.errors import StoreError
from actors.messages import Reckon
from actors.options import Options
from actors.policy.shares import share_of
from actors.rates import Rated
from actors.runtime.actor import Actor
from actors.runtime.clock import Timer
from actors.sharing import SharedStore
from actors.slots import Claim, Standing
from actors.tables.gate import Gate
from actors.tables.quota import Quota, Stand

logger = logging.getLogger("guild_router.steward")

IDLE = 2.0
"""Seconds until a level that nobody uses here is left to the others."""

ROUNDS = 3
"""Of claims in one look: what the others want is known after the first, and acted on in the next."""


class Steward(Actor):
    """Claims slots, draws tokens, gives both back. Times are steady seconds, but for the store's."""

    mailbox_capacity = 10_000

    def __init__(self, store: SharedStore, gate: Gate, options: Options) -> None:
        super().__init__()
        self._me = store.router
        self._slots = store.slots()
        self._rates = store.rates()
        self._gate = gate
        self._ttl = options.lease
        self._lasts = (options.lease - options.lease_margin) / 1_000
        self._beat = options.lease / 3_000
        self._due = False
        self._next: Timer | None = None
        self._failing = False
        self._time = 0  # the store's, at the latest answer
        self._others: dict[str, Mapping[str, int]] = {}  # what they want, by level
        self._busy: dict[str, float] = {}  # when a level was last wanted here
        self._spent: dict[Rated, float] = {}  # until when there is no token

    def on_start(self) -> None:
        me = self.me
        self._gate.attach(lambda: me.tell(Reckon()))
        me.tell(Reckon())

    def on_stop(self) -> None:
        try:
            self._leave()
        except StoreError as error:
            logger.warning("slots could not be given back, their leases lapse: %s", error)
        self._close()

    def on_failure(self, *_: object) -> None:
        self._close()

    def on_receive(self, message: object) -> None:
        if isinstance(message, _Tick):
            self._next = None
        self._due = True

    def on_flush(self) -> None:
        if self._due:
            self._due = False
            self._look()

    # ------------------------------------------------------------ one look

    def _look(self) -> None:
        busy = True
        try:
            busy = self._claim()
            busy = self._draw() or busy
        except StoreError as error:
            if not self._failing:
                self._failing = True
                logger.error("slots and rates of all routers cannot be asked for: %s", error)  # noqa: TRY400 - its text says it all
        else:
            if self._failing:
                self._failing = False
                logger.warning("slots and rates of all routers can be asked for again")
        self._look_again(busy)

    def _look_again(self, busy: bool) -> None:
        now = self.clock.monotonic()
        if self._next is not None:
            self._next.cancel()
            self._next = None
        ats = [*self._spent.values(), *([now + self._beat] if busy else [])]
        if ats:
            self._next = self.send_after(max(0.0, min(ats) - now), _Tick())

    # ------------------------------------------------------------ slots

    def _claim(self) -> bool:
        """Whether slots are held or wanted."""
        before: dict[str, int] = {}
        for _ in range(ROUNDS):
            now = self.clock.monotonic()
            stands = self._gate.quota(Quota.stands)
            targets = {stand.level: self._target(stand, now) for stand in stands}
            if not stands or targets == before:
                return bool(stands)
            self._ask(stands, targets, now)
            before = targets
        return True

    def _target(self, stand: Stand, now: float) -> int:
        wants = self._wants(stand)
        if wants:
            self._busy[stand.level] = now
        elif self._gate.closed or now - self._busy.get(stand.level, 0.0) >= IDLE:
            return 0
        others = self._others.get(stand.level, {})
        return share_of(self._me, {**others, self._me: wants}, stand.limit, self._time)

    def _wants(self, stand: Stand) -> int:
        return min(stand.limit, stand.used + (0 if self._gate.closed else stand.waiting))

    def _ask(self, stands: list[Stand], targets: Mapping[str, int], now: float) -> None:
        keeps = self._gate.quota(partial(_lower, targets))
        claims = [
            Claim(stand.level, stand.limit, keeps[stand.level], self._wants(stand), targets[stand.level])
            for stand in stands
        ]
        self._time, standings = self._slots.claim(claims, self._ttl)
        self._others |= {claim.level: standing.others for claim, standing in zip(claims, standings, strict=True)}
        self._gate.quota(partial(_allot, claims, standings, now + self._lasts))

    def _leave(self) -> None:
        stands = self._gate.quota(Quota.stands)
        if stands:
            self._ask(stands, {stand.level: 0 for stand in stands}, self.clock.monotonic())

    # ------------------------------------------------------------ rates

    def _draw(self) -> bool:
        """Whether there are tokens that are neither spent nor given back."""
        now = self.clock.monotonic()
        self._spent = {rated: at for rated, at in self._spent.items() if at > now}
        for rated, count in ({} if self._gate.closed else self._gate.quota(Quota.wanted)).items():
            if rated in self._spent:
                continue
            answers = self._rates.take([[rated]] * count)
            waits = [answer.retry_after for answer in answers if answer is not None]
            if waits:
                self._spent[rated] = now + max(1, *waits) / 1_000
            self._gate.quota(partial(_credit, rated, count - len(waits), bool(waits)))
        stale, tokens = self._gate.quota(lambda quota: (quota.stale(), quota.has_tokens))
        if stale:
            self._rates.give_back(stale)
            self._spent.clear()
        return tokens

    def _close(self) -> None:
        self._slots.close()
        self._rates.close()


def _lower(targets: Mapping[str, int], quota: Quota) -> dict[str, int]:
    return {level: quota.lower(level, target) for level, target in targets.items()}


def _allot(claims: list[Claim], standings: list[Standing], until: float, quota: Quota) -> None:
    quota.extend(until)
    for claim, (held, others) in zip(claims, standings, strict=True):
        quota.allot(
            claim.level,
            held if claim.target > claim.keep else None,
            lacking=claim.wanted > held or held >= claim.limit,
            contended=claim.wanted + sum(others.values()) > claim.limit,
        )


def _credit(rated: Rated, tokens: int, lacking: bool, quota: Quota) -> None:
    quota.credit(rated, tokens, lacking=lacking)


class _Tick:
    """To itself: a third of a lease is over, or a rate has a token again."""
