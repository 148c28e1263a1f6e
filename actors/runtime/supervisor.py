"""A supervisor of named children that start in order.

It never waits: each start, stop and delay is begun here and ends as a message, and after every message ``_advance``
does what can be done now. So it answers operators, other crashes and its own stop at any time.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from actors.runtime import operators
from actors.runtime.actor import Actor
from actors.runtime.children import DOWN, STARTING, STOPPING, UP, Child, Children
from actors.runtime.errors import ActorStopped, StartError
from actors.runtime.exit import SHUTDOWN, Exit, is_failure, should_restart
from actors.runtime.incarnation import Incarnation
from actors.runtime.restart import add_restart
from actors.runtime.signals import Exited, Started, Stop
from actors.runtime.spec import ChildSpec, SupervisorSpec
from actors.runtime.supervision import Call, Retry, StopTimeout, answer, backoff_seconds, tell_hook

if TYPE_CHECKING:
    from actors.runtime.cell import Cell

logger = logging.getLogger("actors.runtime")


class Supervisor(Actor):
    """See ``SupervisorSpec``. Phases: starting -> running -> stopping."""

    _starts_later = True

    def __init__(self, spec: SupervisorSpec) -> None:
        super().__init__()
        self.spec = spec
        self._phase = "starting"
        self._final = False  #: stopping for good, so the children's mailboxes close
        self._exit = SHUTDOWN
        self._restarts: tuple[float, ...] = ()
        self._children = Children()
        self._kids: dict[str, Cell] = {}  #: the cell's, so that they stay for the next incarnation

    # ------------------------------------------------------------ life

    def on_start(self) -> None:
        self._kids = self._cell.kids = self._cell.kids or {}
        own = {spec.id for spec in self.spec.children}
        for kid in tuple(self._kids.values()):
            if kid.name not in own:
                self.runtime.drop(kid)
        for spec in self.spec.children:
            self._add(spec, own=True)
        # what follows may report to the supervisor above; that is this method's last act
        self._advance()

    def _on_system(self, item: Any) -> None:
        if isinstance(item, Started):
            self._started(item.incarnation)
        elif isinstance(item, Exited):
            self._exited(item.incarnation, item.exit)
        elif isinstance(item, StopTimeout):
            self._stop_timeout(item)
        elif isinstance(item, Retry):
            self._retry(item)
        elif isinstance(item, Call):
            answer(self, item)
        self._advance()

    def _on_stop_request(self, stop: Stop) -> bool:
        self._final = self._final or stop.final
        self._shut_down(Exit("shutdown"))
        self._advance()
        return False

    def on_failure(self, *_exc_info: object) -> None:
        self._on_fence()

    def _on_fence(self) -> None:
        # it can tell its children nothing any more, and its successor will start them anew
        self._phase = "stopping"
        for child in self._children:
            incarnation = child.cell.incarnation
            if incarnation is not None:
                incarnation.fence()

    # ------------------------------------------------------------ the next step

    def _advance(self) -> None:
        """Begin whatever may begin now. Stops go first, and from the last child to the first."""
        children = self._children
        in_turn = self._phase != "running" or self.spec.strategy != "one_for_one"
        while (child := children.next_stop()) is not None:
            if in_turn and children.counts[STOPPING]:
                return
            children.stopped()
            self._stop_child(child)
        if in_turn and children.counts[STOPPING]:
            return
        if self._phase == "stopping":
            if not children.live:
                self._finish()
            return
        while (child := children.next_start()) is not None:
            if in_turn and (child.delay is not None or children.counts[STARTING]):
                return
            children.started()
            if child.delay is None:
                self._launch(child)
        if self._phase == "starting" and not children.counts[STARTING]:
            self._phase = "running"
            self._cell.post(Started(self._here()))

    def _launch(self, child: Child) -> None:
        self._children.move(child, STARTING)
        child.cell.launch()

    def _stop_child(self, child: Child) -> None:
        self._children.move(child, STOPPING)
        cell = child.cell
        incarnation = cell.incarnation
        assert incarnation is not None  # noqa: S101 - it was launched
        final = not child.bounce and (self._phase != "stopping" or self._final or not child.own)
        shutdown = cell.spec.shutdown
        if shutdown == "brutal":
            if final:
                cell.mailbox.closed = True
            incarnation.fence()
            return
        cell.stop("shutdown", final=final)
        if not isinstance(shutdown, str):
            timeout = StopTimeout(incarnation, shutdown)
            child.timer = self.clock.call_later(shutdown, lambda: self._post(timeout))

    def _finish(self) -> None:
        for child in self._children:
            if not child.own:
                self._drop(child)
            elif self._final:
                child.cell.close()
        self._here().stop(self._exit)

    def _shut_down(self, how: Exit) -> None:
        """Stop all children in turn, then end like that. The first reason counts."""
        if self._phase != "stopping":
            self._phase = "stopping"
            self._exit = how
        for child in self._children:
            child.want = child.bounce = False
            self._cancel_delay(child)
            if child.state in (STARTING, UP):
                self._children.to_stop(child)
            elif child.state == DOWN:
                self._settle(child)

    # ------------------------------------------------------------ news of children

    def _started(self, incarnation: Incarnation) -> None:
        child = self._child_of(incarnation)
        if child is None or child.state != STARTING:
            return
        self._children.move(child, UP)
        child.started_before = True
        child.up_since = self.clock.monotonic()
        waiting, child.starting = child.starting, []
        for promise in waiting:
            promise.offer(child.cell.ref)

    def _exited(self, incarnation: Incarnation, how: Exit) -> None:
        child = self._child_of(incarnation)
        if child is None or child.state == DOWN:
            return
        before = child.state
        self._children.move(child, DOWN)
        if child.timer is not None:
            child.timer.cancel()
            child.timer = None
        if how.kind == "crash" or (how.kind == "killed" and (before != STOPPING or how.message is not None)):
            tell_hook(self.spec.on_crash, child.cell.ref, how.message, how.exception)
        if before == STOPPING:
            self._stopped(child, how)
        elif self._phase == "stopping":
            self._settle(child)
        elif how.kind == "ignored":
            child.want = False
            for promise in child.starting:
                promise.offer(None)
            self._settle(child)
        elif how.kind == "start_failed" and not child.started_before and child.starting:
            self._start_failed_for_operator(child, how)
        elif how.kind == "start_failed" and not child.started_before and self._phase == "starting":
            cause = how.exception
            self._shut_down(
                Exit("start_failed", cause if isinstance(cause, StartError) else StartError(child.cell.name, cause))
            )
        else:
            self._died(child, how)

    def _stopped(self, child: Child, how: Exit) -> None:
        if is_failure(how.kind) and child.cell.spec.shutdown != "brutal":
            logger.error("%s: shutdown error: %s, %r", child.cell.name, how.kind, how.exception)
        child.bounce = False
        if child.want and self._phase != "stopping":
            self._children.to_start(child)
        else:
            self._settle(child)

    def _died(self, child: Child, how: Exit) -> None:
        """It ended by itself."""
        if how.kind == "start_failed":
            logger.error("%s could not start: %r", child.cell.name, how.exception, exc_info=how.exception)
            tell_hook(self.spec.on_crash, child.cell.ref, None, how.exception)
        restart = child.cell.spec.restart
        if not should_restart(restart, how.kind):
            child.want = False
            self._settle(child)
            self._auto_shutdown(child)
            return
        now = self.clock.monotonic()
        if not how.repeat:
            self._restarts, exceeded = add_restart(self._restarts, now, self.spec.period, self.spec.intensity)
            if exceeded:
                logger.error(
                    "%s: more than %d restarts in %s s, the last of %s",
                    self.spec.id,
                    self.spec.intensity,
                    self.spec.period,
                    child.cell.name,
                )
                self._cell.last_error = child.cell.last_error
                self._shut_down(Exit("shutdown", how.exception))
                return
        child.cell.restarts += 1
        if not child.started_before or now - child.up_since <= self.spec.period:
            child.failures += 1
        else:
            child.failures = 1
        self._take_along(child)
        seconds = backoff_seconds(self.spec.backoff, child.failures)
        if seconds:
            retry = Retry(child.cell, child.cell.incarnation)
            child.delay = self.clock.call_later(seconds, lambda: self._post(retry))
        self._children.to_start(child)

    def _take_along(self, child: Child) -> None:
        """The children that must not outlive this one's crash: stopped, and started again but for temporary ones."""
        for one in self._children.group(child, self.spec.strategy):
            if one.cell.spec.restart == "temporary":
                one.want, one.remove = False, True
                if one.state == DOWN:
                    self._settle(one)
                else:
                    self._children.to_stop(one)
            elif one.halted:
                continue  # the operator's word stands; OTP would start it
            elif one.state in (STARTING, UP):
                one.bounce = True
                self._children.to_stop(one)
            elif one.state == DOWN:
                one.want = True  # also a transient one that had finished: the group starts as a whole
                one.cell.mailbox.reopen()
                self._children.to_start(one)
            else:
                one.want = True

    def _auto_shutdown(self, child: Child) -> None:
        if not child.cell.spec.significant:
            return
        mode = self.spec.auto_shutdown
        if mode == "any_significant" or (mode == "all_significant" and not self._children.significant_without(child)):
            logger.info("%s: shuts down after its significant child %s", self.spec.id, child.cell.name)
            self._shut_down(Exit("shutdown"))

    def _stop_timeout(self, item: StopTimeout) -> None:
        incarnation = item.incarnation
        child = None if incarnation is None else self._child_of(incarnation)
        if incarnation is None or child is None or child.state != STOPPING:
            return
        if incarnation.fence():
            logger.error("%s did not stop within %s s and was given up", child.cell.name, item.seconds)

    def _retry(self, item: Retry) -> None:
        child = self._children.get(item.cell.name)
        if child is not None and child.delay is not None and item.cell.incarnation is item.previous:
            child.delay = None
            self._children.to_start(child)

    def _start_failed_for_operator(self, child: Child, how: Exit) -> None:
        child.want = False
        error = how.exception if isinstance(how.exception, StartError) else StartError(child.cell.name, how.exception)
        for promise in child.starting:
            promise.offer_failure(error)
        child.starting = []
        child.remove = not child.own and not child.halted
        self._settle(child)

    # ------------------------------------------------------------ operators

    do_start = operators.start
    do_terminate = operators.terminate
    do_restart = operators.restart
    do_delete = operators.delete
    do_bounce = operators.bounce

    # ------------------------------------------------------------ records

    @property
    def _cell(self) -> Cell:
        return self._here().cell

    def _post(self, item: Any) -> None:
        self._cell.mailbox.put_urgent(item)

    def _add(self, spec: ChildSpec | SupervisorSpec, *, own: bool) -> Child:
        """In the place a former incarnation left, with the messages that wait there, or in a new one."""
        cell = self._kids.get(spec.id)
        if cell is None:
            cell = self.runtime.make_cell(spec, self._cell, report_start=True)
            self.runtime.register(cell)
            self._kids[spec.id] = cell
        else:
            cell.mailbox.reopen()
        child = self._children.add(cell, own=own)
        self._children.to_start(child)
        return child

    def _child_of(self, incarnation: Incarnation) -> Child | None:
        """Whose life that is; None: one of the past."""
        child = self._children.get(incarnation.cell.name)
        return child if child is not None and child.cell.incarnation is incarnation else None

    def _cancel_delay(self, child: Child) -> None:
        if child.delay is not None:
            child.delay.cancel()
            child.delay = None

    def _settle(self, child: Child) -> None:
        """It is down and stays so for now: answer who waited, and close the door if nobody is to come."""
        for promise in child.stopping:
            promise.offer(None)
        for promise in child.starting:
            promise.offer_failure(StartError(child.cell.name, ActorStopped(child.cell.name)))
        child.stopping, child.starting = [], []
        if child.remove or (child.cell.spec.restart == "temporary" and self._phase != "stopping"):
            self._drop(child)
        elif self._phase != "stopping" or self._final or child.halted:
            child.cell.close()

    def _drop(self, child: Child) -> None:
        self._children.remove(child)
        self.runtime.drop(child.cell)
