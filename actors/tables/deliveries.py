"""What is claimed of named queues, and by whom: held outside the actor, so that a crashed one leaves its claims."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence
from threading import Condition, Lock
from typing import Any, NamedTuple

from actors.entries import Claim, Nack
from actors.policy.consuming import QueueRules
from actors.tables.fullness import Fullness
from actors.workers import Finish


class Acked(NamedTuple):
    """Done."""


class Returned(NamedTuple):
    """Given back."""

    after: int = 0  #: ms
    spent: bool = False  #: the claim counts as an attempt
    error: str = ""


class Failed(NamedTuple):
    """Tried and failed: again later, or dead, as the queue's rules say."""

    error: str
    after: int | None = None  #: ms instead of the rules' backoff
    final: bool = False  #: no further attempt


class Discarded(NamedTuple):
    """Taken out of the queue without a trace, as if it had never been appended."""


class Finished(NamedTuple):
    """An attempt that somebody elsewhere asked for: done, and its outcome lies ready for the asker."""

    finish: Finish


Ending = Acked | Returned | Failed | Discarded | Finished


class Delivery:
    """One claimed entry in a consumer's hands. It ends once; a second word about it changes nothing (``False``)."""

    __slots__ = (
        "_desk",
        "attempt",
        "frame",
        "id",
        "let_go",
        "lost",
        "priority",
        "queue",
        "subscription",
        "token",
        "until",
    )

    def __init__(self, desk: Desk, subscription: Subscription, claim: Claim) -> None:
        self._desk = desk
        self.subscription = subscription
        self.id = claim.id
        self.queue = claim.queue
        self.frame = claim.frame
        self.priority = claim.priority
        self.attempt = claim.attempt  #: 1 for the first
        self.token = claim.token
        self.until = claim.until  #: ms since the epoch; extended while it is in hand
        self.lost = False  #: it lapsed, and may be in other hands by now
        self.let_go = False  #: its claim is not extended any more: whoever wants to end it has until ``until``

    def ack(self) -> bool:
        """It is done."""
        return self._desk.end(self, Acked())

    def nack(self, after: int = 0, *, spent: bool = True, error: str = "") -> bool:
        """Give it back, to be claimed again ``after`` ms; ``spent``: this was an attempt."""
        return self._desk.end(self, Failed(error, after) if spent else Returned(after, spent, error))

    def fail(self, error: str, *, after: int | None = None, final: bool = False) -> bool:
        """It failed: again when the rules (or ``after``, ms) say, or dead when it was the last or is ``final``."""
        return self._desk.end(self, Failed(error, after, final))

    def discard(self) -> bool:
        """Out of the queue, without a trace."""
        return self._desk.end(self, Discarded())

    def finish(self, id_: str, outcome: bytes, *, asker: str, remember: bool | None, done: bool) -> bool:
        """It came to ``outcome``: for ``asker``, and for the execution of envelope ``id_``; see ``Finish``."""
        return self._desk.end(
            self, Finished(Finish(self.queue, self.id, self.token, id_, outcome, asker, remember, done))
        )


class Subscription:
    """One consumer of one queue.

    ``run(deliveries)`` is called on the actor's thread with what was claimed for it: it hands them on and returns.
    Every delivery must be ended by somebody, on any thread, however long it takes: until then its claim is extended.
    """

    __slots__ = ("attempts", "batch_size", "concurrency", "queue", "run", "running", "types")

    def __init__(
        self,
        queue: str,
        run: Callable[[Sequence[Delivery]], None],
        *,
        batch_size: int = 10,
        concurrency: int | None = None,
        attempts: int | None = None,
        types: Callable[[], Collection[str] | None] = lambda: None,
    ) -> None:
        for name, value in (("batch_size", batch_size), ("concurrency", concurrency)):
            if value is not None and value < 1:
                raise ValueError(f"{name} must be 1 or more, not {value}")
        self.queue = queue
        self.run = run
        self.batch_size = batch_size  #: entries claimed for it at a time
        self.concurrency = concurrency  #: in its hands at once; ``None``: as many as the queue allows
        self.attempts = attempts  #: instead of the queue's; ``None``: those
        self.types = types  #: which it takes at the moment; ``None``: all. Consumers of a queue agree
        self.running = 0

    def free(self, rules: QueueRules) -> int:
        """How many more it takes now."""
        limit = rules.concurrency if self.concurrency is None else self.concurrency
        return min(self.batch_size, max(0, limit - self.running))


