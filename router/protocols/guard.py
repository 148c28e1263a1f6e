"""The guard before every protocol: no attempt reaches an executor before the authorizer has allowed it.

What it says is remembered for a short time, and asked once for all who wait for the same answer. Nobody is executed
unchecked: while it cannot be told, the command waits, and is asked about again.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from threading import Lock
from typing import Any, NamedTuple

from actors.envelope import Envelope
from actors.outcome import Fault, Outcome, Verdict
from actors.ports import Done, ExecutionProtocol, Ticket
from actors.runtime.clock import Clock
from router.errors import BadHandler
from router.messages.base import Message
from router.permissions.decision import Allowed, Authorizer, Decision, Denied, Judge, Unknown
from router.protocols import results
from router.protocols.calling import cannot_take, is_async
from router.protocols.executor import tell, without_secrets
from router.protocols.workshop import Run, Workshop

logger = logging.getLogger("router.permissions")

REMEMBERED = 10_000  # decisions kept, and commands whose last decision is known
WORKERS = 2  # threads for an authorizer that is not async
HARDLY = 1_000  # ms; advice when the authorizer itself failed

Note = Callable[[Envelope, Decision], None]


class _Kept(NamedTuple):
    decision: Decision
    until: int  # ms since the epoch


class Guard:
    """Thread-safe. ``note(envelope, decision)`` hears of every decision about a command that is not a repetition.

    ``ttl`` in ms: how long an answer is good for; 0: asked each time. ``timeout`` in ms: an authorizer that takes
    longer could not tell. One that is ``quick`` is asked on the caller's thread and nothing of it is kept.
    """

    def __init__(
        self,
        clock: Clock,
        decode: Callable[[Envelope], Message],
        note: Note,
        *,
        ttl: int = 5_000,
        timeout: int = 2_000,
    ) -> None:
        self._clock = clock
        self._decode = decode
        self._note = note
        self._ttl = ttl
        self._authorizer: Authorizer | Judge | None = None
        self._judge: Judge | None = None
        self._quick = False
        self._workshop = Workshop(clock, workers=WORKERS, timeout=timeout, name="authorizer")
        self._users: set[str] = set()
        self._kept: OrderedDict[object, _Kept] = OrderedDict()
        self._asked: dict[object, _CheckRun] = {}
        self._told: OrderedDict[str, tuple[str, str]] = OrderedDict()
        self._lock = Lock()

    @property
    def active(self) -> bool:
        """Whether anybody decides; else everything is allowed."""
        return self._judge is not None

    def use(self, authorizer: Authorizer | Judge | None) -> None:
        """From now on this one decides; what another said is forgotten. ``None``: everything is allowed."""
        own: Any = authorizer
        judge: Judge | None = getattr(own, "authorize", own)
        if judge is not None and (problem := cannot_take(judge, 2)):
            raise BadHandler(f"an authorizer must take (command, envelope): {problem}")
        with self._lock:
            self._authorizer = authorizer
            self._judge = judge
            self._quick = bool(getattr(authorizer, "quick", False))
            self._kept.clear()

    def forget(self) -> None:
        """Roles or members changed: ask anew about everybody."""
        with self._lock:
            self._kept.clear()

    def use_loop(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Ask an async authorizer on this loop (``None``: one of our own); before ``open``."""
        self._workshop.use_loop(loop)

    def open(self, user: str) -> None:
        """Protocol ``user`` needs it."""
        with self._lock:
            self._users.add(user)
        self._workshop.open()

    def close(self, user: str) -> None:
        """Protocol ``user`` is done; after the last one whoever is still asked about cannot be told."""
        with self._lock:
            if user not in self._users:
                return
            self._users.discard(user)
            if self._users:
                return
        self._workshop.close(0.0)

    def discreet(self, envelope: Envelope, done: Done) -> Done:
        """``done`` that hears no fault with a secret of the command in it, whoever executed and worded it."""

        return partial(self._hushed, envelope, done)

    def _hushed(self, envelope: Envelope, done: Done, outcome: Outcome) -> None:
        if outcome.fault is not None and outcome.verdict is not Verdict.APPLIED:
            try:
                outcome = without_secrets(outcome, self._decode(envelope))
            except Exception:  # noqa: BLE001 - a body that cannot be read has told nobody its secrets
                logger.debug("the faults of %s are shown as they are", envelope.id)
        done(outcome)

    def check(self, envelope: Envelope, decided: Callable[[Outcome | None], None]) -> None:
        """``decided(None)``: go on; else with what the attempt comes to instead. Called once, perhaps at once."""
        judge = self._judge
        if judge is None:
            decided(None)
            return
        try:
            command = self._decode(envelope)
        except Exception as error:  # noqa: BLE001 - whatever a body does to the decoder, it is the body's fault
            decided(results.of_undecodable(error))
            return
        if self._quick:
            self._quickly(judge, command, envelope, decided)
        else:
            self._ask(judge, command, envelope, decided)

    def _quickly(
        self, judge: Judge, command: Message, envelope: Envelope, decided: Callable[[Outcome | None], None]
    ) -> None:
        try:
            decision: object = judge(command, envelope)
        except Exception as error:  # noqa: BLE001 - it may be anybody's
            decision = failed(error)
        if inspect.iscoroutine(decision):
            decision.close()
        self._decide(envelope, decision, decided)

    def _ask(
        self, judge: Judge, command: Message, envelope: Envelope, decided: Callable[[Outcome | None], None]
    ) -> None:
        key = self._key(command, envelope)
        now = self._clock.now()
        known: Decision | None = None
        run: _CheckRun | None = None
        with self._lock:
            if key is not None:
                kept = self._kept.get(key)
                if kept is not None and kept.until > now:
                    known = kept.decision
                elif (asked := self._asked.get(key)) is not None and asked.judge is judge:
                    asked.waiters.append((envelope, decided))
                    return
            if known is None:
                run = _CheckRun(self, judge, command, envelope, key, decided)
                if key is not None:
                    self._asked[key] = run
        if run is None:
            self._decide(envelope, known, decided)
            return
        refusal = self._workshop.refusal(run)
        if refusal is None:
            self._workshop.submit(run)
        else:
            run.unstarted(refusal)

    def _key(self, command: Message, envelope: Envelope) -> object:
        if not self._ttl:
            return None
        own = getattr(self._authorizer, "cache_key", None)
        if own is None:
            return (envelope.user, envelope.guild, envelope.source, envelope.type, envelope.fingerprint)
        try:
            key: object = own(command, envelope)
            hash(key)
        except Exception:
            logger.exception("the cache key of an authorizer cannot be used")
            return None
        return key

    # ------------------------------------------------------------ told by the runs

    def found(self, run: _CheckRun, decision: object) -> None:
        """An authorizer has answered, or could not."""
        with self._lock:
            if run.key is not None:
                if self._asked.get(run.key) is run:
                    del self._asked[run.key]
                if isinstance(decision, Allowed | Denied) and run.judge is self._judge:
                    self._kept[run.key] = _Kept(decision, self._clock.now() + self._ttl)
                    while len(self._kept) > REMEMBERED:
                        self._kept.popitem(last=False)
            waiters, run.waiters = run.waiters, []
        for envelope, decided in waiters:
            self._decide(envelope, decision, decided)

    def _decide(self, envelope: Envelope, decision: object, decided: Callable[[Outcome | None], None]) -> None:
        if not isinstance(decision, Allowed | Denied | Unknown):
            logger.error("an authorizer answered with a %s", type(decision).__name__)
            decision = Unknown(HARDLY, "the authorizer gave no decision")
        if self._is_news(envelope, decision):
            self._note(envelope, decision)
        tell(decided, outcome_of(decision))

    def _is_news(self, envelope: Envelope, decision: Decision) -> bool:
        # A command that waits long is asked about often; its trail shows each change of mind once.
        shown = (type(decision).__name__, decision.code if isinstance(decision, Denied) else "")
        with self._lock:
            if self._told.get(envelope.id) == shown:
                return False
            self._told[envelope.id] = shown
            while len(self._told) > REMEMBERED:
                self._told.popitem(last=False)
        return True


