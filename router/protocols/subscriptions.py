"""Subscriptions: a user's function for what lies in a named queue."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, TypedDict

from actors import codec
from actors.envelope import Envelope
from actors.outcome import Outcome, Verdict
from actors.tables.deliveries import Delivery, Desk, Subscription
from actors.tickets import MARK
from router.errors import BadSubscription
from router.protocols import results
from router.protocols.calling import cannot_take, is_async
from router.protocols.consumers import end
from router.protocols.hands import turn_away
from router.protocols.workshop import BUSY, Run, Workshop

logger = logging.getLogger("router.protocols.queue")

TIMEOUT = 300.0  # seconds; jobs of queues may be long


class SubscribeOptions(TypedDict, total=False):
    """How messages are handed over; ``Subscriptions.subscribe`` has the defaults, and says what each means."""

    batch_size: int
    auto_ack: bool
    retry_on_failure: bool
    concurrency: int | None
    timeout: float | None


class Received:
    """A message out of a named queue, as its handler sees it beside the message itself."""

    __slots__ = ("_delivery", "envelope")

    def __init__(self, delivery: Delivery, envelope: Envelope) -> None:
        self._delivery = delivery
        self.envelope = envelope

    @property
    def id(self) -> str:
        """The envelope's id; the same in every attempt."""
        return self.envelope.id

    @property
    def queue(self) -> str:
        """The named queue it came from."""
        return self._delivery.queue

    @property
    def attempt(self) -> int:
        """1 for the first."""
        return self._delivery.attempt

    @property
    def lost(self) -> bool:
        """Its claim lapsed: it may be in other hands by now, and what is said about it changes nothing."""
        return self._delivery.lost

    def ack(self) -> bool:
        """It is done. From any thread, at most once: ``False`` when it was ended before."""
        return self._delivery.ack()

    def nack(self, delay: float = 0.0, *, spent: bool = True, error: str = "") -> bool:
        """It is not done: again after ``delay`` seconds, or dead when its attempts are used up; as ``ack``.

        ``spent=False``: this was no attempt.
        """
        return self._delivery.nack(max(0, round(delay * 1000)), spent=spent, error=results.clean(error))


class Subscriptions:
    """Subscribes functions to named queues; they run where handlers run, never on the actor's thread."""

    def __init__(self, desk: Desk, workshop: Callable[[], Workshop], decode: Callable[[Envelope], Any]) -> None:
        self._desk = desk
        self._workshop = workshop
        self._decode = decode

    def subscribe(
        self,
        queue: str,
        handler: Callable[..., Any],
        *,
        batch_size: int = 10,
        auto_ack: bool = True,
        retry_on_failure: bool = True,
        concurrency: int | None = None,
        timeout: float | None = None,
    ) -> Cancel:
        """``handler(message)`` or ``handler(message, received)``, sync or async, for each message of ``queue``.

        Returning acks it; raising is a failed attempt, tried again by the queue's rules unless ``retry_on_failure`` is
        off; ``RetryLater`` and ``Reject`` mean what they mean in a handler. Without ``auto_ack`` the handler says so
        itself with ``received.ack()`` or ``nack()``, at the latest one lease of the queue after it returned, else the
        message comes again. ``batch_size``: messages fetched at a time; ``concurrency``: handled at once (``None``: as
        the queue's rules say); ``timeout`` of one call in seconds, 300 by default. Raises ``BadSubscription``.
        """
        both = not cannot_take(handler, 2)
        problem = "" if both else cannot_take(handler, 1)
        if problem:
            raise BadSubscription(f"a handler of {queue} must take (message) or (message, received): {problem}")
        if not both and not auto_ack:
            raise BadSubscription(f"without auto_ack the handler of {queue} must take (message, received), to say so")
        milliseconds = round((TIMEOUT if timeout is None else timeout) * 1000)
        if milliseconds < 1:
            raise BadSubscription(f"timeout must be seconds above 0, not {timeout!r}")
        terms = _Terms(handler, both, is_async(handler), auto_ack, retry_on_failure, milliseconds, self._decode)

        def run(deliveries: Sequence[Delivery]) -> None:
            for delivery in deliveries:
                if delivery.id.startswith(MARK):  # a command's attempt: a queue with subscribers is theirs
                    turn_away(delivery, results.deferred("no_consumer", "its queue has subscribers", BUSY))
                else:
                    self._start(_DeliveryRun(delivery, terms))

        try:
            subscription = Subscription(queue, run, batch_size=batch_size, concurrency=concurrency)
        except ValueError as error:
            raise BadSubscription(str(error)) from error
        self._desk.subscribe(subscription)
        return Cancel(self._desk, subscription)

    def _start(self, run: _DeliveryRun) -> None:
        refusal = self._workshop().refusal(run)
        if refusal is None:
            self._workshop().submit(run)
        else:
            run.unstarted(refusal)


class Cancel:
    """A subscription that can be ended."""

    def __init__(self, desk: Desk, subscription: Subscription) -> None:
        self._desk = desk
        self._subscription = subscription

    @property
    def queue(self) -> str:
        """The named queue."""
        return self._subscription.queue

    def cancel(self) -> None:
        """Nothing more is handed to the handler; what it has in hand it may end. Idempotent."""
        self._desk.unsubscribe(self._subscription)


class _Terms:
    """What was agreed for all deliveries of one subscription."""

    __slots__ = ("auto_ack", "both", "decode", "handler", "is_async", "retry", "timeout")

    def __init__(
        self,
        handler: Callable[..., Any],
        both: bool,
        is_async_: bool,
        auto_ack: bool,
        retry: bool,
        timeout: int,
        decode: Callable[[Envelope], Any],
    ) -> None:
        self.handler = handler
        self.both = both
        self.is_async = is_async_
        self.auto_ack = auto_ack
        self.retry = retry
        self.timeout = timeout
        self.decode = decode


class _DeliveryRun(Run):
    """One message by a subscription's handler."""

    __slots__ = ("_delivery", "_terms")

    def __init__(self, delivery: Delivery, terms: _Terms) -> None:
        super().__init__(is_async=terms.is_async, timeout=terms.timeout)
        self._delivery = delivery
        self._terms = terms

    def call(self, deadline: int) -> Any:  # noqa: ARG002 - a job may look at no deadline
        terms = self._terms
        try:
            envelope = codec.decode(self._delivery.frame)
            message = terms.decode(envelope)
        except Exception as error:  # noqa: BLE001 - whatever a body does to the decoder, it is the body's fault
            return _Invalid(results.of_undecodable(error))
        if terms.both:
            return terms.handler(message, Received(self._delivery, envelope))
        return terms.handler(message)

    def outcome(self, value: Any) -> Outcome:
        # What a subscription's handler returns goes nowhere.
        return value.outcome if type(value) is _Invalid else _RETURNED

    def over(self, outcome: Outcome) -> None:
        if outcome.verdict is Verdict.APPLIED and not self._terms.auto_ack:
            self._delivery.let_go = True
        else:
            end(self._delivery, outcome, retry=self._terms.retry)

    def late(self, outcome: Outcome) -> None:
        end(self._delivery, outcome, retry=self._terms.retry)

    def unstarted(self, outcome: Outcome) -> None:
        end(self._delivery, outcome)


_RETURNED = Outcome(Verdict.APPLIED)


class _Invalid:
    __slots__ = ("outcome",)

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
