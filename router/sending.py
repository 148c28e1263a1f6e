"""The router's way in: from a message and its options to a submission, and the reply of whoever sent it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from uuid_utils import uuid7

from actors.codec import encode
from actors.engine import Engine
from actors.envelope import Envelope
from actors.messages import Submission
from actors.policy.facts import Facts
from actors.runtime.clock import Clock
from actors.runtime.promise import Promise
from router.errors import InvalidMessage, UnknownType, shape
from router.messages.base import Message
from router.messages.registry import Catalog
from router.messages.registry import catalog as everything
from router.messages.seal import seal
from router.protocols.handlers import Handlers
from router.query_desk import QueryDesk
from router.reply import Reply
from router.response import Response
from router.send_options import seal_options
from router.settings import Settings
from router.status import StatusView, find


class Sending:
    """What of a ``Router`` takes commands."""

    engine: Engine
    clock: Clock
    settings: Settings
    catalog: Catalog
    handlers: Handlers
    queries: QueryDesk
    _facts: Callable[[str], Facts]
    _own: Mapping[str, Mapping[str, Any]]  #: options of sealing that the settings give a type

    def send(self, message: Message, **options: Any) -> Reply:
        """Hand a command over; never blocks. Raises ``InvalidMessage``; a refusal comes through the reply.

        Options: idempotency_key, priority, delay (s), at (ms or datetime), expires_in (s), requires_realtime,
        requires_reliability, protocols, correlation_id, request_id, reply_to, headers, actor, source, sender,
        sender_sequence, created_at (ms), id.
        """
        submission, reply = self._command(message, options)
        if message.__operation__.read_only:
            self.queries.ask(message, submission)
        else:
            self.engine.submit(submission)
        return reply

    def send_many(self, messages: Iterable[Message | tuple[Message, Mapping[str, Any]]]) -> list[Reply]:
        """Hand several over; stored together. All are validated before any is sent."""
        given = [item if isinstance(item, tuple) else (item, {}) for item in messages]
        pairs = [self._command(message, options) for message, options in given]
        commands = []
        for (message, _), (submission, _) in zip(given, pairs, strict=True):
            if message.__operation__.read_only:
                self.queries.ask(message, submission)
            else:
                commands.append(submission)
        if commands:
            self.engine.submit_many(commands)
        return [reply for _, reply in pairs]

    def request(self, message: Message, *, timeout: float | None = None, **options: Any) -> Response:
        """Send and wait for the response; ``pykka.Timeout`` after ``timeout`` s, which does not take it back."""
        return self.send(message, **options).result(timeout)

    async def arequest(self, message: Message, *, timeout: float | None = None, **options: Any) -> Response:
        """As ``request``; raises ``TimeoutError``."""
        async with asyncio.timeout(timeout):
            return await self.send(message, **options)

    def send_child(self, message: Message, parent: Envelope, id_: str) -> Promise[Response]:
        """Send a command on behalf of one that is being executed, once per id; the response of whichever was first.

        It has a lane of its own, since in its own one it might wait for its parent.
        """
        promise: Promise[Response] = Promise()

        def send() -> None:
            options = {
                "id": id_,
                "idempotency_key": id_,
                "actor": parent.user or None,
                "correlation_id": parent.correlation_id or parent.id,
                "source": "saga",
            }
            submission, reply = self._command(message, options)
            envelope = submission.envelope._replace(subject=f"saga:{parent.id}"[:128])
            reply.response.add_done_callback(lambda response: _pass_on(response, promise))
            self.engine.submit(Submission(envelope, encode(envelope), reply))

        def found(view: Promise[StatusView | None]) -> None:
            # An answer is kept longer than the window in which an idempotency key makes duplicates.
            try:
                known = view.get(timeout=0)
                if known is not None and known.response is not None:
                    promise.set(known.response)
                else:
                    send()
            except Exception as error:  # noqa: BLE001 - whoever waits for the promise is told
                promise.fail(error)

        find(self.engine, id_).add_done_callback(found)
        return promise

    # ------------------------------------------------------------ from a message to a submission

    def _command(self, message: Message, options: Mapping[str, Any]) -> tuple[Submission, Reply]:
        submission, reply = self._submission(message, options)
        envelope = submission.envelope
        if envelope.kind in ("event", "notification") and self.handlers.find(envelope.type) is None:
            raise InvalidMessage("message", f"must be a command or a task; publish() takes {envelope.type}")
        if envelope.protocols and not any(name in self.engine.protocols for name in envelope.protocols):
            known = ", ".join(sorted(self.engine.protocols))
            raise InvalidMessage("protocols", f"must name one that this router has: {known}")
        return submission, reply

    def _submission(self, message: Message, options: Mapping[str, Any]) -> tuple[Submission, Reply]:
        if not isinstance(message, Message):
            raise InvalidMessage("message", "must be a message of the catalog", shape(message))
        if self.catalog is not everything and message.type not in self.catalog:
            raise UnknownType(message.type)
        id_ = options.get("id") or str(uuid7())
        envelope = self._sealed(message, id_, options)
        reply = Reply(id_, self.engine)
        if self.queries.changed_by(message.type):
            # Before its sender is told: who asks after that must not be told what was true before.
            reply.before = partial(self.queries.settled, envelope)
        return Submission(envelope, encode(envelope), reply), reply

    def _sealed(self, message: Message, id_: str, options: Mapping[str, Any]) -> Envelope:
        known: dict[str, Any] = {"source": "library"}
        own = self._own.get(message.type)
        if own:
            known |= own
        if options:
            known |= seal_options(options)
        envelope = seal(message, id=id_, now=self.clock.now(), **known)
        queue = self._facts(message.type).queue
        if message.__operation__.read_only and not message.__operation__.subject:
            return envelope._replace(queue=queue, subject=f"query:{id_}"[:128])  # it waits for nobody
        return envelope if envelope.queue == queue else envelope._replace(queue=queue)


def _pass_on(response: Promise[Response], promise: Promise[Response]) -> None:
    try:
        promise.set(response.get(timeout=0))
    except Exception as error:  # noqa: BLE001 - whoever waits for the promise is told
        promise.fail(error)
