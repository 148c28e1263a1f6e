"""One tree of actors: its threads, its clock, its names."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pykka

from actors.runtime.actor import Actor
from actors.runtime.cell import Cell
from actors.runtime.clock import Clock, SystemClock
from actors.runtime.context import context
from actors.runtime.dispatch import Dispatcher, ThreadDispatcher
from actors.runtime.dynamic import DynamicSupervisor
from actors.runtime.errors import BadSpec, NameTaken, NoSuchActor, NotRunning, StartError, safe_repr
from actors.runtime.exit import Exit
from actors.runtime.node import Node, picture
from actors.runtime.pooled import PoolDispatcher
from actors.runtime.promise import Promise
from actors.runtime.ref import Ref
from actors.runtime.signals import Exited, Started
from actors.runtime.spec import ChildSpec, SupervisorSpec, check_child, check_tree
from actors.runtime.supervision import SupervisorRef, tell_hook
from actors.runtime.supervisor import Supervisor

if TYPE_CHECKING:
    from actors.runtime.testing import Stepper

logger = logging.getLogger("actors.runtime")


class Runtime:
    """Starts, watches and stops one tree. Used once: after ``stop`` make another.

    ``dispatchers``: by name, beside or instead of ``"thread"`` and ``"pool"`` (4 threads). ``stepper``: runs everything
    on the calling thread instead (tests). ``on_poison(ref, message, exception)``: a message that was redelivered as
    often as its actor allows. ``on_dropped(ref, messages)``: accepted, and never handled because the actor stopped for
    good; both are logged if nobody listens.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        dispatchers: Mapping[str, Dispatcher] | None = None,
        stepper: Stepper | None = None,
        on_poison: Callable[[Ref, Any, BaseException | None], object] | None = None,
        on_dropped: Callable[[Ref, Sequence[Any]], object] | None = None,
    ) -> None:
        self.clock: Clock = SystemClock() if clock is None else clock
        self._owns_clock = clock is None
        self._on_poison = on_poison
        self._on_dropped = on_dropped
        self._stepper = stepper
        self._dispatchers: dict[str, Dispatcher] = {"thread": ThreadDispatcher(), "pool": PoolDispatcher()}
        self._dispatchers.update(dispatchers or {})
        # One thread for all supervisors: they never block, and so they see each other's doings in order.
        self._supervision: Dispatcher = PoolDispatcher(1, "supervision")
        if stepper is not None:
            self._dispatchers = dict.fromkeys(self._dispatchers, stepper)
            self._supervision = stepper
        self._lock = threading.Lock()
        self._state = "new"  #: new, running, stopping, stopped
        self._cells: dict[str, Cell] = {}
        self._root: Cell | None = None
        self._up: Promise[Ref] = Promise()
        self._down: Promise[Exit] = Promise()
        self._stopped = threading.Event()
        self._stop_asked = False
        self._reason: str | None = None
        self._escalation: Callable[[BaseException | None], object] | None = None
        self.last_cause: BaseException | None = None  #: of the escalation
        self.leaked_threads = 0  #: threads ever given up
        self.hung_threads = 0  #: of these, still not back
        self.dropped_messages = 0

    # ------------------------------------------------------------ life

    def start(self, spec: SupervisorSpec, timeout: float | None = None) -> Ref:
        """Start the tree; returns the root's ref when all of it is up.

        Raises ``BadSpec`` before anything starts; ``StartError(child, cause)``, everything undone; ``pykka.Timeout``
        likewise.
        """
        if not isinstance(spec, SupervisorSpec):
            raise BadSpec("root", "spec", spec, "a SupervisorSpec")
        check_tree(spec, self._dispatchers)
        with self._lock:
            if self._state != "new":
                raise NotRunning(f"this runtime is {self._state}; make another")
            self._state = "running"
        for dispatcher in self._all_dispatchers():
            dispatcher.start()
        if self._stepper is not None:
            context.stepper = self._stepper
        try:
            self._root = self.make_cell(spec, None, report_start=True)
            self.register(self._root)
            self._root.launch()
            return self._up.get(timeout)
        except BaseException:
            self.stop()
            raise

    def stop(self, timeout: float | None = None) -> None:
        """Stop all children in reverse order and join all threads but hung ones; idempotent.

        After ``timeout`` seconds whoever still runs is given up. From inside an actor or a timer it only begins
        the stop.
        """
        inside = context.incarnation
        inside_actor = inside is not None and inside.cell.runtime is self and self._stepper is None
        if inside_actor or context.serves_all:
            threading.Thread(target=self.stop, args=(timeout,), name="runtime-stop", daemon=True).start()
            return
        with self._lock:
            self._stop_asked = True
            if self._state == "new":
                self._state = "stopped"
                self._reason = "stopped"
                self._stopped.set()
            root = self._root
        if self._stopped.is_set():
            return
        deadline = None if timeout is None else time.monotonic() + timeout
        if root is not None and not self._down.done():
            root.stop("shutdown", final=True)
            with suppress(pykka.Timeout):  # with a stepper also when nothing moves any more
                self._down.get(timeout)
            if not self._down.done():
                logger.error("the tree did not stop within %s s; what runs is given up", timeout)
                if root.incarnation is not None:
                    root.incarnation.fence()
        self._wind_up("stopped", deadline)

    def wait_stopped(self, timeout: float | None = None) -> str | None:
        """Wait for the end; ``"stopped"`` (asked to), ``"shutdown"`` (escalated), or None after ``timeout`` seconds."""
        return self._reason if self._stopped.wait(timeout) else None

    def on_escalation(self, callback: Callable[[BaseException | None], object]) -> None:
        """Call ``callback(last_cause)`` when the outermost restart limit is exhausted and everything was stopped."""
        self._escalation = callback

    # ------------------------------------------------------------ looking

    def ref(self, name: str) -> Ref:
        """By name. Raises ``NoSuchActor``."""
        cell = self._cells.get(name)
        if cell is None:
            raise NoSuchActor(name)
        return cell.ref

    def supervisor(self, name: str) -> SupervisorRef:
        """A supervisor by name. Raises ``NoSuchActor``."""
        ref = self.ref(name)
        if not isinstance(ref, SupervisorRef):
            raise NoSuchActor(name)
        return ref

    def restart(self, name: str, timeout: float | None = None) -> None:
        """Stop the actor in good order and start it again, as an operator; messages wait. Raises ``NoSuchActor``."""
        cell = self._cells.get(name)
        if cell is None or cell.parent is None:
            raise NoSuchActor(name)
        self.supervisor(cell.parent.name).bounce_child(name, timeout=timeout)

    def tree(self) -> Node | None:
        """A picture of the tree, taken without asking an actor; None before the start."""
        return None if self._root is None else picture(self._root)

    @property
    def dispatchers(self) -> Mapping[str, Dispatcher]:
        """By name."""
        return self._dispatchers

    # ------------------------------------------------------------ for the supervisors

    def check(self, spec: ChildSpec | SupervisorSpec, auto_shutdown: str) -> None:
        """Raises ``BadSpec`` for a child that comes later."""
        if isinstance(spec, SupervisorSpec):
            check_tree(spec, self._dispatchers)
        check_child(spec, self._dispatchers, auto_shutdown)

    def make_cell(self, spec: ChildSpec | SupervisorSpec, parent: Cell | None, *, report_start: bool) -> Cell:
        """A place for it, not registered yet."""
        post = self._from_root if parent is None else parent.mailbox.put_urgent
        if isinstance(spec, ChildSpec):
            dispatcher = self._dispatchers[spec.dispatcher]
            return Cell(self, spec, spec.start, dispatcher, parent, post, report_start=report_start)

        def factory() -> Actor:
            return DynamicSupervisor(spec) if spec.dynamic else Supervisor(spec)

        cell = Cell(self, spec, factory, self._supervision, parent, post, report_start=report_start)
        cell.ref = SupervisorRef(cell)
        return cell

    def register(self, cell: Cell, *, instead_of: Cell | None = None) -> None:
        """Take the name; raises ``NameTaken``."""
        with self._lock:
            holder = self._cells.get(cell.name)
            if holder is not None and holder is not instead_of:
                raise NameTaken(cell.name)
            self._cells[cell.name] = cell

    def drop(self, cell: Cell) -> None:
        """It is out of the tree, with all below: doors closed, names free; idempotent."""
        for kid in tuple((cell.kids or {}).values()):
            self.drop(kid)
        cell.close()
        with self._lock:
            if self._cells.get(cell.name) is cell:
                del self._cells[cell.name]
        if cell.parent is not None and cell.parent.kids is not None and cell.parent.kids.get(cell.name) is cell:
            del cell.parent.kids[cell.name]
        cell.forget()

    def dropped(self, ref: Ref, messages: Sequence[Any]) -> None:
        """Accepted and never handled."""
        with self._lock:
            self.dropped_messages += len(messages)
        if self._on_dropped is None:
            logger.warning("%s stopped with %d messages unhandled", ref.name, len(messages))
        else:
            tell_hook(self._on_dropped, ref, messages)

    def poisoned(self, ref: Ref, message: Any, exception: BaseException | None) -> None:
        """Redelivered too often."""
        if self._on_poison is None:
            logger.error("%s: message given up: %s", ref.name, safe_repr(message))
        else:
            tell_hook(self._on_poison, ref, message, exception)

    def hang(self) -> None:
        """A thread was given up."""
        with self._lock:
            self.leaked_threads += 1
            self.hung_threads += 1

    def unhang(self) -> None:
        """A thread that was given up came back, and ends."""
        with self._lock:
            self.hung_threads -= 1

    # ------------------------------------------------------------ the root's end

    def _from_root(self, item: Any) -> None:
        """What other actors' supervisors get as a message, for the root."""
        root = self._root
        if isinstance(item, Started) and root is not None:
            self._up.offer(root.ref)
        elif isinstance(item, Exited):
            self._root_ended(item.exit)

    def _root_ended(self, how: Exit) -> None:
        if not self._up.done():
            cause = how.exception
            name = "?" if self._root is None else self._root.name
            self._up.offer_failure(cause if isinstance(cause, StartError) else StartError(name, cause))
        elif not self._stop_asked:
            self.last_cause = how.exception
            # this is the supervisors' thread, and winding up joins it
            if self._stepper is None:
                threading.Thread(target=self._escalate, args=(how,), name="runtime-end", daemon=True).start()
            else:
                self._escalate(how)
        self._down.offer(how)

    def _escalate(self, how: Exit) -> None:
        logger.critical("the outermost supervisor gave up: %s", safe_repr(how.exception))
        self._wind_up("shutdown", None)
        if self._escalation is not None:
            tell_hook(self._escalation, how.exception)

    def _wind_up(self, reason: str, deadline: float | None) -> None:
        with self._lock:
            if self._state == "stopped":
                first = False
            else:
                first = True
                self._state = "stopped"
        if not first:
            self._stopped.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
            return
        try:
            if self._root is not None:
                self._root.close()
            for dispatcher in self._all_dispatchers():
                left = None if deadline is None else max(0.1, deadline - time.monotonic())
                if not dispatcher.stop(left):
                    logger.error("threads did not end in time: %r", dispatcher)
            if self._owns_clock:
                self.clock.close()
            if self._stepper is not None and context.stepper is self._stepper:
                context.stepper = None
        finally:
            self._reason = reason
            self._stopped.set()

    def _all_dispatchers(self) -> list[Dispatcher]:
        return list({id(one): one for one in (*self._dispatchers.values(), self._supervision)}.values())
