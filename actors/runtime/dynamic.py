"""A supervisor of any number of independent children that come and go."""

from __future__ import annotations

import functools
import logging
import threading
from typing import TYPE_CHECKING, Any

from actors.runtime.actor import Actor
from actors.runtime.clock import Timer
from actors.runtime.errors import ActorStopped, AlreadyStarted, NoSuchChild, StartError
from actors.runtime.exit import SHUTDOWN, Exit, is_failure, should_restart
from actors.runtime.incarnation import Incarnation
from actors.runtime.promise import Promise
from actors.runtime.ref import Ref
from actors.runtime.restart import add_restart
from actors.runtime.signals import Exited, Started, Stop
from actors.runtime.spec import ChildSpec, SupervisorSpec
from actors.runtime.supervision import Call, Retry, StopTimeout, answer, backoff_seconds, tell_hook

if TYPE_CHECKING:
    from actors.runtime.cell import Cell

logger = logging.getLogger("actors.runtime")


class DynamicSupervisor(Actor):
    """See ``SupervisorSpec(dynamic=True)``.

    Children are started by whoever asks, under a lock, without a message to here; their ends come here as messages. A
    healthy child therefore costs its supervisor nothing.
    """

    def __init__(self, spec: SupervisorSpec) -> None:
        super().__init__()
        self.spec = spec
        self._lock = threading.RLock()
        self._kids: dict[str, Cell] = {}
        self._leaving: set[Cell] = set()  #: lost their name to an heir and are not over yet
        self._stopping: set[Cell] = set()  #: on the way down with the supervisor
        self._phase = "running"
        self._exit = SHUTDOWN
        self._restarts: tuple[float, ...] = ()
        self._starting: dict[Cell, Promise[Any]] = {}
        self._waiting: dict[Cell, list[Promise[Any]]] = {}  #: operators, for its end
        self._bounced: set[Cell] = set()
        self._timers: dict[Cell, Timer] = {}  #: of stops
        self._limits: list[Timer] = []  #: of the supervisor's own stop

    def on_start(self) -> None:
        cell = self._here().cell
        for kid in tuple((cell.kids or {}).values()):  # of an incarnation that crashed
            self.runtime.drop(kid)
        cell.kids = self._kids

    # ------------------------------------------------------------ children, from any thread

    def start_child(self, spec: ChildSpec | SupervisorSpec, *, wait: bool, timeout: float | None) -> Ref:
        """``SupervisorRef.start_child``."""
        self.runtime.check(spec, "never")
        started: Promise[Any] | None = Promise() if wait else None
        with self._lock:
            if self._phase != "running" or self.fenced:
                raise ActorStopped(self.spec.id)
            known = self._kids.get(spec.id)
            if known is not None and not known.mailbox.closed:
                raise AlreadyStarted(spec.id, known.ref)
            cell = self.runtime.make_cell(spec, self._here().cell, report_start=wait)
            # One that sleeps or stops is not to be met by its successor: the heir has the name, and messages wait in
            # it, but it is launched only after the other's end was reported.
            self.runtime.register(cell, instead_of=known)
            self._kids[spec.id] = cell
            if started is not None:
                self._starting[cell] = started
            if known is None:
                cell.launch()
            else:
                known.heir = cell
                self._leaving.add(known)
        if started is not None:
            started.get(timeout)
        return cell.ref

    # ------------------------------------------------------------ messages

    def _on_system(self, item: Any) -> None:
        if isinstance(item, Exited):
            self._exited(item.incarnation, item.exit)
        elif isinstance(item, Started):
            started = self._starting.pop(item.incarnation.cell, None)
            if started is not None:
                started.offer(item.incarnation.cell.ref)
        elif isinstance(item, Retry):
            self._retry(item)
        elif isinstance(item, StopTimeout):
            self._stop_timeout(item)
        elif isinstance(item, Call):
            answer(self, item)

    def _exited(self, incarnation: Incarnation, how: Exit) -> None:
        cell = incarnation.cell
        if cell.incarnation is not incarnation:
            return
        stopped = cell.mailbox.closed or self._phase == "stopping"
        if is_failure(how.kind):
            if not stopped or how.message is not None:
                tell_hook(self.spec.on_crash, cell.ref, how.message, how.exception)
            if stopped and cell.spec.shutdown != "brutal":
                logger.error("%s: shutdown error: %s, %r", cell.name, how.kind, how.exception)
        self._cancel_timer(cell)
        started = self._starting.pop(cell, None)
        if started is not None:
            failed = StartError(cell.name, how.exception) if how.kind == "start_failed" else ActorStopped(cell.name)
            if how.kind == "ignored":
                started.offer(None)
            else:
                started.offer_failure(failed)
            self._gone(cell)
        elif cell in self._bounced and not stopped:
            self._bounced.discard(cell)
            self._answer_waiting(cell)
            cell.launch()
        elif stopped or not should_restart(cell.spec.restart, how.kind):
            self._gone(cell)
        else:
            self._restart(cell, how)

    def _restart(self, cell: Cell, how: Exit) -> None:
        if how.kind == "start_failed":
            logger.error("%s could not start", cell.name, exc_info=how.exception)
        spec = self.spec
        now = self.clock.monotonic()
        if not how.repeat:
            before = cell.restart_times if spec.per_child else self._restarts
            times, exceeded = add_restart(before, now, spec.period, spec.intensity)
            if spec.per_child:
                cell.restart_times = times
            else:
                self._restarts = times
            if exceeded:
                logger.error("%s: more than %d restarts in %s s", cell.name, spec.intensity, spec.period)
                self._gone(cell)
                if spec.per_child:
                    tell_hook(spec.on_give_up, cell.ref, how.exception)
                else:
                    self._here().cell.last_error = cell.last_error
                    self._shut_down(Exit("shutdown", how.exception))
                return
        cell.restarts += 1
        seconds = 0.0
        if spec.backoff is not None:
            failures = len(cell.restart_times if spec.per_child else self._restarts)
            seconds = backoff_seconds(spec.backoff, max(1, failures))
        if seconds:
            retry = Retry(cell, cell.incarnation)
            self.clock.call_later(seconds, lambda: self._post(retry))
        else:
            cell.launch()

    def _retry(self, item: Retry) -> None:
        cell = item.cell
        if self._phase == "running" and not cell.mailbox.closed and cell.incarnation is item.previous:
            cell.launch()

    def _gone(self, cell: Cell) -> None:
        """It is over for good; idempotent."""
        with self._lock:
            if self._kids.get(cell.name) is cell:
                del self._kids[cell.name]
            self._leaving.discard(cell)
            heir, cell.heir = cell.heir, None
            self._bounced.discard(cell)
        self.runtime.drop(cell)
        self._answer_waiting(cell)
        if heir is not None:
            if heir.mailbox.closed:  # stopped before it began
                self._gone(heir)
            else:
                heir.launch()
        if self._phase == "stopping":
            self._stopping.discard(cell)
            self._finish_if_empty()

    def _answer_waiting(self, cell: Cell) -> None:
        for promise in self._waiting.pop(cell, ()):
            promise.offer(None)

    # ------------------------------------------------------------ the end

    def _on_stop_request(self, _stop: Stop) -> bool:
        self._shut_down(Exit("shutdown"))
        return False

    def _shut_down(self, how: Exit) -> None:
        """All at once: they are independent, so waiting for one after the other would only take longer."""
        with self._lock:
            if self._phase == "stopping":
                return
            self._phase = "stopping"
            self._exit = how
            everyone = [*self._kids.values(), *self._leaving]
        limits: set[float] = set()
        self._stopping = set(everyone)
        for cell in everyone:
            incarnation = cell.incarnation
            if incarnation is None or incarnation.over:
                cell.mailbox.closed = True
                started = self._starting.pop(cell, None)
                if started is not None:
                    started.offer_failure(ActorStopped(cell.name))
                self._gone(cell)
                continue
            limit = cell.spec.shutdown
            if limit == "brutal":
                cell.mailbox.closed = True
                incarnation.fence()
                continue
            cell.stop("shutdown", final=True)
            if not isinstance(limit, str):
                limits.add(limit)
        for seconds in limits:
            timeout = StopTimeout(None, seconds)
            self._limits.append(self.clock.call_later(seconds, functools.partial(self._post, timeout)))
        self._finish_if_empty()

    def _finish_if_empty(self) -> None:
        if not self._stopping:
            for timer in self._limits:
                timer.cancel()
            self._here().stop(self._exit)

    def _stop_timeout(self, item: StopTimeout) -> None:
        late = (
            [cell.incarnation for cell in self._stopping if cell.spec.shutdown == item.seconds]
            if item.incarnation is None
            else [item.incarnation]
        )
        for incarnation in late:
            if incarnation is not None and incarnation.fence():
                logger.error("%s did not stop within %s s and was given up", incarnation.cell.name, item.seconds)

    def on_failure(self, *_exc_info: object) -> None:
        self._on_fence()

    def _on_fence(self) -> None:
        with self._lock:
            self._phase = "stopping"
            everyone = [*self._kids.values(), *self._leaving]
        for cell in everyone:
            cell.mailbox.closed = True
            if cell.incarnation is not None:
                cell.incarnation.fence()
            self.runtime.drop(cell)

    # ------------------------------------------------------------ operators

    def do_terminate(self, name: str, promise: Promise[Any]) -> None:
        """``SupervisorRef.terminate_child``."""
        cell = self._known(name)
        self._bounced.discard(cell)
        self._waiting.setdefault(cell, []).append(promise)
        with cell.mailbox.lock:
            cell.mailbox.closed = True
        self._stop_child(cell, final=True)

    def do_bounce(self, name: str, promise: Promise[Any]) -> None:
        """``SupervisorRef.bounce_child``."""
        cell = self._known(name)
        self._waiting.setdefault(cell, []).append(promise)
        if cell.incarnation is not None and not cell.incarnation.over:
            self._bounced.add(cell)
            self._stop_child(cell, final=False)
        else:
            self._answer_waiting(cell)  # it is being restarted anyway

    def do_restart(self, name: str, _promise: Promise[Any]) -> None:
        """A dynamic supervisor keeps no specs of stopped children."""
        raise NoSuchChild(name)

    do_delete = do_restart

    def _stop_child(self, cell: Cell, *, final: bool) -> None:
        incarnation = cell.incarnation
        if incarnation is None or incarnation.over:
            # An heir that was not launched yet, one that waits for its restart, or its end is on the way to here. For
            # the last it is only early: nothing of it runs any more.
            if incarnation is not None:
                self._gone(cell)
            return
        limit = cell.spec.shutdown
        if limit == "brutal":
            incarnation.fence()
            return
        cell.stop("shutdown", final=final)
        if not isinstance(limit, str):
            timeout = StopTimeout(incarnation, limit)
            self._cancel_timer(cell)
            self._timers[cell] = self.clock.call_later(limit, lambda: self._post(timeout))

    def _cancel_timer(self, cell: Cell) -> None:
        timer = self._timers.pop(cell, None)
        if timer is not None:
            timer.cancel()

    def _known(self, name: str) -> Cell:
        cell = self._kids.get(name)
        if cell is None:
            raise NoSuchChild(name)
        return cell

    def _post(self, item: Any) -> None:
        self._here().cell.mailbox.put_urgent(item)