class _CheckRun(Run):
    """One question to the authorizer."""

    __slots__ = ("_command", "_envelope", "_guard", "judge", "key", "waiters")

    def __init__(
        self,
        guard: Guard,
        judge: Judge,
        command: Message,
        envelope: Envelope,
        key: object,
        decided: Callable[[Outcome | None], None],
    ) -> None:
        super().__init__(is_async=is_async(judge), timeout=0)
        self._guard = guard
        self._command = command
        self._envelope = envelope
        self.judge = judge
        self.key = key
        self.waiters = [(envelope, decided)]

    def call(self, deadline: int) -> Any:  # noqa: ARG002 - the workshop's word
        return self.judge(self._command, self._envelope)

    def outcome(self, value: Any) -> Outcome:
        self._guard.found(self, value)
        return results.of_value(None)

    def over(self, outcome: Outcome) -> None:
        if outcome.fault is not None:
            logger.error("the authorizer failed: %s", outcome.fault.message)
            self._guard.found(self, Unknown(HARDLY, "the authorizer failed"))

    def late(self, outcome: Outcome) -> None:  # noqa: ARG002 - the workshop's word
        self._guard.found(self, Unknown(HARDLY, "the authorizer took too long"))

    def unstarted(self, outcome: Outcome) -> None:
        self._guard.found(self, Unknown(outcome.retry_after or HARDLY, "the authorizer has too much to do"))


