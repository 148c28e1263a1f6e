"""The place of one actor in the tree: what stays when the actor is replaced."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from actors.runtime.errors import ActorStopped
from actors.runtime.exit import Exit
from actors.runtime.incarnation import Incarnation
from actors.runtime.mailbox import Mailbox
from actors.runtime.ref import Ref
from actors.runtime.signals import Ask, Stop, Timed
from actors.runtime.spec import ChildSpec, SupervisorSpec

if TYPE_CHECKING:
    from actors.runtime.actor import Actor
    from actors.runtime.dispatch import Dispatcher
    from actors.runtime.runtime import Runtime

logger = logging.getLogger("actors.runtime")

DEFAULT_CAPACITY = 10_000


class Cell:
    """A name, a mailbox, and the incarnation that lives here now.

    While nobody lives here the mailbox is parked (``scheduled`` without a reader), so messages wait; only the
    supervisor moves somebody in, and only after the predecessor's end was reported. So one lives here at a time.
    """

    __slots__ = (
        "culprit",
        "dispatcher",
        "factory",
        "heir",
        "incarnation",
        "kids",
        "last_error",
        "mailbox",
        "name",
        "parent",
        "post",
        "ref",
        "report_start",
        "restart_times",
        "restarts",
        "retry",
        "runtime",
        "spec",
    )

    def __init__(
        self,
        runtime: Runtime,
        spec: ChildSpec | SupervisorSpec,
        factory: Callable[[], Actor | None],
        dispatcher: Dispatcher,
        parent: Cell | None,
        post: Callable[[Any], None],
        *,
        report_start: bool,
    ) -> None:
        self.runtime = runtime
        self.spec = spec
        self.name = spec.id
        self.factory = factory
        self.dispatcher = dispatcher
        self.parent = parent
        self.post = post  #: into the supervisor's system lane
        self.report_start = report_start
        self.mailbox = Mailbox(spec.mailbox_capacity or DEFAULT_CAPACITY, spec.id, self, scheduled=True)
        self.incarnation: Incarnation | None = None
        self.ref: Ref = Ref(self)
        self.kids: dict[str, Cell] | None = None  #: of a supervisor
        self.heir: Cell | None = None  #: took the name while this one was going to sleep, and starts after its end
        self.restarts = 0
        self.restart_times: tuple[float, ...] = ()
        self.last_error = ""
        self.retry: list[tuple[Any, int]] | None = None  #: messages to redeliver, and how often that was done
        self.culprit: Any = None  #: the message at which the last incarnation died

    def __repr__(self) -> str:
        return f"<Cell {self.name}>"

    def ready(self) -> None:
        """The mailbox has something for its sleeping reader."""
        incarnation = self.incarnation
        if incarnation is not None:
            self.dispatcher.ready(incarnation)

    def launch(self) -> Incarnation:
        """Move a new incarnation in. Only by the supervisor, and not before the last one's end was reported."""
        previous = self.incarnation
        incarnation = Incarnation(self, 1 if previous is None else previous.number + 1)
        self.incarnation = incarnation
        try:
            self.dispatcher.ready(incarnation)
        except RuntimeError as error:  # the system gives no more threads
            incarnation._end(Exit("start_failed", error))
        return incarnation

    def stop(self, reason: str = "shutdown", *, final: bool = False) -> None:
        """Ask the one who lives here to end, before any further message; ``final``: and take no more messages."""
        incarnation = self.incarnation
        if final:
            with self.mailbox.lock:
                self.mailbox.closed = True
        if incarnation is not None and not incarnation.over:
            self.mailbox.put_urgent(Stop(incarnation.number, reason, final))

    def close(self) -> None:
        """Nobody will live here any more: what still waits is reported as dropped, questions are answered so."""
        if self.kids:
            for kid in tuple(self.kids.values()):
                kid.close()
        left = [item for item, _ in self.retry or ()]
        self.retry = None
        left += self.mailbox.close()
        while (item := self.mailbox.take_urgent()) is not None:
            promise = getattr(item, "promise", None)  # an operator's wish at a supervisor
            if promise is not None:
                promise.offer_failure(ActorStopped(self.name))
        dropped = []
        for item in left:
            if type(item) is Ask:
                item.promise.offer_failure(ActorStopped(self.name))
            elif type(item) is not Timed:  # a timer's message is the actor's own, and ends with it
                dropped.append(item)
        if dropped:
            self.runtime.dropped(self.ref, dropped)

    def forget(self) -> None:
        """It is gone from the tree: a ref somebody keeps may not keep the factory's arguments and the actor alive."""
        self.factory = _gone
        if isinstance(self.spec, ChildSpec):
            self.spec = replace(self.spec, start=_gone)
        else:
            self.spec = replace(self.spec, children=())
        if self.incarnation is not None:
            self.incarnation.actor = None

    @property
    def state(self) -> str:
        """``running``, ``restarting`` (or starting: messages wait) or ``stopped``."""
        incarnation = self.incarnation
        if incarnation is not None and incarnation.running and not incarnation.over:
            return "running"
        return "stopped" if self.mailbox.closed else "restarting"


def _gone() -> None:
    """The factory of a cell that nobody will live in again."""
