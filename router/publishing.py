"""The router's named queues: what is published into them, and who subscribes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Unpack

from actors.codec import encode
from actors.entries import Entry
from actors.envelope import Envelope
from actors.errors import KeyReusedError
from actors.outcome import Answer
from actors.runtime.promise import Promise
from router.messages.base import Message
from router.messages.replies import CommandAnswered
from router.once import Once, event_id, publish_once
from router.protocols.subscriptions import Cancel, SubscribeOptions, Subscriptions
from router.reply import Publication
from router.response import Response
from router.sending import Sending
from router.status import PATIENCE

logger = logging.getLogger("guild_router.router")


class Publishing(Sending):
    """What of a ``Router`` publishes events and answers."""

    _subscriptions: Subscriptions

    def publish(self, message: Message, **options: Any) -> str:
        """Put a message into its type's named queue for whoever subscribes, durably; its id. Options as ``send``.

        With an ``idempotency_key`` a repeat within ``queue_history_ttl`` publishes nothing and has the same id; raises
        ``KeyReusedError`` when it has another payload.
        """
        return self.publication(message, **options).get(timeout=PATIENCE).id

    async def apublish(self, message: Message, **options: Any) -> str:
        """As ``publish``."""
        return (await self.publication(message, **options)).id

    def publication(self, message: Message, **options: Any) -> Promise[Publication]:
        """As ``publish``, to be waited for later; says also whether it is a duplicate."""
        submission, _ = self._submission(message, options)
        envelope, frame = submission.envelope, submission.frame
        keyed = bool(envelope.idempotency_key)
        if keyed:
            envelope = envelope._replace(id=event_id(envelope))
            frame = encode(envelope)
        now = self.clock.now()
        entry = Entry(
            envelope.id,
            envelope.queue,
            frame,
            envelope.priority,
            envelope.due_at or now,
            envelope.expires_at,
            envelope.type,
        )
        if keyed:
            outcome: Promise[Any] = self.engine.store_call(
                publish_once(entry, envelope, self.settings.queue_history_ttl)
            )
        else:
            outcome = self.engine.publish([entry])
        outcome.add_done_callback(lambda done: self._tell_published(done, envelope))
        return outcome.map(lambda found: _publication(found, envelope.id))

    def _tell_published(self, outcome: Promise[Any], envelope: Envelope) -> None:
        # Once it is stored, and once only: an id that the queue knew has been told.
        with suppress(Exception):  # whoever published it is told why it was not
            if outcome.get(timeout=0) in ([True], Once.NEW):
                self.engine.tables.desk.poke(envelope.queue)
                self.engine.announce("published", envelope)

    def _publish_answer(self, envelope: Envelope, answer: Answer) -> None:
        # Equal ids are one entry, so an answer that is told again is published once.
        response = Response.of(answer).model_dump(mode="json", by_alias=True)
        message = CommandAnswered(
            request_id=envelope.id, command_type=envelope.type, status=answer.status.value, response=response
        )
        options = {"correlation_id": envelope.correlation_id or None}
        sealed = self._sealed(message, f"answer.{envelope.id}", options)._replace(queue=envelope.reply_to)
        now = self.clock.now()
        entry = Entry(
            sealed.id, envelope.reply_to, encode(sealed), sealed.priority, now, sealed.expires_at, sealed.type
        )
        self.engine.publish([entry]).add_done_callback(_log_failure)

    def subscribe(self, queue: str, handler: Callable[..., Any], **options: Unpack[SubscribeOptions]) -> Cancel:
        """Have ``handler(message)`` or ``handler(message, received)`` called for what is published to a named queue.

        Several subscribers of one queue share its messages. Options: batch_size (10), auto_ack (True), retry_on_failure
        (True), concurrency (as the queue's rules say), timeout (300 s, of one call); see ``Subscriptions.subscribe``.
        """
        return self._subscriptions.subscribe(queue, handler, **options)


def _publication(outcome: list[bool] | Once, id_: str) -> Publication:
    if outcome is Once.REUSED:
        raise KeyReusedError("this idempotency key stands for another payload")
    return Publication(id_, duplicate=outcome not in ([True], Once.NEW))


def _log_failure(published: Promise[list[bool]]) -> None:
    try:
        published.get(timeout=0)
    except Exception as error:  # noqa: BLE001 - the answer itself is stored; only its copy in a queue is missing
        logger.warning("an answer could not be put into its queue: %s", error)
