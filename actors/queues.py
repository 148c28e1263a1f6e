"""Named queues: claims entries for the consumers of this process and tells the store what became of them.

One errand at a time is on its way to the journal's thread, in one commit; whatever gathers meanwhile is the next one.
So the more there is to do, the more is done in one round trip, and who comes alone waits for nobody. Claims are made
when something happened (an entry came, is due or ended; a consumer came; a rate allows it again) and, as a floor, every
second: that finds what others appended, and claims that lapsed. What must survive a crash of this actor lies on its
``Desk``, the rest is in the store.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from heapq import heappop, heappush
from random import Random
from typing import Any, NamedTuple, Protocol

from actors.entries import Claim, Nack
from actors.errand import Answers, Append, Asked, Errand, Extension, Look, Pause, Purge, Remove, Wanted
from actors.errors import StoreError, StoreUnavailable
from actors.messages import StoreCall
from actors.policy.backoff import exhausted
from actors.policy.consuming import QueueRules, retry_at, room
from actors.runtime.actor import Actor
from actors.runtime.clock import Timer
from actors.runtime.errors import RuntimeFault
from actors.tables.deliveries import (
    Acked,
    Claiming,
    Closed,
    Delivery,
    Desk,
    Discarded,
    Ending,
    Failed,
    Finished,
    Returned,
    Subscription,
    ignored,
)
from actors.tickets import MARK

logger = logging.getLogger("actors.queues")

FLOOR = 1_000  # ms between looks at queues where nothing was heard of
RETRY = 200  # ms until a store that could not write is asked again
PATIENCE = 1_000  # ms an errand is waited for before the next one is sent all the same
REMINDERS = 10_000  # due times kept; the floor finds what is beyond

Events = Callable[[str, Mapping[str, object]], None]


class Journal(Protocol):
    """Whoever runs store calls."""

    def tell(self, message: Any) -> None:
        """Take a ``StoreCall``."""


class Poke(NamedTuple):
    """Anybody -> named queues: look at these queues (none: at the desk)."""

    queues: tuple[str, ...] = ()


class NamedQueues(Actor):
    """Claims, extends, acks. Takes ``Append``, ``Remove``, ``Purge``, ``Pause``, ``Look`` and ``Poke``.

    ``on_event("entry_dead", {queue, id, attempts, error})`` is called for each entry whose last attempt failed.
    """

    mailbox_capacity = 100_000
    slice_size = 1_000
    redeliver = 3
    drain_on_stop = True

    def __init__(
        self,
        journal: Callable[[], Journal],
        desk: Desk,
        *,
        random: Random | None = None,
        on_event: Events | None = None,
    ) -> None:
        super().__init__()
        self._journal = journal
        self._desk = desk
        self._random = random or Random()  # noqa: S311 - jitter, not secrets
        self._on_event = on_event
        self._asked: list[Asked] = []  # in this slice, which comes again after a crash
        self._ready: set[str] = set()  # queues that may have something to claim
        self._missed: set[str] = set()  # the same, found while the store was being asked
        self._reminders: list[tuple[int, str]] = []
        self._timer: Timer | None = None
        self._timer_at = 0
        self._resting = False  # the store could not write a moment ago
        self._out: Errand | None = None  # on its way
        self._out_since = 0

    def on_start(self) -> None:
        self._desk.poke = self._poke
        self._look_everywhere()
        self._poke()

    def on_stop(self) -> None:
        # What was asked and what consumers ended is still written; the journal stops after us.
        self._settle(self.clock.now())
        self._desk.poke = ignored
        if errand := self._started():
            self._send(errand)

    def on_receive(self, message: object) -> None:
        match message:
            case Append() | Remove() | Purge() | Pause() | Look():
                self._asked.append(message)
            case Poke(queues):
                self._ready.update(queues)
            case _Floor():
                self._look_everywhere()
            case _Due():
                self._timer = None
            case _Rested():
                self._resting = False

    def on_flush(self) -> None:
        now = self.clock.now()
        while self._desk.answered:
            errand, answer = self._desk.answered.popleft()
            if errand is self._out:
                self._out = None
            if isinstance(answer, Answers):
                self._written(errand, answer, now)
            else:
                self._refused(errand, answer)
        while self._reminders and self._reminders[0][0] <= now:
            self._ready.add(heappop(self._reminders)[1])
        self._settle(now)
        if self._out is not None and not 0 <= now - self._out_since < PATIENCE:
            self._out = None  # it died with the journal; or the store is slow, and the next one waits there
        errand = None if self._resting or self._out is not None else self._errand(now)
        # Last: a slice that comes again after a crash is not to find on the desk what it asks.
        self._desk.asked += self._asked
        self._asked = []
        if errand:
            self._out, self._out_since = errand, now
            self._send(errand)
        self._set_timer(now)

    # ------------------------------------------------------------ asking the store

    def _errand(self, now: int) -> Errand:
        desk = self._desk
        errand = self._started()
        for asked in errand.asked:
            self._expect(asked, now)
        in_hand = list(desk.in_hand.values())
        leases = {queue: desk.rules(queue).lease for queue in {delivery.queue for delivery in in_hand}}
        for delivery in in_hand:
            lease = leases[delivery.queue]
            if delivery.let_go and delivery.until <= now:
                desk.drop(delivery)
                self._ready.add(delivery.queue)
            elif not (delivery.lost or delivery.let_go) and delivery.until - now <= lease * 2 // 3:
                errand.extensions.append(Extension(delivery, now + lease))
        for queue in self._ready:
            wanted = self._want(queue, now)
            if wanted is not None:
                errand.wanted.append(wanted)
        self._ready.clear()
        return errand

    def _started(self) -> Errand:
        return Errand(self._desk.asked + self._asked, list(self._desk.closed))

    def _expect(self, asked: Asked, now: int) -> None:
        match asked:
            case Append(entries):
                for entry in entries:
                    if entry.available_at > now:
                        self._remind(entry.available_at, entry.queue)
                    else:
                        self._ready.add(entry.queue)
            case Pause(queue, False):
                self._ready.add(queue)

    def _want(self, queue: str, now: int) -> Wanted | None:
        desk = self._desk
        subscriptions = desk.subscriptions.get(queue)
        if not subscriptions:
            return None
        claiming = desk.claiming.get(queue)
        if claiming is not None and claiming.until > now:
            self._missed.add(queue)
            return None
        rules = desk.rules(queue)
        allowed = room(rules, desk.begun.setdefault(queue, deque()), desk.counts.get(queue, 0), now)
        if allowed.again:
            self._remind(allowed.again, queue)
        count = min(allowed.entries, sum(subscription.free(rules) for subscription in list(subscriptions)))
        if not count:
            return None
        desk.claiming[queue] = Claiming(now + rules.lease)
        wishes = [subscription.types() for subscription in list(subscriptions)]
        some = [wish for wish in wishes if wish is not None]
        types = frozenset().union(*some) if len(some) == len(wishes) else None
        return Wanted(queue, count, now + rules.lease, types)

    def _send(self, errand: Errand) -> None:
        desk = self._desk
        rules, fullness = desk.rules, desk.fullness

        def told(answer: Any) -> None:  # on the journal's thread
            desk.answered.append((errand, answer))
            desk.poke()

        del desk.asked[: len(errand.asked)], desk.closed[: len(errand.closed)]
        try:
            call = StoreCall(lambda store, now: errand.run(store, now, rules, desk.holder, fullness), told)
            self._journal().tell(call)
        except RuntimeFault as error:
            self._out = None
            self._refused(errand, StoreUnavailable(f"the journal takes no call: {error}", retry_after=RETRY))

    # ------------------------------------------------------------ its answers

    def _written(self, errand: Errand, answers: Answers, now: int) -> None:
        for asked, answer in zip(errand.asked, answers.asked, strict=True):
            _contained("a reply of named queues", asked.reply, answer)
        for (delivery, until), holds in zip(errand.extensions, answers.extensions, strict=True):
            if holds:
                delivery.until = until
            else:
                delivery.lost = True
        for closed, done in zip(errand.closed, answers.closed, strict=True):
            self._report(closed, done)
        for wanted, claims in zip(errand.wanted, answers.claims, strict=True):
            self._desk.claiming.pop(wanted.queue, None)
            if len(claims) == wanted.most or wanted.queue in self._missed:
                self._missed.discard(wanted.queue)
                self._ready.add(wanted.queue)  # there may be more
            if claims:
                self._deliver(wanted.queue, claims, now)

    def _report(self, closed: Closed, done: bool) -> None:
        if not done:
            logger.warning("%s of %s was ended after its claim had lapsed", closed.id, closed.queue)
        elif closed.nack is not None and closed.nack.dead:
            logger.warning("%s of %s is dead after %d attempts", closed.id, closed.queue, closed.attempt)
            if self._on_event is not None:
                about = {"queue": closed.queue, "id": closed.id, "attempts": closed.attempt, "error": closed.nack.error}
                _contained("a listener of named queues", self._on_event, "entry_dead", about)

    def _refused(self, errand: Errand, error: Any) -> None:
        """Nothing of it is written: askers are told, the rest is tried again."""
        for asked in errand.asked:
            _contained("a reply of named queues", asked.reply, error)
        if isinstance(error, StoreError):
            self._desk.closed[:0] = errand.closed
        else:  # a fault of ours: to repeat it would be to fail for ever; the claims lapse
            logger.error("the store call of named queues failed", exc_info=error)
        for wanted in errand.wanted:
            self._desk.claiming.pop(wanted.queue, None)
            self._ready.add(wanted.queue)
        if not self._resting:
            self._resting = True
            self.send_after(RETRY / 1000, _Rested())

    # ------------------------------------------------------------ claims and their consumers

    def _deliver(self, queue: str, claims: list[Claim], now: int) -> None:
        desk = self._desk
        rules = desk.rules(queue)
        batches: dict[Subscription, list[Delivery]] = {}
        for claim in claims:
            subscription = self._next(queue, rules)
            if subscription is None:  # it left, or its hands filled, while the store was asked: back, at no cost
                nack = Nack(claim.id, claim.token, now, spent=False)
                desk.closed.append(Closed(queue, claim.id, claim.token, claim.attempt, nack))
                continue
            delivery = desk.take(subscription, claim)
            # How often an attempt's claim may lapse is for whoever executes it to say: somebody waits for the outcome.
            if exhausted(claim.attempt - 1, _attempts(subscription, rules)) and not claim.id.startswith(MARK):
                delivery.fail(f"its consumer went away {claim.attempt - 1} times", final=True)
                continue
            if rules.rate:
                desk.begun.setdefault(queue, deque()).append(now)
            batches.setdefault(subscription, []).append(delivery)
        for subscription, batch in batches.items():
            if not _contained(f"a consumer of {queue}", subscription.run, batch):
                for delivery in batch:
                    delivery.fail("its consumer could not take it")

    def _next(self, queue: str, rules: QueueRules) -> Subscription | None:
        """Whose turn it is: round robin among those with a hand free, while the queue allows one more."""
        desk = self._desk
        if desk.counts.get(queue, 0) >= rules.concurrency:
            return None
        with desk.lock:
            row = desk.subscriptions.get(queue, [])
            for subscription in row:
                if subscription.free(rules):
                    row.remove(subscription)
                    row.append(subscription)
                    return subscription
        return None

    def _settle(self, now: int) -> None:
        """What consumers ended, as the store is to be told."""
        desk = self._desk
        while desk.ended:
            delivery, ending = desk.ended.popleft()
            self._ready.add(delivery.queue)
            nack = self._judge(delivery, ending, now)
            discard = isinstance(ending, Discarded)
            finish = ending.finish if isinstance(ending, Finished) else None
            desk.closed.append(
                Closed(delivery.queue, delivery.id, delivery.token, delivery.attempt, nack, discard, finish)
            )

    def _judge(self, delivery: Delivery, ending: Ending, now: int) -> Nack | None:
        spent, error, dead, at = False, "", False, now
        match ending:
            case Acked() | Finished():
                return None
            case Returned(after, spent, error):
                at = now + after
            case Failed(error, after, final):
                rules = self._desk.rules(delivery.queue)
                attempts = _attempts(delivery.subscription, rules)
                again = None if final else retry_at(rules, delivery.attempt, attempts, now, self._random.random())
                spent, dead = True, again is None
                at = now + after if after is not None else again or now
        if at > now and not dead:
            self._remind(at, delivery.queue)
        return Nack(delivery.id, delivery.token, at, spent, error, dead)

    # ------------------------------------------------------------ time

    def _look_everywhere(self) -> None:
        queues = list(self._desk.subscriptions)
        self._ready.update(queues)
        in_hand = {delivery.queue for delivery in list(self._desk.in_hand.values())}
        leases = [self._desk.rules(queue).lease // 4 for queue in in_hand.union(queues)]
        self.send_after(min([FLOOR, *leases]) / 1000, _Floor())

    def _remind(self, at: int, queue: str) -> None:
        if len(self._reminders) < REMINDERS:
            heappush(self._reminders, (at, queue))

    def _set_timer(self, now: int) -> None:
        if not self._reminders:
            return
        at = self._reminders[0][0]
        if self._timer is not None:
            if self._timer_at <= at:
                return
            self._timer.cancel()
        self._timer_at = at
        self._timer = self.send_after(max(0, at - now) / 1000, _Due())

    def _poke(self, *queues: str) -> None:
        try:
            self.me.tell(Poke(queues))
        except RuntimeFault:
            return  # whatever fills the mailbox has the desk looked at soon; or the router has ended, and claims lapse


class _Floor:
    """To itself: look at every queue."""


class _Due:
    """To itself: a reminder's time has come."""


class _Rested:
    """To itself: ask the store again."""


def _attempts(subscription: Subscription, rules: QueueRules) -> int:
    return rules.attempts if subscription.attempts is None else subscription.attempts


def _contained(what: str, call: Callable[..., Any], *args: Any) -> bool:
    """Call a stranger's function; ``False``: it raised, which is logged."""
    try:
        call(*args)
    except Exception:
        logger.exception("%s failed", what)
        return False
    return True