class Closed(NamedTuple):
    """The end of a claim, as the store is to be told."""

    queue: str
    id: str
    token: int
    attempt: int
    nack: Nack | None  #: ``None``: done
    discard: bool = False  #: and taken out
    finish: Finish | None = None  #: instead of all that: done, with an outcome


class Claiming(NamedTuple):
    """A question to the store that is not answered yet."""

    until: int  #: ms; unanswered by then, it is forgotten: whatever it claimed has lapsed


class Desk:
    """Subscriptions, claims in hand and ended ones. Thread-safe; ``poke`` has the actor look at it."""

    def __init__(self, rules: Callable[[str], QueueRules]) -> None:
        self.rules = rules
        self.holder = ""  #: whose claims these are, among the processes that share the store
        self.lock = Lock()
        self._ended = Condition(self.lock)  # notified when something is in hand no more
        self.subscriptions: dict[str, list[Subscription]] = {}
        self.in_hand: dict[tuple[str, int], Delivery] = {}  #: by (id, token)
        self.counts: dict[str, int] = {}  #: in hand, by queue
        self.begun: dict[str, deque[int]] = {}  #: for the rate limit, by queue
        self.claiming: dict[str, Claiming] = {}
        self.fullness = Fullness()
        self.asked: list[Any] = []  #: of the store, and not sent yet
        self.ended: deque[tuple[Delivery, Ending]] = deque()  #: not looked at yet
        self.closed: list[Closed] = []  #: not written yet
        self.answered: deque[Any] = deque()  #: by the store, not looked at yet
        self.poke: Callable[..., None] = ignored  #: ``poke(*queues)``
        self.listeners: list[Callable[[], None]] = []  #: called after consumers came or went

    def subscribe(self, subscription: Subscription) -> None:
        """From now on it gets its share of its queue."""
        with self.lock:
            self.subscriptions.setdefault(subscription.queue, []).append(subscription)
        self.poke(subscription.queue)
        self._changed()

    def unsubscribe(self, subscription: Subscription) -> None:
        """It gets nothing more; what it has in hand it ends."""
        with self.lock:
            its = self.subscriptions.get(subscription.queue, [])
            if subscription in its:
                its.remove(subscription)
                if not its:
                    del self.subscriptions[subscription.queue]
        self._changed()

    def _changed(self) -> None:
        for listener in list(self.listeners):
            listener()

    def consumers(self, queue: str) -> list[Subscription]:
        """Who subscribes to it here."""
        return list(self.subscriptions.get(queue, ()))

    def take(self, subscription: Subscription, claim: Claim) -> Delivery:
        """A claim is given to a consumer."""
        delivery = Delivery(self, subscription, claim)
        with self.lock:
            self.in_hand[claim.id, claim.token] = delivery
            self.counts[claim.queue] = self.counts.get(claim.queue, 0) + 1
            subscription.running += 1
        return delivery

    def end(self, delivery: Delivery, ending: Ending) -> bool:
        """A consumer is done with it."""
        if not self.drop(delivery):
            return False
        self.ended.append((delivery, ending))
        self.poke()
        return True

    def drop(self, delivery: Delivery) -> bool:
        """It is in nobody's hands any more, and the store is not told; ``False``: it was not."""
        with self.lock:
            if self.in_hand.pop((delivery.id, delivery.token), None) is None:
                return False
            self.counts[delivery.queue] -= 1
            if not self.counts[delivery.queue]:
                del self.counts[delivery.queue]
            delivery.subscription.running -= 1
            self._ended.notify_all()
            return True

    def wait(self, wanted: Callable[[Delivery], bool], seconds: float) -> None:
        """Until none of these is in hand any more, or ``seconds`` have passed. ``wanted`` is called with the lock."""
        with self.lock:
            self._ended.wait_for(lambda: not any(wanted(each) for each in self.in_hand.values()), seconds)


def ignored(*_: str) -> None:
    """Before the actor has started and after it has stopped; it looks at the desk first thing."""
