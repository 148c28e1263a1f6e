"""The errors of the runtime.

::

    RuntimeFault
    ├── Undelivered              the message was not accepted; nothing happened
    │   ├── MailboxFull          try again later, or shed
    │   ├── ActorStopped         stopped for good (also a pykka.ActorDeadError)
    │   └── ActorFenced          the *sender* was given up by its supervisor and may not act any more
    ├── ActorCrashed             the actor died while it handled the question; it may or may not have been done
    ├── AskDeadlock              the question would wait for its own asker
    ├── PoolExhausted            too many actors of one pool wait for answers at once
    ├── NoSuchActor              no actor of that name
    ├── NameTaken                an actor of that name exists elsewhere in the tree
    ├── BadSpec                  a spec breaks a rule; nothing was started
    ├── StartError               a child could not start; what had started was stopped again
    ├── NotRunning               the runtime was not started, or is stopped; a closed clock
    └── ChildError               an operator's wish that does not fit the child's state
        ├── NoSuchChild
        ├── AlreadyStarted       carries the running one's ref
        ├── AlreadyPresent       its spec is known, it does not run: restart or delete it
        ├── ChildRunning
        └── ChildRestarting

Every class has a stable ``code``.
"""

from __future__ import annotations

from typing import Any, ClassVar

import pykka


class RuntimeFault(Exception):
    """Anything the runtime raises on purpose."""

    code: ClassVar[str] = "runtime_fault"


class Undelivered(RuntimeFault):
    """The message was not accepted."""

    code = "undelivered"

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


class MailboxFull(Undelivered):
    """The mailbox holds as many messages as it may."""

    code = "mailbox_full"

    def __init__(self, name: str, capacity: int) -> None:
        super().__init__(name, f"the mailbox of {name!r} is full ({capacity} messages)")
        self.capacity = capacity


class ActorStopped(Undelivered, pykka.ActorDeadError):
    """The actor stopped for good, or before it came to this message."""

    code = "actor_stopped"

    def __init__(self, name: str) -> None:
        super().__init__(name, f"{name!r} is stopped")


class ActorFenced(Undelivered):
    """This thread still runs an actor that its supervisor gave up; its successor may be at work already."""

    code = "actor_fenced"

    def __init__(self, name: str) -> None:
        super().__init__(name, f"this thread's actor was given up by its supervisor and may not reach {name!r}")


class ActorCrashed(RuntimeFault):
    """The actor died while it handled the question; ``__cause__`` says why."""

    code = "actor_crashed"

    def __init__(self, name: str, cause: BaseException | None = None) -> None:
        super().__init__(f"{name!r} died while it handled the message: {safe_repr(cause)}")
        self.name = name
        self.__cause__ = cause


class AskDeadlock(RuntimeFault):
    """Waiting for this answer would close a circle of actors that wait for each other."""

    code = "ask_deadlock"

    def __init__(self, names: list[str]) -> None:
        super().__init__("these actors would wait for each other: " + " -> ".join(names))
        self.names = names


class PoolExhausted(RuntimeFault):
    """More pooled actors wait for answers than the pool has stand-ins for."""

    code = "pool_exhausted"

    def __init__(self, pool: str, limit: int) -> None:
        super().__init__(f"{limit} actors of pool {pool!r} wait for answers already; pooled actors should not block")
        self.pool = pool
        self.limit = limit


class NoSuchActor(RuntimeFault):
    """No actor of that name."""

    code = "no_such_actor"

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no actor {name!r}")
        self.name = name


class NameTaken(RuntimeFault):
    """Names are unique in a runtime."""

    code = "name_taken"

    def __init__(self, name: str) -> None:
        super().__init__(f"there is an actor {name!r} already")
        self.name = name


class BadSpec(RuntimeFault):
    """A spec breaks a rule: ``field`` of ``owner`` is ``value``."""

    code = "bad_spec"

    def __init__(self, owner: str, field: str, value: object, rule: str) -> None:
        super().__init__(f"{owner}: {field}={safe_repr(value)}: {rule}")
        self.owner = owner
        self.field = field
        self.value = value
        self.rule = rule


class StartError(RuntimeFault):
    """Child ``child`` could not start; ``cause`` says why, and everything begun was undone."""

    code = "start_error"

    def __init__(self, child: str, cause: BaseException | None) -> None:
        super().__init__(f"{child!r} could not start: {safe_repr(cause)}")
        self.child = child
        self.cause = cause
        self.__cause__ = cause


class NotRunning(RuntimeFault):
    """Not started yet, or stopped."""

    code = "not_running"


class ChildError(RuntimeFault):
    """An operator's wish that does not fit the child's state."""

    code = "child_error"
    says: ClassVar[str] = "cannot do that to {child!r} now"

    def __init__(self, child: str, ref: Any = None) -> None:
        super().__init__(self.says.format(child=child))
        self.child = child
        self.ref = ref


class NoSuchChild(ChildError):
    """The supervisor has no such child."""

    code = "no_such_child"
    says = "there is no child {child!r}"


class AlreadyStarted(ChildError):
    """It runs; ``ref`` is it."""

    code = "already_started"
    says = "{child!r} runs already"


class AlreadyPresent(ChildError):
    """Its spec is known, but it does not run."""

    code = "already_present"
    says = "{child!r} is known but stopped: restart it or delete it"


class ChildRunning(ChildError):
    """It runs; stop it first."""

    code = "child_running"
    says = "{child!r} is running"


class ChildRestarting(ChildError):
    """Its supervisor is restarting it."""

    code = "child_restarting"
    says = "{child!r} is being restarted"


def safe_repr(value: object, limit: int = 500) -> str:
    """``repr`` that cannot raise (a foreign ``__repr__`` may) and is bounded."""
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001 - whatever a foreign __repr__ raises, the report must go on
        text = f"<{type(value).__name__}, whose repr raised {type(error).__name__}>"
    return text if len(text) <= limit else text[: limit - 3] + "..."
