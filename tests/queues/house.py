"""Named queues in a runtime that the test steps by hand: nothing happens between two steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from actors.entries import Entry
from actors.errand import Append, Pause, Purge, Remove
from actors.policy.consuming import QueueRules
from actors.queues import NamedQueues
from actors.runtime.runtime import Runtime
from actors.runtime.spec import ChildSpec, SupervisorSpec
from actors.runtime.testing import ManualClock, Stepper
from actors.tables.deliveries import Delivery, Desk, Subscription
from router.stores.memory import MemoryStore
from tests.queues.store_keeper import Disk, StoreKeeper

NAME = "named-queues"


class House:
    """A store, its keeper and the actor of named queues."""

    def __init__(self, rules: QueueRules | Callable[[str], QueueRules] | None = None) -> None:
        self.clock = ManualClock()
        self.stepper = Stepper()
        self.store = MemoryStore()
        self.store.open(self.clock.now())
        self.disk = Disk(self.store)
        self.events: list[tuple[str, dict[str, Any]]] = []
        given = rules or QueueRules()
        self.desk = Desk(given if callable(given) else lambda _: given)
        self.made = 0
        self.runtime = Runtime(clock=self.clock, stepper=self.stepper)
        self.runtime.start(
            SupervisorSpec(
                "root",
                [
                    ChildSpec("journal", lambda: StoreKeeper(self.disk)),
                    ChildSpec(NAME, self._make),
                ],
            )
        )
        self.run()

    def _make(self) -> NamedQueues:
        self.made += 1
        return NamedQueues(
            lambda: self.runtime.ref("journal"),
            self.desk,
            random=Random(self.made),
            on_event=lambda kind, detail: self.events.append((kind, dict(detail))),
        )

    @property
    def now(self) -> int:
        return self.clock.now()

    def run(self) -> None:
        self.stepper.run()

    def advance(self, seconds: float) -> None:
        """Time passes, and everybody does what is due at each moment."""
        self.clock.advance(seconds, self.run)

    def tell(self, message: Any) -> None:
        self.runtime.ref(NAME).tell(message)
        self.run()

    def append(self, *entries: Entry) -> Any:
        answers: list[Any] = []
        self.tell(Append(entries, answers.append))
        return answers[0]

    def put(self, *ids: str, queue: str = "jobs", priority: int = 5, after: int = 0) -> None:
        """Entries with the id as the frame."""
        entries = [Entry(id_, queue, id_.encode(), priority, self.now + after) for id_ in ids]
        assert self.append(*entries) == [True] * len(ids)

    def remove(self, *ids: str) -> Any:
        answers: list[Any] = []
        self.tell(Remove(ids, answers.append))
        return answers[0]

    def pause(self, paused: bool, queue: str = "jobs") -> None:
        self.tell(Pause(queue, paused, lambda _: None))

    def purge(self, queue: str = "jobs") -> Any:
        answers: list[Any] = []
        self.tell(Purge(queue, answers.append))
        return answers[0]

    def consumer(self, queue: str = "jobs", **options: Any) -> Consumer:
        return Consumer(self, queue, **options)

    def crash(self) -> None:
        """The actor dies of a message and its successor starts."""
        made = self.made
        self.runtime.ref(NAME).tell(Bomb())
        self.run()
        assert self.made == made + 1

    def stats(self, queue: str = "jobs") -> Any:
        return self.store.queue_stats()[queue]

    def close(self) -> None:
        self.runtime.stop()


class Bomb:
    """Breaks, once, whoever looks at its class, as a match statement does."""

    def __init__(self) -> None:
        self._live = True

    @property
    def __class__(self) -> Any:
        if self._live:
            self._live = False
            raise RuntimeError("a bomb")
        return Bomb


class Consumer:
    """A subscription that keeps what it gets in its hands until the test says what becomes of it."""

    def __init__(self, house: House, queue: str, **options: Any) -> None:
        self.house = house
        self.hands: list[Delivery] = []
        self.seen: list[str] = []
        self.batches: list[list[str]] = []
        self.auto: Callable[[Delivery], Any] | None = None
        self.subscription = Subscription(queue, self._run, **options)
        house.desk.subscribe(self.subscription)
        house.run()

    def _run(self, deliveries: Sequence[Delivery]) -> None:
        self.batches.append([delivery.id for delivery in deliveries])
        for delivery in deliveries:
            self.seen.append(delivery.id)
            if self.auto is not None:
                self.auto(delivery)
            else:
                self.hands.append(delivery)

    def held(self) -> list[str]:
        return [delivery.id for delivery in self.hands]

    def take(self, id_: str = "") -> Delivery:
        """Out of its hands: the oldest, or the one of that id."""
        delivery = next(each for each in self.hands if not id_ or each.id == id_)
        self.hands.remove(delivery)
        return delivery

    def ack(self, id_: str = "") -> None:
        assert self.take(id_).ack()
        self.house.run()

    def cancel(self) -> None:
        self.house.desk.unsubscribe(self.subscription)
        self.house.run()
