"""What an author of actors subclasses."""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import pykka

from actors.runtime import fence
from actors.runtime.clock import Clock, Timer
from actors.runtime.exit import NORMAL
from actors.runtime.promise import Promise
from actors.runtime.ref import Ref

if TYPE_CHECKING:
    from actors.runtime.incarnation import Incarnation
    from actors.runtime.runtime import Runtime
    from actors.runtime.signals import Stop

logger = logging.getLogger("actors.runtime")


class Actor(pykka.Actor):
    """One at a time handles its messages; made, started, restarted and stopped by its supervisor.

    Life: the factory of its spec and ``on_start`` (on the actor's thread), then slices: ``on_receive`` for each
    message and one ``on_flush``; at last ``on_stop`` (asked to, or by itself) or ``on_failure`` (it raised). Any
    exception out of these, ``SystemExit`` and ``KeyboardInterrupt`` too, on a tell or an ask, ends this actor only and
    is reported to its supervisor. Messages that wait stay for the successor.
    """

    mailbox_capacity: ClassVar[int] = 10_000
    #: messages handled before others get the thread, and before ``on_flush``
    slice_size: ClassVar[int] = 256
    #: After a crash, hand the messages handled since the last completed ``on_flush`` to the successor, first and in
    #: order, at most this often each; then to the runtime's ``on_poison``.
    redeliver: ClassVar[int] = 0
    #: when stopped for good: refuse new messages and handle those that wait, before ``on_stop``
    drain_on_stop: ClassVar[bool] = False

    runtime: Runtime
    clock: Clock
    me: Ref
    _incarnation: Incarnation | None = None
    _starts_later: ClassVar[bool] = False

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        # pykka's would make a queue, an event and an URN for each actor; here the cell has what is needed, and an
        # author who forgets super().__init__() breaks nothing
        pass

    def __str__(self) -> str:
        return f"{type(self).__name__} ({self.actor_urn})"

    # ------------------------------------------------------------ to override

    def on_start(self) -> None:
        """Get ready. What it raises is a failed start: counted, and tried again or escalated."""

    def on_receive(self, message: Any) -> Any:
        """Handle one message; what it returns answers an ask."""
        logger.warning("%s: unexpected message %s", self.me.name, type(message).__name__)

    def on_flush(self) -> None:
        """After each slice: the messages since the last call were handled. The place to write them in one go."""

    def on_stop(self) -> None:
        """Let go; not called after a crash."""

    def on_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let go after a crash, before the successor starts."""

    # ------------------------------------------------------------ to call, from its own handlers

    def send_after(self, delay_seconds: float, message: Any) -> Timer:
        """Tell itself later. Cancelled when this incarnation ends; not refused by a full mailbox."""
        return self._here().send_after(delay_seconds, message)

    def stop(self) -> None:
        """End after the message in hand; a permanent one is restarted."""
        self._here().stop(NORMAL)

    def passivate(self, wish: bool = True) -> None:
        """End as soon as no message waits, and free the name; nothing that was accepted is lost.

        Later senders get ``ActorStopped`` and may start another one under the name.
        """
        self._here().passive = wish

    @property
    def fenced(self) -> bool:
        """Whether its supervisor has given it up: it must not commit anything any more."""
        return self._here().over

    def check_fence(self) -> None:
        """Raises ``ActorFenced`` in a thread whose actor was given up; call it before a commit outside."""
        fence.check(self.me.name)

    # ------------------------------------------------------------ pykka's face

    @classmethod
    def start(cls, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Not this way: a supervisor starts it."""
        raise TypeError(f"{cls.__name__} is started by its supervisor: give its ChildSpec to a Runtime")

    @property
    def actor_urn(self) -> str:  # type: ignore[override] # computed, for pykka would keep a string per actor
        """Unique among all incarnations of a runtime."""
        here = self._incarnation
        return "urn:actor:unborn" if here is None else f"urn:actor:{here.cell.name}:{here.number}"

    @property
    def actor_ref(self) -> Any:
        """The stable ref; it has what pykka's own has, except what belongs to one instance."""
        return self.me

    @staticmethod
    def _create_actor_inbox() -> NoReturn:
        raise TypeError("the mailbox belongs to the actor's place in the tree, not to the actor")

    @staticmethod
    def _create_future() -> pykka.Future[Any]:
        return Promise()

    def _start_actor_loop(self) -> NoReturn:
        raise TypeError("a dispatcher runs it")

    # ------------------------------------------------------------ the runtime's side

    def _here(self) -> Incarnation:
        if self._incarnation is None:
            raise TypeError(f"{type(self).__name__} does not live in a runtime yet; on_start is the earliest place")
        return self._incarnation

    def _bind(self, incarnation: Incarnation) -> None:
        if self._incarnation is not None:
            raise TypeError(f"the factory of {incarnation.cell.name!r} gave an actor that has lived before")
        self._incarnation = incarnation
        self.runtime = incarnation.cell.runtime
        self.clock = self.runtime.clock
        self.me = incarnation.cell.ref

    def _flusher(self) -> Callable[[], None] | None:
        return None if type(self).on_flush is Actor.on_flush else self.on_flush

    def _on_system(self, item: Any) -> None:
        """A system message other than a stop; supervisors live on these."""

    def _on_stop_request(self, _stop: Stop) -> bool:
        """Whether to end at once; a supervisor ends its children first."""
        return True

    def _on_fence(self) -> None:
        """It was given up; on the thread that did it."""
