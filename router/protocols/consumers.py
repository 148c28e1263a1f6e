"""Consumes the named queues whose messages have handlers in this process, and of these what has one."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Collection, Sequence
from functools import partial
from threading import Lock

from actors import codec
from actors.envelope import Envelope
from actors.errors import EnvelopeError
from actors.outcome import Outcome, Verdict
from actors.ports import Ticket
from actors.tables.deliveries import Delivery, Desk, Subscription
from actors.tickets import MARK
from actors.workers import Presence
from router.protocols.executor import Executor

#: looks whether an envelope may be executed, and calls back with ``None``, or with what it comes to instead
Check = Callable[[Envelope, Callable[[Outcome | None], None]], None]

CLAIMS = 100  # at a time: longer calls would keep everybody else waiting for the store
UNHANDLED = 60_000  # ms until a published message that nobody handles is looked at again


def unchecked(_envelope: Envelope, decided: Callable[[Outcome | None], None]) -> None:
    """Without a guard everybody may do everything."""
    decided(None)


class Consumers:
    """One for each queue that is to be consumed. Thread-safe.

    ``attempts(deliveries)`` gets the attempts of commands; what somebody published goes to the handler of its type.
    ``queues``: the named queues consumed; ``None``: those of all types that have a handler. A queue with subscribers
    belongs to them. ``concurrency``: of one queue's consumer; ``None``: as the queue's rules say. ``on_change``
    is called after queues came or went. ``check``: the guard's; attempts of commands passed it before they came here.
    """

    def __init__(
        self,
        desk: Desk,
        executor: Executor,
        attempts: Callable[[Sequence[Delivery]], None],
        *,
        protocol: str = "queue",
        queues: Collection[str] | None = None,
        concurrency: int | None = None,
        on_change: Callable[[], None] = lambda: None,
        check: Check = unchecked,
    ) -> None:
        self._desk = desk
        self._executor = executor
        self._handlers = executor.handlers
        self._attempts = attempts
        self._protocol = protocol
        self._queues = queues
        self._concurrency = concurrency
        self._on_change = on_change
        self._check = check
        self._open = False
        self._lock = Lock()
        self._own: dict[str, Subscription] = {}
        self._handlers.on_change(self._follow)
        desk.listeners.append(self._follow)

    def open(self) -> None:
        """Consume from now on."""
        self._open = True
        self._follow()

    def close(self) -> None:
        """Claim no more; what is in hand is ended."""
        self._open = False
        self._follow()

    def wait(self, seconds: float, spared: Callable[[str], bool]) -> None:
        """Until what is in hand has ended, but for ``spared`` entries, or ``seconds`` have passed."""
        run = self._run
        self._desk.wait(lambda each: each.subscription.run == run and not spared(each.id), seconds)

    def __contains__(self, queue: str) -> bool:
        return queue in self._own

    def subscribed(self, queue: str) -> bool:
        """Whether it belongs to subscribers of this process."""
        return bool(set(self._desk.consumers(queue)) - {self._own.get(queue)})

    def presence(self, worker: str, patience: int, name: str = "") -> Presence | None:
        """What this process executes of named queues, as others are told; ``None``: it has no consumer.

        ``patience``: ms, see ``Presence``.
        """
        own = dict(self._own)
        holds = tuple(sorted(self._desk.subscriptions))
        if not holds:
            return None
        handlers = {type_: self._handlers.find(type_, self._protocol) for type_ in self._handlers.types(self._protocol)}
        safe = tuple(type_ for type_, handler in handlers.items() if handler is not None and handler.safe)
        capacity = sum(self._capacity(queue) for queue in own)
        running = sum(subscription.running for subscription in own.values())
        name = name or f"{socket.gethostname()}:{os.getpid()}"
        about = (worker, name, tuple(sorted(own)), tuple(handlers), safe, capacity, running)
        return Presence(*about, holds=holds, patience=patience)

    def _capacity(self, queue: str) -> int:
        return self._desk.rules(queue).concurrency if self._concurrency is None else self._concurrency

    def _follow(self) -> None:
        """Consume the queues that are to be consumed, and no others."""
        wanted: set[str] = set()
        if self._open:
            wanted = set(self._handlers.queues() if self._queues is None else self._queues)
        with self._lock:
            own = self._own
            wanted = {queue for queue in wanted if not self.subscribed(queue)}
            gone = [own.pop(queue) for queue in list(own) if queue not in wanted]
            new = [
                Subscription(queue, self._run, batch_size=CLAIMS, concurrency=self._concurrency, types=self._types)
                for queue in wanted
                if queue not in own
            ]
            own |= {subscription.queue: subscription for subscription in new}
        for subscription in gone:
            self._desk.unsubscribe(subscription)
        for subscription in new:
            self._desk.subscribe(subscription)
        self._desk.poke(*own)  # a handler that came may have work waiting in a queue that is consumed already
        self._on_change()

    def _types(self) -> list[str]:
        return self._handlers.types(self._protocol)

    def _run(self, deliveries: Sequence[Delivery]) -> None:
        attempts = []
        for delivery in deliveries:
            if delivery.id.startswith(MARK):
                attempts.append(delivery)
            else:
                self._execute(delivery)
        if attempts:
            self._attempts(attempts)

    def _execute(self, delivery: Delivery) -> None:
        """Somebody put a message into a queue that is consumed here: its handler gets it, by the queue's rules."""
        try:
            envelope = codec.decode(delivery.frame)
        except EnvelopeError as error:
            delivery.fail(str(error), final=True)
            return
        if self._handlers.find(envelope.type, self._protocol) is None:
            delivery.nack(UNHANDLED, spent=False, error="nobody here handles this type")
            return
        ticket = Ticket(envelope, delivery.frame, delivery.attempt, 0, 0, 0)
        self._check(envelope, partial(self._checked, ticket, delivery))

    def _checked(self, ticket: Ticket, delivery: Delivery, refusal: Outcome | None) -> None:
        if refusal is None:
            self._executor.start(ticket, partial(end, delivery), self._protocol)
        else:
            end(delivery, refusal)


def end(delivery: Delivery, outcome: Outcome, *, retry: bool = True) -> None:
    """End a delivery by what its handler came to; ``retry``: a failure is tried again, as the queue's rules say."""
    text = f"{outcome.fault.code}: {outcome.fault.message}" if outcome.fault else outcome.verdict.value
    match outcome.verdict:
        case Verdict.APPLIED:
            delivery.ack()
        case Verdict.DEFERRED:
            delivery.nack(outcome.retry_after, spent=False, error=text)
        case Verdict.REJECTED:
            delivery.fail(text, final=True)
        case _:
            delivery.fail(text, final=not retry)