class Guarded:
    """A protocol behind the guard; all else is its own."""

    def __init__(self, protocol: ExecutionProtocol, guard: Guard) -> None:
        self.protocol = protocol
        self.name = protocol.name
        self.dedupes = protocol.dedupes
        self.reaches = protocol.reaches
        self.idempotent = protocol.idempotent
        self.verify = protocol.verify
        self._guard = guard
        self._checked: dict[str, _Checked] = {}
        self._lock = Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.protocol, name)

    def open(self) -> None:
        """See ``ExecutionProtocol``."""
        self._guard.open(self.name)
        self.protocol.open()

    def close(self, drain: float) -> None:
        """See ``ExecutionProtocol``."""
        self._guard.close(self.name)
        self.protocol.close(drain)

    def start(self, ticket: Ticket, done: Done) -> None:
        """See ``ExecutionProtocol``; nobody is asked when there is no authorizer."""
        done = self._guard.discreet(ticket.envelope, done)
        if not self._guard.active:
            self.protocol.start(ticket, done)
            return
        checked = _Checked(self, ticket, done)
        # In another's place only when that one's flight has landed already: it is not started, and nobody waits for it.
        with self._lock:
            self._checked[ticket.envelope.id] = checked
        self._guard.check(ticket.envelope, checked.decided)

    def recall(self, id: str) -> bool:
        """``True`` also while its permission is being looked at."""
        with self._lock:
            if self._checked.pop(id, None) is not None:
                return True
        return self.protocol.recall(id)

    def leave(self, checked: _Checked) -> bool:
        """It is decided; ``False``: it was taken back meanwhile, and nobody is told."""
        id_ = checked.ticket.envelope.id
        with self._lock:
            if self._checked.get(id_) is not checked:
                return False
            del self._checked[id_]
            return True


class _Checked:
    """An attempt whose permission is being looked at."""

    __slots__ = ("_done", "_guarded", "ticket")

    def __init__(self, guarded: Guarded, ticket: Ticket, done: Done) -> None:
        self._guarded = guarded
        self.ticket = ticket
        self._done = done

    def decided(self, outcome: Outcome | None) -> None:
        if not self._guarded.leave(self):
            return
        if outcome is None:
            self._guarded.protocol.start(self.ticket, self._done)
        else:
            tell(self._done, outcome)


def outcome_of(decision: Decision) -> Outcome | None:
    """What an attempt comes to; ``None``: it may go on."""
    match decision:
        case Allowed():
            return None
        case Denied(code, message):
            fault = Fault(results.clean(code, results.CODE) or "permission_denied", results.clean(message))
            return Outcome(Verdict.REJECTED, fault=fault)
        case Unknown(retry_after, message):
            pause = max(1, retry_after)
            fault = Fault("permission_unknown", results.clean(message), True, pause)
            # As if an executor had said so: another protocol would be told the same, and none is to blame.
            return Outcome(Verdict.DEFERRED, executed=True, fault=fault, retry_after=pause)


def failed(error: Exception) -> Unknown:
    """An authorizer raised."""
    logger.error("the authorizer failed: %s", results.text_of(error))
    return Unknown(HARDLY, "the authorizer failed")
