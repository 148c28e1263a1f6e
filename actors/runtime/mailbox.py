"""What waits for an actor."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from threading import RLock
from typing import Any, Protocol

from actors.runtime.errors import ActorStopped, MailboxFull

#: shared by all mailboxes that have no system message, which is nearly all of them nearly always
_NONE: Any = ()


class Hand:
    """A batch in its reader's hand.

    One for each, so that a reader that was given up, and does not know it yet, moves only its own mark and not that of
    its successor.
    """

    __slots__ = ("at", "items")

    def __init__(self, items: Sequence[Any]) -> None:
        self.items = items
        self.at = 0  #: those before were begun


#: of a mailbox whose reader has nothing
EMPTY = Hand(())


class Owner(Protocol):
    """Whose mailbox it is."""

    def ready(self) -> None:
        """Something came while the reader slept: wake it."""


class Mailbox:
    """Bounded, for many senders and one reader at a time; system messages go by a lane of their own.

    One lock guards every change; it is re-entrant, because a signal handler that sends may interrupt a ``put``.

    ``scheduled`` is the promise that somebody will look into the mailbox: a reader runs or is queued to run, or the
    mailbox is parked because its actor is being (re)started and will look first. The put that turns it from False to
    True, and only that one, calls the owner's ``ready``. The reader turns it back, under the lock, only when nothing
    waits. So no wake-up is lost and no second reader is ever woken. ``ready`` is called under the lock: later, the
    actor might have been replaced meanwhile, and the wake-up meant for it would be a second one for its successor.
    """

    __slots__ = (
        "capacity",
        "closed",
        "hand",
        "interrupt",
        "items",
        "lock",
        "name",
        "owner",
        "scheduled",
        "urgent",
    )

    def __init__(self, capacity: int, name: str = "", owner: Owner | None = None, *, scheduled: bool = False) -> None:
        self.name = name
        self.capacity = capacity
        self.lock = RLock()
        self.items: list[Any] = []
        self.hand = EMPTY  #: taken by the reader
        self.urgent: deque[Any] = _NONE
        self.interrupt = False  #: the reader should look at ``urgent`` before the next message
        self.closed = False
        self.scheduled = scheduled
        self.owner = owner

    def put(self, item: Any, *, urgent: bool = False, force: bool = False) -> None:
        """Add a message; with ``urgent`` into the system lane, which is never refused and overtakes.

        ``force`` ignores the capacity (timers, whose number is bounded elsewhere). Raises ``MailboxFull``,
        ``ActorStopped``.
        """
        if urgent:
            self.put_urgent(item)
            return
        with self.lock:
            if self.closed:
                raise ActorStopped(self.name)
            items, hand = self.items, self.hand
            if len(items) + len(hand.items) - hand.at >= self.capacity and not force:
                raise MailboxFull(self.name, self.capacity)
            items.append(item)
            if self.scheduled:
                return
            self.scheduled = True
            if self.owner is not None:
                self.owner.ready()

    def put_many(self, items: Sequence[Any]) -> None:
        """All of them, in order and together, or none."""
        if not items:
            return
        with self.lock:
            if self.closed:
                raise ActorStopped(self.name)
            if self.depth() + len(items) > self.capacity:
                raise MailboxFull(self.name, self.capacity)
            self.items.extend(items)
            if self.scheduled:
                return
            self.scheduled = True
            if self.owner is not None:
                self.owner.ready()

    def put_urgent(self, item: Any) -> None:
        """Into the system lane: accepted even when full or closed."""
        with self.lock:
            if self.urgent is _NONE:
                self.urgent = deque()
            self.urgent.append(item)
            self.interrupt = True
            if self.scheduled:
                return
            self.scheduled = True
            if self.owner is not None:
                self.owner.ready()

    def take(self, limit: int) -> Hand:
        """Up to ``limit`` messages for the reader. They count as waiting until the reader moves ``at`` past them."""
        with self.lock:
            items = self.items
            if not items:
                self.hand = EMPTY
            elif len(items) <= limit:
                self.hand = Hand(items)
                self.items = []
            else:
                self.hand = Hand(items[:limit])
                del items[:limit]
            return self.hand

    def take_urgent(self) -> Any:
        """The next system message, or None."""
        with self.lock:
            if self.urgent:
                return self.urgent.popleft()
            self.urgent = _NONE
            self.interrupt = False
            return None

    def give_back(self) -> Sequence[Any]:
        """End of a batch: what was not begun waits again, first; returns what was begun."""
        with self.lock:
            batch, at = self.hand.items, self.hand.at
            if at < len(batch):
                self.items[:0] = batch[at:]
            self.hand = EMPTY
            return batch if at == len(batch) else batch[:at]

    def close(self) -> list[Any]:
        """Refuse puts from now on; returns what was accepted and not begun. Again: what came since (nothing)."""
        with self.lock:
            self.closed = True
            left, self.items = self.items, []
            return left

    def reopen(self) -> None:
        """Accept again."""
        with self.lock:
            self.closed = False

    def depth(self) -> int:
        """How many wait."""
        return len(self.items) + len(self.hand.items) - self.hand.at
