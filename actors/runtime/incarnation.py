"""One life of an actor, from its factory to its end."""

from __future__ import annotations

import functools
import logging
import sys
from threading import get_ident
from typing import TYPE_CHECKING, Any

from actors.runtime import fence
from actors.runtime.clock import Timer
from actors.runtime.context import context
from actors.runtime.errors import ActorFenced, ActorStopped, safe_repr
from actors.runtime.exit import IDLE, IGNORED, Exit
from actors.runtime.mailbox import EMPTY, Hand
from actors.runtime.promise import Promise
from actors.runtime.signals import (
    PYKKA_STOP,
    SPECIAL,
    Ask,
    Exited,
    Started,
    Stop,
    Timed,
    pass_on,
    perform,
    plain,
    refuse,
)

if TYPE_CHECKING:
    from actors.runtime.actor import Actor
    from actors.runtime.cell import Cell

logger = logging.getLogger("actors.runtime")

#: what run_slice says to the thread that called it
PAUSED = 0  #: nothing to do now; if there will be, the dispatcher's ``ready`` is called
MORE = 1  #: call again, after others had their turn
FENCED = 2  #: the actor was given up while it ran: this thread must end


class Incarnation:
    """Runs one actor instance in slices; a dispatcher says when and on which thread.

    Every decision about its end is made under the mailbox's lock: ``over`` turns True once, either by the incarnation
    itself (it crashed or stopped) or by its supervisor (``fence``). Whoever turned it hands back what was not begun and
    reports the end, so both happen exactly once.
    """

    __slots__ = (
        "_flush",
        "actor",
        "cell",
        "count",
        "draining",
        "ending",
        "fenced",
        "flushing",
        "number",
        "over",
        "passive",
        "running",
        "slice_size",
        "thread",
        "timers",
        "worker",
    )

    def __init__(self, cell: Cell, number: int) -> None:
        self.cell = cell
        self.number = number
        self.actor: Actor | None = None
        self.running = False  #: on_start is through
        self.over = False
        self.fenced = False
        self.thread = 0  #: ident of the thread inside the slice; changed under the mailbox's lock
        self.timers: set[Timer] | None = None
        self.ending: Exit | None = None  #: stop after the current message
        self.draining: Exit | None = None  #: stop when nothing waits
        self.passive = False  #: sleep when nothing waits
        self.flushing = False
        self.count = 0  #: of redeliveries of the message in hand
        self.slice_size = 0
        self.worker: Any = None  #: the dispatcher's own

    # ------------------------------------------------------------ slices

    def run_slice(self, limit: int = 0) -> int:
        """Handle up to ``limit`` messages (0: the actor's slice size). Called by one thread at a time."""
        mailbox = self.cell.mailbox
        with mailbox.lock:
            # the second test cannot be true unless a dispatcher errs, and two threads in one actor would be the end
            if self.over or self.thread:
                return PAUSED
            self.thread = get_ident()
            hand = self._take(limit) if self.running and not mailbox.interrupt else None
        outer, context.incarnation = context.incarnation, self
        try:
            if hand is None:
                more = (self.running or self._begin()) and self._slice(limit)
            else:
                more = (not hand.items or self._handle(hand)) and self._settle()
        except BaseException as error:  # noqa: BLE001 - a fault of the runtime, or an asynchronous one between handlers
            self._crash(error)
            more = False
        finally:
            context.incarnation = outer
        # Every way out of the slice went through the lock and saw whether it was over, so this cannot change now.
        if self.fenced:
            fence.fenced.discard(get_ident())
            self.cell.runtime.unhang()
            return FENCED
        return MORE if more else PAUSED

    def _begin(self) -> bool:
        cell = self.cell
        try:
            actor = cell.factory()
            if actor is None:
                self._end(IGNORED)
            if actor is None or self.over:  # given up while the factory ran: a ghost begins nothing
                return False
            actor._bind(self)
            self.actor = actor
            self.slice_size = max(1, actor.slice_size)
            self._flush = actor._flusher()
            if cell.spec.mailbox_capacity is None:
                cell.mailbox.capacity = actor.mailbox_capacity
            actor.on_start()
        except BaseException as error:  # noqa: BLE001 - also SystemExit and the like end this actor only
            self._end(Exit("start_failed", error))
            return False
        with cell.mailbox.lock:
            if self.over:
                return False
            self.running = True
        if cell.report_start and not actor._starts_later:
            cell.post(Started(self))
        return True

    def _slice(self, limit: int) -> bool:
        """A slice that does not begin with messages: the first, or one with system messages."""
        mailbox = self.cell.mailbox
        if mailbox.interrupt and not self._urgent():
            return False
        if self.ending is None and (mailbox.items or self.cell.retry):
            with mailbox.lock:
                if self.over:
                    return False
                hand = self._take(limit)
            if hand.items and not self._handle(hand):
                return False
        return self._settle()

    def _take(self, limit: int) -> Hand:
        """Under the lock: the messages of this slice."""
        cell = self.cell
        if cell.retry:
            # one at a time, each with its own flush: so the next crash has one culprit, and only that one is handed
            # out again
            item, self.count = cell.retry.pop(0)
            cell.mailbox.hand = hand = Hand([item])
            return hand
        self.count = 0
        cell.culprit = None
        return cell.mailbox.take(limit or self.slice_size)

    def _handle(self, hand: Hand) -> bool:
        mailbox = self.cell.mailbox
        receive = self.actor.on_receive  # type: ignore[union-attr] # it is running
        at = 0
        try:
            for item in hand.items:
                at += 1
                # From here on the message counts as begun. If the fence fell before this line, the successor got the
                # message; if after, it was reported as being in hand. Hence the second look before touching it.
                hand.at = at
                if self.over:
                    return False
                if type(item) in SPECIAL:
                    self._special(item)
                else:
                    receive(item)
                if mailbox.interrupt:
                    break
            if self._flush is not None and not self.over:
                self.flushing = True
                self._flush()
                self.flushing = False
        except BaseException as error:  # noqa: BLE001 - also SystemExit and the like end this actor only
            self._crash(error)
            return False
        return True

    def _settle(self) -> bool:
        """The end of a slice that went well: go on, sleep, or stop."""
        cell = self.cell
        mailbox = cell.mailbox
        with mailbox.lock:
            if self.over:
                return False
            if mailbox.hand is not EMPTY:
                mailbox.give_back()
            waits = bool(mailbox.items or cell.retry)
            if self.draining is not None and not waits:
                self.ending = self.draining
            if self.ending is None:
                if waits or mailbox.urgent:
                    self.thread = 0
                    return True
                if not self.passive:
                    mailbox.scheduled = False
                    self.thread = 0
                    return False
                mailbox.closed = True  # a sender from now on starts another one
                self.ending = IDLE
        self._finish(self.ending)
        return False

    def _urgent(self) -> bool:
        """The system lane; False: it is over."""
        mailbox = self.cell.mailbox
        actor = self.actor
        assert actor is not None  # noqa: S101 - running
        try:
            for _ in range(self.slice_size):
                item = mailbox.take_urgent()
                if item is None:
                    break
                if type(item) is not Stop:
                    actor._on_system(item)
                elif item.number == self.number and self.ending is None and actor._on_stop_request(item):
                    how = Exit("shutdown" if item.reason == "shutdown" else "normal")
                    if actor.drain_on_stop and item.final:
                        self.draining = how
                    else:
                        self.ending = how
        except BaseException as error:  # noqa: BLE001 - as in _handle
            self._crash(error)
            return False
        return not self.over

    # ------------------------------------------------------------ messages

    def _special(self, item: Any) -> None:
        kind = type(item)
        if kind is Ask:
            answer = self._call(item.message)
            if isinstance(answer, Promise):  # the actor answers later, and is free meanwhile
                answer.add_done_callback(functools.partial(pass_on, item.promise))
            elif not self.over:  # else the asker was told that the actor was given up
                item.promise.offer(answer)
        elif kind is Timed:
            if item.number == self.number:
                self._call(item.message)
        else:
            self._call(item)

    def _call(self, message: Any) -> Any:
        kind = type(message)
        if kind not in SPECIAL:
            return self.actor.on_receive(message)  # type: ignore[union-attr] # it is running
        if kind is PYKKA_STOP:
            self.stop(Exit("normal"))
            return None
        return perform(self.actor, message)

    def stop(self, how: Exit) -> None:
        """The actor wants to end after the message in hand. On its own thread."""
        if self.ending is None:
            self.ending = how
            self.cell.mailbox.interrupt = True

    # ------------------------------------------------------------ the end

    def finish(self, how: Exit) -> None:
        """End an idle actor on the calling thread; its mailbox was closed while it slept, so nobody else runs it."""
        outer, context.incarnation = context.incarnation, self
        try:
            self._finish(how)
        finally:
            context.incarnation = outer

    def _finish(self, how: Exit) -> None:
        actor = self.actor
        if actor is not None:
            try:
                actor.on_stop()
            except BaseException as error:
                how = Exit("crash", error)
                logger.exception("%s: on_stop raised", self.cell.name)
        self._end(how)

    def _crash(self, error: BaseException) -> None:
        if self.over:
            logger.warning("%s: given up before, and raised now: %s", self.cell.name, safe_repr(error))
            return
        logger.error("%s crashed", self.cell.name, exc_info=error)
        if self.actor is not None:
            try:
                self.actor.on_failure(*sys.exc_info())
            except BaseException:
                logger.exception("%s: on_failure raised", self.cell.name)
        self._end(Exit("crash", error))

    def _end(self, how: Exit) -> None:
        with self.cell.mailbox.lock:
            if self.over:
                return
            self.over = True
            how, lost = self._hand_back(how)
        self._report(how, lost)

    def fence(self, error: BaseException | None = None) -> bool:
        """Give the actor up; from the supervisor's thread. False: it has ended by itself.

        If a thread is inside it, that thread can reach no other actor from now on.
        """
        hung = False
        cell = self.cell
        with cell.mailbox.lock:
            if self.over:
                return False
            self.over = True
            self.fenced = hung = self.thread != 0 and self.thread != get_ident() and cell.dispatcher.has_threads
            if hung:
                # under the lock, so that the thread finds its ident here and takes it out, or never was inside
                fence.fenced.add(self.thread)
            how, lost = self._hand_back(Exit("killed", error or ActorFenced(cell.name)))
        if hung:
            cell.runtime.hang()
        cell.dispatcher.abandon(self, hung=hung)
        if self.actor is not None:
            self.actor._on_fence()
        self._report(how, lost)
        return True

    def _hand_back(self, how: Exit) -> tuple[Exit, list[Any]]:
        """Under the lock: give the successor what was not begun, and what must be redelivered; find the culprit.

        Returns how it ended, and the messages in hand that nobody will get again.
        """
        cell = self.cell
        mailbox = cell.mailbox
        in_hand = how.kind in {"crash", "killed"} and mailbox.hand.at > 0
        begun = mailbox.give_back()
        mailbox.scheduled = True  # parked: messages wait until the supervisor has decided
        allowed = 0 if self.actor is None else self.actor.redeliver
        culprit: Any = None
        if in_hand and (not self.flushing or len(begun) == 1):
            culprit = begun[-1]
            # not charged to the restart limit a second time: its tries have a limit of their own
            how = how._replace(message=plain(culprit), repeat=self.count > 0 and culprit is cell.culprit)
        if in_hand and self.count < allowed:
            cell.retry = [(item, self.count + 1) for item in begun] + (cell.retry or [])
            cell.culprit = culprit
            return how, []
        cell.culprit = None
        if in_hand and allowed:
            return how, list(begun)
        return how, [] if culprit is None else [culprit]

    def _report(self, how: Exit, lost: list[Any]) -> None:
        cell = self.cell
        for timer in tuple(self.timers or ()):
            timer.cancel()
        self.timers = None
        if how.exception is not None:
            cell.last_error = safe_repr(how.exception)
        for item in lost:
            refuse(item, cell.name, how)
            if self.actor is not None and self.actor.redeliver:
                cell.runtime.poisoned(cell.ref, plain(item), how.exception)
        cell.post(Exited(self, how))

    # ------------------------------------------------------------ timers

    def send_after(self, delay: float, message: Any) -> Timer:
        """See ``Actor.send_after``."""
        cell = self.cell
        item = Timed(message, self.number)

        def fire() -> None:
            with cell.mailbox.lock:  # not before the lines below are through
                if self.timers is not None:
                    self.timers.discard(timer)
                if self.over or cell.mailbox.closed:
                    return
                cell.mailbox.put(item, force=True)

        with cell.mailbox.lock:
            if self.over:
                raise ActorStopped(cell.name)
            timer = cell.runtime.clock.call_later(delay, fire)
            if self.timers is None:
                self.timers = set()
            self.timers.add(timer)
        return timer
