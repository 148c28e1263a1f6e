"""What is asked of a running engine: where a command stands, and why. Whichever router owns its guild answers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from actors.alias import look_up
from actors.asking import settle
from actors.codec import peek
from actors.errors import EngineError, Overloaded, OwnerAway, ShuttingDown
from actors.messages import Locate, StoreCall
from actors.options import Options
from actors.places import pending_of
from actors.ports import AuditFilter, AuditLine, Backend, Stored
from actors.relay import ALL, Order
from actors.runtime.clock import Clock
from actors.runtime.errors import MailboxFull, RuntimeFault
from actors.runtime.promise import Promise
from actors.runtime.runtime import Runtime
from actors.tree import Tables
from actors.waits import Explained, delayed, unanswered

T = TypeVar("T")
logger = logging.getLogger("guild_router.engine")

NOTES = 100
"""Lines of the audit trail that explain one command."""


class Inquiries:
    """The engine's face to those who ask; each answer is a promise. Thread-safe."""

    runtime: Runtime
    clock: Clock
    options: Options
    tables: Tables

    def store_call(self, fn: Callable[[Backend, int], T]) -> Promise[T]:
        """Run ``fn(store, now)`` on the journal, inside its commit."""
        promise: Promise[T] = Promise()
        self._ask("journal", StoreCall(fn, settle(promise)), promise)
        return promise

    def find(self, id: str) -> Promise[tuple[Stored | None, int]]:
        """One envelope as the store knows it, and how many of its guild are before it."""
        promise: Promise[tuple[Stored | None, int]] = Promise()

        def located(stored: Stored, ahead: Any) -> None:
            settle(promise)(ahead if isinstance(ahead, Exception) else (stored, ahead))

        def found(stored: Any) -> None:
            if isinstance(stored, Stored) and stored.state in ("queued", "waiting"):
                self._locate(stored, partial(located, stored))
            else:
                settle(promise)(stored if isinstance(stored, Exception) else (stored, 0))

        self._ask("journal", StoreCall(lambda store, _: look_up(store, id), found), promise)
        return promise

    def _locate(self, stored: Stored, reply: Callable[[Any], None]) -> None:
        header = peek(stored.frame)  # of a duplicate, the original's
        id_, guild = header.id, header.guild
        if self._is_mine(guild):
            self.tables.guilds.tell(guild, Locate(id_, reply))
            return

        def answered(ahead: Any) -> None:
            if not isinstance(ahead, OwnerAway):
                reply(ahead)
                return
            # Nobody owns it at the moment: as the store has it.
            self._call(StoreCall(lambda store, _: _before(store, guild, stored.position), reply))

        self._elsewhere("locate", [id_, guild], guild, answered)

    def explain(self, id: str) -> Promise[Explained | None]:
        """Everything that is known of a command, and why it does not run now; ``None``: not known (any more)."""
        promise: Promise[Explained | None] = Promise()

        def read(store: Backend, _: int) -> tuple[Stored, list[AuditLine]] | None:
            stored = look_up(store, id)
            return stored and (stored, store.audit(AuditFilter(id=peek(stored.frame).id), NOTES))

        def found(known: Any) -> None:
            if known is None or isinstance(known, Exception):
                settle(promise)(known)
                return
            stored, notes = known
            header = peek(stored.frame)
            if stored.state == "delayed":
                promise.offer(Explained(stored, notes, delayed(header.due_at)))
            elif stored.state in ("queued", "waiting"):
                self._why(header.id, header.guild, partial(waits, stored, notes))
            else:
                promise.offer(Explained(stored, notes, None))

        def waits(stored: Stored, notes: list[AuditLine], wait: Any) -> None:
            promise.offer(Explained(stored, notes, unanswered(wait) if isinstance(wait, EngineError) else wait))

        self._ask("journal", StoreCall(read, found), promise)
        return promise

    def _why(self, id_: str, guild: str, reply: Callable[[Any], None]) -> None:
        if self._is_mine(guild):
            self.tables.guilds.tell(guild, Locate(id_, reply, why=True))
        else:
            self._elsewhere("why", [id_, guild], guild, reply)

    # ------------------------------------------------------------ to whom it goes

    def _is_mine(self, guild: str) -> bool:
        holdings = self.tables.holdings
        return holdings is None or holdings.of(guild) is not None

    def _elsewhere(self, name: str, arguments: list[Any], guild: str, reply: Callable[[Any], None]) -> None:
        holdings = self.tables.holdings
        partition = holdings.partition(guild) if holdings is not None else ALL
        self._tell("relay", Order(name, arguments, partition, reply))

    def _call(self, call: StoreCall) -> None:
        try:
            self.runtime.ref("journal").tell(call)
        except MailboxFull:
            call.reply(Overloaded("the journal is behind", retry_after=1_000))
        except RuntimeFault:
            call.reply(ShuttingDown("the router is not running"))

    def _tell(self, name: str, message: object) -> None:
        try:
            self.runtime.ref(name).tell(message)
        except RuntimeFault as error:
            logger.warning("%s could not be told of a %s: %s", name, type(message).__name__, error)
            if isinstance(message, Order):
                message.reply(ShuttingDown("the router is not running"))

    def _ask(self, name: str, message: object, promise: Promise[Any]) -> None:
        try:
            self.runtime.ref(name).tell(message)
        except MailboxFull:
            promise.offer_failure(Overloaded(f"the {name} is behind", retry_after=1_000))
        except RuntimeFault:
            promise.offer_failure(ShuttingDown("the router is not running"))


def guild_of(stored: Stored) -> str:
    """Of a record."""
    return peek(stored.frame).guild


def _before(store: Backend, guild: str, position: int) -> int:
    return sum(record.position < position for record in pending_of(store, guild))
